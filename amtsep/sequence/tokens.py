"""Notes as tokens and back: the event vocabulary of MT3 (Gardner et al. 2022, section 3.2), and its grammar.

A recording is cut into segments; each becomes one sequence of its own:

1. the *tie section*: for every voice that holds notes over from before, its token and the held pitches; then ``tie``.
   What sounded before and is not listed has ended;
2. events in order of time. A time token says how many steps after the segment's start what follows happens. A voice
   token and a velocity token (0 ends notes, others begin them) hold until another of their kind comes; a pitch token is
   then one event. At one time endings come before beginnings, so that a note can be struck again;
3. ``end``.

Strokes of drums have neither voice nor end: a drum token after a velocity is a stroke.

Two vocabularies differ in what a voice is. *Programs* are those of General MIDI, as in MT3. *Slots* are anonymous,
numbered by the order in which they enter, and tell timbres apart without naming them.

`encode` and `decode` are inverse up to the grid: ``decode(encode(notes)) == on_grid(notes)``. One voice has one note of
a pitch at a time, as in MIDI.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from amtsep.formats.midi import program_name
from amtsep.notes import Notes, Track

Tokens = NDArray[np.int32]
PAD, END, TIE = 0, 1, 2
PITCHES = 128
PROGRAMS = 128
DRUM_STEPS = 1
"""Length of a stroke on the grid: how long it sounds is the kit's business."""
KINDS = ("programs", "slots")
SPECIAL = {"pad": PAD, "end": END, "tie": TIE}


