"""Clips for training, mixed on the fly from a bank of stems: audio, targets, and who plays what."""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.config import MIDI_MIN, N_PITCHES, FrontEnd, Mixing
from amtsep.drums import CLASSES, class_of_key
from amtsep.errors import DataError
from amtsep.loudness import condition
from amtsep.notes import Notes
from amtsep.synthesis import augment, effects
from amtsep.synthesis.bank import DRUMS, PATCH_PROGRAM, VOICE, Bank, Stem
from amtsep.synthesis.guard import refuse_stems

N_ROOMS = 48


@dataclass(frozen=True, eq=False)
class Clip:
    """A training example.

    Parameters
    ----------
    audio
        (n,) float32 at the front end's rate, normalised as this says, mean energy near one.
    notes
        (m, 5) float32: onset and offset in seconds (an onset before the clip is negative), pitch, part, and where the
        note is let go or has died away before (its end by the key).
    timbres
        Index into the bank's timbres, a value a part; no timbre twice.
    families
        (parts,) what each is of: two timbres of one family in different clips may be one instrument in two collections.
    strokes
        (k, 2) float32: time in seconds and class (`amtsep.drums`) of the drum strokes, -1 for hand percussion.
    drumless
        (n,) float32, `audio` without its drums where `Mixing.drumless` asks for it, at the level that it has by itself.
    """

    audio: NDArray[np.float32]
    notes: NDArray[np.float32]
    timbres: NDArray[np.int64]
    families: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    strokes: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    drumless: NDArray[np.float32] | None = None


def clip_notes(clip: Clip, duration_s: float, by_key: bool = False, parts: bool = False) -> Notes:
    """The truth of a clip: notes that start in it, to where they are let go or to where they have sounded.

    With `parts` each part is a track.
    """
    rows = clip.notes[(clip.notes[:, 0] >= 0.0) & (clip.notes[:, 0] < duration_s - 0.05)]
    end = np.maximum(rows[:, 4 if by_key else 1], rows[:, 0] + 0.01)
    track = rows[:, 3] if parts else None
    return Notes.build(rows[:, 0], np.minimum(end, duration_s), rows[:, 2], track=track)


def kind_of(stem: Stem) -> str:
    """Which of `Mixing.sources` a stem belongs to."""
    if stem.source in ("guitarset", "recordings"):
        return "real"
    if stem.source == "synthetic":
        return "synthetic"
    if stem.source == VOICE:
        return "voice"
    if stem.program == PATCH_PROGRAM:
        return "patch"
    return "soundfont" if stem.program >= 0 else "recorded"


KINDS = ("recorded", "soundfont", "synthetic", "real", "patch", "voice")
"""What `kind_of` says."""
SONG_ROLES: tuple[tuple[str, ...], ...] = (
    ("bass",),
    ("piano", "keys", "guitar", "organ"),
    ("guitar", "piano", "keys", "organ", "plucked", "mallet"),
    ("voice", "reed", "brass", "pipe", "strings", "synth"),
    ("strings", "synth", "organ", "voice", "synthetic"),
)
"""Categories of what plays in a song: bass, chords, and in any order more chords, a lead, a pad."""
SCORES = ("random", "music")
"""What `Stem.kind` says."""


@dataclass(frozen=True)
class LeaveOut:
    """Stems not to draw from, for ablations."""

    families: frozenset[str] = frozenset()
    """Instrument families."""
    sources: frozenset[str] = frozenset()
    """Kinds of sound (`KINDS`) or names of collections and soundfonts (`Stem.source`)."""
    scores: frozenset[str] = frozenset()
    """Kinds of scores (`SCORES`)."""

    def keeps(self, stem: Stem) -> bool:
        """Whether `stem` may be drawn."""
        return not (
            stem.family in self.families
            or stem.source in self.sources
            or kind_of(stem) in self.sources
            or stem.kind in self.scores
        )

    def check(self, bank: Bank) -> None:
        """Raise `DataError` for a name that nothing in `bank` has: an ablation that leaves nothing out misleads."""
        known = {
            "family": (self.families, {s.family for s in bank.stems}),
            "source": (self.sources, {s.source for s in bank.stems} | set(KINDS)),
            "score": (self.scores, set(SCORES)),
        }
        for what, (names, there) in known.items():
            for name in sorted(names - there):
                raise DataError(f"The bank knows no {what} '{name}' to leave out; it has {', '.join(sorted(there))}.")


