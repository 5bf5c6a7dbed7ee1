"""The static page: the network in WebAssembly, the notes in JavaScript, no Python behind it, no other server."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import re
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pretty_midi
import pytest
from driving import ROOT, App, fresh_page

WEB = ROOT / "web"
sys.path.insert(0, str(WEB))

import serve  # noqa: E402
import settings  # noqa: E402

from amtsep.audio import load_audio  # noqa: E402
from amtsep.config import Decoding  # noqa: E402
from amtsep.decoding import Decoder  # noqa: E402
from amtsep.evaluation.metrics import onset_f1  # noqa: E402
from amtsep.formats import read_csv  # noqa: E402
from amtsep.inference import Transcriber  # noqa: E402
from amtsep.notes import Notes  # noqa: E402

CLIP = "Duet_Petzold_Minuet_in_G"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@contextlib.contextmanager
def serving(folder, handler=Quiet):
    """Address of a folder behind the plainest of servers."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page's files and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    serve.collect(folder)
    with serving(folder) as address:
        yield address


class Page(App):
    """What a person does with the page."""

    def goto(self, url: str) -> None:
        self.page.goto(url)
        self.page.wait_for_selector(".amt-welcome .amt-demo")

    def demo(self, name: str) -> None:
        self.page.click(f'.amt-welcome [data-demo="{name}.ogg"]')
        self.opened(f"{name}.ogg")

    def opened(self, name: str) -> None:
        self.page.wait_for_function(
            "n => amtsepPage.model.get('about').name === n && !amtsepPage.model.get('progress')",
            arg=name,
        )
        self.until("hub.transport.recording")

    def tracks(self):
        """Rows of the tracks."""
        return self.page.locator(".amt-tracks .amt-track")

    def notes(self) -> Notes:
        rows = self.page.evaluate(
            "() => amtsepPage.notes.map(n => [n.onset, n.offset, n.pitch, n.velocity, n.confidence])"
        )
        return Notes.build(*np.asarray(rows, float).reshape(-1, 5).T) if rows else Notes.empty()

    def count(self) -> int:
        return int(self.page.locator(".amt-count").inner_text().split()[0])


@pytest.fixture
def page(chromium, site, tmp_path):
    """The page, freshly opened."""
    # What keeps the files for later has a test of its own.
    with fresh_page(chromium, Page, tmp_path, site, service_workers="block") as made:
        yield made


@pytest.fixture(scope="module")
def posteriors():
    """What Python makes of the clip."""
    return Transcriber("base")(load_audio(ROOT / "notebooks" / "demos" / f"{CLIP}.ogg"))


def test_a_clip_becomes_the_notes_that_python_finds(page, posteriors):
    page.demo(CLIP)
    decoder = Decoder(posteriors)
    expected, found = decoder(), page.notes()
    assert len(expected) > 50
    assert onset_f1(expected, found) >= 0.98
    assert onset_f1(expected, found, offsets=True) >= 0.97
    # The same note is the same note: a frame at most in time, a step in loudness.
    pairs = [
        (i, j)
        for i in range(len(expected))
        for j in range(len(found))
        if expected.pitch[i] == found.pitch[j] and abs(expected.onset[i] - found.onset[j]) < posteriors.hop_s
    ]
    assert len(pairs) >= 0.98 * len(expected)
    apart = [abs(int(expected.velocity[i]) - int(found.velocity[j])) for i, j in pairs]
    assert np.percentile(apart, 95) <= 2
    assert page.count() == len(found)

    # A slider moves: fewer notes at once, the same ones that Python keeps.
    slider = page.slider("Onset threshold")
    slider.focus()
    for _ in range(3):
        slider.press("PageUp")
    value = float(slider.get_attribute("aria-valuenow"))
    page.page.wait_for_function("n => amtsepPage.notes.length < n", arg=len(found))
    stricter = decoder(Decoding(onset_threshold=value))
    assert value > 0.7 and len(stricter) < len(expected)
    assert onset_f1(stricter, page.notes()) >= 0.98
    assert page.count() == len(page.notes()) < len(found)
    page.slider("Frame threshold").press("PageUp")
    page.page.wait_for_function("() => amtsepPage.values.frame_threshold > 0.35")
    value_2 = float(page.slider("Frame threshold").get_attribute("aria-valuenow"))
    both = decoder(Decoding(onset_threshold=value, frame_threshold=value_2))
    assert onset_f1(both, page.notes(), offsets=True) >= 0.97
    # Undo takes both steps back.
    page.page.click(".amt-undo")
    page.page.wait_for_function("() => amtsepPage.values.frame_threshold < 0.35")


