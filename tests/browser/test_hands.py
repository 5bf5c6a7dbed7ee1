"""A musician's hands on the roll: both ends of a note, copies, velocities, the loop's edges, trackpad and fingers."""

from __future__ import annotations

import pytest
from driving import App, fresh_page


@pytest.fixture(scope="module")
def shared(chromium, server, files):
    """One page for the tests here; each leaves the notes as it found them."""
    with fresh_page(chromium, App, files, server.url, color_scheme="light", has_touch=True) as app:
        app.open("tune.wav")
        yield app


@pytest.fixture
def app(shared):
    n = shared.hub("hub.notes.n")
    shared.page.keyboard.press("Escape")
    shared.hub("hub.actions.roll().setWindow({ t0: 0, t1: 6 })")
    yield shared
    for _ in range(4):
        if not shared.hub("hub.history.undo && hub.history.edits > 0"):
            break
        edits = shared.hub("hub.history.edits")
        shared.page.keyboard.press("Control+z")
        shared.until(f"hub.history.edits < {edits}")
    shared.until(f"hub.notes.n === {n}")


def place(app, expression: str) -> list[float]:
    """Screen coordinates of (time, pitch), as an expression over `hub`, `v` (the roll) and `n` (the notes)."""
    return app.page.evaluate(
        f"() => {{ const hub = {app.HUB}; const v = hub.actions.roll(); const n = hub.notes;"
        f" const b = v.element.getBoundingClientRect(); const [t, p] = {expression};"
        " return [b.x + v.x(t), b.y + v.y(p)]; }"
    )


LONGEST = "((d) => d.indexOf(Math.max(...d)))(Array.from(n.offset).slice(0, 12).map((o, i) => o - n.onset[i]))"


def longest(app) -> int:
    """One of the first notes, long enough to be taken by its ends."""
    return int(app.page.evaluate(f"() => {{ const n = {app.HUB}.notes; return {LONGEST}; }}"))


def drag(app, x: float, y: float, dx: float, dy: float) -> None:
    mouse = app.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + dx / 2, y + dy / 2, steps=3)
    mouse.move(x + dx, y + dy, steps=3)
    mouse.up()


def test_the_beginning_of_a_note_can_be_dragged(app):
    i = longest(app)
    onset, offset, pitch = app.hub(f"[hub.notes.onset[{i}], hub.notes.offset[{i}], hub.notes.pitch[{i}]]")
    x, y = place(app, f"[n.onset[{i}], n.pitch[{i}]]")
    drag(app, x + 2, y, 30, 0)
    app.until("Array.from(hub.notes.hand).some(h => h > 0)")
    k = int(app.hub("Array.from(hub.notes.hand).findIndex(h => h > 0)"))
    now = app.hub(f"[hub.notes.onset[{k}], hub.notes.offset[{k}], hub.notes.pitch[{k}]]")
    assert now[0] > onset + 0.05 and now[1] == pytest.approx(offset, abs=1e-3) and now[2] == pitch


def test_notes_are_copied_pasted_and_duplicated(app):
    n = app.hub("hub.notes.n")
    app.hub("hub.select([0, 1])")
    pitches = sorted(app.hub("[hub.notes.pitch[0], hub.notes.pitch[1]]"))
    app.page.locator(".amt-canvas").focus()
    app.page.keyboard.press("Control+c")
    app.hub("hub.transport.seek(19)")
    app.page.keyboard.press("Control+v")
    app.until(f"hub.notes.n === {n + 2} && hub.selection.size === 2")
    first = app.hub("Math.min(...[...hub.selection].map(i => hub.notes.onset[i]))")
    assert first == pytest.approx(19, abs=0.01)
    assert sorted(app.hub("[...hub.selection].map(i => hub.notes.pitch[i])")) == pitches
    app.hub("hub.select([0])")
    end = app.hub("hub.notes.offset[0]")
    app.page.keyboard.press("Control+d")
    app.until(f"hub.notes.n === {n + 3} && hub.selection.size === 1")
    assert app.hub("hub.notes.onset[[...hub.selection][0]]") == pytest.approx(end, abs=0.01)


def test_arrows_move_a_note_in_time_by_a_hundredth_of_a_second(app):
    app.hub("hub.select([2])")
    onset, offset, pitch = app.hub("[hub.notes.onset[2], hub.notes.offset[2], hub.notes.pitch[2]]")
    app.page.keyboard.press("ArrowRight")
    app.until("Array.from(hub.notes.hand).some(h => h > 0)")
    k = int(app.hub("Array.from(hub.notes.hand).findIndex(h => h > 0)"))
    now = app.hub(f"[hub.notes.onset[{k}], hub.notes.offset[{k}], hub.notes.pitch[{k}]]")
    assert now == [pytest.approx(onset + 0.01, abs=1e-3), pytest.approx(offset + 0.01, abs=1e-3), pitch]


def test_a_midi_file_can_be_dragged_out_of_the_page(app):
    app.page.get_by_role("tab", name="Save").click()
    kind, name, head = app.page.evaluate(
        """async () => {
          const data = new DataTransfer();
          const button = document.querySelector('.amt-format[data-format=midi]');
          button.dispatchEvent(new DragEvent('dragstart', { dataTransfer: data, bubbles: true }));
          const [, kind, name, url] = /^([^:]*):([^:]*):(.*)$/.exec(data.getData('DownloadURL'));
          const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
          return [kind, name, String.fromCharCode(...bytes.slice(0, 4))];
        }"""
    )
    assert (kind, name, head) == ("audio/midi", "tune.mid", "MThd")
    app.page.get_by_role("tab", name="Tracks").click()


