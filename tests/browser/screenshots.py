"""Pictures of every state of the page, for the guide: ``python tests/browser/screenshots.py [--out docs]``.

The page is the real one, with the bundled clips and the installed network; Pillow, where it is there, makes them small.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]

from driving import ROOT, App, Server, find_chromium, jupyterlab  # noqa: E402

DUET = "Duet_Petzold_Minuet_in_G"


def keep(page, path: Path, rest_ms: int = 500) -> None:
    """A screenshot with 64 colours."""
    page.wait_for_timeout(rest_ms)
    page.screenshot(path=path)
    with contextlib.suppress(ImportError):
        from PIL import Image

        Image.open(path).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path.name, path.stat().st_size // 1024, "KiB", flush=True)


def dashboard(browser, files: Path, out: Path) -> None:
    """The page that Voilà serves, state after state."""
    server = Server(files)
    try:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="dark", locale="en-GB")
        app = App(context.new_page(), files)
        page = app.page
        app.goto(server.url)
        keep(page, out / "dashboard-start.png")
        page.click(".amt-theme")
        keep(page, out / "dashboard-start-light.png")
        page.click(".amt-theme")
        page.click(".amt-demos")
        page.click(f".amt-menu [data-demo='{DUET}.ogg']")
        page.wait_for_function(
            "() => (document.querySelector('.amt-work .amt-text')?.textContent ?? '').startsWith('Transcribing · ')",
            timeout=60_000,
        )
        keep(page, out / "dashboard-progress.png", 0)
        app.until("hub.notes.n > 0 && hub.transport.recording && !document.querySelector('.amt-bar')")
        page.click("[data-tab=timbres]")
        page.wait_for_timeout(1500)
        app.hub("hub.transport.seek(6.2)")
        keep(page, out / "dashboard.png")
        page.click(".amt-theme")
        keep(page, out / "dashboard-light.png")
        page.click("[data-tab=map]")
        app.hub("hub.select([...hub.notes.pitch.keys()].slice(4, 9))")
        keep(page, out / "dashboard-map.png")
        page.keyboard.press("Escape")
        page.click("[data-tab=export]")
        keep(page, out / "dashboard-save.png")
        page.click(".amt-language")
        page.click("[data-tab=timbres]")
        keep(page, out / "dashboard-light-zh.png")
        page.click(".amt-language")
        page.click(".amt-theme")
        page.click("[data-tab=compare]")
        page.set_input_files(".amt-reference-file", str(ROOT / "notebooks" / "demos" / f"{DUET}.mid"))
        page.wait_for_selector(".amt-scores")
        page.click(".amt-make-heat")
        page.wait_for_selector(".amt-heat")
        keep(page, out / "dashboard-compare.png")
        (files / "letter.wav").write_bytes(b"These are words, not sound. " * 100)
        page.set_input_files(".amt-file", str(files / "letter.wav"))
        page.wait_for_selector(".amt-status.amt-error")
        keep(page, out / "dashboard-error.png")
        context.close()
    finally:
        server.stop()


SIZES = {360: 740, 768: 1024, 1024: 768, 1280: 800, 1920: 1080}


def every_size(app: App, out: Path, name: str) -> None:
    """An open recording at every size, in both themes and languages; a phone's sheet; for a projector."""
    page = app.page
    out.mkdir(parents=True, exist_ok=True)
    for width, height in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for theme in ("dark", "light"):
            for language in ("en", "zh"):
                app.hub(f"hub.prefer({{ theme: '{theme}', language: '{language}' }})")
                keep(page, out / f"{name}-{width}-{theme}-{language}.png", 400)
        app.hub("hub.prefer({ theme: 'dark', language: 'en' })")
        if width == min(SIZES):
            page.click("[data-tab=timbres]")
            keep(page, out / f"{name}-{width}-sheet.png", 400)
            page.click("[data-tab=timbres]")
    app.hub("hub.prefer({ projector: 'on' })")
    for width in (1024, 1920):
        page.set_viewport_size({"width": width, "height": SIZES[width]})
        keep(page, out / f"{name}-{width}-projector.png", 400)
    app.hub("hub.prefer({ projector: 'off' })")


def sizes(browser, files: Path, out: Path) -> None:
    """The dashboard and the static page, to be looked at one by one."""
    sys.path.insert(0, str(ROOT / "web"))
    import serve

    static = serve.make_server()
    threading.Thread(target=static.serve_forever, daemon=True).start()
    server = Server(files)
    places = {"web": f"http://127.0.0.1:{static.server_port}/", "dashboard": server.url}
    for name, url in places.items():
        context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="dark", locale="en-GB")
        app = App(context.new_page(), files)
        app.page.goto(url)
        app.page.click('.amt-welcome [data-demo^="Duet"]')
        app.until("hub.notes.n > 0 && hub.transport.recording && !document.querySelector('.amt-bar')")
        app.hub("hub.transport.seek(6.2)")
        every_size(app, out, name)
        context.close()
    server.stop()
    static.shutdown()