def test_every_preset_decodes_as_python_does(page, posteriors):
    from widgets.state.presets import PRESETS, automatic

    page.demo(CLIP)
    decoder = Decoder(posteriors)
    for name, preset in PRESETS.items():
        page.page.select_option(".amt-preset", name)
        page.page.wait_for_function(
            "v => amtsepPage.values.onset_threshold === v[0] && amtsepPage.values.min_note_length === v[1]",
            arg=[preset.onset_threshold, preset.min_note_length],
        )
        assert onset_f1(decoder(preset), page.notes(), offsets=True) >= 0.97, name
    page.page.click(".amt-reset")
    page.page.click(".amt-auto")
    wanted = automatic(decoder.onset_peaks(), Decoding()).onset_threshold
    page.page.wait_for_function(
        "v => Math.abs(amtsepPage.values.onset_threshold - v) <= 0.0101 && amtsepPage.session.done.length > 5",
        arg=wanted,
    )


def python_session(posteriors):
    """The clip as the library's own session shows it."""
    from widgets.state.session import Session

    session = Session(model="base")
    session.show(load_audio(ROOT / "notebooks" / "demos" / f"{CLIP}.ogg"), posteriors)
    return session


def same_tracks(page, session) -> None:
    """The page's notes lie in the tracks that Python gives them, number by number."""
    rows = page.page.evaluate("() => amtsepPage.notes.map(n => [n.pitch, n.onset, n.track])")
    expected = session.notes
    together = [
        (int(track), int(expected.track[i]))
        for pitch, onset, track in rows
        for i in range(len(expected))
        if expected.pitch[i] == pitch and abs(expected.onset[i] - onset) < 0.01
    ]
    assert len(together) >= 0.98 * len(expected)
    assert np.mean([a == b for a, b in together]) >= 0.98


def test_timbres_are_told_apart_as_python_does(page, posteriors):
    page.demo(CLIP)
    session = python_session(posteriors)
    same_tracks(page, session)
    rows = page.tracks()
    assert rows.count() == session.grouping.tracks
    page.page.wait_for_selector("option[data-guess]", state="attached")  # what each sounds like
    for wanted in (3, 2):
        slider = page.slider("Timbres")
        slider.press("Home")
        for _ in range(wanted - 1):
            slider.press("ArrowRight")
        page.page.wait_for_function("n => document.querySelectorAll('.amt-tracks .amt-track').length === n", arg=wanted)
        page.page.wait_for_function("n => amtsepPage.session.last.thorough", arg=wanted)
        session.set_timbres(1)
        for number in range(2, wanted + 1):
            session.set_timbres(number)
        same_tracks(page, session)
    # A note is taught, two tracks are joined: the same again.
    at = [int(session.notes.pitch[5]), float(session.notes.onset[5]), 0]
    other = 1 - int(session.notes.track[5])
    page.page.evaluate("m => amtsepPage.do_edit(m)", {"what": "assign", "at": [at], "track": other})
    session.assign(np.array([5]), other)
    same_tracks(page, session)
    page.page.locator(".amt-tracks .amt-merge").last.select_option(
        label=page.page.locator(".amt-tracks .amt-merge").last.inner_text().split("\n")[-1]
    )
    page.page.wait_for_function("() => document.querySelectorAll('.amt-tracks .amt-track').length === 1")
    page.page.click(".amt-undo")
    page.page.wait_for_function("() => document.querySelectorAll('.amt-tracks .amt-track').length === 2")
    page.page.locator(".amt-mute").first.click()
    page.page.wait_for_function("() => amtsepPage.session.state.tracks[0].mute")
    page.until("hub.audible(0) === false && hub.audible(1)")
    # One track as a file of its own.
    page.page.locator(".amt-name").first.fill("Right hand")
    page.page.keyboard.press("Enter")
    with page.page.expect_download() as download:
        page.page.locator(".amt-merge").first.select_option("save")
    assert download.value.suggested_filename == f"{CLIP} - Right hand.mid"
    session.close()


