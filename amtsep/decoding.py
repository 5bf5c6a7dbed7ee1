"""Posteriors and thresholds to notes, fast enough to run while a slider is dragged.

The rule is that of Basic Pitch (Bittner et al. 2022) with its details put to the test: peaks of the onset posterior
start notes, a note lasts until the frame posterior has stayed under its threshold for the energy tolerance or until its
pitch starts again, and what the frame posterior still holds after that may become notes without an onset. What does not
depend on a threshold (peaks and their times, levels, sums) is computed once, in `Decoder`; a slider step only selects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from amtsep.config import MIDI_MIN, Decoding, DrumDecoding
from amtsep.drums import CLASS_KEYS
from amtsep.notes import Notes, Track
from amtsep.posteriors import DB_STEP, Posteriors

Index = NDArray[np.intp]
Values = NDArray[np.float32]

SMOOTHING = tuple(math.comb(8, k) / 256 for k in range(9))
"""Of the onset posterior over time before its peaks are taken: a soft attack spreads over neighbouring frames."""
SURE_HEIGHT = 0.492
"""What a sure onset keeps after the smoothing, wherever it lies between two frames (half, one, half; or one, one)."""
TIMING_REACH = 8
"""Frames either side of a peak whose onset posterior tells the note's time. It is the mean of a distribution: where a
bow sets in slowly the posterior is wide, often with a bump where the sound can first be heard, and the time with the
least error lies between."""
PEAK_FLOOR = 0.02
"""Peaks under this height are never notes; the sliders start here."""
BLOCK_ROWS = 4
"""Rows taken at once where whole arrays would need copies: an hour of audio stays in memory, and in the cache."""
BLOCK_CELLS = 1 << 16
"""Frames of notes whose embeddings are averaged at once."""
RELEASE_REACH = 6
"""Frames after a note's frame posterior has gone in which its release may still lie."""
RELEASE_S = 0.02
"""Seconds that a note may sound on after it was let go, where both are heeded: what bows and breath take to cease, and
less than a room or a piano's strings ring on."""
LEVEL_FRAMES = 8
"""Frames after the onset in which the level of a note is taken."""
LOUD_VELOCITY, VELOCITY_PER_DB = 108.0, 1.6
"""A note as loud as the loudest of the recording gets the first; every dB less costs the second."""


@dataclass(frozen=True, eq=False)
class Peaks:
    """Candidates for onsets, sorted by row, then time: row (pitch - 21), frame, height, and time in seconds."""

    row: Index
    frame: Index
    height: Values
    time: NDArray[np.float64]

    def select(self, mask: NDArray[np.bool_]) -> Peaks:
        """Those where `mask` is true."""
        return Peaks(self.row[mask], self.frame[mask], self.height[mask], self.time[mask])


def smooth(posterior: Values) -> Values:
    """Weighted mean over the frames of `SMOOTHING`, a sure onset 1 high, (rows, T); silence lies beyond the ends.

    Reaches twice the height of a sure onset where the posterior stays up for long.
    """
    half = len(SMOOTHING) // 2
    n_frames = posterior.shape[1]
    padded = np.pad(posterior, ((0, 0), (half, half)))
    result = np.float32(SMOOTHING[half]) * posterior
    both = np.empty_like(result)
    for k in range(half):
        np.add(padded[:, k : k + n_frames], padded[:, 2 * half - k :][:, :n_frames], out=both)
        both *= np.float32(SMOOTHING[k])
        result += both
    result /= np.float32(SURE_HEIGHT)
    return result


def rises(frame: Values) -> Values:
    """Rise of the frame posterior over one and over two frames, whichever is less; (rows, T)."""
    rise = np.zeros_like(frame)
    if frame.shape[1] > 2:
        rise[:, 2:] = np.minimum(frame[:, 2:] - frame[:, 1:-1], frame[:, 2:] - frame[:, :-2])
    return rise


def all_peaks(onset: Values, frame: Values | None, hop_s: float) -> Peaks:
    """Peaks of the smoothed onset posterior; given `frame`, joined with its rises, scaled to the onsets."""
    blocks = [slice(row, row + BLOCK_ROWS) for row in range(0, onset.shape[0], BLOCK_ROWS)]
    highest = max((float(rises(frame[b]).max(initial=0.0)) for b in blocks), default=0.0) if frame is not None else 0.0
    scale = np.float32(float(onset.max(initial=0.0)) / highest) if highest > 0.0 else np.float32(0.0)
    found = []
    for block in blocks:
        height = onset[block]
        if frame is not None and scale > 0.0:
            height = np.maximum(height, rises(frame[block]) * scale)
        found.append(find_peaks(height, hop_s, block.start))
    return Peaks(*(np.concatenate([getattr(p, name) for p in found]) for name in Peaks.__dataclass_fields__))


