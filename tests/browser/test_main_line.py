"""The main job in the browser: a recording goes in, notes come out, are tuned, heard and saved."""

from __future__ import annotations

import re

import numpy as np
import pretty_midi
import pytest


def test_the_page_fits_one_screen_without_scrolling(app):
    sizes = app.page.evaluate(
        "() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight, innerWidth, innerHeight]"
    )
    assert sizes[0] <= sizes[2] and sizes[1] <= sizes[3]
    assert app.page.locator(".amt-card h2").inner_text() == "Drop a recording here"
    length = re.search(r"200 MB and (\d+) (minutes|hours)", app.page.locator(".amt-card").inner_text())
    assert length and int(length[1]) < 120, "as a person says it"


def test_of_the_panels_under_tabs_one_shows_whichever_came_first(opened):
    shown = "() => [...document.querySelectorAll('.amtsep-side > [role=tabpanel]')].filter(e => e.offsetHeight).length"
    assert opened.page.evaluate(shown) == 1


def test_an_uploaded_recording_is_drawn(opened):
    notes = opened.pixels("notes")[:, :, 3]
    assert (notes > 0).mean() > 0.005
    assert opened.hub("hub.notes.n") > 30
    # Pictures of the ground differ from place to place where a spectrogram is drawn.
    assert np.std(opened.pixels("ground")[60:600, 60:900, :3].astype(float)) > 5


def onsets_only(app):
    """Leave out notes without an onset, which would bring back what the onset threshold drops."""
    app.page.get_by_role("checkbox", name="Notes whose start was missed").uncheck()


def test_the_roll_follows_the_onset_threshold_while_dragging(opened):
    onsets_only(opened)
    box = opened.slider("Onset threshold").bounding_box()
    middle = box["y"] + box["height"] / 2
    mouse = opened.page.mouse
    counts, drawn = [], []
    mouse.move(box["x"] + box["width"] * 0.5, middle)
    mouse.down()
    for part in (0.5, 0.61, 0.667, 0.722):
        mouse.move(box["x"] + box["width"] * part, middle)
        opened.page.wait_for_timeout(300)
        counts.append(opened.hub("hub.notes.n"))
        drawn.append((opened.pixels("notes")[24:640, 60:, 3] > 0).sum())
    mouse.up()
    assert counts[0] > counts[1] > counts[2] > counts[3], "the roll changes before the mouse is let go"
    assert drawn[0] > drawn[1] > drawn[2] > drawn[3], "what is drawn follows"
    shown = int(opened.page.locator(".amt-count").inner_text().split()[0])
    assert shown == counts[3]


def test_after_a_fast_drag_the_last_value_wins(opened):
    onsets_only(opened)
    box = opened.slider("Onset threshold").bounding_box()
    middle = box["y"] + box["height"] / 2
    mouse = opened.page.mouse
    mouse.move(box["x"] + 10, middle)
    mouse.down()
    for step in range(100):
        mouse.move(box["x"] + 10 + (box["width"] - 40) * abs((step % 40) - 20) / 20, middle)
    mouse.move(box["x"] + box["width"] * 0.5, middle)
    mouse.up()
    fast = opened.page.locator(".amt-value").first.inner_text()
    opened.page.wait_for_timeout(800)
    after_fast = opened.hub("hub.notes.n")
    slider = opened.slider("Onset threshold")
    slider.press("ArrowRight")
    opened.page.wait_for_timeout(300)
    slider.press("ArrowLeft")
    opened.page.wait_for_timeout(500)
    assert opened.page.locator(".amt-value").first.inner_text() == fast
    assert opened.hub("hub.notes.n") == after_fast


@pytest.mark.parametrize("label", ["Frame threshold", "Minimum length"])
def test_the_other_sliders_change_the_notes(opened, label):
    before = opened.hub("Array.from(hub.notes.offset).join() + hub.notes.n")
    opened.slider(label).press("End")
    opened.until(f"(Array.from(hub.notes.offset).join() + hub.notes.n) !== {before!r}")


def test_playing_moves_the_playhead_and_is_heard(opened):
    opened.page.keyboard.press("Space")
    opened.until("hub.transport.playing && hub.transport.position > 0.5")
    levels = []
    for _ in range(10):
        opened.page.wait_for_timeout(100)
        levels.append(opened.hub("hub.transport.level()"))
    assert max(levels) > 0.005, levels
    first = opened.hub("hub.transport.position")
    opened.page.wait_for_timeout(1000)
    second = opened.hub("hub.transport.position")
    assert 0.8 < second - first < 1.3
    opened.page.keyboard.press("Space")
    opened.until("!hub.transport.playing")
    rest = opened.hub("hub.transport.position")
    opened.page.wait_for_timeout(200)
    assert opened.hub("hub.transport.position") == rest