def test_a_session_goes_to_the_dashboard_and_back(page, posteriors, tmp_path):
    from widgets.state.session_file import read_session, write_session

    page.demo(CLIP)
    page.page.locator(".amt-name").first.fill("Violin")
    page.page.keyboard.press("Enter")
    notes = page.notes()
    first = [[int(notes.pitch[0]), float(notes.onset[0])]]
    page.page.evaluate("at => amtsepPage.do_edit({ what: 'delete', at })", first)
    page.slider("Onset threshold").press("ArrowRight")
    page.page.wait_for_function("() => amtsepPage.values.onset_threshold > 0.505 && amtsepPage.session.last.thorough")
    count = page.count()
    page.page.click("[data-tab=export]")
    path = page.download('[data-format="session"]')
    assert path.name == f"{CLIP}.amtsep"
    with path.open("rb") as file:
        saved = read_session(file, path.name)
    assert saved.state.tracks[0].name == "Violin" and len(saved.state.edits.removed) == 1
    assert saved.state.decoding.onset_threshold == pytest.approx(0.51)
    assert abs(saved.audio.duration_s - posteriors.duration_s) < 0.01 and saved.original is not None
    # Browsers decode and resample a little differently.
    assert saved.posteriors.frame.shape == posteriors.frame.shape
    assert np.abs(saved.posteriors.frame - posteriors.frame).mean() < 0.01
    # In the dashboard it is the same work.
    from widgets.state.session import Session

    session = Session(model="base")
    session.restore(lambda: saved, path.name)
    session.wait()
    assert len(session.notes) == count
    same_tracks(page, session)
    # And back, after another correction, into a page that has something else open.
    session.delete(np.array([3]))
    back = tmp_path / "back.amtsep"
    drums = np.full((5, session.posteriors.n_frames), 0.5, np.float32)
    heard = replace(session.posteriors, drums=drums, tuning=-45.0)
    found_with = (
        session.state.clean_up,
        replace(session.state.decoding, onset_threshold=0.7),
        session.state.clustering,
    )
    back.write_bytes(
        write_session(
            replace(
                session.snapshot(),
                posteriors=heard,
                reference=session.notes,
                reference_name="truth.mid",
                reference_settings=found_with,
            )
        )
    )
    page.page.click(".amt-demos")
    page.page.click('.amt-menu [data-demo^="Chorale"]')
    page.opened("Chorale_Bach_Aus_meines_Herzens_Grunde.ogg")
    page.page.set_input_files(".amt-file", str(back))
    page.opened(f"{CLIP}.ogg")
    assert page.count() == len(session.notes) == count - 1
    assert page.page.locator(".amt-name").first.input_value() == "Violin"
    same_tracks(page, session)
    # What the page does not show goes along.
    with page.download('[data-format="session"]').open("rb") as file:
        again = read_session(file, "again")
    assert again.reference is not None and len(again.reference) == len(session.notes)
    assert again.reference_name == "truth.mid" and again.posteriors.tuning == -45.0
    assert again.reference_settings == found_with
    assert again.posteriors.drums is not None and again.posteriors.drums.shape == drums.shape
    session.close()
    back.write_bytes(back.read_bytes()[:5000])
    page.page.set_input_files(".amt-file", str(back))
    page.page.wait_for_selector(".amt-status.amt-error")
    assert "back.amtsep is no amtsep session" in page.page.locator(".amt-status").inner_text()
    assert page.count() == count - 1


