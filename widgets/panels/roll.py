"""The piano roll over the spectrogram."""

from __future__ import annotations

from typing import Any

import numpy as np
from traitlets import Bytes, Dict, Instance

from amtsep.notes import Notes
from amtsep.posteriors import DB_FLOOR, DB_STEP, Posteriors
from amtsep.rhythm.bends import A4, bend_curves
from widgets.panels.panel import Panel
from widgets.state.corrections import correct
from widgets.state.curves import pack_curves
from widgets.state.grouping import called_by_sound, given_names, places
from widgets.state.session import Session
from widgets.state.written import pitched

MAX_PICTURE_BYTES = 12_000_000
"""Of the spectrogram as it travels to the browser: longer recordings are thinned in time."""
PICTURE_RANGE_DB = 70.0
LEAST_CONTRAST_DB = 10.0
"""A picture with less holds no sound: silence is shown empty, not as one grey."""
MAX_CURVES = 1500
"""Notes whose pitch curves are drawn at once."""


def pack_notes(notes: Notes, hand_ids: np.ndarray[Any, Any] | None = None) -> bytes:
    """Columns of float32, one after the other: onset, offset, pitch, velocity, confidence, track, number of those made
    by hand (0 = decoded).
    """
    hand = np.zeros(len(notes)) if hand_ids is None else hand_ids
    columns = (notes.onset, notes.offset, notes.pitch, notes.velocity, notes.confidence, notes.track, hand)
    return np.stack([np.asarray(c, np.float32) for c in columns]).tobytes()


def pack_strokes(strokes: Notes, hand_ids: np.ndarray[Any, Any]) -> bytes:
    """Columns of float32: time, General MIDI key, velocity, confidence, number of those made by hand (0 = decoded)."""
    columns = (strokes.onset, strokes.pitch, strokes.velocity, strokes.confidence, hand_ids)
    return np.stack([np.asarray(c, np.float32) for c in columns]).tobytes()


def pack_ghosts(session: Session) -> bytes:
    """What the clean-up has dropped, joined or cut: float32 columns of onset, offset, pitch, track, reason, velocity.

    Reasons are numbers into `amtsep.rhythm.cleanup.REASONS`; 0 stands for the end of a note that is still there. What a
    person has brought back is none.
    """
    tidied, notes = session.tidied, session.notes
    if tidied is None:
        return b""
    before = tidied.before
    gone = tidied.dropped
    cut = np.flatnonzero(tidied.changed)
    was = tidied.source[cut]
    shorter = before.offset[was] > tidied.notes.offset[cut] + 0.005
    cut, was = cut[shorter], was[shorter]
    back = {(int(p), round(float(t), 2)) for p, t in zip(notes.pitch, notes.onset, strict=True)}
    struck = {(p, round(t, 2)) for p, t in session.state.edits.removed}
    there = [
        (int(before.pitch[i]), round(float(before.onset[i]), 2)) not in back | struck for i in gone
    ]  # fmt: skip
    gone = gone[np.array(there, bool)] if len(gone) else gone
    columns = (
        np.concatenate([before.onset[gone], tidied.notes.offset[cut]]),
        np.concatenate([before.offset[gone], before.offset[was]]),
        np.concatenate([before.pitch[gone], before.pitch[was]]),
        np.concatenate([before.track[gone], before.track[was]]),
        np.concatenate([tidied.reason[gone], np.zeros(len(cut))]),
        np.concatenate([before.velocity[gone], before.velocity[was]]),
    )
    return np.stack([np.asarray(c, np.float32) for c in columns]).tobytes()