def lab(browser, files: Path, out: Path) -> None:
    """The same as a cell of JupyterLab."""
    clip = ROOT / "notebooks" / "demos" / f"{DUET}.ogg"
    source = f"from widgets import Dashboard\nDashboard('{clip.name}')"
    folder = files / "notebook"
    folder.mkdir()
    (folder / clip.name).write_bytes(clip.read_bytes())
    with jupyterlab(folder / "minuet.ipynb", files, source) as address:
        context = browser.new_context(viewport={"width": 1500, "height": 950}, color_scheme="light", locale="en-GB")
        app = App(context.new_page(), files)
        page = app.page
        page.goto(address)
        page.wait_for_selector("text=/Python 3.*Idle/", timeout=120_000)
        page.click(".jp-CodeCell .cm-content")
        page.keyboard.press("Shift+Enter")
        page.wait_for_selector(".amtsep-app .amt-title b", timeout=240_000)
        app.until("hub.notes.n > 0")
        page.locator(".amtsep-app").scroll_into_view_if_needed()
        news = page.get_by_role("button", name="No", exact=True)
        if news.is_visible():  # JupyterLab asks only where it could fetch them
            news.click()
        page.wait_for_timeout(1500)
        keep(page, out / "dashboard-jupyterlab.png")
        context.close()


def web(browser, out: Path) -> None:
    """The page that needs no Python, with a duet open, dark and on a telephone."""
    sys.path.insert(0, str(ROOT / "web"))
    import serve

    server = serve.make_server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, width, height, scheme in (("web", 1280, 800, "dark"), ("web-phone", 390, 844, "light")):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB")
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.click('.amt-welcome [data-demo^="Duet"]')
        page.wait_for_function("() => globalThis.amtsepPage?.notes.length > 0", timeout=300_000)
        page.evaluate(f"() => {App.HUB}.transport.seek(6.2)")
        keep(page, out / f"{name}.png", 1500)
        context.close()
    server.shutdown()


def networks(browser, files: Path, out: Path, model: str) -> None:
    """A sequence network's notes: thresholds at rest, the picker, tracks by sound, `base` laid under them."""
    server = Server(files, "--model", model)
    try:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light", locale="en-GB")
        app = App(context.new_page(), files)
        page = app.page
        app.goto(server.url)
        page.click(f'.amt-welcome [data-demo="{DUET}.ogg"]')
        app.until("hub.transport.recording && !document.querySelector('.amt-bar')")
        page.wait_for_selector(".amt-rest:not([hidden])")
        page.click("[data-tab=timbres]")
        app.hub("hub.transport.seek(6.2)")
        keep(page, out / "networks-written.png")
        page.click(".amt-by-sound")
        page.wait_for_selector(".amt-by-sound[aria-checked=true]")
        page.click(".amt-host-thresholds .amt-fold summary")
        page.locator(".amt-network").focus()
        keep(page, out / "networks-picker.png", 1500)
        page.click(".amt-language")
        keep(page, out / "networks-picker-zh.png", 1000)
        page.click(".amt-language")
        page.click("[data-tab=compare]")
        page.select_option(".amt-second-network", "base")
        page.wait_for_selector(".amt-scores")
        keep(page, out / "networks-compare.png", 1500)
        context.close()
    finally:
        server.stop()


def main() -> None:
    """Command line."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder for the pictures")
    parser.add_argument("--no-lab", action="store_true", help="leave JupyterLab out")
    parser.add_argument("--web", action="store_true", help="the page that needs no Python, and nothing else")
    parser.add_argument("--sizes", type=Path, metavar="DIR", help="every size, theme and language, and nothing else")
    parser.add_argument("--networks", metavar="MODEL", help="a sequence network in the page, and nothing else")
    args = parser.parse_args()
    fonts = shutil.which("fc-list") and subprocess.run(["fc-list", ":lang=zh"], capture_output=True, text=True).stdout
    if fonts == "":
        parser.error("no font here has Chinese, which the pictures show: apt install fonts-noto-cjk")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as p:
        files = Path(folder)
        (files / "cache").mkdir()
        # Nobody's own sessions are in a picture.
        os.environ["AMTSEP_SESSIONS"] = str(files / "sessions")
        browser = p.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        if args.sizes:
            sizes(browser, files, args.sizes)
        elif args.networks:
            networks(browser, files, args.out, args.networks)
        else:
            web(browser, args.out)
        if not (args.web or args.sizes or args.networks):
            dashboard(browser, files, args.out)
        if not (args.no_lab or args.web or args.sizes or args.networks):
            lab(browser, files, args.out)
        browser.close()


if __name__ == "__main__":
    main()