def test_the_page_can_be_installed_and_opens_without_a_network(chromium, tmp_path):
    serve.collect(tmp_path / "site")
    context = chromium.new_context(locale="en-GB")
    with serving(tmp_path / "site") as address:
        page = Page(context.new_page(), tmp_path)
        page.goto(address)
        # Isolated by what keeps the files, behind the plainest of servers: the network may use threads.
        page.page.wait_for_function("() => crossOriginIsolated && document.querySelector('.amt-welcome .amt-demo')")
        about = page.page.evaluate(
            "async () => (await fetch(document.querySelector('link[rel=manifest]').href)).json()"
        )
        assert about["display"] == "standalone" and about["icons"] and about["start_url"]
    # The server has gone.
    page.page.goto(f"{address}web/")
    page.demo(CLIP)
    assert page.count() > 50
    context.close()


def test_a_recording_under_way_outlasts_what_comes_to_keep_the_page(chromium, tmp_path):
    """What keeps the page's files begins the page again when it is there; not under a microphone that is on."""
    serve.collect(tmp_path / "site")
    come = threading.Event()

    class Slow(Quiet):
        def do_GET(self):  # noqa: N802 - the base class's name
            # Of the page's files the one that it does not ask for by itself.
            if self.path.endswith("light.onnx"):
                come.wait(60)
            super().do_GET()

    with (
        serving(tmp_path / "site", Slow) as address,
        fresh_page(chromium, Page, tmp_path, address, permissions=["microphone"]) as page,
    ):
        page.page.click(".amt-mic")
        page.until("hub.recorder")
        page.page.evaluate("() => { globalThis.same = true; }")
        come.set()
        page.page.evaluate("() => navigator.serviceWorker.ready")
        page.page.wait_for_function("() => navigator.serviceWorker.controller")
        page.page.wait_for_timeout(500)
        assert page.page.evaluate("() => globalThis.same") and page.hub("hub.recorder.state") == "recording"
        # Nor is the page closed without a question.
        asked = []
        page.page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
        page.page.close(run_before_unload=True)
        page.page.wait_for_timeout(500)
        assert asked == ["beforeunload"]
        page.page.click(".amt-mic")
        page.page.wait_for_function("() => amtsepPage.turn > 0")
        page.until("!hub.recorder")


def test_midi_csv_and_musicxml_hold_the_notes_and_a_correction(page):
    page.demo(CLIP)
    notes = page.notes()
    path = page.download(".amt-save")
    assert path.name == f"{CLIP}.mid"
    midi = pretty_midi.PrettyMIDI(str(path))
    assert len(midi.instruments) == page.tracks().count() > 1
    written = sorted((n.start, n.pitch, n.velocity) for instrument in midi.instruments for n in instrument.notes)
    assert len(written) == len(notes)
    expected = sorted(zip(notes.onset.tolist(), notes.pitch.tolist(), notes.velocity.tolist(), strict=True))
    np.testing.assert_allclose([w[0] for w in written], [e[0] for e in expected], atol=0.001)
    assert sorted(w[1:] for w in written) == sorted(e[1:] for e in expected)
    # Take one note out; the table and the next file do without it.
    first = [[int(notes.pitch[0]), float(notes.onset[0])]]
    page.page.evaluate("at => amtsepPage.do_edit({ what: 'delete', at })", first)
    page.page.click("[data-tab=export]")
    table = read_csv(page.download('[data-format="csv"]'))
    assert len(table) == len(notes) - 1 == page.count()
    np.testing.assert_allclose(table.onset, notes.onset[1:], atol=1e-5)
    # Notation on the grid that a person says: 3/4, a beat of .43 s.
    tempo = page.page.get_by_label("Tempo (beats a minute)")
    tempo.fill("140")
    page.page.get_by_label("Time signature").select_option("3/4")
    text = page.download('[data-format="musicxml"]').read_text(encoding="utf-8")
    assert '<sound tempo="140.00"/>' in text and "<beats>3</beats>" in text
    assert "<fifths>1</fifths>" in text, "G major"
    assert text.count("<score-part ") == page.tracks().count()
    assert {int(n) for n in re.findall(r'id="n(\d+)', text)} == set(range(len(table)))
    # Bars enough, and not more: the last note ends in the last.
    bars = int(max(re.findall(r'<measure number="(\d+)"', text), key=int))
    assert abs(bars - (table.end - table.onset[0]) * 140 / 60 / 3) <= 1
    tempo.fill("9000")
    tempo.press("Tab")
    assert tempo.input_value() == "140"


