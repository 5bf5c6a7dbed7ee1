"""How fast the dashboard answers, measured in Chromium on the page that Voilà serves.

    python benchmarks/app_latency.py [--minutes 3] [--steps 60] [--file song.wav] [--json result.json]

Prints, with median and 95th percentile: the first page from a preheated kernel; the time from a file's drop to its
notes (posteriors computed with --file, from the cache without); a slider step until the new notes are painted; the
number of timbres until the same; frames a second while the roll scrolls over 20,000 notes. CPU seconds and involuntary
context switches stand beside the wall times, because a busy machine shows there first.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser"), str(ROOT / "tests" / "widgets")]

HUB = "[...globalThis[Symbol.for('amtsep.hubs')].values()].at(-1)"
STEP = """async ([label, key]) => {
  const hub = HUB;
  const slider = [...document.querySelectorAll('[role=slider]')].find(e => e.getAttribute('aria-label') === label);
  const start = performance.now();
  // A step that changes no note sends none: it is left out.
  const arrived = new Promise(resolve => {
    const off = hub.on('notes', () => { off(); resolve(performance.now()); });
    setTimeout(() => { off(); resolve(0); }, 2000);
  });
  slider.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  const data = await arrived;
  if (!data) return null;
  await new Promise(requestAnimationFrame);
  await new Promise(resolve => {
    const channel = new MessageChannel();
    channel.port1.onmessage = resolve;
    channel.port2.postMessage(0);
  });
  const painted = performance.now();
  await new Promise(resolve => setTimeout(resolve, 60));
  return [painted - start, data - start, hub.actions.roll().stats.drawMs];
}""".replace("HUB", HUB)
SCROLL = """async ([count, seconds]) => {
  const hub = HUB;
  const view = hub.actions.roll();
  const column = f => Float32Array.from({ length: count }, (_, i) => f(i));
  const onset = column(i => i * 0.09);
  hub.duration = count * 0.09 + 1;
  hub.setNotes({ n: count, onset, offset: onset.map((t, i) => t + 0.1 + (i % 7) * 0.1),
    pitch: column(i => 30 + (i * 37) % 60), velocity: column(i => 40 + i % 80), confidence: column(() => 0.8),
    track: column(() => 0), hand: column(() => 0), longest: 0.8 });
  const measure = async span => {
    let frames = 0;
    const start = performance.now();
    while (performance.now() - start < seconds * 1000) {
      const t = ((performance.now() - start) / (seconds * 1000)) * (hub.duration - span);
      view.setWindow({ t0: t, t1: t + span });
      await new Promise(requestAnimationFrame);
      frames += 1;
    }
    return [frames / seconds, view.stats.drawMs];
  };
  return {
    'window of 30 s': await measure(30),
    'window of 5 min': await measure(300),
    'all at once': await measure(hub.duration - 1),
  };
}""".replace("HUB", HUB)


def summary(values: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    ordered = sorted(values)
    if not ordered:
        return {"median": float("nan"), "p95": float("nan"), "n": 0}
    return {
        "median": statistics.median(ordered),
        "p95": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
        "n": len(ordered),
    }


def measure(minutes: float, steps: int, file: Path | None) -> dict[str, Any]:
    """Run everything once."""
    import synthetic
    from driving import App, Server, find_chromium, keep
    from playwright.sync_api import sync_playwright

    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as p:
        files = Path(folder)
        (files / "cache").mkdir()
        seconds = minutes * 60.0
        if file is None:
            notes = synthetic.melody(seconds)
            posteriors = synthetic.perfect(notes, seconds, timbres=True)
            (files / "clip.wav").write_bytes(keep(notes, seconds, posteriors, files / "cache"))
            file = files / "clip.wav"
        server = Server(files)
        try:
            time.sleep(15)  # until the kernel is heated
            browser = p.chromium.launch(
                executable_path=find_chromium(),
                args=["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"],
            )
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            app = App(page, file.parent)
            start = time.perf_counter()
            app.goto(server.url)
            result["first page, preheated kernel, s"] = round(time.perf_counter() - start, 2)
            start = time.perf_counter()
            app.open(file.name)
            result["file to notes, s"] = round(time.perf_counter() - start, 2)
            result["notes"] = app.hub("hub.notes.n")
            page.wait_for_timeout(1500)
            keys = ["ArrowRight"] * (steps // 2) + ["ArrowLeft"] * (steps - steps // 2)
            timed = [t for key in keys if (t := page.evaluate(STEP, ["Onset threshold", key]))]
            result["slider to picture, ms"] = summary([t[0] for t in timed])
            result["of it until the notes are in the browser, ms"] = summary([t[1] for t in timed])
            result["of it painting, ms"] = summary([t[2] for t in timed])
            if app.slider("Timbres").is_visible():
                moves = ["ArrowRight", "ArrowLeft"] * 8
                timed = [t for key in moves if (t := page.evaluate(STEP, ["Timbres", key]))]
                result["timbres to picture, ms"] = summary([t[0] for t in timed])
            scrolled = page.evaluate(SCROLL, [20_000, 3])
            for name, (frames, paint) in scrolled.items():
                result[f"20,000 notes, {name}: frames a second"] = round(frames, 1)
                result[f"20,000 notes, {name}: painting the notes, ms"] = round(paint, 1)
            browser.close()
        finally:
            server.stop()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    result["CPU s of server and browser"] = round(usage.ru_utime + usage.ru_stime, 1)
    result["involuntary context switches"] = usage.ru_nivcsw
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0, help="length of the made-up clip")
    parser.add_argument("--steps", type=int, default=60, help="slider steps")
    parser.add_argument("--file", type=Path, help="a real recording instead")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args()
    result = measure(args.minutes, args.steps, args.file)
    for name, value in result.items():
        if isinstance(value, dict):
            value = f"{value['median']:.1f} (95th percentile {value['p95']:.1f}, n = {value['n']})"
        print(f"{name}: {value}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