@pytest.mark.parametrize("blend", [0, 1])
def test_recording_and_transcription_are_heard_alone(opened, blend):
    opened.page.locator(".amt-blend").fill(str(blend))
    opened.page.keyboard.press("Space")
    opened.until("hub.transport.position > 0.6")
    levels = []
    for _ in range(12):
        opened.page.wait_for_timeout(80)
        levels.append(opened.hub("hub.transport.level()"))
    assert max(levels) > 0.005, levels


def test_a_click_in_the_ruler_seeks(opened):
    box = opened.page.locator(".amt-canvas").bounding_box()
    opened.page.mouse.click(box["x"] + 50 + (box["width"] - 50) / 2, box["y"] + 12)
    assert opened.hub("hub.transport.position") == pytest.approx(10, abs=1.0)


def test_the_saved_midi_has_the_notes_of_the_screen(opened):
    path = opened.download(".amt-save")
    assert path.name == "tune.mid"
    midi = pretty_midi.PrettyMIDI(str(path))
    assert sum(len(i.notes) for i in midi.instruments) == opened.hub("hub.notes.n")


def test_a_wrong_file_gets_a_sentence_and_the_earlier_session_stays(opened):
    before = opened.hub("hub.notes.n")
    opened.page.set_input_files(".amt-file", str(opened.files / "letter.wav"))
    line = opened.page.locator(".amt-status.amt-error")
    line.wait_for()
    assert "letter.wav" in line.inner_text()
    assert "Traceback" not in line.inner_text()
    line.get_by_text("Details").click()
    assert "Traceback" in opened.page.locator(".amt-details").inner_text()
    assert opened.hub("hub.notes.n") == before
    opened.page.locator(".amt-dismiss").click()
    opened.page.wait_for_selector(".amt-title b")
    assert opened.page.locator(".amt-title b").inner_text() == "tune.wav"


def test_a_second_recording_replaces_the_first(opened):
    opened.open("other.wav")
    assert opened.hub("hub.duration") == pytest.approx(8.0, abs=0.05)


def test_a_file_of_sixty_megabytes_arrives(app, files):
    import synthetic

    samples = np.zeros((60_500_000 // 4, 2), np.int16)
    samples[::50] = 900
    (files / "big.wav").write_bytes(synthetic.wav_bytes(samples, 44100))
    assert (files / "big.wav").stat().st_size > 60e6
    app.page.set_input_files(".amt-file", str(files / "big.wav"))
    app.page.wait_for_selector(".amt-work .amt-bar")
    # It has arrived when the program reads it, or says what hinders it (no weights here).
    app.page.wait_for_function(
        "() => { const s = document.querySelector('.amt-work .amt-text')?.textContent ?? '';"
        " return !s.includes('Sending') }",
    )
    text = app.page.locator(".amt-middle").inner_text()
    assert "did not arrive" not in text
    cancel = app.page.locator(".amt-cancel")
    if cancel.count():
        cancel.click()


def test_a_file_over_the_limit_is_refused_before_it_is_sent(opened, files):
    opened.page.evaluate(
        f"() => {{ const hub = {opened.HUB}; hub.actions.send(new Blob([new Uint8Array(201e6)]), 'huge.wav'); }}"
    )
    line = opened.page.locator(".amt-status.amt-error")
    line.wait_for()
    assert "huge.wav" in line.inner_text() and "200 MB" in line.inner_text()


def test_nothing_else_is_served(server):
    for path in ("voila/files/dashboard.ipynb", "files/dashboard.ipynb", "voila/files/demos/ATTRIBUTION.md"):
        assert server.get(path) in (403, 404)


def test_chinese_and_light(opened):
    # Another language leaves folds open, and a keyboard where it was.
    fold = opened.page.locator(".amt-thresholds details.amt-fold > summary")
    fold.click()
    opened.page.focus(".amt-language")
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_selector("text=阈值")
    assert opened.page.locator(".amt-thresholds details[open]").count() == 1
    assert opened.page.evaluate("() => document.activeElement.classList.contains('amt-language')")
    fold.click()
    # Another theme reaches what is painted, too.
    painted = "document.querySelector('.amt-thresholds .amt-tall canvas').toDataURL()"
    dark = opened.page.evaluate(f"() => {painted}")
    opened.page.click(".amt-theme")
    opened.page.wait_for_function(f"dark => {painted} !== dark", arg=dark)
    ground = opened.page.evaluate("() => getComputedStyle(document.querySelector('.amtsep-app')).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    assert opened.hub("hub.notes.n") > 0
    opened.page.click(".amt-language")
    opened.page.wait_for_selector("text=Thresholds")
