"""The score tab, and the beats in roll and player: what a musician does with them, in a real browser."""

from __future__ import annotations

import pytest

NOTE = ".amt-score-page g.note"


@pytest.fixture
def score(opened):
    """The tune, engraved."""
    opened.page.get_by_role("tab", name="Score").click()
    opened.page.wait_for_selector(NOTE)
    opened.until("hub.beats.bar.length > 2")
    return opened


def roll_box(app):
    return app.page.locator(".amt-canvas").bounding_box()


def place(app, seconds: float, pitch: float | None = None, y: float = 0.0) -> tuple[float, float]:
    """Where a time (and a pitch) is on the screen."""
    box = roll_box(app)
    x = app.hub(f"hub.actions.roll().x({seconds})")
    return box["x"] + x, box["y"] + (y if pitch is None else app.hub(f"hub.actions.roll().y({pitch})"))


def drag(app, start, end, steps: int = 6) -> None:
    app.page.mouse.move(*start)
    app.page.mouse.down()
    app.page.mouse.move(*end, steps=steps)
    app.page.mouse.up()


def bars(app) -> list[float]:
    return app.hub("hub.beats.bar.map(i => hub.beats.time[i])")


def test_a_note_is_the_same_in_score_and_roll_and_an_edit_reaches_the_score(score):
    page = score.page
    head = page.locator(f"{NOTE} .notehead").nth(3)
    box = head.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    score.until("hub.selection.size === 1")
    lit = page.locator(f"{NOTE}.amt-on")
    assert lit.count() >= 1, "what was clicked is lit in the score"
    first = score.hub("[...hub.selection][0]")
    score.hub(f"hub.select([{first} + 2])")
    page.wait_for_selector(f"{NOTE}.amt-on")
    before = page.locator(".amt-score-page").inner_html()
    score.page.keyboard.press("Delete")
    page.wait_for_function(
        "was => document.querySelector('.amt-score-page').innerHTML !== was && document.querySelector('g.note')",
        arg=before,
    )


def test_the_score_is_saved_as_svg_and_printed_whole(score):
    saved = score.download("button[title^='Save this page as SVG']")
    text = saved.read_text()
    assert text.startswith("<svg") and text.count('class="note"') > 10
    score.page.click("button[title^='Print']")
    score.page.wait_for_function(
        """() => {
            const inner = [...document.querySelectorAll('iframe')].at(-1)?.contentDocument;
            const pages = Number(/of (\\d+)/.exec(document.querySelector('.amt-score').textContent)[1]);
            return inner && inner.querySelectorAll('body > div > svg').length === pages;
        }"""
    )


def test_a_bar_line_is_dragged_and_taken_back(score):
    was = bars(score)
    start = place(score, was[2], y=20)
    drag(score, start, (start[0] + 9, start[1]))
    score.until(f"Math.abs(hub.beats.time[hub.beats.bar[2]] - {was[2]}) > 0.03")
    now = bars(score)
    assert now[0] == was[0] and now[3:] == was[3:], "the bars around stay"
    score.page.keyboard.press("Control+z")
    score.until(f"Math.abs(hub.beats.time[hub.beats.bar[2]] - {was[2]}) < 0.001")


def test_edits_go_to_the_grid_and_loops_take_whole_bars(score):
    score.looks(".amt-snap").select_option("1")
    index = score.hub("hub.notes.onset.findIndex(t => t > 2)")
    onset, pitch = score.hub(f"[hub.notes.onset[{index}], hub.notes.pitch[{index}]]")
    beat = score.hub(f"hub.beats.time.find(t => t > {onset} + 0.3)")
    grip = place(score, onset + 0.1, pitch)
    to = place(score, beat + 0.1 + 0.06, pitch)
    drag(score, grip, to)
    score.until(
        f"Array.from(hub.notes.onset).some((t, i) => hub.notes.pitch[i] === {pitch} && Math.abs(t - {beat}) < 0.002)"
    )
    lines = bars(score)
    middle = (lines[1] + lines[2]) / 2
    drag(score, place(score, middle, y=3), place(score, (lines[2] + lines[3]) / 2, y=3))
    loop = score.hub("[hub.transport.loop.on, hub.transport.loop.from, hub.transport.loop.to]")
    assert loop[0] and loop[1] == pytest.approx(lines[1]) and loop[2] == pytest.approx(lines[3])


def test_selected_notes_go_to_the_grid(score):
    score.looks(".amt-snap").select_option("1")
    off = "Math.min(...hub.beats.time.map(b => Math.abs(b - t)))"
    index = score.hub(f"hub.notes.onset.findIndex(t => t > 2 && {off} > 0.05)")
    assert index >= 0, "the tune has notes between two beats"
    onset, pitch = score.hub(f"[hub.notes.onset[{index}], hub.notes.pitch[{index}]]")
    nearest = score.hub(f"[...hub.beats.time].sort((a, b) => Math.abs(a - {onset}) - Math.abs(b - {onset}))[0]")
    score.page.locator(".amt-canvas").focus()
    score.hub(f"hub.select([{index}])")
    score.page.keyboard.press("q")
    score.until(
        f"Array.from(hub.notes.onset).some((t, i) => hub.notes.pitch[i] === {pitch} && Math.abs(t - {nearest}) < 0.002)"
    )


def test_the_metronome_clicks_and_taps_are_heard(opened):
    app = opened
    assert not app.hub("hub.beats.time.length"), "no beats are looked for before somebody wants them"
    app.page.click(".amt-metronome")
    app.until("hub.beats.time.length > 4")
    app.page.click(".amt-play")
    app.until("hub.transport.clicks > 2")
    app.page.keyboard.press("b")
    position = app.hub("hub.transport.position")
    app.until(f"hub.transport.position > {position + 0.4}")
    app.page.keyboard.press("b")
    app.until("hub.history.undo")
    app.page.keyboard.press("Control+z")
    app.until("!hub.history.undo")
    app.page.keyboard.press("Space")


def test_pitch_curves_are_drawn_on_demand(opened):
    app = opened
    app.looks(".amt-bends").click()
    app.until("hub.actions.roll().curves.length > 3")
    assert app.hub("hub.actions.roll().curves.every(c => Array.from(c.cents).every(v => Math.abs(v) < 5))")
    assert "440" in str(round(app.hub("hub.actions.roll().tuning")))
