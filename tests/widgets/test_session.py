"""The state of the app, as a person would notice it: what opens, what stays, what follows a slider."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
import time
from dataclasses import replace

import mido
import numpy as np
import pytest
import soundfile
import synthetic
import under_pedal

from amtsep import formats
from amtsep.audio import Audio
from amtsep.cache import folder
from amtsep.config import Limits
from widgets.panels.export import Export, _pedal_of
from widgets.state.session import Session


def test_opening_a_recording_gives_its_notes(session, true_notes):
    assert session.audio.name == "tune.wav"
    assert session.notes and len(session.notes) > 0.5 * len(true_notes)
    assert session.status.values["notes"] == len(session.notes)
    assert session.progress is None


def test_lower_onset_threshold_gives_more_notes_and_every_true_one(session, true_notes):
    session.set_decoding(leftover_notes=False, onset_threshold=0.9)
    few = len(session.notes)
    session.set_decoding(onset_threshold=0.2)
    assert few < len(session.notes) == len(true_notes)
    order = np.lexsort((session.notes.onset, session.notes.pitch))
    wanted = np.lexsort((true_notes.onset, true_notes.pitch))
    assert np.array_equal(session.notes.pitch[order], true_notes.pitch[wanted])
    assert np.abs(session.notes.onset[order] - true_notes.onset[wanted]).max() < 0.03


def test_by_key_the_pedal_is_there_though_the_network_hears_keys_come_up():
    posteriors = under_pedal.posteriors()
    silence = np.zeros(int(posteriors.duration_s * 22050), np.float32)
    with contextlib.closing(Session()) as session:
        session.show(Audio(silence, 22050, "piano.wav"), posteriors)
        assert not session.pedal and np.median(session.notes.duration) < 0.3
        session.set_decoding(ends="key")
        (spans,) = session.pedal.values()
        assert len(spans) == 3 and all(up - down > 1.0 for down, up in spans)
        assert len(session.notes) == 12 and np.median(session.notes.duration) < 0.5


def test_one_track_alone_keeps_its_pedal():
    posteriors = under_pedal.posteriors()
    silence = np.zeros(int(posteriors.duration_s * 22050), np.float32)
    with contextlib.closing(Session()) as session:
        session.show(Audio(silence, 22050, "piano.wav"), posteriors)
        session.set_decoding(ends="key")
        export, files = Export(session), []
        export.send = lambda content, buffers=None: files.append(buffers[0])
        for track in (None, 0):
            export.do_export({"format": "midi", "track": track}, [])
        pedals = [
            [(m.value, round(m.time, 3)) for m in mido.MidiFile(file=io.BytesIO(data)) if m.is_cc(64)] for data in files
        ]
        assert len(pedals) == 2 and len(pedals[0]) == len(pedals[1]) == 6
        # Drums have none.
        assert _pedal_of(session.pedal, "drums") is None


def test_sliders_never_run_the_network(session, transcriber):
    for value in np.linspace(0.1, 0.9, 20):
        session.set_decoding(onset_threshold=float(value), frame_threshold=float(value))
    assert transcriber.calls == 1


def test_same_recording_again_comes_from_the_cache(session, transcriber, recording):
    for _ in range(200):  # the cache is written in a thread
        if list(folder("posteriors").glob("*.npz")):
            break
        time.sleep(0.05)
    notes = session.notes
    session.open(recording, name="again.wav")
    session.wait(60)
    assert transcriber.calls == 1
    assert session.notes.equals(notes, 1e-4)  # posteriors are kept in 16 bits
    assert session.audio.name == "again.wav"


@pytest.mark.parametrize("damage", ["cut", "zeros", "flipped"])
def test_a_damaged_cache_entry_is_as_good_as_none(session, transcriber, recording, damage):
    for _ in range(200):
        if list(folder("posteriors").glob("*.npz")):
            break
        time.sleep(0.05)
    (entry,) = folder("posteriors").glob("*.npz")
    data = bytearray(entry.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "zeros":
        data = bytearray(len(data))
    else:
        data[len(data) // 3 : len(data) // 3 + 2000] = b"\x55" * 2000
    entry.write_bytes(data)
    session.open(recording, name="again.wav")
    session.wait(60)
    assert session.status.kind == "info" and session.audio.name == "again.wav"
    assert transcriber.calls == 2


def test_a_file_that_is_no_recording_gets_a_sentence_and_changes_nothing(session):
    before = session.notes
    session.open(b"These are words, not sound. " * 50, name="letter.wav")
    session.wait(60)
    assert session.status.kind == "error"
    assert "letter.wav" in session.status.text
    assert "Traceback" in session.status.details and "Traceback" not in session.status.text
    assert session.notes is before and session.audio.name == "tune.wav"


def test_too_long_a_recording_is_refused_with_the_limit(transcriber, recording):
    session = Session(limits=Limits(max_duration_s=5.0))
    session.open(recording, name="tune.wav")
    session.wait(60)
    assert session.status.kind == "error" and "tune.wav" in session.status.text
    assert session.audio is None


def test_cancelling_keeps_what_was_open(session, transcriber, true_notes):
    import synthetic

    before = session.notes
    transcriber.gate = threading.Event()
    session.open(synthetic.wav_bytes(synthetic.sound(true_notes, 9.0)), name="other.wav")
    assert session.busy
    session.cancel()
    transcriber.gate.set()
    time.sleep(0.2)
    assert not session.busy and session.progress is None
    assert session.notes is before and session.audio.name == "tune.wav"
    assert session.status.key == "cancelled"


def test_the_event_loop_runs_on_while_a_recording_is_transcribed(transcriber, recording):
    async def main() -> tuple[Session, int, list[float]]:
        session = Session()
        seen: list[float] = []
        session.observe(lambda c: seen.append(c.new.done) if c.new else None, "progress")
        transcriber.gate = threading.Event()
        session.open(recording, name="tune.wav")
        ticks = 0
        while session.busy and ticks < 400:
            if ticks == 5:
                transcriber.gate.set()
            await asyncio.sleep(0.01)
            ticks += 1
        return session, ticks, seen

    session, ticks, seen = asyncio.run(main())
    assert ticks >= 5 and len(session.notes)
    assert seen[-1] == pytest.approx(12.0, abs=0.1), "progress is told in seconds of audio"


def test_a_drag_is_one_step_back(session):
    before = session.state.decoding.onset_threshold
    for value in (0.55, 0.6, 0.65):
        session.set_decoding(lasting=False, onset_threshold=value)
    session.set_decoding(lasting=True, onset_threshold=0.7)
    notes = len(session.notes)
    session.undo()
    assert session.state.decoding.onset_threshold == before
    assert not session.can_undo
    session.redo()
    assert session.state.decoding.onset_threshold == 0.7 and len(session.notes) == notes


def test_two_players_of_one_sound_are_two_tracks_where_they_sit_apart_and_stay_so_in_a_saved_session(
    transcriber, true_notes
):
    low = true_notes.pitch < synthetic.SPLIT_PITCH
    left, right = (synthetic.sound(true_notes.select(side), 12.0) for side in (low, ~low))
    file = io.BytesIO()
    both = np.stack([left + 0.2 * right, 0.2 * left + right], axis=1)
    soundfile.write(file, both, synthetic.RATE, format="WAV")
    heard = synthetic.perfect(true_notes, 12.0, timbres=True)
    one_sound = np.zeros_like(heard.embedding)
    one_sound[..., 0] = 127
    transcriber.posteriors = replace(heard, embedding=one_sound)

    def apart(session):
        """Whether tracks are the players, but for a note or two."""
        session.set_timbres(2)
        second = session.notes.track == session.notes.track[np.argmax(session.notes.pitch)]
        return np.mean(second == (session.notes.pitch >= synthetic.SPLIT_PITCH)) > 0.97

    with contextlib.closing(Session()) as session, contextlib.closing(Session()) as other:
        session.open(file.getvalue(), name="band.wav", wait=True)
        assert apart(session)
        # While a slider is dragged, too, when notes go to the nearest of the tracks.
        session.set_decoding(onset_threshold=0.25, lasting=False)
        second = session.notes.track == session.notes.track[np.argmax(session.notes.pitch)]
        assert np.mean(second == (session.notes.pitch >= synthetic.SPLIT_PITCH)) > 0.97
        session.set_decoding(onset_threshold=0.5)
        other.open_saved(io.BytesIO(session.saved()), "band.amtsep")
        other.wait(60)
        assert other.audio.stereo is not None and apart(other)
        # One channel is sorted by its sound, and here that is one.
        mono = io.BytesIO()
        soundfile.write(mono, both[:, 0] + 0.5 * both[:, 1], synthetic.RATE, format="WAV")
        other.open(mono.getvalue(), name="mono.wav", wait=True)
        assert other.posteriors.stereo is None and not apart(other)


def test_what_is_asked_for_while_a_recording_is_opened_comes_after_it(transcriber, recording, true_notes):
    session, transcriber.gate = Session(), threading.Event()
    session.open(recording, name="tune.wav")
    session.use("light" if session.model == "base" else "base")
    session.open_reference(io.BytesIO(formats.midi_bytes(true_notes)), "truth.mid")
    transcriber.gate.set()
    session.wait(60)
    assert session.audio.name == "tune.wav" and session.model == "light" and transcriber.calls == 2
    assert len(session.reference) == len(true_notes) and session.reference_name == "truth.mid"
    # What is opened instead takes the place of all of it.
    session.open(recording, name="again.wav")
    session.open_reference(io.BytesIO(formats.midi_bytes(true_notes)), "late.mid")
    session.open(recording, name="third.wav")
    session.wait(60)
    assert session.audio.name == "third.wav" and session.reference is None


def test_an_opening_is_waited_for_and_whatever_order_nothing_is_lost(transcriber, recording, true_notes):
    session, transcriber.gate = Session(), threading.Event()
    truth = formats.midi_bytes(true_notes)
    session.open(recording, name="one.wav")
    session.open_reference(io.BytesIO(truth), "truth.mid")
    session.use("light")
    transcriber.gate.set()
    session.wait(60)
    assert session.model == "light" and session.reference_name == "truth.mid"
    # Over a recording that is open, too; and a network that was chosen stays chosen when something else is opened.
    transcriber.gate.clear()
    session.open(recording, name="two.wav")
    session.use("base")
    session.open(recording, name="three.wav")
    session.compare_with("light")
    transcriber.gate.set()
    session.wait(60)
    assert session.audio.name == "three.wav" and session.model == "base" and session.reference_name == "light"


def test_a_reference_that_is_waited_for_comes_whatever_network_is_chosen_meanwhile(session, transcriber, true_notes):
    transcriber.gate = threading.Event()
    before = session.model
    for chosen in ("large", before):  # the network of now, too: that is no more than not to want the other
        session.set_reference(None)
        transcriber.gate.clear()
        session.use("light")
        session.open_reference(io.BytesIO(formats.midi_bytes(true_notes)), "truth.mid")
        session.use(chosen)
        transcriber.gate.set()
        session.wait(60)
        assert session.model == chosen and session.reference_name == "truth.mid"
        assert len(session.reference) == len(true_notes)
        session.use(before)
        session.wait(60)


def test_a_reference_that_is_being_read_comes_after_what_takes_its_turn(session, transcriber, true_notes, monkeypatch):
    gate, real = threading.Event(), formats.read_midi

    def slow(*args, **kwargs):
        assert gate.wait(20)
        return real(*args, **kwargs)

    monkeypatch.setattr(formats, "read_midi", slow)
    session.open_reference(io.BytesIO(formats.midi_bytes(true_notes)), "truth.mid")
    session.use("light")
    gate.set()
    session.wait(60)
    assert session.model == "light" and session.reference_name == "truth.mid"


def test_a_comparison_does_not_end_the_choice_of_a_network_nor_that_a_comparison(session, transcriber):
    transcriber.gate = threading.Event()
    session.use("light")
    session.compare_with("large")
    transcriber.gate.set()
    session.wait(60)
    assert session.model == "light" and session.reference_name == "large"
    session.set_reference(None)
    transcriber.gate.clear()
    session.compare_with("large")
    session.use("base")
    transcriber.gate.set()
    session.wait(60)
    assert session.model == "base" and session.reference_name == "large"


def test_what_a_person_cancels_does_not_come_again(session, transcriber, true_notes):
    transcriber.gate = threading.Event()
    session.use("light")
    session.open_reference(io.BytesIO(formats.midi_bytes(true_notes)), "truth.mid")
    session.cancel()
    transcriber.gate.set()
    session.wait(60)
    assert session.status.key == "cancelled" and session.reference is None and session.model != "light"