class Mixer:
    """Draws clips from a bank; clip ``i`` of a seed is always the same.

    Parameters
    ----------
    bank
        The stems.
    mixing, front_end
        Settings.
    seed
        Of everything that is drawn.
    split
        ``"train"`` (never a held-out timbre) or ``"dev"``.
    leave_out
        Stems not to use.
    timbres
        Draw from so many timbres alone, chosen by `seed`; ``None`` draws from all.
    """

    def __init__(
        self,
        bank: Bank,
        mixing: Mixing = Mixing(),  # noqa: B008 - frozen
        front_end: FrontEnd = FrontEnd(),  # noqa: B008
        seed: int = 0,
        split: str = "train",
        leave_out: LeaveOut = LeaveOut(),  # noqa: B008
        timbres: int | None = None,
    ) -> None:
        self.bank, self.mixing, self.front_end, self.seed = bank, mixing, front_end, seed
        refuse_stems(bank.stems)
        usable = [
            i
            for i, stem in enumerate(bank.stems)
            if stem.split == split and (split != "train" or not stem.held_out) and leave_out.keeps(stem)
        ]
        self._drums = [i for i in usable if bank.stems[i].category == DRUMS]
        usable = [i for i in usable if bank.stems[i].category != DRUMS]
        if not usable:
            raise DataError(
                f"The bank holds no stems of the split '{split}', or all were left out: make a larger one with "
                "'amtsep synthesize --hours', or leave less out"
                + ("." if split == "train" else " (a training does without them with --dev-clips 0).")
            )
        if timbres is not None:
            every = sorted({bank.stems[i].timbre for i in usable})
            few = set(np.random.default_rng([seed, 5]).permutation(every)[:timbres].tolist())
            usable = [i for i in usable if bank.stems[i].timbre in few]
        # Drawing a timbre first, then a stem of it, lets a rare instrument be heard as often as a piano.
        by_timbre: dict[str, list[int]] = defaultdict(list)
        by_piece: dict[str, list[int]] = defaultdict(list)
        for i in usable:
            by_timbre[bank.stems[i].timbre].append(i)
            piece = bank.stems[i].piece
            if piece is not None:
                by_piece[piece].append(i)
        self._names = sorted(by_timbre)
        families = sorted({bank.stems[i].family for i in usable})
        self._family = np.array([families.index(bank.stems[by_timbre[name][0]].family) for name in self._names])
        self._by_timbre = [by_timbre[name] for name in self._names]
        self._index = {name: k for k, name in enumerate(self._names)}
        self._pieces = [stems for _, stems in sorted(by_piece.items()) if len(stems) > 1]
        # Square root: between every timbre alike and every stem alike.
        weights = np.sqrt([len(stems) for stems in self._by_timbre])
        kinds = np.array([kind_of(bank.stems[stems[0]]) for stems in self._by_timbre])
        shares = dict(mixing.sources)
        for kind in set(kinds.tolist()):
            weights[kinds == kind] *= shares.get(kind, 0.0) / weights[kinds == kind].sum()
        if not weights.sum():
            raise DataError(
                f"The bank has none of the kinds in Mixing.sources: it has {', '.join(sorted(set(kinds)))}."
            )
        self._weights = weights / weights.sum()
        self._categories = np.array([bank.stems[stems[0]].category for stems in self._by_timbre])
        rng = np.random.default_rng([seed, 1])
        self._rooms = [augment.impulse_response(rng, front_end.sample_rate) for _ in range(N_ROOMS)]

    @property
    def n_samples(self) -> int:
        """Length of a clip: whole frames."""
        front_end = self.front_end
        return round(self.mixing.clip_s * front_end.sample_rate / front_end.hop_length) * front_end.hop_length

    def instruments(self) -> list[tuple[int, str]]:
        """Program (negative: none) and family of every timbre, by the index that `Clip.timbres` has."""
        first = [self.bank.stems[stems[0]] for stems in self._by_timbre]
        return [(stem.program, stem.family) for stem in first]

    def clip(self, index: int) -> Clip:
        """Clip number `index`."""
        rng = np.random.default_rng([self.seed, 2, index])
        mixing, rate = self.mixing, self.front_end.sample_rate
        # The mix is put together as long as it has to be to fill the clip at the speed that it will be read at.
        n = self._read_length(index)
        weights = np.asarray(mixing.parts)
        count = int(rng.choice(len(weights), p=weights / weights.sum())) + 1
        together = count > 1 and bool(self._pieces) and rng.random() < mixing.same_piece
        if together:
            stems = self._draw_piece(rng, count)
        elif count > 1 and rng.random() < mixing.song:
            stems = self._draw_song(rng, count)
        else:
            stems = self._draw_any(rng, count)
        with_drums = bool(self._drums) and rng.random() < (mixing.drums if count > 1 else 0.5 * mixing.drums)
        latest = max(self.bank.clip_samples - n, 0)
        common = int(rng.integers(latest + 1))
        mix = np.zeros(n, np.float32)
        rows: list[NDArray[np.float32]] = []
        kept: list[int] = []
        grid = augment.spectrum_grid(n, rate) if mixing.augment else None
        for stem in stems:
            start = common if together else int(rng.integers(latest + 1))
            audio = self.bank.audio(stem)[start : start + n].astype(np.float32) / 32768.0
            audio = np.pad(audio, (0, n - len(audio)))
            notes = self._notes(stem, start, n)
            power = float(np.mean(audio**2))
            if power < 1e-9 or not len(notes):
                continue
            if grid is not None and rng.random() < mixing.part_equalizer:
                audio = augment.filter_zero_phase(audio, rate, [augment.random_curve(rng, grid, 5.0)], None)
            if grid is not None and rng.random() < mixing.effects:
                audio = effects.electric(rng, audio, rate, self.bank.stems[stem].category)
            gain = 10.0 ** (np.clip(rng.normal(0.0, mixing.part_gain_db), -18.0, 12.0) / 20.0)
            mix += audio * np.float32(gain if together or count > 1 else 1.0)
            timbre = self._index[self.bank.stems[stem].timbre]
            if timbre not in kept:
                kept.append(timbre)
            # Two stems of one timbre (a guitar's chords and its solo) are one part: nothing tells them apart.
            notes[:, 3] = kept.index(timbre)
            rows.append(notes)
        table = np.concatenate(rows) if rows else np.zeros((0, 5), np.float32)
        strokes = np.zeros((0, 2), np.float32)
        drumless: NDArray[np.float32] | None = None
        if with_drums:
            if rng.random() < mixing.drums_alone:
                mix, table, kept = np.zeros_like(mix), table[:0], []
            drumless = mix.copy() if mixing.drumless else None
            strokes = self._add_drums(rng, mix, latest, grid)
        if n != self.n_samples:
            speed = n / self.n_samples
            table[:, [0, 1, 4]] /= np.float32(speed)
            strokes[:, 0] /= np.float32(speed)
            grid = augment.spectrum_grid(self.n_samples, rate) if grid is not None else None
        # With the same chance as the whole mix: the two differ by the drums alone.
        heard = self._recorded(copy.deepcopy(rng), drumless, grid) if drumless is not None else None
        audio = self._recorded(rng, mix, grid)
        if mixing.drumless and heard is None:
            heard = audio
        return Clip(audio, table, np.asarray(kept, np.int64), self._family[kept].astype(np.int64), strokes, heard)

    def _recorded(
        self, rng: np.random.Generator, mix: NDArray[np.float32], grid: NDArray[np.float64] | None
    ) -> NDArray[np.float32]:
        """A mix as a recording of it may be, in the clip's length and at a level that the network may meet it at."""
        mixing, rate = self.mixing, self.front_end.sample_rate
        if len(mix) != self.n_samples:
            mix = resampled(mix, self.n_samples)
        audio = self._spoil(rng, mix, grid) if grid is not None else mix
        if self.front_end.normalisation == "running":
            if grid is not None and rng.random() < mixing.dynamics:
                audio = augment.change_level(rng, audio, rate, mixing.dynamics_db)
            audio = condition(audio, self.front_end)
        low, high = mixing.level_db if mixing.augment else (0.0, 0.0)
        level = 10.0 ** (rng.uniform(low, high) / 20.0)
        if self.front_end.normalisation == "mean":
            level /= np.sqrt(np.mean(audio**2)) + 1e-6
        return audio * np.float32(level)

    def _read_length(self, index: int) -> int:
        """Samples of stems that clip number `index` is made of: another number than its own where it is detuned."""
        # A generator of its own: whether a clip is detuned changes nothing else that is drawn for it.
        rng, mixing, n = np.random.default_rng([self.seed, 6, index]), self.mixing, self.n_samples
        if not mixing.augment or mixing.tuning_cents <= 0.0 or rng.random() >= mixing.tuning:
            return n
        # Near the edges a note lies between two pitches and its label is as good as either: these are rare.
        cents = rng.triangular(-mixing.tuning_cents, 0.0, mixing.tuning_cents)
        return min(round(n * 2.0 ** (cents / 1200.0)), max(self.bank.clip_samples, n))

    def _add_drums(
        self, rng: np.random.Generator, mix: NDArray[np.float32], latest: int, grid: NDArray[np.float64] | None
    ) -> NDArray[np.float32]:
        """Add a stem of drums to `mix`, in place; its strokes as in `Clip`."""
        mixing, rate, n = self.mixing, self.front_end.sample_rate, len(mix)
        stem = self._drums[int(rng.integers(len(self._drums)))]
        start = int(rng.integers(latest + 1))
        audio = self.bank.audio(stem)[start : start + n].astype(np.float32) / 32768.0
        audio = np.pad(audio, (0, n - len(audio)))
        low, high = mixing.drum_level_db
        level_db = rng.uniform(low, high)
        if grid is not None:
            curves = [augment.random_curve(rng, grid, 4.0)] if rng.random() < mixing.part_equalizer else []
            room = self._rooms[int(rng.integers(N_ROOMS))] if rng.random() < 0.5 else None
            if curves or room is not None:
                audio = augment.filter_zero_phase(audio, rate, curves, room)
            if rng.random() < 0.4:
                audio = augment.clip_softly(rng, audio)
        power, own = float(np.mean(mix**2)), float(np.mean(audio**2))
        if own > 1e-9:
            mix += audio * np.float32(np.sqrt(max(power, 1e-6) / own) * 10.0 ** (level_db / 20.0))
        notes: Any = self.bank.notes(stem)
        times = notes["onset"] - start / rate
        inside = (times >= 0.0) & (times < n / rate)
        classes = [class_of_key(int(key)) for key in notes["pitch"][inside]]
        return np.stack([times[inside], np.asarray(classes)], axis=1).astype(np.float32)

    def _draw_song(self, rng: np.random.Generator, count: int) -> list[int]:
        """A bass, chords, and what else a song has: timbres drawn by what they can be in it."""
        roles = [*SONG_ROLES[:2], *rng.permutation(np.array(SONG_ROLES[2:], dtype=object)).tolist()][:count]
        chosen: list[int] = []
        for role in roles:
            weight = np.where(np.isin(self._categories, role), self._weights, 0.0)
            weight[chosen] = 0.0
            if weight.sum() > 0.0:
                chosen.append(int(rng.choice(len(weight), p=weight / weight.sum())))
        return [self._by_timbre[t][int(rng.integers(len(self._by_timbre[t])))] for t in chosen] or self._draw_any(
            rng, count
        )

    def _draw_piece(self, rng: np.random.Generator, count: int) -> list[int]:
        stems = self._pieces[int(rng.integers(len(self._pieces)))]
        chosen = rng.permutation(len(stems))[: max(count, 2)]
        return [stems[int(k)] for k in chosen]

    def _draw_any(self, rng: np.random.Generator, count: int) -> list[int]:
        count = min(count, len(self._names))
        timbres = rng.choice(len(self._names), count, replace=False, p=self._weights)
        return [self._by_timbre[int(t)][int(rng.integers(len(self._by_timbre[int(t)])))] for t in timbres]

    def _notes(self, stem: int, start: int, n: int) -> NDArray[np.float32]:
        notes: Any = self.bank.notes(stem)
        rate = self.front_end.sample_rate
        table = np.zeros((len(notes), 5), np.float32)
        table[:, 0] = notes["onset"] - start / rate
        table[:, 1] = notes["offset"] - start / rate
        table[:, 2] = notes["pitch"]
        # What has died away before its key was let go has no other end that could be heard.
        table[:, 4] = np.minimum(notes["key_offset"], notes["offset"]) - start / rate
        return table[(table[:, 1] > 0.0) & (table[:, 0] < n / rate)]

    def _spoil(
        self, rng: np.random.Generator, mix: NDArray[np.float32], grid: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        mixing, rate = self.mixing, self.front_end.sample_rate
        curves: list[NDArray[np.float64]] = []
        if rng.random() < mixing.equalizer:
            curves.append(augment.random_curve(rng, grid, 4.0))
        if rng.random() < mixing.band_limit:
            curves.append(augment.band_limit_curve(rng, grid))
        room = self._rooms[int(rng.integers(N_ROOMS))] if rng.random() < mixing.room else None
        if curves or room is not None:
            mix = augment.filter_zero_phase(mix, rate, curves, room)
        if rng.random() < mixing.compression:
            mix = effects.compress(rng, mix, rate)
        if rng.random() < mixing.clipping:
            mix = augment.clip_softly(rng, mix)
        if rng.random() < mixing.noise:
            mix = augment.add_noise(rng, mix)
        if rng.random() < mixing.hum:
            mix = augment.add_hum(rng, mix, rate)
        if rng.random() < mixing.codec:
            mix = augment.through_codec(rng, mix, rate)
        return mix


def resampled(samples: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """All of `samples` (n,) in `length` samples, band-limited: played faster or slower."""
    import soxr

    out = np.zeros(length, np.float32)
    made = soxr.resample(samples, len(samples), length, quality="MQ")[:length]
    out[: len(made)] = made
    return out


def pulse(row: NDArray[np.float32], time: float) -> None:
    """Mark a time (in frames) in a row of targets: 1 within half a frame, falling to 0 one frame further."""
    first, last = max(int(np.floor(time - 1.5)), 0), min(int(np.ceil(time + 1.5)) + 1, len(row))
    if first < last:
        np.maximum(row[first:last], np.clip(1.5 - np.abs(np.arange(first, last) - time), 0.0, 1.0), out=row[first:last])


def offset_targets(notes: NDArray[np.float32], n_frames: int, hop_s: float) -> NDArray[np.float32]:
    """(88, T) float32: where notes end by the key, with the same soft edges as onsets; what sounds on has none."""
    offset = np.zeros((N_PITCHES, n_frames), np.float32)
    for pitch, key_s in notes[:, [2, 4]]:
        row, end = int(pitch) - MIDI_MIN, key_s / hop_s
        if 0 <= row < N_PITCHES and end < n_frames - 0.5:
            pulse(offset[row], end)
    return offset


def stroke_targets(strokes: NDArray[np.float32], n_frames: int, hop_s: float) -> NDArray[np.float32]:
    """(5, T) float32: where drums are struck, by class."""
    found = np.zeros((len(CLASSES), n_frames), np.float32)
    for time, kind in strokes:
        if kind >= 0:
            pulse(found[int(kind)], time / hop_s)
    return found


def targets(notes: NDArray[np.float32], n_frames: int, hop_s: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the network should say for these notes.

    Parameters
    ----------
    notes
        (m, 3) or more columns: onset, offset in seconds, pitch, …
    n_frames, hop_s
        Frame t is centred on ``t * hop_s``.

    Returns
    -------
    onset, frame
        (88, T) float32. An onset is 1 within half a frame of its time and falls to 0 one frame further, so the targets
        know the time between two frames. A frame is 1 from onset to offset, and a fraction where a note starts or ends
        within it.
    """
    onset = np.zeros((N_PITCHES, n_frames), np.float32)
    frame = np.zeros((N_PITCHES, n_frames), np.float32)
    for start_s, end_s, pitch in notes[:, :3]:
        row = int(pitch) - MIDI_MIN
        if not 0 <= row < N_PITCHES:
            continue
        start, end = start_s / hop_s, end_s / hop_s
        if start > -0.5:
            pulse(onset[row], start)
        first, last = max(int(np.floor(start - 0.5)), 0), min(int(np.ceil(end + 0.5)) + 1, n_frames)
        if first < last:
            cells = np.arange(first, last)
            overlap = np.clip(np.minimum(cells + 0.5, end) - np.maximum(cells - 0.5, start), 0.0, 1.0)
            np.maximum(frame[row, first:last], overlap, out=frame[row, first:last])
    return onset, frame