@dataclass(frozen=True)
class Vocabulary:
    """Which token means what.

    Parameters
    ----------
    kind
        What voices are: ``programs`` or ``slots``.
    step_s
        Seconds of a step of the time grid.
    steps
        Of a segment; times go from 0 to ``steps - 1``. The default, 2.04 s, is close to MT3's 2.048.
    velocities
        Loudnesses that a note can have; 1, as in MT3, means that only its beginning is told.
    slots
        How many voices there are at most if they are slots.

    Raises
    ------
    ValueError
        If a value is out of range.

    Examples
    --------
    >>> from amtsep.sequence import Vocabulary
    >>> vocabulary = Vocabulary()
    >>> vocabulary.ranges["pitch"]
    range(209, 337)
    >>> vocabulary.describe(vocabulary.token("pitch", 60))
    'pitch 60'
    """

    kind: str = "programs"
    step_s: float = 0.01
    steps: int = 204
    velocities: int = 1
    slots: int = 16

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Voices are programs or slots, not {self.kind!r}.")
        if not (self.step_s > 0 and self.steps > 0 and 1 <= self.velocities <= 127 and 1 <= self.slots <= PROGRAMS):
            raise ValueError("A vocabulary needs steps, 1 to 127 velocities, and 1 to 128 slots.")

    @property
    def segment_s(self) -> float:
        """Seconds of a segment."""
        return self.steps * self.step_s

    @property
    def voices(self) -> int:
        """How many voices there are."""
        return PROGRAMS if self.kind == "programs" else self.slots

    @cached_property
    def ranges(self) -> dict[str, range]:
        """The ids of each kind of token, in the order of the ids."""
        sizes = {
            "time": self.steps,
            "velocity": self.velocities + 1,
            "pitch": PITCHES,
            self.kind[:-1]: self.voices,
            "drum": PITCHES,
        }
        found, start = {}, len(SPECIAL)
        for name, size in sizes.items():
            found[name] = range(start, start + size)
            start += size
        return found

    @property
    def voice_kind(self) -> str:
        """The word for a voice: ``program`` or ``slot``."""
        return self.kind[:-1]

    def __len__(self) -> int:
        return self.ranges["drum"].stop

    def token(self, kind: str, value: int) -> int:
        """The id of a token; raises IndexError where there is none."""
        return self.ranges[kind][value]

    def meaning(self, token: int) -> tuple[str, int]:
        """Kind and value of an id; raises IndexError where there is none."""
        for name, ids in self.ranges.items():
            if token in ids:
                return name, token - ids.start
        for name, special in SPECIAL.items():
            if token == special:
                return name, 0
        raise IndexError(f"{token} is no token: there are {len(self)}.")

    def describe(self, token: int) -> str:
        """A token in words."""
        kind, value = self.meaning(token)
        return kind if kind in SPECIAL else f"{kind} {value}"

    def loudness(self, velocity: int) -> int:
        """The velocity token's value for a MIDI velocity, 1 to `velocities`."""
        return 1 + (velocity - 1) * self.velocities // 127

    def velocity(self, loudness: int) -> int:
        """The MIDI velocity in the middle of those that share a token; 80 where all do."""
        if self.velocities == 1:
            return 80
        first = -(-127 * (loudness - 1) // self.velocities) + 1
        last = -(-127 * loudness // self.velocities)
        return (first + last) // 2


def voices_of(notes: Notes, vocabulary: Vocabulary) -> NDArray[np.int64]:
    """The voice of each track's notes, one for every track; -1 for a drum kit.

    Slots go by the order of the tracks' first notes on the grid, the lower first; tracks beyond the last slot share it.
    """
    kit = np.array([track.drums for track in notes.tracks])
    if vocabulary.kind == "programs":
        return np.where(kit, -1, [track.program for track in notes.tracks]).astype(np.int64)
    voices = np.full(len(notes.tracks), -1, np.int64)
    entered = 0
    step = np.round(notes.onset / vocabulary.step_s)
    for track in dict.fromkeys(notes.track[np.lexsort((notes.track, notes.pitch, step))].tolist()):
        if not kit[track]:
            voices[track] = min(entered, vocabulary.slots - 1)
            entered += 1
    return voices


@dataclass(frozen=True)
class _Event:
    """On the grid: a note of a voice from step `start` to step `stop`; `voice` is -1 for strokes."""

    start: int
    stop: int
    voice: int
    pitch: int
    loudness: int


def _events(notes: Notes, vocabulary: Vocabulary) -> list[_Event]:
    """On the grid, sorted; of one voice and pitch one at a time, each cut where the next begins."""
    voices = voices_of(notes, vocabulary)
    start = np.round(notes.onset / vocabulary.step_s).astype(np.int64)
    stop = np.maximum(np.round(notes.offset / vocabulary.step_s).astype(np.int64), start + 1)
    alike: dict[tuple[int, int], dict[int, _Event]] = {}
    for i in range(len(notes)):
        voice, pitch = int(voices[notes.track[i]]), int(notes.pitch[i])
        until = int(start[i]) + DRUM_STEPS if voice < 0 else int(stop[i])
        event = _Event(int(start[i]), until, voice, pitch, vocabulary.loudness(int(notes.velocity[i])))
        struck = alike.setdefault((voice, pitch), {})
        other = struck.get(event.start)
        # Two that begin together are one: as long and as loud as the longer and the louder of them.
        if other is not None:
            event = _Event(event.start, max(until, other.stop), voice, pitch, max(event.loudness, other.loudness))
        struck[event.start] = event
    events: list[_Event] = []
    for struck in alike.values():
        line = sorted(struck.values(), key=lambda e: e.start)
        for event, after in zip(line, [*line[1:], None]):
            until = event.stop if after is None else min(event.stop, after.start)
            events.append(_Event(event.start, until, event.voice, event.pitch, event.loudness))
    return sorted(events, key=lambda e: (e.start, e.voice, e.pitch))


def _table(events: Sequence[_Event], vocabulary: Vocabulary) -> Notes:
    """Notes with one track a voice; strokes, if any, on a kit behind them."""
    used = sorted({event.voice for event in events}, key=lambda voice: voice if voice >= 0 else PROGRAMS)
    track = {voice: index for index, voice in enumerate(used)}
    named = [_track(voice, vocabulary) for voice in used]
    step = vocabulary.step_s
    return Notes.build(
        [event.start * step for event in events],
        [event.stop * step for event in events],
        [event.pitch for event in events],
        [vocabulary.velocity(event.loudness) for event in events],
        track=[track[event.voice] for event in events],
        tracks=named or None,
    )


def _track(voice: int, vocabulary: Vocabulary) -> Track:
    if voice < 0:
        return Track("Drums", drums=True)
    if vocabulary.kind == "slots":
        return Track(f"Timbre {voice + 1}")
    return Track(program_name(voice), voice)


def on_grid(notes: Notes, vocabulary: Vocabulary) -> Notes:
    """What of `notes` a vocabulary can say: times on its grid, its velocities, a track for each of its voices.

    Notes are at least a step long. Where notes of one pitch in one voice overlap, the first ends where the next begins.
    """
    return _table(_events(notes, vocabulary), vocabulary)


def encode(notes: Notes, vocabulary: Vocabulary, segments: int | None = None) -> list[Tokens]:
    """Tokens of `notes`, one sequence for each segment.

    Parameters
    ----------
    notes
        Of the whole recording.
    vocabulary
        Which token means what.
    segments
        How many; as many as there are notes for if left out. Notes behind the last are left out.
    """
    events = _events(notes, vocabulary)
    # A note that ends where a segment begins is simply not tied.
    last = max((max(event.start, event.stop - 1) // vocabulary.steps for event in events), default=-1) + 1
    count = last if segments is None else segments
    starts: list[list[_Event]] = [[] for _ in range(count)]
    ends: list[list[_Event]] = [[] for _ in range(count)]
    held: list[list[_Event]] = [[] for _ in range(count)]
    for event in events:
        first = event.start // vocabulary.steps
        if first >= count:
            continue
        starts[first].append(event)
        if event.voice < 0:
            continue
        final = (event.stop - 1) // vocabulary.steps
        for index in range(first + 1, min(final, count - 1) + 1):
            held[index].append(event)
        if event.stop % vocabulary.steps and final < count:
            ends[final].append(event)
    return [
        _segment(index * vocabulary.steps, starts[index], ends[index], held[index], vocabulary)
        for index in range(count)
    ]


def _segment(base: int, starts: list[_Event], ends: list[_Event], held: list[_Event], vocabulary: Vocabulary) -> Tokens:
    token, voice_kind = vocabulary.token, vocabulary.voice_kind
    said: list[int] = []
    voice: int | None = None
    for event in sorted(held, key=lambda e: (e.voice, e.pitch)):
        if event.voice != voice:
            said.append(token(voice_kind, event.voice))
            voice = event.voice
        said.append(token("pitch", event.pitch))
    said.append(TIE)
    voice, loudness, time = None, None, 0
    # (time, strokes after notes, beginnings after endings, voice, loudness, pitch)
    changes = [(e.stop, 0, 0, e.voice, 0, e.pitch) for e in ends]
    changes += [(e.start, int(e.voice < 0), 1, e.voice, e.loudness, e.pitch) for e in starts]
    for at, is_stroke, _, its_voice, its_loudness, pitch in sorted(changes, key=_order):
        if at - base != time:
            time = at - base
            said.append(token("time", time))
        if not is_stroke and its_voice != voice:
            voice = its_voice
            said.append(token(voice_kind, voice))
        if its_loudness != loudness:
            loudness = its_loudness
            said.append(token("velocity", loudness))
        said.append(token("drum" if is_stroke else "pitch", pitch))
    said.append(END)
    return np.array(said, np.int32)


def _order(change: tuple[int, int, int, int, int, int]) -> tuple[int, int, int, int, int, int]:
    at, is_stroke, begins, voice, loudness, pitch = change
    return at, begins, is_stroke, voice, loudness, pitch


class Grammar:
    """Reads the tokens of one segment one by one; knows at each step which may follow.

    Parameters
    ----------
    vocabulary
        Which token means what.
    held
        (voice, pitch) of what sounded at the end of the segment before: only these can be tied. None leaves that open,
        for a decoder that does not know yet.

    Examples
    --------
    >>> from amtsep.sequence import Grammar, Vocabulary
    >>> vocabulary = Vocabulary()
    >>> grammar = Grammar(vocabulary)
    >>> allowed = grammar.allowed()
    >>> bool(allowed[vocabulary.token("time", 3)]), bool(allowed[2])  # 2 is ``tie``: a segment begins with its ties
    (False, True)
    """

    def __init__(self, vocabulary: Vocabulary, held: Iterable[tuple[int, int]] | None = None) -> None:
        self.vocabulary = vocabulary
        self.could_be_tied = None if held is None else set(held)
        self.tied: set[tuple[int, int]] = set()
        self.sounding: set[tuple[int, int]] = set()
        self.in_ties, self.ended = True, False
        self.time = 0
        self.voice: int | None = None
        self.loudness: int | None = None
        self.last = ""
        # What began at this time: it cannot end or begin again before the next.
        self._here: set[tuple[int, int]] = set()

    def allowed(self) -> NDArray[np.bool_]:
        """Which tokens may come next, (len(vocabulary),)."""
        vocabulary, ranges = self.vocabulary, self.vocabulary.ranges
        mask = np.zeros(len(vocabulary), bool)
        if self.ended:
            mask[PAD] = True
            return mask
        voices = ranges[vocabulary.voice_kind]
        pitches = mask[ranges["pitch"].start : ranges["pitch"].stop]
        if self.in_ties:
            if self.last != "voice":
                mask[TIE] = True
                mask[voices.start : voices.stop] = self._can_tie(len(voices))
                if self.voice is not None:  # voices are in order
                    mask[voices.start : voices.start + self.voice + 1] = False
            if self.voice is not None:
                pitches[:] = self._ties(self.voice)
            return mask
        # Time, voice and velocity wait for what they are said of, in this order.
        if self.last not in ("time", "voice", "velocity"):
            mask[ranges["time"].start + self.time + 1 : ranges["time"].stop] = True
            mask[END] = True
        if self.last not in ("voice", "velocity"):
            mask[voices.start : voices.stop] = True
            if self.voice is not None:
                mask[voices.start + self.voice] = False
        if self.last != "velocity":
            loudnesses = ranges["velocity"]
            mask[loudnesses.start : loudnesses.stop] = True
            mask[loudnesses.start] = bool(self._can_end().any())
            if self.loudness is not None:
                mask[loudnesses.start + self.loudness] = False
        if self.loudness is not None:
            if self.voice is not None:
                pitches[:] = self._can_end() if self.loudness == 0 else self._can_begin()
            if self.loudness > 0 and self.last != "voice":
                drums = mask[ranges["drum"].start : ranges["drum"].stop]
                drums[:] = self._all_but(-1, self._here)
        return mask

    def _ties(self, voice: int) -> NDArray[np.bool_]:
        if self.could_be_tied is None:
            return self._all_but(voice, self.tied)
        mask = np.zeros(PITCHES, bool)
        mask[[pitch for its, pitch in self.could_be_tied - self.tied if its == voice]] = True
        return mask

    def _can_tie(self, voices: int) -> NDArray[np.bool_]:
        """Voices of which something could be tied yet."""
        if self.could_be_tied is None:
            return np.ones(voices, bool)
        mask = np.zeros(voices, bool)
        mask[[voice for voice, _ in self.could_be_tied - self.tied]] = True
        return mask

    def _can_end(self) -> NDArray[np.bool_]:
        """Pitches of this voice that sound and did not begin just now."""
        mask = np.zeros(PITCHES, bool)
        mask[[pitch for voice, pitch in self.sounding - self._here if voice == self.voice]] = True
        return mask

    def _can_begin(self) -> NDArray[np.bool_]:
        """Pitches that did not begin just now."""
        return self._all_but(self.voice, self._here)

    @staticmethod
    def _all_but(voice: int | None, taken: set[tuple[int, int]]) -> NDArray[np.bool_]:
        mask = np.ones(PITCHES, bool)
        mask[[pitch for its, pitch in taken if its == voice]] = False
        return mask

    def push(self, token: int) -> tuple[str, int]:
        """Take the next token, whatever it is, and give its kind and value; what makes no sense changes nothing."""
        kind, value = self.vocabulary.meaning(token)
        if self.ended or kind == "pad":
            return "pad", 0
        if kind == self.vocabulary.voice_kind:
            self.voice, self.last = value, "voice"
            return "voice", value
        if kind == "tie":
            if self.in_ties:
                self.in_ties, self.voice = False, None
                self.sounding = set(self.tied)
            self.last = ""
        elif kind == "end":
            self.ended = True
        elif kind == "time":
            if not self.in_ties and value > self.time:
                self.time = value
                self._here.clear()
            self.last = "time"
        elif kind == "velocity":
            self.loudness = value
            self.last = "velocity"
        elif kind == "pitch" and self.voice is not None:
            key = (self.voice, value)
            if self.in_ties:
                self.tied.add(key)
            elif self.loudness == 0:
                self.sounding.discard(key)
            elif self.loudness is not None:
                self.sounding.add(key)
                self._here.add(key)
            self.last = "pitch"
        elif kind == "drum" and not self.in_ties:
            self._here.add((-1, value))
            self.last = "drum"
        return kind, value


def decode(segments: Sequence[Sequence[int] | Tokens], vocabulary: Vocabulary) -> Notes:
    """Notes of the tokens of consecutive segments, whatever they are: what makes no sense is passed over.

    Parameters
    ----------
    segments
        Tokens of each segment, from the recording's start; empty where nothing is known of one.
    vocabulary
        Which token means what.

    Returns
    -------
    Notes
        One track for each voice that has notes; strokes on a kit behind them. What still sounds at the end of the last
        segment ends there.
    """
    done: list[_Event] = []
    open_: dict[tuple[int, int], tuple[int, int]] = {}  # (voice, pitch): start, loudness

    def close(key: tuple[int, int], at: int) -> None:
        if key in open_:
            start, loudness = open_.pop(key)
            done.append(_Event(start, max(at, start + 1), *key, loudness))

    for index, tokens in enumerate(segments):
        base = index * vocabulary.steps
        grammar = Grammar(vocabulary)
        for token in tokens:
            ties = grammar.in_ties
            kind, value = grammar.push(int(token))
            at = base + grammar.time
            if kind == "tie" and ties:
                for key in [key for key in open_ if key not in grammar.tied]:
                    close(key, base)
            elif kind == "pitch" and not ties and grammar.voice is not None and grammar.loudness is not None:
                key = (grammar.voice, value)
                if key in open_ and open_[key][0] == at and grammar.loudness:
                    continue  # begun twice at one time
                close(key, at)
                if grammar.loudness:
                    open_[key] = (at, grammar.loudness)
            elif kind == "drum" and not ties and grammar.loudness:
                done.append(_Event(at, at + DRUM_STEPS, -1, value, grammar.loudness))
            elif kind == "end":
                break
        if grammar.in_ties:  # nothing was said: nothing goes on
            for key in list(open_):
                close(key, base)
    for key in list(open_):
        close(key, len(segments) * vocabulary.steps)
    return _table(sorted(set(done), key=lambda e: (e.start, e.voice, e.pitch, e.stop)), vocabulary)