def test_what_a_person_did_survives_a_reload(page):
    page.demo(CLIP)
    notes = page.notes()
    first = [[int(notes.pitch[0]), float(notes.onset[0])]]
    page.page.evaluate("at => amtsepPage.do_edit({ what: 'delete', at })", first)
    page.page.locator(".amt-tracks .amt-name").first.fill("Right hand")
    page.page.keyboard.press("Enter")
    page.page.wait_for_function("() => amtsepPage.session.state.tracks.some(t => t.name === 'Right hand')")
    # A moment later it is kept.
    page.page.wait_for_function("() => amtsepPage.keptState === amtsepPage.session.state")
    page.page.evaluate("() => amtsepPage.model.as('export').set('grid', { tempo: 90, beats: 99, start: -1 })")
    page.page.wait_for_function("() => !amtsepPage.keeping")
    page.page.evaluate("() => amtsepPage.kept.queue")
    page.page.reload()
    offer = page.page.locator(".amt-welcome .amt-recent")
    offer.wait_for()
    assert "1 correction" in offer.inner_text()
    offer.click()
    page.opened(f"{CLIP}.ogg")
    again = page.notes()
    assert len(again) == len(notes) - 1
    np.testing.assert_allclose(again.onset, notes.onset[1:], atol=1e-6)
    assert page.page.locator(".amt-tracks .amt-name").first.input_value() == "Right hand"
    grid = page.page.evaluate("() => amtsepPage.model.get('grid')")
    assert grid == {"tempo": 90, "beats": 4, "start": None}, "what can be no grid is the usual one"
    # It sounds, and goes on being kept.
    page.page.click(".amt-play")
    page.until("hub.transport.position > 0.3 && hub.transport.level() > 0.001")


def test_kept_work_shows_the_network_that_heard_it(page):
    """Shown as another one's, it could not be chosen to hear anew."""
    page.demo(CLIP)
    page.page.evaluate("() => amtsepPage.do_model({ value: 'light' })")
    page.page.wait_for_function(
        "() => !amtsepPage.stage && (amtsepPage.session.posteriors.model ?? '').startsWith('light')"
    )
    page.page.evaluate(STRIKE)
    page.page.wait_for_function(KEPT)
    page.page.wait_for_function("() => !amtsepPage.keeping")
    page.page.evaluate("() => amtsepPage.kept.queue")
    page.page.reload()
    page.page.locator(".amt-welcome .amt-recent").first.click()
    page.opened(f"{CLIP}.ogg")
    assert page.page.evaluate("() => amtsepPage.network") == "light"
    page.page.evaluate("() => amtsepPage.do_model({ value: 'base' })")
    page.page.wait_for_function(
        "() => !amtsepPage.stage && (amtsepPage.session.posteriors.model ?? '').startsWith('base')"
    )


def test_what_cannot_be_saved_is_not_awaited(page):
    said = page.page.evaluate(
        "() => { const got = []; const post = amtsepPage.model.post.bind(amtsepPage.model);"
        " amtsepPage.model.post = (m, ...more) => { got.push(m.do); return post(m, ...more); };"
        " return amtsepPage.do_export({ format: 'midi' }).then(() => got); }"
    )
    assert said == ["no_file"]


