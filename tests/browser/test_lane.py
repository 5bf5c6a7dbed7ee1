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


def test_strokes_by_keyboard_as_the_notes(band):
    page = band.page
    live = page.locator(".amt-canvas .amt-unseen[role=status]")
    page.locator(".amt-canvas").focus()
    at = band.hub("hub.strokes.time[hub.strokes.key.findIndex((k, i) => k === 38 && hub.strokes.time[i] > 3)]")
    band.hub(f"hub.transport.seek({at})")
    page.keyboard.press("d")
    assert live.inner_text().startswith("Snare, at 0:0")
    page.keyboard.press("ArrowRight")
    band.until(f"hub.struck.size === 1 && hub.strokes.time[[...hub.struck][0]] >= {at}")
    page.keyboard.press("ArrowLeft")
    # Louder, and the change can be taken back.
    velocity = band.hub("hub.strokes.velocity[[...hub.struck][0]]")
    page.keyboard.press("Alt+ArrowDown")
    band.until(f"hub.strokes.velocity[[...hub.struck][0]] === {velocity - 6}")
    assert live.inner_text().endswith(f"velocity {velocity - 6:.0f}")
    # Down to the kick, where there is none; Enter puts one in, Delete takes it out.
    before = band.hub("hub.strokes.n")
    page.keyboard.press("ArrowDown")
    assert live.inner_text().startswith("Kick: no stroke at 0:0")
    page.keyboard.press("Enter")
    band.until(f"hub.strokes.n === {before + 1} && hub.struck.size === 1")
    assert live.inner_text().startswith("Kick, at 0:0")
    page.keyboard.press("Delete")
    band.until(f"hub.strokes.n === {before} && hub.struck.size === 0")
    page.keyboard.press("Escape")
    assert live.inner_text() == "From note to note"
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    band.until(f"hub.strokes.n === {before} && !hub.strokes.hand.some(Boolean)")


def test_strokes_are_dragged_and_drawn_around(band):
    page = band.page
    i = band.hub("hub.strokes.key.findIndex((k, i) => k === 38 && hub.strokes.time[i] > 3)")
    at = band.hub(f"hub.strokes.time[{i}]")
    x, y = place(band, 3, at)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 14, steps=3)
    page.mouse.up()
    mine = "hub.strokes.{}[[...hub.struck][0]]".format
    band.until(f"hub.struck.size === 1 && {mine('key')} === 45 && Math.abs({mine('time')} - {at}) < 0.05")
    page.keyboard.press("Control+z")
    band.until(f"hub.strokes.key[{i}] === 38 && !hub.strokes.hand.some(Boolean)")
    # Around everything of the first four seconds.
    x0, y0 = place(band, 0, 0.02)
    x1, y1 = place(band, 4, 4.5)
    page.mouse.move(x1, y1)
    page.mouse.down()
    page.mouse.move(x0, y0, steps=4)
    page.mouse.up()
    inside = band.hub("hub.strokes.time.filter((t) => t >= 0.02 && t <= 4.5).length")
    assert abs(band.hub("hub.struck.size") - inside) <= 1 and inside > 5
    page.keyboard.press("Escape")
    band.until("hub.struck.size === 0")


def test_the_drums_alone(band):
    import mido

    before = band.hub("hub.strokes.n")
    with band.page.expect_download() as download:
        band.page.get_by_role("group", name="Drums").get_by_label("More for Drums").select_option("save")
    assert download.value.suggested_filename == "band - Drums.mid"
    messages = [m for track in mido.MidiFile(download.value.path()).tracks for m in track]
    struck = [m for m in messages if m.type == "note_on" and m.velocity]
    assert {m.channel for m in struck} == {9} and len(struck) == pytest.approx(before, abs=2)


def test_drums_and_bends_without_the_program(band):
    import mido
    import psutil

    page = band.page
    page.get_by_role("tab", name="Save").click()
    page.get_by_label("With bends").check()
    band.until("hub.curves.length > 0")
    key = page.evaluate("() => JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId")
    next(p for p in psutil.process_iter(["cmdline"]) if any(key in a for a in p.info["cmdline"] or [])).kill()
    page.locator(".amt-banner.amt-gone").wait_for()
    before = band.hub("hub.strokes.n")
    page.mouse.dblclick(*place(band, 0, 5.3))
    band.until(f"hub.strokes.n === {before + 1} && hub.strokes.key.includes(49)")
    midi = mido.MidiFile(band.download("[data-format=midi]"))
    messages = [m for track in midi.tracks for m in track]
    assert any(m.type == "pitchwheel" and m.pitch for m in messages)
    struck = [m for m in messages if m.type == "note_on" and m.channel == 9]
    assert len(struck) == pytest.approx(before + 1, abs=2) and 49 in {m.note for m in struck}
    text = band.download("[data-format=csv]").read_text()
    assert text.count(",Drums,") == before + 1 and text.splitlines()[0].endswith(",cents,bend_cents")
    page.keyboard.press("Control+z")
    band.until(f"hub.strokes.n === {before}")


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
    # Another language builds the panel again: the score is still there.
    page.click(".amt-language")
    page.wait_for_selector(".amt-score-page g.note")
    page.click(".amt-language")


def test_bends_in_the_midi_file(band):
    import mido

    band.page.get_by_role("tab", name="Save").click()
    band.page.get_by_label("With bends").check()
    path = band.download("[data-format=midi]")
    messages = [m for track in mido.MidiFile(path).tracks for m in track]
    assert any(m.type == "pitchwheel" for m in messages)
    assert any(m.type == "note_on" and m.channel == 9 for m in messages), "and drums on their channel"
