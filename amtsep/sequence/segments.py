"""Segments that know nothing of each other: cut out of a recording's notes, and joined to notes of a whole recording.

A network hears one segment. The slots of a recording are numbered by the order in which they enter, which a segment in
the middle cannot know; so each segment numbers its own, what is held over first (the lowest first), and `join` finds
out which slots of two segments are one timbre: by the notes that are tied from one to the next, and by how they sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from amtsep.decoding import embed_notes
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from amtsep.sequence.tokens import END, PROGRAMS, TIE, Grammar, Tokens, Vocabulary, decode, encode

ALIKE = 0.6
"""Cosine of two timbres' mean embeddings from which they may be one."""
TIED = 1.0
"""What a slot all of whose held notes are tied to a track has over one that has none."""
EMPTY = np.array([TIE, END], np.int32)
"""Tokens of a segment in which nothing sounds."""


def cut(notes: Notes, start_s: float, vocabulary: Vocabulary) -> Tokens:
    """What a network should say of the segment of `notes` that begins at `start_s`, a time of the grid or not."""
    step, length = vocabulary.step_s, vocabulary.segment_s
    onset, offset = notes.onset - start_s, notes.offset - start_s
    inside = np.flatnonzero((onset < length) & (offset > step / 2))
    inside = inside[(onset[inside] > -step / 2) | ~np.array([t.drums for t in notes.tracks])[notes.track[inside]]]
    # A segment earlier everything that is held over begins at once: it cannot be heard which of it began when.
    shifted = Notes.build(
        np.where(onset[inside] > -step / 2, np.maximum(onset[inside], 0.0), -step) + length,
        offset[inside] + length,
        notes.pitch[inside],
        notes.velocity[inside],
        track=notes.track[inside],
        tracks=notes.tracks,
    )
    return encode(shifted, vocabulary, segments=2)[1]


def join(segments: Sequence[Tokens], vocabulary: Vocabulary, posteriors: Posteriors | None = None) -> Notes:
    """Notes of a recording from the tokens of its segments.

    Parameters
    ----------
    segments
        From the recording's start.
    vocabulary
        Of the tokens. Programs mean the same in every segment, and nothing is left to find out.
    posteriors
        Of the recording, for their embeddings; without, slots are joined by ties alone.

    Returns
    -------
    Notes
        A track for each program, or for each timbre in order of entry.
    """
    if vocabulary.kind == "programs":
        return decode(segments, vocabulary)
    wide = replace(vocabulary, slots=PROGRAMS)
    tracks = _Tracks()
    joined: list[Tokens] = []
    for index, tokens in enumerate(segments):
        slots = _slots(tokens, vocabulary, index * vocabulary.segment_s, posteriors)
        which = tracks.assign(slots)
        joined.append(_renamed(tokens, which, vocabulary, wide))
        tracks.sounding = _left_sounding(joined[-1], wide)
    return decode(joined, wide)


class _Slot:
    """What a segment tells of one of its slots."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tied: set[int] = set()
        self.embedding: NDArray[np.float32] | None = None


class _Tracks:
    """Timbres of the segments so far."""

    def __init__(self) -> None:
        self.sums: list[NDArray[np.float32] | None] = []
        self.sounding: set[tuple[int, int]] = set()

    def assign(self, slots: Sequence[_Slot]) -> dict[int, int]:
        """The track of each slot, no track twice; those like none before get new ones."""
        score = np.array([[self._score(slot, track) for track in range(len(self.sums))] for slot in slots])
        which: dict[int, int] = {}
        if score.size:
            pairs = zip(*(side.tolist() for side in linear_sum_assignment(-score)), strict=True)
            which = {slots[row].number: track for row, track in pairs if score[row, track] > 0.0}
        for slot in slots:
            if slot.number not in which:
                if len(self.sums) == PROGRAMS:  # as many as there can be: it shares the last
                    which[slot.number] = PROGRAMS - 1
                    continue
                which[slot.number] = len(self.sums)
                self.sums.append(None)
            track, known = which[slot.number], self.sums[which[slot.number]]
            if slot.embedding is not None:
                self.sums[track] = slot.embedding if known is None else known + slot.embedding
        return which

    def _score(self, slot: _Slot, track: int) -> float:
        tied = [(track, pitch) in self.sounding for pitch in slot.tied]
        score = TIED * float(np.mean(tied)) if tied else 0.0
        known = self.sums[track]
        if known is not None and slot.embedding is not None:
            lengths = float(np.linalg.norm(known) * np.linalg.norm(slot.embedding)) + 1e-9
            score += float(known @ slot.embedding) / lengths - ALIKE
        return score


def _slots(tokens: Tokens, vocabulary: Vocabulary, start_s: float, posteriors: Posteriors | None) -> list[_Slot]:
    """Slots of a segment, with the sum of their notes' embeddings."""
    grammar, found = Grammar(vocabulary), dict[int, _Slot]()
    for token in tokens:
        kind, value = grammar.push(int(token))
        if kind == "voice":
            found.setdefault(value, _Slot(value))
        elif kind == "tie":
            for voice, pitch in grammar.tied:
                found[voice].tied.add(pitch)
    if posteriors is None or posteriors.embedding is None or not found:
        return list(found.values())
    notes = decode([_begin(found.values(), vocabulary), tokens], vocabulary)
    shift = start_s - vocabulary.segment_s
    pitched = notes.select(~np.array([track.drums for track in notes.tracks], bool)[notes.track])
    there = embed_notes(
        Notes.build(
            np.maximum(pitched.onset + shift, 0.0),
            np.maximum(pitched.offset + shift, 0.0) + vocabulary.step_s,
            pitched.pitch,
            track=pitched.track,
            tracks=pitched.tracks,
        ),
        posteriors,
    )
    # A track is called by its slot's number.
    numbers = {f"Timbre {number + 1}": number for number in found}
    for track, own in there.by_track():
        if len(own):
            found[numbers[track.name]].embedding = own.embedding.sum(axis=0)
    return list(found.values())


def _begin(slots: Iterable[_Slot], vocabulary: Vocabulary) -> Tokens:
    """A segment before, at whose last step all that is tied begins."""
    token = vocabulary.token
    said = [TIE, token("time", vocabulary.steps - 1), token("velocity", 1)]
    for slot in slots:
        said += [token("slot", slot.number), *(token("pitch", pitch) for pitch in sorted(slot.tied))]
    return np.array([*said, END], np.int32)


def _renamed(tokens: Tokens, which: dict[int, int], vocabulary: Vocabulary, wide: Vocabulary) -> Tokens:
    """The same tokens with other slots, in a vocabulary that has more of them."""
    said = []
    for token in tokens:
        kind, value = vocabulary.meaning(int(token))
        if kind in wide.ranges:
            said.append(wide.token(kind, which[value] if kind == "slot" else value))
        else:
            said.append(int(token))
    return np.array(said, np.int32)


def _left_sounding(tokens: Tokens, vocabulary: Vocabulary) -> set[tuple[int, int]]:
    grammar = Grammar(vocabulary)
    for token in tokens:
        grammar.push(int(token))
    return set(grammar.sounding)