STRIKE = "() => { const [n] = amtsepPage.notes; amtsepPage.do_edit({ what: 'delete', at: [[n.pitch, n.onset]] }); }"
KEPT = "() => amtsepPage.keptState === amtsepPage.session.state"


def test_two_tabs_keep_the_work_of_both(page):
    one = page.page
    page.demo(CLIP)
    one.evaluate(STRIKE)
    one.wait_for_function(KEPT)
    two = one.context.new_page()
    two.goto(one.url)
    two.locator(".amt-welcome .amt-recent").click()
    two.wait_for_function("() => amtsepPage.model.get('about').name && !amtsepPage.model.get('progress')")
    two.evaluate(STRIKE)
    two.wait_for_function(KEPT)
    one.evaluate("() => amtsepPage.do_track({ index: 0, values: { name: 'Right hand' } })")
    one.wait_for_function(KEPT)
    works = two.evaluate("async () => Promise.all((await amtsepPage.kept.list()).map(e => amtsepPage.kept.load(e.id)))")
    assert sorted((w["state"]["tracks"][0]["name"], len(w["state"]["edits"]["removed"])) for w in works) == [
        ("", 2),
        ("Right hand", 1),
    ]
    # Three other recordings are worked on in the second tab; then the first goes on with its own.
    for i in range(3):
        two.evaluate("i => Object.assign(amtsepPage, { id: `other ${i}`, written: null })", i)
        two.evaluate(STRIKE)
        two.wait_for_function(KEPT)
    listed = "async () => (await amtsepPage.kept.list()).map(e => e.id)"
    assert one.evaluate(listed) == ["other 2", "other 1", "other 0"]
    two.close()
    one.evaluate(STRIKE)
    one.wait_for_function(KEPT)
    count = page.count()
    one.reload()
    one.locator(".amt-welcome .amt-recent").first.click()
    page.opened(f"{CLIP}.ogg")
    assert page.count() == count
    assert one.locator(".amt-tracks .amt-name").first.input_value() == "Right hand"


def test_a_solo_ends_with_its_track(page):
    page.demo(CLIP)
    page.page.locator(".amt-blend").fill("1")
    page.page.locator(".amt-solo").first.click()
    page.page.wait_for_function("() => amtsepPage.session.state.tracks[0].solo")
    assert page.hub("[hub.audible(0), hub.audible(1)]") == [True, False]
    page.page.locator(".amt-merge").first.select_option("1")
    page.page.wait_for_function("() => amtsepPage.session.rows().length === 1")
    page.until("hub.audible(1)")
    assert page.tracks().count() == 1 and page.page.locator(".amt-tracks .amt-quiet").count() == 0
    page.page.click(".amt-play")
    page.until("hub.transport.position > 0.5 && hub.transport.level() > 0.005")
    # Taken back, it is heard alone again.
    page.page.click(".amt-undo")
    page.until("!hub.audible(1) && hub.audible(0)")


def test_a_loop_ends_with_its_recording(page, files):
    page.demo(CLIP)
    page.hub("hub.transport.setLoop({ from: 18, to: 24, on: true })")
    page.page.set_input_files(".amt-file", str(files / "other.wav"))
    page.opened("other.wav")
    page.page.click(".amt-play")
    page.until("hub.transport.position > 0.5 && hub.transport.position < 7 && hub.transport.level() > 0.001")
    assert not page.hub("hub.transport.loop.on")


