"""Drums on the page: the lane under the roll, its mixer, its sound, its corrections, and their staff in the score."""

from __future__ import annotations

import pytest


@pytest.fixture
def band(app):
    """A page with a recording that has drums."""
    app.open("band.wav")
    app.until("hub.strokes.n > 30")
    return app


def place(app, row: int, seconds: float) -> tuple[float, float]:
    """Where a row of the lane is at a time, on the screen."""
    box = app.page.locator(".amt-canvas").bounding_box()
    x, top = app.hub(f"(v => [v.x({seconds}), v.plot.y + v.plot.height])(hub.actions.roll())")
    return box["x"] + x, box["y"] + top + 3 + 14 * (row + 0.5)


def test_the_lane_shows_sounds_and_goes(band):
    page = band.page
    assert band.hub("hub.actions.roll().drumHeight") > 50
    row = page.get_by_role("group", name="Drums")
    assert int(row.locator(".amt-number").inner_text()) == band.hub("hub.strokes.n")
    band.hub("hub.transport.setBlend(1)")
    page.keyboard.press("Space")
    band.until("hub.transport.struck > 3 && hub.transport.level() > 0.001")
    page.keyboard.press("Space")
    row.get_by_role("button", name="Mute Drums").click()
    band.until("!hub.kitAudible && hub.audible(0)")
    row.get_by_role("button", name="Mute Drums").click()
    row.get_by_role("button", name="Solo Drums").click()
    band.until("hub.kitAudible && !hub.audible(0)")
    row.get_by_role("button", name="Solo Drums").click()
    row.get_by_role("button", name="Hide Drums").click()
    band.until("hub.actions.roll().drumHeight === 0")
    row.get_by_role("button", name="Hide Drums").click()
    row.locator(".amt-drums-when").select_option("off")
    band.until("hub.strokes.n === 0")
    row.locator(".amt-drums-when").select_option("auto")
    band.until("hub.strokes.n > 30 && hub.actions.roll().drumHeight > 50")


def test_strokes_are_put_in_and_taken_out_in_the_lane(band):
    page = band.page
    before = band.hub("hub.strokes.n")
    at = band.hub("hub.strokes.time[hub.strokes.key.findIndex((k, i) => k === 38 && hub.strokes.time[i] > 3)]")
    page.mouse.move(*place(band, 3, at))
    page.wait_for_function("() => document.querySelector('.amt-tip').textContent.startsWith('Snare')")
    page.mouse.dblclick(*place(band, 3, at))
    band.until(f"hub.strokes.n === {before - 1}")
    page.mouse.dblclick(*place(band, 0, 5.3))
    band.until(f"hub.strokes.n === {before} && hub.strokes.key.includes(49)")
    page.keyboard.press("Control+z")
    band.until(f"hub.strokes.n === {before - 1}")
    page.keyboard.press("Control+z")
    band.until(f"hub.strokes.n === {before} && !hub.strokes.key.includes(49)")


def test_fewer_strokes_over_a_higher_threshold(band):
    before = band.hub("hub.strokes.n")
    slider = band.page.get_by_role("slider", name="Stroke threshold")
    slider.focus()
    slider.press("End")
    band.until(f"hub.strokes.n < {before}")


def test_drums_have_a_staff_of_their_own(band):
    page = band.page
    page.get_by_role("tab", name="Score").click()
    page.wait_for_selector(".amt-score-page g.note")
    # Two timbres, and under them the drums, whose heads are crosses for the hi-hat.
    assert page.locator(".amt-score-page g.system >> nth=0 >> g.label").last.text_content().strip() == "Drums"
    staves = page.locator(".amt-score-page g.measure >> nth=0 >> g.staff")
    assert staves.count() >= 2


def test_bends_in_the_midi_file(band):
    import mido

    band.page.get_by_role("tab", name="Save").click()
    band.page.get_by_label("With bends").check()
    path = band.download("[data-format=midi]")
    messages = [m for track in mido.MidiFile(path).tracks for m in track]
    assert any(m.type == "pitchwheel" for m in messages)
    assert any(m.type == "note_on" and m.channel == 9 for m in messages), "and drums on their channel"