def test_split_keeps_both_halves_selected(app):
    i = longest(app)
    app.page.locator(".amt-canvas").focus()
    app.hub(f"hub.select([{i}])")
    app.hub(f"hub.transport.seek((hub.notes.onset[{i}] + hub.notes.offset[{i}]) / 2)")
    app.page.keyboard.press("s")
    app.until("hub.selection.size === 2")
    assert len(set(app.hub("[...hub.selection].map(i => hub.notes.pitch[i])"))) == 1


def test_velocities_are_drawn_in_their_lane(app):
    page = app.page
    app.looks(".amt-view-lane").click()
    x, _ = place(app, "[n.onset[2], 60]")
    box = page.locator(".amt-canvas").bounding_box()
    was, onset, pitch = app.hub("[hub.notes.velocity[2], hub.notes.onset[2], hub.notes.pitch[2]]")
    bottom = box["y"] + box["height"] - 38
    page.mouse.move(x, bottom - 50)
    page.mouse.down()
    page.mouse.move(x, bottom - 14, steps=4)
    page.mouse.up()
    same = f"Math.abs(o - {onset}) < 1e-3 && hub.notes.pitch[i] === {pitch}"
    here = f"Array.from(hub.notes.onset).findIndex((o, i) => {same})"
    app.until(f"hub.notes.hand[{here}] > 0")
    assert app.hub(f"hub.notes.velocity[{here}]") < min(40, was)
    app.looks(".amt-view-lane").click()


def test_the_edges_of_a_loop_can_be_dragged(app):
    app.hub("hub.transport.setLoop({ from: 2, to: 4, on: true })")
    x, _ = place(app, "[4, 60]")
    box = app.page.locator(".amt-canvas").bounding_box()
    drag(app, x + 1, box["y"] + 4, 60, 0)
    loop = app.hub("hub.transport.loop")
    assert loop["from"] == pytest.approx(2, abs=0.01) and loop["to"] > 4.1 and loop["on"]
    app.hub("hub.transport.setLoop({ from: 0, to: 0, on: false })")


def test_two_fingers_on_a_trackpad_move_and_a_pinch_zooms(app):
    page = app.page
    box = page.locator(".amt-canvas").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 250)
    before = app.hub("({ ...hub.actions.roll().window })")
    page.mouse.wheel(0, 12.5)
    app.until(f"hub.actions.roll().window.p1 !== {before['p1']}")
    after = app.hub("({ ...hub.actions.roll().window })")
    assert after["t1"] - after["t0"] == pytest.approx(before["t1"] - before["t0"]), "it moves, it does not zoom"
    page.keyboard.down("Control")
    page.mouse.wheel(0, -12.5)
    page.keyboard.up("Control")
    app.until(f"hub.actions.roll().window.t1 - hub.actions.roll().window.t0 < {after['t1'] - after['t0']} - 0.1")
    page.keyboard.press("0")


def test_a_finger_moves_the_roll_and_two_zoom(app):
    page = app.page
    window = "({ ...hub.actions.roll().window })"
    app.hub("hub.actions.roll().setWindow({ t0: 4, t1: 8 })")
    before = app.hub(window)
    app.fingers(((400, 54), (300, 54)))
    after = app.hub(window)
    assert after["t0"] > before["t0"] + 0.2, "the roll follows the finger"
    assert after["t1"] - after["t0"] == pytest.approx(4, abs=0.01) and not app.hub("hub.selection.size")
    app.fingers(((300, 200), (250, 200)), ((400, 210), (450, 210)))
    closer = app.hub(window)
    assert closer["t1"] - closer["t0"] < 3, "two fingers apart come closer"
    page.keyboard.press("0")


def test_every_explanation_opens_and_closes(app):
    page = app.page

    def opens(button):
        button.click()
        card = page.locator(".amt-card-info")
        assert len(card.inner_text()) > 60 and card.locator("svg > *").count() > 0
        box = card.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 1280 and box["y"] >= 0 and box["y"] + box["height"] <= 800
        page.keyboard.press("Escape")
        assert page.locator(".amt-card-info").count() == 0

    buttons = page.locator(".amt-info:visible")
    assert buttons.count() >= 6
    for i in range(buttons.count()):
        opens(buttons.nth(i))
    app.looks(".amt-ground")
    opens(page.locator(".amt-view .amt-info").last)
    page.keyboard.press("Escape")
    assert not page.locator(".amt-ground").is_visible()


def test_presets_say_what_they_set(app):
    texts = app.page.locator(".amt-preset option").all_inner_texts()
    assert any("0.65 / 0.40 / 100 ms" in text for text in texts)


def test_the_tour_goes_in_three_steps(chromium, server, files):
    with fresh_page(chromium, App, files, server.url) as app:
        page = app.page
        page.locator(".amt-take-tour").first.click()
        seen = []
        for step in (1, 2, 3):
            page.wait_for_function(f"document.querySelector('.amt-tour')?.textContent.includes('{step} / 3')")
            assert page.locator(".amt-lit").count() == 1
            seen.append(page.locator(".amt-tour p").inner_text())
            page.locator(".amt-tour-next").click()
        page.wait_for_selector(".amt-tour", state="detached")
        assert len(set(seen)) == 3 and all(len(words) > 30 for words in seen)
        assert not page.locator(".amt-lit").count()
        page.locator(".amt-take-tour").first.click()
        page.keyboard.press("Escape")
        page.wait_for_selector(".amt-tour", state="detached")
