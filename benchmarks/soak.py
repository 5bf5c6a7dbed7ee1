"""Many people at once on one server: ``python benchmarks/soak.py [--users 10] [--minutes 10]``.

Each user has a browser page of their own and works as a person does: opens a recording, drags thresholds, changes the
number of timbres, plays, takes the MIDI home, loads the page again. All do so at the same time. Prints what each kind
of step took (a step of a slider until its notes are there), every error with its user, and the memory of the server's
processes (PSS: shared pages are counted once). The recording's posteriors wait in the cache, so that this measures the
app and not the network.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "browser"), str(ROOT / "tests" / "widgets"), str(ROOT)]

import synthetic  # noqa: E402
from driving import PATIENCE_MS, SECONDS, App, Server, find_chromium, keep  # noqa: E402

STEP = """([label, key]) => new Promise((resolve) => {
  const hub = HUB;
  const slider = [...document.querySelectorAll('[role=slider]')].find((e) => e.getAttribute('aria-label') === label);
  const start = performance.now();
  // A step that changes no note sends none, and is not counted.
  const off = hub.on('notes', () => { off(); resolve(performance.now() - start); });
  setTimeout(() => { off(); resolve(null); }, 10000);
  slider.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
})""".replace("HUB", App.HUB)
SLIDERS = ("Onset threshold", "Frame threshold", "Timbres")


class User:
    """A page and what is done with it."""

    def __init__(self, number: int, page: Any, url: str, file: Path, seed: int) -> None:
        self.number, self.page, self.url, self.file = number, page, url, file
        self.random = random.Random(seed + number)
        self.times: dict[str, list[float]] = defaultdict(list)
        self.faults: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda e: self.faults.append(f"page: {e}"))
        page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))

    async def timed(self, name: str, doing: Any) -> None:
        """Do something, and note how long it took or why it failed."""
        began = time.monotonic()
        try:
            value = await doing
        except Exception as error:
            self.faults.append(f"{name}: {str(error).splitlines()[0]}")
            return
        if name in SLIDERS:
            if value is not None:
                self.times[name].append(value / 1000)
        else:
            self.times[name].append(time.monotonic() - began)

    async def arrive(self) -> None:
        """Load the page."""
        await self.page.goto(self.url)
        await self.page.wait_for_selector(".amt-player .amt-play")

    async def open(self) -> None:
        """Open the recording."""
        await self.page.set_input_files(".amt-file", str(self.file))
        await self.page.wait_for_function(f"() => {App.HUB}.notes.n > 0 && {App.HUB}.transport.recording")

    async def play(self) -> None:
        """Play until the sound runs, then stop."""
        await self.page.keyboard.press("Space")
        await self.page.wait_for_function(f"() => {App.HUB}.transport.playing")
        await self.page.keyboard.press("Space")
        await self.page.wait_for_function(f"() => !{App.HUB}.transport.playing")

    async def take(self) -> None:
        """Download the MIDI file."""
        await self.page.click("[data-tab=export]")
        async with self.page.expect_download() as waiting:
            await self.page.click("[data-format=midi]")
        path = await (await waiting.value).path()
        if not Path(path).read_bytes().startswith(b"MThd"):
            raise ValueError("what came is no MIDI file")

    async def work(self, end: float) -> None:
        """Until the time is over."""
        await self.timed("load the page", self.arrive())
        await self.timed("open a recording", self.open())
        while time.monotonic() < end:
            chance = self.random.random()
            if chance < 0.80:
                label, key = self.random.choice(SLIDERS), self.random.choice(("ArrowLeft", "ArrowRight"))
                await self.timed(label, self.page.evaluate(STEP, [label, key]))
            elif chance < 0.88:
                await self.timed("play", self.play())
            elif chance < 0.95:
                await self.timed("take the MIDI", self.take())
            else:
                await self.timed("load the page", self.arrive())
                await self.timed("open a recording", self.open())
            await asyncio.sleep(self.random.uniform(0.3, 1.5))


def memory(server: Server) -> list[tuple[str, float]]:
    """What each process of the server is, and its PSS in MiB."""
    found = []
    root = psutil.Process(server.process.pid)
    for process in [root, *root.children(True)]:
        try:
            line, size = " ".join(process.cmdline()), process.memory_full_info().pss / 2**20
        except psutil.Error:
            continue
        kind = "session" if "ipykernel" in line else "network" if "state.network" in line else "server"
        found.append((kind, size))
    return found


def so_far(server: Server, people: Sequence[Any], minutes: float) -> None:
    """Print memory and the number of faults."""
    sizes = memory(server)
    each = [size for kind, size in sizes if kind == "session"]
    print(
        f"{minutes:5.1f} min: {sum(s for _, s in sizes):.0f} MiB in all, {len(each)} sessions of "
        f"{statistics.mean(each):.0f} MiB (largest {max(each):.0f}); {sum(len(p.faults) for p in people)} faults",
        flush=True,
    )


async def until_over(server: Server, people: Sequence[Any], minutes: float) -> None:
    """Let all of them work for so long, and say every minute how it goes."""
    end = time.monotonic() + 60 * minutes
    working = [asyncio.create_task(person.work(end)) for person in people]
    while time.monotonic() < end:
        await asyncio.sleep(min(60.0, max(0.0, end - time.monotonic())))
        so_far(server, people, minutes - (end - time.monotonic()) / 60)
    await asyncio.gather(*working)


async def soak(server: Server, file: Path, users: int, minutes: float, seed: int) -> list[User]:
    """Let them work; returns them with what they met."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_chromium(),
            args=["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"],
        )
        people = []
        for number in range(users):
            context = await browser.new_context(accept_downloads=True, locale="en-GB")
            people.append(User(number, await context.new_page(), server.url, file, seed))
        await until_over(server, people, minutes)
        await browser.close()
    return people


def table(people: Sequence[Any]) -> None:
    """Print what each kind of step took, and every fault."""
    print(f"{'step':<20} {'times':>6} {'median s':>9} {'95 % s':>8} {'longest s':>10}")
    for kind in sorted({kind for person in people for kind in person.times}):
        taken = sorted(t for person in people for t in person.times[kind])
        late = taken[min(int(0.95 * len(taken)), len(taken) - 1)]
        print(f"{kind:<20} {len(taken):>6} {statistics.median(taken):>9.2f} {late:>8.2f} {taken[-1]:>10.2f}")
    for person in people:
        for fault in person.faults:
            print(f"user {person.number}: {fault}")


def run(about: str, users: int, minutes: float, soak: Callable[..., Coroutine[Any, Any, Any]], opened: bool) -> None:
    """Start a server, `opened` with the recording, let them in by `soak` (server, file, users, minutes, seed)."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--users", type=int, default=users)
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        notes = synthetic.melody(SECONDS)
        file = folder / "tune.wav"
        file.write_bytes(keep(notes, SECONDS, synthetic.perfect(notes, SECONDS, timbres=True), folder / "cache"))
        server = Server(folder, "--sessions", str(2 * args.users), *([str(file)] if opened else []))
        try:
            table(asyncio.run(soak(server, file, args.users, args.minutes, args.seed)))
            if server.process.poll() is not None:
                print(f"The server has ended with {server.process.poll()}.")
        finally:
            server.stop()


if __name__ == "__main__":
    run(__doc__ or "", 10, 10.0, soak, opened=False)
