"""The score of the app: made when it is looked at, corrected, undone, saved."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest

from amtsep import formats
from amtsep.notes import Track
from tests.rhythm.test_rhythm import midi_bars, waltz
from widgets.panels.export import Export
from widgets.panels.score import ENGINE, Score
from widgets.state.session import Session


@pytest.fixture()
def session() -> Session:
    made = Session()
    made.notes = waltz()[0]
    return made


def sent(panel: Score) -> list[tuple[dict[str, Any], Any]]:
    """Keep what goes to the page."""
    out: list[tuple[dict[str, Any], Any]] = []
    panel.send = lambda content, buffers=None: out.append((content, buffers))  # type: ignore[method-assign]
    return out


def test_score_is_made_only_when_it_is_looked_at(session: Session) -> None:
    panel = Score(session)
    out = sent(panel)
    session.notes = waltz(bars=12)[0]
    assert not out, "nothing is engraved behind another tab"
    panel.do_visible({"value": True}, [])
    content, buffers = out[-1]
    assert content["do"] == "score" and b"<score-partwise" in buffers[0]
    assert panel.beats["metre"] == "3/4" and panel.beats["tempo"] == pytest.approx(120, abs=3)
    assert max(content["source"]) < len(session.notes), "clicks find the notes again"
    panel.do_visible({"value": False}, [])
    panel.do_visible({"value": True}, [])
    assert len(out) == 1, "a page that has it keeps it"
    panel.do_visible({"value": True, "empty": True}, [])
    assert len(out) == 2, "one that is built again, for another language, gets it again"


def test_corrections_of_beats_are_undone_and_an_impossible_one_changes_nothing(session: Session) -> None:
    panel = Score(session)
    sent(panel)
    panel.do_visible({"value": True}, [])
    tempo = panel.beats["tempo"]
    panel.do_beats({"edit": "double"}, [])
    assert panel.beats["tempo"] == pytest.approx(2 * tempo, rel=0.02)
    panel.do_beats({"edit": "metre", "value": "4/4"}, [])
    assert panel.beats["metre"] == "4/4"
    before = session.state.beats
    with pytest.raises(ValueError):
        panel.do_beats({"edit": "metre", "value": "4/7"}, [])
    assert session.state.beats == before
    panel.do_beats({"edit": "none"}, [])
    assert panel.beats["tempo"] == pytest.approx(tempo) and panel.beats["metre"] == "3/4"


def test_saved_midi_has_the_bars_of_the_score(session: Session) -> None:
    session.edit_beats(("shift", ""))
    panel, sent = Export(session), []
    panel.send = lambda content, buffers=None: sent.extend(buffers)
    panel.do_export({"format": "midi"}, [])
    (data,) = sent
    beats = session.beats
    assert beats is not None
    lines = midi_bars(data)
    for time in beats.time[beats.downbeat & (beats.time < session.notes.end - 0.5)]:
        assert min(abs(time - line) for line in lines) < 0.002
    assert len(formats.read_midi(io.BytesIO(data))) == len(session.notes)


def test_corrections_are_kept_in_a_session_file() -> None:
    from dataclasses import asdict

    from widgets.state.edits import State
    from widgets.state.session_file import _state

    state = State(beats=(("half", ""), ("metre", "6/8")))
    assert _state(json.loads(json.dumps(asdict(state)))) == state
    old = json.loads(json.dumps(asdict(State())))
    del old["beats"]
    assert _state(old) == State(), "files of before still open"


def test_the_engraver_comes_with_the_app() -> None:
    assert b"verovio" in gzip.decompress(ENGINE.read_bytes())[:100_000]


def test_bar_lines_that_were_set_do_not_move_when_notes_change(session: Session) -> None:
    panel = Score(session)
    sent(panel)
    panel.do_visible({"value": True}, [])
    line = session.beats.time[session.beats.downbeat][2]  # type: ignore[union-attr]
    panel.do_beats({"edit": "line", "value": f"{line} {line + 0.1}"}, [])
    moved = session.beats.time[session.beats.downbeat]  # type: ignore[union-attr]
    assert moved[2] == pytest.approx(line + 0.1)
    session.notes = waltz(bars=6)[0]
    assert session.beats.time[session.beats.downbeat] == pytest.approx(moved)  # type: ignore[union-attr]
    session.undo()
    assert session.state.beats == ()


def test_taps_set_the_tempo_of_the_whole_recording(session: Session) -> None:
    beats = session.beats
    assert beats is not None
    twice = [float(t) for t in beats.time[4:12:2]]  # half as fast
    session.edit_beats(("tap", " ".join(map(str, twice))))
    tapped = session.beats
    assert tapped is not None and tapped.tempo == pytest.approx(beats.tempo / 2, rel=0.06)
    assert all(min(abs(tapped.time - t)) < 0.01 for t in twice)
    assert tapped.time[-1] > session.notes.end - 2 * 60 / tapped.tempo, "not only where the taps were"
    with pytest.raises(ValueError, match="twice"):
        session.edit_beats(("tap", "3.0"))


def test_a_damaged_correction_of_beats_is_refused_with_the_file() -> None:
    from dataclasses import asdict

    from widgets.state.edits import State
    from widgets.state.session_file import _state

    for broken in ("{", '{"time": [2, 1], "downbeat": [1, 0]}', "[]"):
        with pytest.raises(ValueError):
            _state(json.loads(json.dumps(asdict(State(beats=(("base", broken),))))))


def test_what_is_tidied_is_shown_as_a_ghost_comes_back_and_is_undone() -> None:
    import numpy as np

    from amtsep.notes import Notes
    from amtsep.posteriors import Posteriors
    from widgets.panels.roll import Roll
    from widgets.panels.thresholds import Thresholds

    onset = np.arange(16) * 0.5
    # An octave over the third note, softer and unsure: a ghost.
    notes = Notes.build(
        [*onset, 1.0], [*(onset + 0.45), 1.3], [60, 62, 64, 65] * 4 + [76], [90] * 16 + [40], [0.9] * 16 + [0.2]
    )
    posteriors = Posteriors(
        np.zeros((88, 800), np.float32), np.zeros((88, 800), np.float32), np.zeros((306, 800), np.uint8), 0.0116, 9.28
    )

    class Decoder:
        """Always the same notes."""

        def __call__(self, _settings: Any) -> Notes:
            return notes

        def onset_peaks(self, _inferred: bool) -> Any:
            return notes.confidence

    session = Session()
    session._decoder, session.posteriors = Decoder(), posteriors
    session.set_decoding(onset_threshold=0.4)
    roll, thresholds = Roll(session), Thresholds(session)
    assert len(session.notes) == 17 and not roll.ghost_data
    thresholds.send = lambda *_: None  # type: ignore[method-assign]
    thresholds.do_set({"values": {"tidy_strength": 0.5}, "lasting": True, "turn": 1}, [])
    assert len(session.notes) == 16
    ghost = np.frombuffer(roll.ghost_data, np.float32).reshape(6, -1)
    assert ghost[2].tolist() == [76] and ghost[4].tolist() == [2], "its pitch, and that it was a harmonic"
    roll.do_edit({"what": "add", "at": [], "notes": [{"onset": 1.0, "offset": 1.3, "pitch": 76, "velocity": 40}]}, [])
    assert len(session.notes) == 17 and not roll.ghost_data, "what was brought back is no ghost"
    session.undo()
    session.undo()
    assert len(session.notes) == 17 and not roll.ghost_data
    thresholds.do_set({"values": {"tidy_strength": 0.5, "tidy_harmonic_ghosts": False}, "lasting": True, "turn": 2}, [])
    assert len(session.notes) == 17, "a rule that is switched off does nothing"


def test_a_file_is_written_as_the_score_is_shown(session: Session) -> None:
    notes = waltz()[0]
    session.notes = notes.with_tracks([0] * len(notes), (Track("Clarinet", 71),))
    score, export = Score(session), Export(session)
    files: list[str] = []
    export.send = lambda content, buffers=None: files.append(buffers[0].decode())  # type: ignore[method-assign]
    for score.transposed in (False, True, False):
        export.do_export({"format": "musicxml"}, [])
    assert ["<transpose>" in text for text in files] == [False, True, False]
    score.transposed = True
    assert Score(session).transposed
