"""For everybody: WCAG 2.2 AA by axe-core at all sizes and in both themes; a corrected MIDI file by keys alone."""

from __future__ import annotations

import pretty_midi
import pytest
from driving import PATIENCE_MS, ROOT, App

AXE = ROOT / "widgets" / "js" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SIZES = {
    "phone": (360, 740), "tablet": (768, 1024), "small": (1024, 768), "laptop": (1280, 800), "beamer": (1920, 1080),
}  # fmt: skip


@pytest.fixture(scope="module")
def page_of(chromium, server, files):
    """One page with the tune open and two tracks; what a test changes it puts back."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, color_scheme="dark", locale="en-GB")
    app = App(context.new_page(), files)
    app.goto(server.url)
    app.open("tune.wav")
    app.slider("Timbres").press("Home")
    app.slider("Timbres").press("ArrowRight")
    app.page.wait_for_function("() => document.querySelectorAll('.amt-track[data-track]').length === 2")
    yield app
    context.close()


def violations(page) -> list[str]:
    """What axe finds, a line a kind: rule, how many, the first element."""
    if not page.evaluate("() => Boolean(globalThis.axe)"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    report = page.evaluate("async tags => await axe.run(document, { runOnly: tags })", RULES)
    assert len(report["passes"]) > 10, "it has looked"
    found = report["violations"]
    return [
        f"{v['id']} x{len(v['nodes'])}: {v['nodes'][0]['html'][:140]} {v['nodes'][0]['failureSummary'][:200]}"
        for v in found
    ]


def out_of_reach(page) -> list[str]:
    """Controls that stick out of the window, those of panels that scroll apart."""
    return page.evaluate(
        """() => [...document.querySelectorAll('.amtsep-app button, .amtsep-app input, .amtsep-app select')]
            .filter(e => e.checkVisibility() && !e.closest('.amt-slot') && !e.closest('.amtsep-side'))
            .filter(e => { const b = e.getBoundingClientRect();
                const out = b.left < -1 || b.right > innerWidth + 1 || b.top < -1 || b.bottom > innerHeight + 1;
                return b.width && out; })
            .map(e => e.className + ' ' + e.ariaLabel)"""
    )


@pytest.fixture(scope="module")
def axe():
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm ci in widgets/js")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_in_any_panel(axe, page_of, theme):
    page = page_of.page
    page.set_viewport_size({"width": 1280, "height": 800})
    page.evaluate(f"t => {page_of.HUB}.prefer({{ theme: t }})", theme)
    for tab in ("timbres", "map", "compare", "export"):
        page.click(f"[data-tab={tab}]")
        assert violations(page) == [], (theme, tab)
    page.click("[data-tab=timbres]")
    page.click(".amt-thresholds .amt-fold summary")
    page.locator(".amt-swatch").first.click()
    page.wait_for_selector(".amt-colours")
    assert violations(page) == [], (theme, "colours")
    page.keyboard.press("Escape")
    page.click(".amt-thresholds .amt-fold summary")
    page.keyboard.press("?")
    page.wait_for_selector(".amt-paper")
    assert violations(page) == [], (theme, "help")
    page.keyboard.press("Escape")
    page.evaluate(f"() => {page_of.HUB}.prefer({{ theme: 'dark' }})")


@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_and_nothing_is_out_of_reach_at_any_size(axe, page_of, size):
    page = page_of.page
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_function(f"w => {page_of.HUB}.actions.roll().element.clientWidth <= w", arg=width)
    assert violations(page) == []
    roll = page.locator(".amt-canvas").bounding_box()
    assert roll["width"] > min(0.9 * width, 400) and roll["height"] > 150
    if size == "phone":
        page.click(".amt-player-more")
    elif size != "beamer":
        page.click(".amt-view-opener")
        page.wait_for_selector(".amt-ground")
        assert violations(page) == [] and out_of_reach(page) == [], "view"
        page.locator(".amt-view .amt-info:visible").first.click()
        page.keyboard.press("Escape")
        assert page.locator(".amt-card-info").count() == 0 and page.locator(".amt-ground").is_visible()
    if size in ("small", "laptop"):
        assert page.locator(".amt-player").bounding_box()["height"] < 64, "the player has one row"
    if size != "phone":
        name = page.locator(".amt-preset-name")
        assert name.inner_text() and name.evaluate("e => e.scrollWidth <= e.clientWidth"), "a preset's name is whole"
    tabs = page.locator("[role=tab]:visible")
    for tab in tabs.all():
        tab.click()
        panel = page.locator(f"#{tab.get_attribute('aria-controls')}")
        assert panel.is_visible(), tab.inner_text()
    assert out_of_reach(page) == []
    for wanted in (".amt-save", ".amt-volume", ".amt-speed", ".amt-blend", ".amt-undo"):
        assert page.locator(wanted).is_visible(), wanted
    if size == "phone":
        page.click(".amt-player-more")
        page.click("[data-tab=timbres]")
        page.click("[data-tab=timbres]")
    page.click("[data-tab=timbres]")
    page.set_viewport_size({"width": 1280, "height": 800})


def test_axe_finds_nothing_in_score_beats_and_everything_under_more(axe, page_of):
    page = page_of.page
    page.click("[data-tab=score]")
    page.wait_for_selector(".amt-score-page g.note")
    page_of.until("hub.beats.bar.length > 2")
    assert violations(page) == [], "score"
    page.click("[data-tab=timbres]")
    for fold in (".amt-thresholds .amt-fold", ".amt-timbres .amt-fold"):
        page.click(f"{fold} summary")
        # What has been opened has come into view.
        page.wait_for_function(
            """s => { const fold = document.querySelector(s), box = fold.getBoundingClientRect();
                const side = fold.closest('.amtsep-side').getBoundingClientRect();
                return fold.open && box.top >= side.top - 1 && box.top < side.bottom - 10; }""",
            arg=fold,
        )
        assert violations(page) == [], fold
        page.click(f"{fold} summary")
    page_of.looks(".amt-view .amt-info >> nth=0").click()
    page.wait_for_selector(".amt-card-info")
    assert violations(page) == [], "an explanation"
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert not page.locator(".amt-ground").is_visible()


def test_a_recording_to_a_corrected_midi_by_keys_alone(chromium, server, files):
    """No pointer: a kept recording is chosen, a note found, raised, lengthened by none, and saved."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB", accept_downloads=True)
    app = App(context.new_page(), files)
    page = app.page
    # Chromium hands a chooser over only to who has asked for it a while before: with the key may be too late.
    page.on("filechooser", lambda _: None)
    app.goto(server.url)
    press = page.keyboard.press

    def reach(selector: str, most: int = 80) -> None:
        for _ in range(most):
            if page.evaluate("s => document.activeElement?.matches(s)", selector):
                return
            press("Tab")
        raise AssertionError(f"Tab does not reach {selector}")

    reach(".amt-choose")
    with page.expect_file_chooser() as chooser:
        press("Enter")
    chooser.value.set_files(str(files / "tune.wav"))
    app.until("hub.notes.n > 0")
    reach(".amt-canvas")
    label = page.locator(".amt-canvas").get_attribute("aria-label")
    assert f"{app.hub('hub.notes.n')} notes" in label
    press("ArrowRight")
    app.until("hub.selection.size === 1")
    first = app.hub("[...hub.selection][0]")
    said = page.locator(".amt-canvas [aria-live]")
    assert "velocity" in said.inner_text()
    press("ArrowRight")
    app.until(f"hub.selection.size === 1 && !hub.selection.has({first})")
    press("ArrowLeft")
    app.until(f"hub.selection.has({first})")
    pitch, onset = app.hub(f"[hub.notes.pitch[{first}], hub.notes.onset[{first}]]")
    press("Enter")
    press("ArrowUp")
    app.until("hub.selection.size === 1 && hub.notes.hand[[...hub.selection][0]] === 1")
    assert app.hub("hub.notes.pitch[[...hub.selection][0]]") == pitch + 1
    press("Enter")
    with page.expect_download(timeout=PATIENCE_MS) as waiting:
        press("Control+s")
    path = files / "by-keys.mid"
    waiting.value.save_as(path)
    notes = [n for i in pretty_midi.PrettyMIDI(str(path)).instruments for n in i.notes]
    at = [n.pitch for n in notes if abs(n.start - onset) < 0.02]
    assert pitch + 1 in at and pitch not in at
    context.close()
    assert not app.problems, app.problems