def find_peaks(height: Values, hop_s: float, first_row: int = 0) -> Peaks:
    """Local maxima over time of every row, smoothed; their times are the means of what lies around them."""
    smoothed = smooth(height)
    top = smoothed >= -0.5 * np.log2(1.0 - PEAK_FLOOR)
    top[:, 1:] &= smoothed[:, 1:] > smoothed[:, :-1]
    top[:, :-1] &= smoothed[:, :-1] >= smoothed[:, 1:]
    rows, times = np.divmod(np.flatnonzero(top), height.shape[1])
    here = smoothed[rows, times]
    padded = np.pad(height, ((0, 0), (TIMING_REACH, TIMING_REACH)))
    places = rows * padded.shape[1] + times
    weight, moment = np.full(len(rows), 1e-6), np.zeros(len(rows))
    for shift in range(-TIMING_REACH, TIMING_REACH + 1):
        value = padded.reshape(-1)[places + (TIMING_REACH + shift)]
        weight += value
        moment += shift * value
    seconds = np.maximum((times + moment / weight) * hop_s, 0.0)
    # From [0, 2] into [0, 1): half the height of a sure onset stays 0.5, and no two heights become equal.
    return Peaks(rows + first_row, times, (1.0 - np.exp2(-2.0 * here)).astype(np.float32), seconds)


def spans(start: Index, stop: Index) -> tuple[Index, Index]:
    """Frames of all spans one after the other, and where each span begins among them (no span may be empty)."""
    count = stop - start
    begins = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.intp)
    return np.arange(int(count.sum())) - np.repeat(begins - start, count), begins