def thin(picture: np.ndarray[Any, Any], most: int = MAX_PICTURE_BYTES) -> tuple[np.ndarray[Any, Any], int]:
    """Join frames (by their maximum) until the picture is small enough; returns it and how many frames were joined."""
    rows, frames = picture.shape
    step = max(1, -(-rows * frames // most))
    if step > 1:
        padded = np.pad(picture, ((0, 0), (0, -frames % step)))
        picture = padded.reshape(rows, -1, step).max(axis=2)
    return picture, step


def spectrogram_picture(posteriors: Posteriors) -> np.ndarray[Any, Any]:
    """(bins, frames) uint8, 0 to 255 over the upper `PICTURE_RANGE_DB` of this recording."""
    level = posteriors.spectrogram
    if not level.size:
        return level
    some = level[:, :: max(1, level.shape[1] // 4000)]
    highest = float(np.percentile(some, 99.7))
    if highest - float(some.min()) < LEAST_CONTRAST_DB / DB_STEP:
        return np.zeros_like(level)
    top = highest * DB_STEP + DB_FLOOR
    table = np.clip((np.arange(256) * DB_STEP + DB_FLOOR - (top - PICTURE_RANGE_DB)) / PICTURE_RANGE_DB, 0, 1) * 255
    return table.astype(np.uint8)[level]


class Roll(Panel):
    """The notes of a session (or of a `Notes` table alone), drawn over the recording's spectrogram.

    Parameters
    ----------
    session
        A `Session` to follow, or a `Notes` table to show.
    height
        Pixels, where the widget stands alone in a notebook.

    Notes
    -----
    The trait `notes` can be observed; where there is no recording (``Roll(notes)``), setting it shows other notes.
    """

    notes = Instance(Notes)
    notes_data = Bytes(b"").tag(sync=True)
    tracks = Dict().tag(sync=True)
    about = Dict().tag(sync=True)
    picture = Bytes(b"").tag(sync=True)
    reference_data = Bytes(b"").tag(sync=True)
    ghost_data = Bytes(b"").tag(sync=True)
    """What the clean-up took away, see `pack_ghosts`."""
    history = Dict().tag(sync=True)
    stroke_data = Bytes(b"").tag(sync=True)
    """Strokes of drums, see `pack_strokes`."""
    kit = Dict().tag(sync=True)
    """How the drums sound and show."""

    def __init__(self, session: Session | Notes | None = None, height: int = 420, **kwargs: Any) -> None:
        alone = session if isinstance(session, Notes) else None
        super().__init__(Session() if isinstance(session, Notes) else session, panel="roll", **kwargs)
        self._height = height
        if alone is not None:
            self.session.notes = alone
        self.follow(self._on_posteriors, "posteriors")
        self.follow(self._on_notes, "notes")
        self.follow(self._on_tracks, "state")
        self.follow(self._on_history, ["state", "turn", "exports", "steps"])
        self.follow(self._on_reference, "reference")
        self.follow(self._on_strokes, ["strokes", "state"])
        self._on_posteriors()
        self._on_notes()
        self._on_strokes()
        self.observe(self._on_own_notes, "notes")

    def _on_own_notes(self, change: Any) -> None:
        """Notes set from outside."""
        if change["new"] is not self.session.notes:
            if self.session.posteriors is not None:
                self.notes = self.session.notes
                raise ValueError("These notes follow from a recording: change them through the session.")
            self.session.notes = change["new"]

    def _on_posteriors(self, _change: Any = None) -> None:
        posteriors = self.session.posteriors
        if posteriors is None:
            self.about = {"duration": self.session.notes.end, "height": self._height}
            return
        picture, step = thin(spectrogram_picture(posteriors))
        with self.hold_sync():
            self.picture = np.ascontiguousarray(picture.T).tobytes()
            self.about = {
                "duration": posteriors.duration_s,
                "hop": posteriors.hop_s,
                "step": step,
                "bins": int(picture.shape[0]),
                "frames": int(picture.shape[1]),
                "per_octave": posteriors.bins_per_octave,
                "height": self._height,
                "tuning": round(self.session.tuning or A4, 1),
            }

    def _on_reference(self, _change: Any = None) -> None:
        reference = self.session.reference
        self.reference_data = b"" if reference is None else pack_notes(pitched(reference))

    def do_edit(self, message: dict[str, Any], _buffers: Any) -> None:
        """Delete, change, add, split, join or assign notes; delete, change or add drum strokes."""
        correct(self.session, message)

    def do_posterior(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Send the frame posterior as a picture: most people never look at it."""
        posteriors = self.session.posteriors
        if posteriors is None:
            return
        picture, step = thin(np.round(posteriors.frame * 255.0).astype(np.uint8))
        about = {"hop": posteriors.hop_s, "step": step, "bins": len(picture), "frames": int(picture.shape[1])}
        self.send({"do": "posterior", **about}, [np.ascontiguousarray(picture.T).tobytes()])

    def do_bends(self, message: dict[str, Any], _buffers: Any) -> None:
        """Send pitch curves of the notes that sound between two times: those of an hour would take long.

        See `pack_curves` for the answer.
        """
        notes, posteriors = self.session.notes, self.session.posteriors
        first, last = float(message["from"]), float(message["to"])
        if posteriors is None or not np.isfinite(first + last):
            return
        near = np.flatnonzero((notes.onset < last) & (notes.offset > first))[:MAX_CURVES]
        if not len(near):
            self.send({"do": "bends", "curves": []}, [b""])
            return
        # Notes that sound together decide which harmonics can be read: those around are looked at, too.
        around = np.flatnonzero((notes.onset < notes.offset[near].max()) & (notes.offset > notes.onset[near].min()))
        curves = bend_curves(notes.select(around), posteriors)
        about, points = pack_curves(notes, curves, around)
        self.send({"do": "bends", "curves": about}, [points])

    def do_undo(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Take back."""
        self.session.undo()

    def do_redo(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Take again."""
        self.session.redo()

    def _on_strokes(self, _change: Any = None) -> None:
        session = self.session
        kit = session.state.kit
        with self.hold_sync():
            # Asked for, the lane is there to put strokes in, though none was heard.
            lane = kit.when == "on" and session.posteriors is not None
            self.kit = {"volume": kit.volume, "mute": kit.mute, "solo": kit.solo, "hidden": kit.hidden, "lane": lane}
            self.stroke_data = pack_strokes(session.strokes, session.stroke_ids)

    def _on_history(self, _change: Any = None) -> None:
        session = self.session
        self.history = {
            "undo": session.can_undo,
            "redo": session.can_redo,
            "edits": len(session.state.edits) + len(session.state.strokes) + len(session.state.taught),
            "turn": session.turn,
            "unsaved": session.unsaved,
        }

    def _on_tracks(self, _change: Any = None) -> None:
        session = self.session
        views = session.state.tracks
        place = places(session.notes, len(session.notes.tracks))
        decoded = session.posteriors is not None and session.written is None
        names = given_names(session.state, session.written)
        self.tracks = {
            "sure": session.state.decoding.onset_threshold if decoded else 0.0,
            "mix": [{"volume": v.volume, "mute": v.mute, "solo": v.solo, "hidden": v.hidden} for v in views],
            "list": [
                {
                    "name": track.name,
                    "given": bool(i < len(names) and names[i]),
                    "instrument": called_by_sound(session.state, session.written, i),
                    "place": place[i],
                    "program": track.program,
                    "color": views[i].color if i < len(views) else i,
                }
                for i, track in enumerate(session.notes.tracks)
            ],
        }

    def _on_notes(self, _change: Any = None) -> None:
        session = self.session
        self.notes = session.notes
        if session.posteriors is None and session.notes.end > self.about.get("duration", 0.0):
            self._on_posteriors()
        with self.hold_sync():
            self._on_history()
            self._on_tracks()
            self.ghost_data = pack_ghosts(session)
            hand = session.hand_ids if len(session.hand_ids) == len(session.notes) else None
            self.notes_data = pack_notes(session.notes, hand)