def test_the_answer_to_one_edit_comes_during_the_next(page):
    page.demo(CLIP)
    # As where the program is far away, or busy.
    page.page.evaluate(
        """() => {
            const { model } = amtsepPage;
            const { receive } = model;
            globalThis.answer = null;
            model.receive = (message, buffers) => {
                if (message.do === 'edit') globalThis.answer = () => receive(message, buffers);
                else receive(message, buffers);
            };
        }"""
    )
    mouse = page.page.mouse
    box = page.page.locator(".amt-canvas").bounding_box()
    page.hub("hub.actions.roll().setWindow({ t0: 0, t1: 6 })")
    notes = page.notes()
    scale = page.hub("hub.actions.roll().x(1) - hub.actions.roll().x(0)")

    def grab(i, seconds=0.0):
        middle = (notes.onset[i] + notes.offset[i]) / 2 + seconds
        x, y = page.hub(f"[hub.actions.roll().x({middle}), hub.actions.roll().y({notes.pitch[i]})]")
        mouse.move(box["x"] + x, box["y"] + y)
        mouse.down()
        return box["x"] + x, box["y"] + y

    x, y = grab(2)
    mouse.move(x + 2 * scale, y, steps=5)
    mouse.up()
    # The second note is in hand when the first comes to stand behind it.
    x, y = grab(6)
    mouse.move(x + 0.05 * scale, y, steps=3)
    page.page.evaluate("() => answer()")
    mouse.move(x + 0.2 * scale, y, steps=3)
    mouse.up()
    page.page.evaluate("() => answer()")
    added = page.page.evaluate("() => amtsepPage.session.state.edits.added.map(n => [n.pitch, n.onset])")
    assert [pitch for pitch, _ in added] == [notes.pitch[2], notes.pitch[6]]
    assert added[1][1] == pytest.approx(notes.onset[6] + 0.2, abs=0.02)
    # What is chosen meanwhile stays chosen.
    page.page.keyboard.press("Alt+ArrowUp")
    grab(0)
    mouse.up()
    page.page.evaluate("() => answer()")
    assert page.hub("[...hub.selection].map(i => hub.notes.onset[i])") == [pytest.approx(notes.onset[0], abs=1e-5)]


def test_a_clip_that_comes_late_or_not_at_all(page, files):
    held = []
    page.page.route("**/Chorale*.ogg", lambda route: held.append(route))
    page.page.click('.amt-welcome [data-demo^="Chorale"]')
    page.page.wait_for_selector(".amt-cancel")
    page.page.set_input_files(".amt-file", str(files / "other.wav"))
    page.opened("other.wav")
    page.page.wait_for_timeout(100)
    with page.page.expect_response("**/Chorale*.ogg"):
        held[0].continue_()
    page.page.wait_for_timeout(500)
    assert page.page.evaluate("() => [amtsepPage.model.get('about').name, amtsepPage.stage]") == ["other.wav", ""]
    page.page.route("**/Piano*.ogg", lambda route: route.abort())
    page.page.click(".amt-demos")
    page.page.click('.amt-menu [data-demo^="Piano"]')
    page.page.wait_for_selector(".amt-status.amt-error")
    assert "did not arrive" in page.page.locator(".amt-status").inner_text()
    assert page.page.evaluate("() => amtsepPage.name") == "other"


def test_a_finger_moves_and_scales_the_roll(chromium, site, tmp_path):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with fresh_page(chromium, Page, tmp_path, site, service_workers="block", **phone) as page:
        page.demo(CLIP)
        window = "({ ...hub.actions.roll().window })"
        page.hub("hub.actions.roll().setWindow({ t0: 2, t1: 5 })")
        before = page.hub(window)
        page.fingers(((300, 60), (150, 60)))
        after = page.hub(window)
        assert after["t0"] > before["t0"] + 0.2, "the roll follows the finger"
        assert after["t1"] - after["t0"] == pytest.approx(3, abs=0.01) and not page.hub("hub.selection.size")
        page.fingers(((180, 120), (120, 120)), ((240, 125), (300, 125)))
        closer = page.hub(window)
        assert closer["t1"] - closer["t0"] < 2.5, "two fingers apart come closer"
        assert page.page.evaluate("scrollY") == 0