def sum_spans(values: Values, row: Index, start: Index, stop: Index) -> NDArray[np.float64]:
    """Sums of ``values[row, start:stop]``, one a span."""
    if not len(row):
        return np.zeros(0)
    frames, begins = spans(start, stop)
    return np.add.reduceat(values[np.repeat(row, stop - start), frames], begins, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Segments:
    """Stretches in which a row sounds, gaps shorter than the tolerance closed; sorted by row, then start (frames)."""

    row: Index
    start: Index
    end: Index


def tolerance_frames(decoding: Decoding, hop_s: float) -> int:
    """The energy tolerance in frames, halves up."""
    return math.floor(decoding.energy_tolerance / hop_s + 0.5)


def find_segments(frame: Values, threshold: float, tolerance: int) -> Segments:
    """Stretches of frames at or over the threshold, joined where fewer than `tolerance` frames lie between them."""
    blocks = [
        _segments(frame[row : row + BLOCK_ROWS], threshold, tolerance, row) for row in range(0, len(frame), BLOCK_ROWS)
    ]
    return Segments(*(np.concatenate([getattr(b, n) for b in blocks]) for n in Segments.__dataclass_fields__))


def _segments(frame: Values, threshold: float, tolerance: int, first_row: int) -> Segments:
    n_rows, n_frames = frame.shape
    padded = np.zeros((n_rows, n_frames + 1), bool)
    np.greater_equal(frame, threshold, out=padded[:, :-1])
    flat = padded.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[0]:
        edges = np.concatenate([[0], edges])
    starts, ends = edges[0::2], edges[1::2]
    width = n_frames + 1
    row = starts // width
    if len(starts) > 1:
        joined = (row[1:] == row[:-1]) & (starts[1:] - ends[:-1] < tolerance)
        starts, ends = starts[np.concatenate([[True], ~joined])], ends[np.concatenate([~joined, [True]])]
        row = starts // width
    return Segments(row + first_row, starts - row * width, ends - row * width)


def drop_crowded(peaks: Peaks, min_frames: float) -> Peaks:
    """Of peaks on one row that are closer than the shortest note keep the higher ones."""
    close = np.flatnonzero((np.diff(peaks.row) == 0) & (np.diff(peaks.frame) < min_frames))
    if not len(close):
        return peaks
    keep = np.ones(len(peaks.row), bool)
    involved = np.union1d(close, close + 1)
    frames, rows = peaks.frame.tolist(), peaks.row.tolist()
    for index in involved[np.argsort(-peaks.height[involved], kind="stable")].tolist():
        if not keep[index]:
            continue
        for step in (-1, 1):
            other = index + step
            while 0 <= other < len(frames) and rows[other] == rows[index]:
                if abs(frames[other] - frames[index]) >= min_frames:
                    break
                keep[other] = False
                other += step
    return peaks.select(keep)


class Decoder:
    """Everything about a recording's posteriors that no threshold changes; call it with thresholds to get notes.

    Parameters
    ----------
    posteriors
        Of one recording.

    Examples
    --------
    >>> import numpy as np
    >>> onset, frame = np.zeros((2, 88, 100), np.float32)
    >>> onset[39, 10], frame[39, 10:50] = 0.9, 0.8
    >>> decoder = Decoder(Posteriors(onset, frame, np.zeros((306, 100), np.uint8), hop_s=0.01, duration_s=1.0))
    >>> notes = decoder(Decoding(onset_threshold=0.3))
    >>> int(notes.pitch[0]), round(float(notes.onset[0]), 2), round(float(notes.offset[0]), 3)
    (60, 0.1, 0.495)
    """

    def __init__(self, posteriors: Posteriors) -> None:
        self.posteriors = posteriors
        spectrogram = posteriors.spectrogram
        self._loudest = float(np.percentile(spectrogram.max(axis=0), 98)) if spectrogram.size else 0.0

    @cached_property
    def _plain(self) -> Peaks:
        return all_peaks(self.posteriors.onset, None, self.posteriors.hop_s)

    @cached_property
    def _joined(self) -> Peaks:
        return all_peaks(self.posteriors.onset, self.posteriors.frame, self.posteriors.hop_s)

    @cached_property
    def _releases(self) -> Peaks | None:
        offset = self.posteriors.offset
        return None if offset is None else all_peaks(offset, None, self.posteriors.hop_s)

    def onset_peaks(self, inferred: bool = True) -> Values:
        """Heights of all candidate onsets, for a histogram beside the slider."""
        return (self._joined if inferred else self._plain).height

    def __call__(self, decoding: Decoding = Decoding()) -> Notes:  # noqa: B008 - frozen
        """Notes at these thresholds."""
        posteriors, hop_s = self.posteriors, self.posteriors.hop_s
        if not posteriors.n_frames:
            return Notes.empty()
        peaks = self._joined if decoding.inferred_onsets else self._plain
        low, high = decoding.min_pitch - MIDI_MIN, decoding.max_pitch - MIDI_MIN
        peaks = peaks.select(
            (peaks.height >= max(decoding.onset_threshold, PEAK_FLOOR)) & (peaks.row >= low) & (peaks.row <= high)
        )
        peaks = drop_crowded(peaks, decoding.min_note_length / hop_s)
        tolerance = tolerance_frames(decoding, hop_s)
        segments = find_segments(posteriors.frame, decoding.frame_threshold, tolerance)
        end, owner = self._ends(peaks, segments, tolerance)
        offset = np.minimum((end - 0.5) * hop_s, posteriors.duration_s)
        if decoding.ends != "sound" and self._releases is not None:
            released = self._released(self._releases, peaks, end, offset, decoding)
            ceased = np.clip(offset, released, released + RELEASE_S)
            offset = np.minimum(ceased, posteriors.duration_s) if decoding.ends == "auto" else released
        struck_again = np.flatnonzero(np.diff(peaks.row) == 0)
        offset[struck_again] = np.minimum(offset[struck_again], peaks.time[struck_again + 1])
        long_enough = offset - peaks.time >= max(decoding.min_note_length, 0.5 * hop_s)
        row, onset_s = peaks.row[long_enough], peaks.time[long_enough]
        offset_s, confidence = offset[long_enough], peaks.height[long_enough]
        first = peaks.frame[long_enough]
        if decoding.leftover_notes:
            start, stop, rows, mean = self._leftovers(peaks, owner, segments, decoding)
            row, first = np.concatenate([row, rows]), np.concatenate([first, start])
            onset_s = np.concatenate([onset_s, start * hop_s])
            offset_s = np.concatenate([offset_s, np.minimum((stop - 0.5) * hop_s, posteriors.duration_s)])
            # Less sure than any note with an onset: the evidence for a start is missing.
            confidence = np.concatenate([confidence, 0.5 * decoding.onset_threshold * mean])
            # An onset's time may lie before its peak, in what is left over.
            order = np.lexsort((onset_s, row))
            same = np.flatnonzero(np.diff(row[order]) == 0)
            offset_s[order[same]] = np.minimum(offset_s[order[same]], onset_s[order[same + 1]])
        audible = offset_s > onset_s
        return Notes.build(
            onset_s[audible],
            offset_s[audible],
            row[audible] + MIDI_MIN,
            self._velocity(row[audible], first[audible]),
            np.clip(confidence[audible], 0.0, 1.0),
        )

    def _ends(self, peaks: Peaks, segments: Segments, tolerance: int) -> tuple[Index, Index]:
        """End frame of each peak's note and the segment it lies in (-1: none within the tolerance)."""
        width = self.posteriors.n_frames + tolerance + 2
        keys = segments.row * width + segments.end
        at = np.searchsorted(keys, peaks.row * width + peaks.frame, side="right")
        safe = np.minimum(at, max(len(keys) - 1, 0))
        if not len(keys):
            return peaks.frame.copy(), np.full(len(peaks.row), -1, np.intp)
        fits = (at < len(keys)) & (segments.row[safe] == peaks.row) & (segments.start[safe] < peaks.frame + tolerance)
        end = np.where(fits, segments.end[safe], peaks.frame)
        following = np.full(len(peaks.row), self.posteriors.n_frames, np.intp)
        same = np.diff(peaks.row) == 0
        following[:-1][same] = peaks.frame[1:][same]
        return np.minimum(end, following), np.where(fits, safe, -1)

    def _released(
        self, releases: Peaks, peaks: Peaks, end: Index, offset: NDArray[np.float64], decoding: Decoding
    ) -> NDArray[np.float64]:
        """Ends in seconds: the surest release within a note, where there is one, and else where it stops sounding."""
        releases = releases.select(releases.height >= max(decoding.offset_threshold, PEAK_FLOOR))
        if not len(releases.row):
            return offset
        width = self.posteriors.n_frames + RELEASE_REACH + 2
        keys = releases.row * width + releases.frame
        least = max(math.ceil(decoding.min_note_length / self.posteriors.hop_s), 2)
        low = np.searchsorted(keys, peaks.row * width + peaks.frame + least)
        high = np.searchsorted(keys, peaks.row * width + end + RELEASE_REACH, side="right")
        has = np.flatnonzero(high > low)
        if not len(has):
            return offset
        # Ranks of heights are all different: the highest rank in a span is one peak.
        order = np.argsort(releases.height, kind="stable")
        rank = np.zeros(len(order) + 1, np.intp)
        rank[order] = np.arange(len(order))
        bounds = np.stack([low[has], high[has]], axis=1).reshape(-1)
        best = order[np.maximum.reduceat(rank, bounds)[::2]]
        found = offset.copy()
        found[has] = np.minimum(releases.time[best], self.posteriors.duration_s)
        return found

    def _leftovers(
        self, peaks: Peaks, owner: Index, segments: Segments, decoding: Decoding
    ) -> tuple[Index, Index, Index, Values]:
        """The part of every segment before its first onset, where it is long, sure and stands out among its neighbours.

        Sure: on average at least half way from the threshold to one. Of those less sure, one in twenty was a note.
        """
        stop = segments.end.copy()
        owned = owner >= 0
        np.minimum.at(stop, owner[owned], peaks.frame[owned])
        pitch = segments.row + MIDI_MIN
        length = stop - segments.start
        hop_s = self.posteriors.hop_s
        min_frames = max(decoding.min_note_length / hop_s, tolerance_frames(decoding, hop_s))
        chosen = (length >= min_frames) & (pitch >= decoding.min_pitch) & (pitch <= decoding.max_pitch)
        start, stop, row = segments.start[chosen], stop[chosen], segments.row[chosen]
        frame = self.posteriors.frame
        total = sum_spans(frame, row, start, stop)
        for step in (-1, 1):
            beside = np.clip(row + step, 0, len(frame) - 1)
            ahead = (beside == row) | (total > sum_spans(frame, beside, start, stop))
            start, stop, row, total = start[ahead], stop[ahead], row[ahead], total[ahead]
        mean = (total / np.maximum(stop - start, 1)).astype(np.float32)
        sure = mean >= 0.5 * (1.0 + decoding.frame_threshold)
        return start[sure], stop[sure], row[sure], mean[sure]

    def _velocity(self, row: Index, first: Index) -> NDArray[np.int16]:
        """Level of the fundamental and the octave over it after the onset, as MIDI velocity."""
        spectrogram = self.posteriors.spectrogram
        if not len(row):
            return np.zeros(0, np.int16)
        n_bins, n_frames = spectrogram.shape
        per_pitch = self.posteriors.bins_per_octave // 12
        level = np.zeros(len(row), np.float64)
        for step in range(LEVEL_FRAMES):
            column = np.minimum(first + step, n_frames - 1)
            for shift in (0, self.posteriors.bins_per_octave):
                bins = np.minimum(row * per_pitch + shift, n_bins - 1)
                level = np.maximum(level, spectrogram[bins, column])
        below = (self._loudest - level) * DB_STEP
        return np.clip(np.round(LOUD_VELOCITY - VELOCITY_PER_DB * below), 1, 127).astype(np.int16)


@dataclass(frozen=True, eq=False)
class Strokes:
    """Drum strokes sorted by time (seconds): class (`amtsep.drums`) and height of the posterior in [0, 1]."""

    time: NDArray[np.float64]
    kind: Index
    height: Values


def find_strokes(posterior: Values, hop_s: float, decoding: DrumDecoding = DrumDecoding()) -> Strokes:  # noqa: B008
    """Peaks of the drum posterior, (5, T); the time between frames is that of a parabola through the peak."""
    if posterior.shape[1] < 3:
        return Strokes(np.zeros(0), np.zeros(0, np.intp), np.zeros(0, np.float32))
    padded = np.pad(posterior, ((0, 0), (1, 1)))
    before, here, after = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    kind, frame = np.nonzero((here >= decoding.threshold) & (here > before) & (here >= after))
    left, top, right = before[kind, frame], here[kind, frame], after[kind, frame]
    bend = np.minimum(left - 2.0 * top + right, -1e-6)
    time = np.maximum((frame + np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) * hop_s, 0.0)
    peaks = drop_crowded(Peaks(kind, frame, top, time), decoding.min_gap / hop_s)
    order = np.lexsort((peaks.row, peaks.time))
    return Strokes(peaks.time[order], peaks.row[order], peaks.height[order])


DRUM_TRACK = Track("Drums", 0, drums=True)
STROKE_S = 0.05
"""Length of a stroke as a note: drums have no end that a player means."""
LOOK_S = 10.0


def has_drums(strokes: Strokes, decoding: DrumDecoding = DrumDecoding()) -> bool:  # noqa: B008 - frozen
    """Whether a recording has drums: enough sure strokes within some ten seconds."""
    sure = strokes.time[strokes.height >= decoding.sure]
    if not len(sure):
        return False
    within = np.searchsorted(sure, sure + LOOK_S, side="right") - np.arange(len(sure))
    return bool(within.max() >= decoding.sure_rate * LOOK_S)


def decode_drums(posteriors: Posteriors, when: str = "auto", decoding: DrumDecoding = DrumDecoding()) -> Notes:  # noqa: B008
    """A track of drum strokes; see `strokes_of`. Without a note where nobody listened."""
    if posteriors.drums is None:
        return strokes_of(np.zeros((len(CLASS_KEYS), 0), np.float32), posteriors.hop_s, "off")
    return strokes_of(posteriors.drums, posteriors.hop_s, when, decoding)


def strokes_of(posterior: Values, hop_s: float, when: str, decoding: DrumDecoding = DrumDecoding()) -> Notes:  # noqa: B008
    """A track of drum strokes of a posterior (5, T); without a note where `when` is "off", or "auto" finds no drums."""
    strokes = find_strokes(posterior, hop_s, decoding)
    if when == "off" or (when == "auto" and not has_drums(strokes, decoding)):
        strokes = Strokes(np.zeros(0), np.zeros(0, np.intp), np.zeros(0, np.float32))
    return drum_notes(strokes)


def drum_notes(strokes: Strokes) -> Notes:
    """Strokes as notes on one track of drums; the surer, the louder."""
    key = np.asarray(CLASS_KEYS)[strokes.kind] if len(strokes.kind) else np.zeros(0, np.int64)
    velocity = np.clip(np.round(30.0 + 80.0 * strokes.height), 1, 127)
    return Notes.build(
        strokes.time, strokes.time + STROKE_S, key, velocity, np.clip(strokes.height, 0.0, 1.0), tracks=[DRUM_TRACK]
    )


def decode(posteriors: Posteriors, decoding: Decoding = Decoding()) -> Notes:  # noqa: B008 - frozen
    """Notes of one recording at these thresholds; keep a `Decoder` to try several."""
    return Decoder(posteriors)(decoding)


def with_velocities(notes: Notes, posteriors: Posteriors) -> Notes:
    """Notes with velocities read from the level of the sound, as `decode` reads them; strokes keep theirs."""
    from dataclasses import replace

    pitched = ~np.array([track.drums for track in notes.tracks], bool)[notes.track]
    row = np.clip(notes.pitch.astype(np.intp) - MIDI_MIN, 0, posteriors.onset.shape[0] - 1)
    first = np.clip(np.round(notes.onset / posteriors.hop_s).astype(np.intp), 0, posteriors.n_frames - 1)
    heard = Decoder(posteriors)._velocity(row, first)
    return replace(notes, velocity=np.where(pitched, heard, notes.velocity).astype(np.int16))


def embed_notes(notes: Notes, posteriors: Posteriors) -> Notes:
    """Give every note its timbre embedding.

    That is what the network says of it, pooled (`pooled_embeddings`), and, for a network that a note encoder was fitted
    to, what that makes of it, the attack and the rest of the note (`amtsep.clustering.encoder`).

    Where the recording is a stereo one, they get their panning too.

    Raises
    ------
    ValueError
        If the posteriors hold no embedding.
    """
    from dataclasses import replace

    from amtsep.clustering.encoder import encoder_for

    found = pooled_embeddings(notes, posteriors)
    encoder = encoder_for(posteriors.model, found.shape[1])
    if encoder is not None:
        found = encoder(notes.pitch, with_stretches(notes, posteriors, found))
    panning = None
    if posteriors.stereo is not None:
        from amtsep.panning import note_panning

        panning = note_panning(notes, posteriors)
    return replace(notes, embedding=found, panning=panning)


def pooled_embeddings(notes: Notes, posteriors: Posteriors) -> Values:
    """Unit vectors (n, D): the mean of the network's embedding over a note's frames, weighted by the frame posterior.

    Raises
    ------
    ValueError
        If the posteriors hold no embedding.
    """
    return _pooled(posteriors, *_frames(notes, posteriors))


def with_stretches(notes: Notes, posteriors: Posteriors, pooled: Values) -> Values:
    """`pooled_embeddings`, and those of the attack and of the rest of each note beside them, (n, 3 D)."""
    from amtsep.clustering.encoder import stretches

    row, first, last = _frames(notes, posteriors)
    return np.hstack([pooled, *(_pooled(posteriors, row, *span) for span in stretches(first, last))])


def _frames(notes: Notes, posteriors: Posteriors) -> tuple[Index, Index, Index]:
    """Row, first frame and last frame + 1 of every note."""
    row = np.clip(notes.pitch.astype(np.intp) - MIDI_MIN, 0, posteriors.onset.shape[0] - 1)
    first = np.clip(np.round(notes.onset / posteriors.hop_s).astype(np.intp), 0, posteriors.n_frames - 1)
    last = np.clip(np.round(notes.offset / posteriors.hop_s).astype(np.intp), first + 1, posteriors.n_frames)
    return row, first, last


def _pooled(posteriors: Posteriors, row: Index, first: Index, last: Index) -> Values:
    if posteriors.embedding is None:
        raise ValueError("These posteriors hold no timbre embedding; use a model with a timbre branch.")
    sums = np.zeros((len(row), posteriors.embedding.shape[2]), np.float32)
    if not len(row):
        return sums
    # Some notes at a time: all frames of all notes of an hour would take more memory than the posteriors.
    edges = np.concatenate([[0], np.cumsum(last - first)])
    some = np.searchsorted(edges, np.arange(0, edges[-1], BLOCK_CELLS), side="left")
    for begin, end in zip(some, [*some[1:], len(row)], strict=True):
        if begin == end:
            continue
        cells, begins = spans(first[begin:end], last[begin:end])
        rows = np.repeat(row[begin:end], (last - first)[begin:end])
        weight = posteriors.frame[rows, cells] + np.float32(1e-3)
        units = posteriors.embedding[rows, cells].astype(np.float32) * weight[:, None]
        sums[begin:end] = np.add.reduceat(units, begins, axis=0)
    return np.asarray(sums / (np.linalg.norm(sums, axis=1, keepdims=True) + 1e-9))
