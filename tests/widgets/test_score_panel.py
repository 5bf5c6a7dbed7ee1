"""The score of the app: made when it is looked at, corrected, undone, saved."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest

from amtsep import formats
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
