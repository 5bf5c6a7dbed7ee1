"""Notation (out only) as MusicXML: bars from beats, note values, voices; it holds no confidence and no embedding."""

from __future__ import annotations

from pathlib import Path

from amtsep.config import Quantisation
from amtsep.errors import FormatError
from amtsep.formats.files import Target, write_file
from amtsep.formats.notation import musicxml_text
from amtsep.notes import Notes
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.metre import Metre
from amtsep.rhythm.score import make_score


def musicxml_bytes(
    notes: Notes,
    tempo: float | None = None,
    title: str = "",
    beats: Beats | None = None,
    quantisation: Quantisation = Quantisation(),  # noqa: B008 - frozen
    metre: Metre | None = None,
) -> bytes:
    """Notation of a recording.

    Parameters
    ----------
    notes
        At least one.
    tempo
        Beats a minute: a steady grid instead of the beats of the music.
    title
        Over the score.
    beats
        Of the recording; by default, and where there are none in it, they are found in the notes (or laid at `tempo`).
    quantisation
        See `amtsep.config.Quantisation`.
    metre
        Of all bars, where no beats are given; by default it is found, too.

    Raises
    ------
    FormatError
        If there is nothing to write.
    """
    if not len(notes):
        raise FormatError("There are no notes to write as MusicXML; lower the thresholds first.")
    if beats is None or not len(beats):
        from amtsep.rhythm.tracking import track_beats

        beats = track_beats(notes) if tempo is None else Beats.steady(tempo, notes.end)
        beats = beats if metre is None else beats.with_metre(metre)
    return musicxml_text(make_score(notes, beats, quantisation), title).encode("utf-8")


def write_musicxml(
    notes: Notes,
    path: Target,
    tempo: float | None = None,
    title: str = "",
    beats: Beats | None = None,
    quantisation: Quantisation = Quantisation(),  # noqa: B008 - frozen
    metre: Metre | None = None,
) -> Path:
    """Write a MusicXML file (.musicxml); see `musicxml_bytes`."""
    return write_file(path, musicxml_bytes(notes, tempo, title, beats, quantisation, metre))