def test_a_file_of_ones_own_and_one_that_is_no_recording(page, files):
    page.page.set_input_files(".amt-file", str(files / "letter.wav"))
    page.page.wait_for_selector(".amt-status.amt-error")
    assert "letter.wav cannot be decoded" in page.page.locator(".amt-status").inner_text()
    page.page.click(".amt-dismiss")
    page.page.set_input_files(".amt-file", str(files / "other.wav"))
    page.opened("other.wav")
    expected = Decoder(Transcriber("base")(load_audio(files / "other.wav")))()
    assert onset_f1(expected, page.notes()) >= 0.95
    page.page.click(".amt-play")
    page.until("hub.transport.position > 0.5 && hub.transport.level() > 0.001")


def test_cancel_leaves_what_was_open(page):
    page.demo(CLIP)
    count = page.count()
    page.page.click(".amt-demos")
    page.page.click('.amt-menu [data-demo^="Chorale"]')
    page.page.click(".amt-cancel")
    page.page.wait_for_function("() => !amtsepPage.model.get('progress')")
    page.page.wait_for_timeout(300)
    assert page.count() == count
    assert page.page.evaluate("() => amtsepPage.name") == CLIP
    # Nor does another network that is given up before it has listened, or a file that holds nothing.
    assert (
        page.page.evaluate("p => (amtsepPage.do_model({ value: 'light' }), amtsepPage.do_cancel(), amtsepPage.network)")
        == "base"
    )
    steps = "() => amtsepPage.session.done.length"
    page.page.evaluate("() => amtsepPage.session.set({ taught: amtsepPage.session.state.taught })")
    assert page.page.evaluate(steps) == 0, "what changes nothing is no step"
    page.page.set_input_files(".amt-file", {"name": "nothing.wav", "mimeType": "audio/wav", "buffer": b""})
    page.page.wait_for_selector(".amt-status.amt-error")
    assert "nothing.wav" in page.page.locator(".amt-status").inner_text() and page.count() == count


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_a_network_for_44100_hz_can_take_its_place(chromium, tmp_path, posteriors, precision):
    """Decimation in the graph instead of in the page, and weights unpacked by the WebAssembly runtime."""
    export = pytest.importorskip("amtsep.nets.export", reason="exporting needs torch (pip install 'amtsep[train]')")
    serve.collect(tmp_path / "site")
    export.export_onnx(ROOT / "models/base.safetensors", tmp_path / "site/models/base.onnx", 44100, precision)
    context = chromium.new_context(locale="en-GB", service_workers="block")
    with serving(tmp_path / "site") as address:
        page = Page(context.new_page(), tmp_path)
        page.goto(address)
        page.demo(CLIP)
        notes = page.notes()
        context.close()
    assert not page.problems
    assert onset_f1(Decoder(posteriors)(), notes) >= (0.95 if precision == "int8" else 0.98)


def test_the_server_of_make_web_isolates_and_shows_nothing_else(chromium):
    server = serve.make_server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = chromium.new_context(locale="en-GB", service_workers="block")
    try:
        page = Page(context.new_page(), Path())
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        assert page.page.evaluate("() => crossOriginIsolated")
        for path in (
            "pyproject.toml",
            ".git/HEAD",
            "web/serve.py",
            "web/src/../serve.py",
            "models/",
        ):
            assert page.page.evaluate("async p => (await fetch(p)).status", f"/{path}") == 404, path
        page.demo(CLIP)
        assert page.count() > 50
        assert not page.problems
    finally:
        context.close()
        server.shutdown()


def test_numbers_are_those_of_python():
    text = (WEB / "src" / "settings.json").read_text()
    assert text == settings.text(), "run: python web/settings.py"


def test_the_runtime_is_the_one_that_was_packed():
    for line in (WEB / "vendor" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((WEB / "vendor" / name).read_bytes()).hexdigest() == digest, name


def test_the_page_names_no_other_server():
    import re

    for path in [WEB / "index.html", WEB / "style.css", *(WEB / "src").iterdir()]:
        found = [u for u in re.findall(r"https?://[\w.-]+", path.read_text()) if not u.startswith("http://www.w3.org")]
        assert not found, f"{path.name} names {found}"
