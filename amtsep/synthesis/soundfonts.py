"""Soundfonts: FluidSynth driven through its C library, sample-accurate, and the measured profile of every program.

FluidSynth works in blocks of 64 samples and lets an event take effect at the next block. Events are therefore only
sent at block boundaries (1.45 ms apart at 44.1 kHz), and labels are computed from those boundaries, not from the times
that the score asked for. Reverb and chorus are off.

Between note-on and what is heard lies a delay that differs from program to program, and over the range of one. It is
measured here (`profile`), at every third semitone and two velocities, by the rule of `amtsep.synthesis.onsets`;
programs whose delay is long or unsteady, that do not sound at the pitch they are asked for, or do not sound at all,
are dropped.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import importlib.util
import json
import os
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.cache import folder
from amtsep.errors import DataError
from amtsep.files import replacing
from amtsep.synthesis.expression import HAMMERED_VELOCITY, Expression
from amtsep.synthesis.instruments import HELD_OUT_PROGRAMS, Instrument, general_midi
from amtsep.synthesis.onsets import DEFAULT_RULE, LabelRule, audible_end, measure
from amtsep.synthesis.pedal import sounding_until
from amtsep.synthesis.pitch import sounding_offset

RATE = 44100
BLOCK = 64
_BEND_RANGE = 3
_BEND_STEP = 4
_SUSTAIN = 64
"""Number of the controller that is the sustain pedal."""

_KNOWN = {
    "fluidr3": ("FluidR3_GM.sf2",),
    "musescore": ("MuseScore_General.sf3", "MuseScore_General.sf2"),
    "generaluser": ("GeneralUser-v1.47.sf2", "GeneralUser-GS.sf2", "GeneralUser GS v1.471.sf2"),
    "timgm": ("TimGM6mb.sf2",),
}
_FOLDERS = (
    "/usr/share/sounds/sf2",
    "/usr/share/sounds/sf3",
    "/usr/share/soundfonts",
    "/usr/share/minuet/soundfonts",
    "/usr/local/share/soundfonts",
    "/opt/homebrew/share/soundfonts",
    "~/.local/share/soundfonts",
    "~/Library/Audio/Sounds/Banks",
)


def find_soundfonts(extra: tuple[str | Path, ...] = ()) -> dict[str, Path]:
    """The General MIDI soundfonts of this machine by short name.

    `extra` are files named by the user (kept under their file name's stem); then the usual folders are searched, and
    those in the environment variable ``AMTSEP_SOUNDFONTS`` (separated as in ``PATH``); at last the wheel of
    pretty_midi, which holds TimGM6mb.
    """
    found: dict[str, Path] = {}
    for item in extra:
        path = Path(item).expanduser()
        if not path.is_file():
            raise DataError(f"There is no soundfont {path}: give the path of an .sf2 or .sf3 file.")
        known = [name for name, files in _KNOWN.items() if path.name in files]
        found[known[0] if known else path.stem.lower().replace(" ", "-")] = path
    folders = [Path(f).expanduser() for f in os.environ.get("AMTSEP_SOUNDFONTS", "").split(os.pathsep) if f]
    folders += [Path(f).expanduser() for f in _FOLDERS]
    for name, files in _KNOWN.items():
        for path in (place / file for file in files for place in folders):
            if name not in found and path.is_file():
                found[name] = path
    if "timgm" not in found:
        spec = importlib.util.find_spec("pretty_midi")
        if spec is not None and spec.origin is not None:
            path = Path(spec.origin).parent / "TimGM6mb.sf2"
            if path.is_file():
                found["timgm"] = path
    return found


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    found = ctypes.util.find_library("fluidsynth")
    for name in ("libfluidsynth.so.3", found, "libfluidsynth.3.dylib", "libfluidsynth-3.dll"):
        if not name:
            continue
        try:
            lib = ctypes.CDLL(name)
        except OSError:
            continue
        pointer, number = ctypes.c_void_p, ctypes.c_int
        lib.new_fluid_settings.restype = pointer
        lib.new_fluid_synth.restype = pointer
        for function, arguments in {
            "new_fluid_synth": [pointer],
            "delete_fluid_synth": [pointer],
            "delete_fluid_settings": [pointer],
            "fluid_settings_setnum": [pointer, ctypes.c_char_p, ctypes.c_double],
            "fluid_settings_setint": [pointer, ctypes.c_char_p, number],
            "fluid_synth_sfload": [pointer, ctypes.c_char_p, number],
            "fluid_synth_program_select": [pointer] + [number] * 4,
            "fluid_synth_noteon": [pointer] + [number] * 3,
            "fluid_synth_noteoff": [pointer] + [number] * 2,
            "fluid_synth_pitch_bend": [pointer] + [number] * 2,
            "fluid_synth_cc": [pointer] + [number] * 3,
            "fluid_synth_pitch_wheel_sens": [pointer] + [number] * 2,
            "fluid_synth_all_sounds_off": [pointer, number],
            "fluid_synth_write_float": [pointer, number, pointer, number, number, pointer, number, number],
        }.items():
            getattr(lib, function).argtypes = arguments
        return lib
    return None


def available() -> bool:
    """Whether the FluidSynth library can be loaded."""
    return _library() is not None


class Synthesizer:
    """One FluidSynth with any number of soundfonts, rendering one program at a time to mono at 44.1 kHz, dry.

    What was rendered before leaves traces of some 1e-5 in what comes after: for the same bits, render the same things
    in the same order on a new one.
    """

    def __init__(self) -> None:
        lib = _library()
        if lib is None:
            raise DataError(
                "FluidSynth was not found: install it (apt install fluidsynth, or brew install fluid-synth)."
            )
        self._lib = lib
        self._settings = lib.new_fluid_settings()
        lib.fluid_settings_setnum(self._settings, b"synth.sample-rate", float(RATE))
        for key, value in {
            b"synth.reverb.active": 0,
            b"synth.chorus.active": 0,
            b"synth.dynamic-sample-loading": 1,
            b"synth.threadsafe-api": 0,
            b"synth.lock-memory": 0,
            b"synth.polyphony": 256,
        }.items():
            lib.fluid_settings_setint(self._settings, key, value)
        self._synth = lib.new_fluid_synth(self._settings)
        self._fonts: dict[Path, int] = {}
        self._selected: tuple[Path, int, int] | None = None

    def close(self) -> None:
        """Free the synthesizer."""
        if self._synth:
            self._lib.delete_fluid_synth(self._synth)
            self._lib.delete_fluid_settings(self._settings)
            self._synth = None

    def __del__(self) -> None:
        self.close()

    def select(self, font: Path, bank: int, program: int) -> bool:
        """Choose a program; False where the soundfont has none such."""
        if self._selected == (font, bank, program):
            return True
        if font not in self._fonts:
            number = self._lib.fluid_synth_sfload(self._synth, str(font).encode(), 0)
            if number < 0:
                raise DataError(f"FluidSynth cannot read the soundfont {font}: give another one.")
            self._fonts[font] = number
        ok = self._lib.fluid_synth_program_select(self._synth, 0, self._fonts[font], bank, program) == 0
        self._selected = (font, bank, program) if ok else None
        return ok

    def render(
        self,
        events: NDArray[np.int64],
        blocks: int,
        bend_cents: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float32]:
        """Render the selected program.

        Parameters
        ----------
        events
            (n, 4) rows block, 1 = on / 0 = off / 2 = pedal, key, velocity; sorted as they are to happen. The pedal's
            "key" is 127 for down and 0 for up.
        blocks
            Length of the result in blocks of 64 samples.
        bend_cents
            Pitch bend, one value every 4 blocks, or None.

        Returns
        -------
        ndarray
            (blocks * 64,) float32 at 44.1 kHz: left plus right, halved.
        """
        lib, synth = self._lib, self._synth
        lib.fluid_synth_all_sounds_off(synth, 0)
        lib.fluid_synth_pitch_wheel_sens(synth, 0, _BEND_RANGE)
        lib.fluid_synth_pitch_bend(synth, 0, 8192)
        lib.fluid_synth_cc(synth, 0, _SUSTAIN, 0)
        out = np.zeros((2, blocks * BLOCK), np.float32)
        left, right = out[0].ctypes.data, out[1].ctypes.data
        # Voices just stopped fade within a block or two: let them go unheard.
        lib.fluid_synth_write_float(synth, 4 * BLOCK, left, 0, 1, right, 0, 1)
        steps: list[tuple[int, int, int, int, int]] = [
            (int(b), 1 + int(kind), int(key), int(velocity), i) for i, (b, kind, key, velocity) in enumerate(events)
        ]
        if bend_cents is not None:
            wheel = np.clip(np.round(8192 + bend_cents / (100 * _BEND_RANGE) * 8192), 0, 16383).astype(int)
            change = np.flatnonzero(np.diff(wheel, prepend=8192))
            steps += [(int(k) * _BEND_STEP, 0, int(wheel[k]), 0, -1) for k in change]
            steps.sort(key=lambda s: (s[0], s[4]))
        now = 0
        for block, kind, key, velocity, _ in steps:
            if block >= blocks:
                break
            if block > now:
                lib.fluid_synth_write_float(synth, (block - now) * BLOCK, left, now * BLOCK, 1, right, now * BLOCK, 1)
                now = block
            if kind == 3:
                lib.fluid_synth_cc(synth, 0, _SUSTAIN, key)
            elif kind == 2:
                lib.fluid_synth_noteon(synth, 0, key, velocity)
            elif kind == 1:
                lib.fluid_synth_noteoff(synth, 0, key)
            else:
                lib.fluid_synth_pitch_bend(synth, 0, key)
        if now < blocks:
            lib.fluid_synth_write_float(synth, (blocks - now) * BLOCK, left, now * BLOCK, 1, right, now * BLOCK, 1)
        return 0.5 * (out[0] + out[1])


@dataclass(frozen=True)
class Profile:
    """What was measured of one program: a value for each of `pitches` (MIDI) and, where it matters, two velocities.

    Times are seconds: `delay` from note-on to onset, `decay` from onset to the end of a held note that dies away
    (1e9: it does not), `release` from note-off to the end. `transpose` is added to a pitch to get the key to press.
    """

    bank: int
    program: int
    pitches: tuple[int, ...]
    delay: tuple[tuple[float, ...], ...]
    decay: tuple[float, ...]
    release: tuple[float, ...]
    transpose: int
    verdict: str
    """Empty where the program is of use; else why it is not."""

    def times(self, pitch: int, velocity: int) -> tuple[float, float, float]:
        """Delay, decay and release of a note, interpolated."""
        p = np.asarray(self.pitches, float)
        low = float(np.interp(pitch, p, self.delay[0]))
        high = float(np.interp(pitch, p, self.delay[1]))
        share = float(np.clip((velocity - _VELOCITIES[0]) / (_VELOCITIES[1] - _VELOCITIES[0]), -0.3, 1.3))
        nearest = int(np.argmin(np.abs(p - pitch)))
        decay = self.decay[nearest]
        if decay < 1e8:
            decay = float(np.interp(pitch, p, np.minimum(self.decay, 20.0)))
        return low + share * (high - low), decay, float(np.interp(pitch, p, self.release))


_VELOCITIES = (50, 100)
_HOLD_S = 2.5
_BRIEF_S = 0.3
_TAIL_S = 1.5


def profile(
    synthesizer: Synthesizer,
    font: Path,
    bank: int,
    program: int,
    instrument: Instrument,
    rule: LabelRule = DEFAULT_RULE,
    max_delay_s: float = 0.060,
    max_spread_s: float = 0.025,
) -> Profile:
    """Measure one program of a soundfont over the instrument's range (see `Profile`)."""
    import soxr

    def bad(why: str) -> Profile:
        return Profile(bank, program, (), ((), ()), (), (), 0, why)

    if instrument.weight <= 0:
        return bad("not a pitched instrument")
    if not synthesizer.select(font, bank, program):
        return bad("not in the soundfont")
    nodes = list(range(instrument.low + 1, instrument.high + 1, 3))
    hold, brief, tail = (int(seconds * RATE) // BLOCK for seconds in (_HOLD_S, _BRIEF_S, _TAIL_S))
    rows: list[tuple[int, int, list[float], float, float, float]] = []
    for key in nodes:
        delays: list[float] = []
        decay = release = loudness = np.nan
        offset: int | None = None
        for velocity in _VELOCITIES:
            loud = velocity == _VELOCITIES[-1]
            # The loud note is held to see it die away; the soft one is let go early, while there is something to damp.
            off, length = (hold, hold) if loud else (brief, brief + tail)
            events = np.array([(0, 1, key, velocity), (off, 0, key, 0)], np.int64)
            sound = soxr.resample(synthesizer.render(events, length), RATE, RATE // 2, quality="MQ")
            shape = measure(sound, RATE // 2, None if loud else off * BLOCK / RATE, rule, key)
            if shape is None:
                break
            delays.append(shape.onset_s)
            if not loud:
                release = shape.release_s
            if loud:
                decay = shape.decayed_s - shape.onset_s if np.isfinite(shape.decayed_s) else 1e9
                loudness = shape.sustained_db
                offset = sounding_offset(sound[int(shape.onset_s * RATE / 2) :], RATE // 2, key)
        if len(delays) == 2 and offset is not None:
            rows.append((key, offset, delays, float(decay), float(release), float(loudness)))
    if len(rows) < max(4, len(nodes) // 3):
        return bad("silent or without clear pitch")
    offsets = [r[1] for r in rows]
    transpose = max(set(offsets), key=offsets.count)
    rows = [r for r in rows if r[1] == transpose]
    if len(rows) < max(4, 0.6 * len(offsets)):
        return bad("does not sound at its pitch")
    delay = np.array([r[2] for r in rows]).T
    median, spread = float(np.median(delay)), float(np.diff(np.quantile(delay, [0.1, 0.9]))[0] / 2)
    if median > max_delay_s:
        return bad(f"slow: {1000 * median:.0f} ms")
    if spread > max_spread_s:
        return bad(f"unsteady: {1000 * spread:.0f} ms")
    # Single notes that begin much later than the rest are left out; the range shrinks to what remains.
    # So are notes far softer than the rest: beside them they could not be heard.
    levels = np.array([r[5] for r in rows])
    usable = np.logical_and(delay.max(axis=0) < max_delay_s + 2 * max_spread_s, levels > np.median(levels) - 12)
    rows = [r for r, k in zip(rows, usable, strict=True) if k]
    pitches = tuple(r[0] + transpose for r in rows)
    if len(rows) < 4:
        return bad("unsteady")
    return Profile(
        bank,
        program,
        pitches,
        (tuple(round(r[2][0], 5) for r in rows), tuple(round(r[2][1], 5) for r in rows)),
        tuple(round(r[3], 4) for r in rows),
        tuple(round(r[4], 4) for r in rows),
        -transpose,
        "",
    )


PROFILE_VERSION = 4


def _profile_file(font: Path, rule: LabelRule) -> Path:
    digest = hashlib.sha256()
    with open(font, "rb") as file:
        digest.update(file.read(1 << 22))
        digest.update(str(font.stat().st_size).encode())
    digest.update(json.dumps(asdict(rule)).encode())
    digest.update(f"{PROFILE_VERSION} {_VELOCITIES} {_HOLD_S}".encode())
    return folder("soundfonts") / f"{font.stem}-{digest.hexdigest()[:16]}.json"


def _profile_job(job: tuple[Path, int, Instrument, LabelRule]) -> Profile:
    font, program, instrument, rule = job
    return profile(Synthesizer(), font, 0, program, instrument, rule)


def profiles(font: Path, rule: LabelRule = DEFAULT_RULE, pool: Any = None) -> list[Profile]:
    """Profiles of the programs 0-111 of `font`, from the cache or measured now (by `pool` where one is given)."""
    file = _profile_file(font, rule)
    if file.is_file():
        rows = json.loads(file.read_text(encoding="utf-8"))
        return [
            Profile(
                r["bank"],
                r["program"],
                tuple(r["pitches"]),
                tuple(tuple(d) for d in r["delay"]),
                tuple(r["decay"]),
                tuple(r["release"]),
                r["transpose"],
                r["verdict"],
            )
            for r in rows
        ]
    jobs = [(font, program, instrument, rule) for program, instrument in enumerate(general_midi())]
    found = list(pool.map(_profile_job, jobs, chunksize=4) if pool is not None else map(_profile_job, jobs))
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        temporary.write_text(json.dumps([asdict(p) for p in found]), encoding="utf-8")
    return found


@dataclass(frozen=True)
class FontTimbre:
    """One usable program of a soundfont."""

    name: str
    font: Path
    profile: Profile
    instrument: Instrument
    held_out: bool


def font_timbres(name: str, font: Path, rule: LabelRule = DEFAULT_RULE, pool: Any = None) -> list[FontTimbre]:
    """The programs of `font` that are of use, with the range in which they are."""
    out = []
    for found in profiles(font, rule, pool):
        if found.verdict:
            continue
        instrument = general_midi()[found.program]
        low, high = max(min(found.pitches) - 1, 21), min(max(found.pitches) + 1, 108)
        instrument = replace(instrument, low=low, high=high)
        out.append(FontTimbre(f"{name}:{found.program}", font, found, instrument, found.program in HELD_OUT_PROGRAMS))
    return out


def render_font(
    synthesizer: Synthesizer,
    timbre: FontTimbre,
    score: NDArray[np.void],
    clip_s: float,
    expression: Expression,
    rule: LabelRule = DEFAULT_RULE,
    pedal: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.void]]:
    """Render a part with a soundfont program.

    Parameters
    ----------
    score
        `SCORE_DTYPE` notes whose onsets are where they shall be *heard* (the delay is taken off here).
    pedal
        (k, 2) seconds at which the sustain pedal goes down and up.

    Returns
    -------
    audio, notes
        44.1 kHz mono float32 of `clip_s`, and the score with the onsets and ends that are true of the audio.
    """
    from amtsep.synthesis.scores import tidy, with_keys

    if not synthesizer.select(timbre.font, timbre.profile.bank, timbre.profile.program):
        raise DataError(f"{timbre.font} lacks the program of {timbre.name}.")
    total = int(np.ceil(clip_s * RATE / BLOCK))
    block_s = BLOCK / RATE
    labels = with_keys(score)
    events: list[tuple[int, int, int, int]] = []
    spans = np.zeros((0, 2)) if pedal is None else np.round(pedal / block_s)
    softer = np.where(expression.hammers(score), HAMMERED_VELOCITY, 1.0)
    for i, note in enumerate(score):
        pitch, velocity = int(note["pitch"]), max(int(note["velocity"] * softer[i]), 1)
        delay, decay, release = timbre.profile.times(pitch, velocity)
        on = max(int(round((note["onset"] - delay) / block_s)), 0)
        # A key is held at least as long as the sound needs to come up.
        off = max(int(round(note["offset"] / block_s)), on + int((delay + 0.03) / block_s) + 1)
        key = pitch + timbre.profile.transpose
        events += [(on, 1, key, velocity), (off, 0, key, 0)]
        onset = on * block_s + delay
        labels["onset"][i] = onset
        damped = float(sounding_until(np.array([off], np.float64), spans)[0])
        labels["offset"][i] = audible_end(onset, damped * block_s, decay, release, rule)
        labels["key_offset"][i] = off * block_s
    # At one block, note-offs come before note-ons: a repeated note is let go, then struck.
    events.sort()
    # Where a key is struck again before its note-off, the first note-off would end the second note: move it up.
    events = _untangle(events)
    # At one block the pedal moves last: what is let go as it goes down is damped, what is let go as it goes up is, too.
    moves = [(int(block), 2, value, 0) for span in spans for block, value in zip(span, (127, 0), strict=True)]
    events = sorted(events + moves, key=lambda event: (event[0], event[1] == 2))
    bend = (
        expression.curve(np.arange(0, total, _BEND_STEP, dtype=np.float64) * block_s, score)
        if expression.moves
        else None
    )
    audio = synthesizer.render(np.array(events, np.int64).reshape(-1, 4), total, bend)
    return audio[: int(round(clip_s * RATE))], tidy(labels, clip_s)


def _untangle(events: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Let a key go no later than its next note-on, and drop the note-off that this replaces."""
    held: dict[int, int] = {}
    out: list[tuple[int, int, int, int]] = []
    skip: dict[int, int] = {}
    for block, kind, key, velocity in events:
        if kind == 1:
            if held.get(key):
                out.append((block, 0, key, 0))
                skip[key] = skip.get(key, 0) + 1
            held[key] = 1
            out.append((block, 1, key, velocity))
        elif skip.get(key, 0):
            skip[key] -= 1
        else:
            held[key] = 0
            out.append((block, 0, key, 0))
    return out
