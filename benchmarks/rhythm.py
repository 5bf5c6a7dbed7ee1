"""Figures of beats, notation, bends, clean-up and pedal: ``python benchmarks/rhythm.py DATA [--pieces N]``.

DATA is the folder with `scores`, `bach10`, `guitarset` and `maps`. The pieces are the held-out fifth of OpenScore (see
`amtsep.training.beats`), played with expression by `amtsep.synthesis.performance`; librosa hears the same performances
rendered with a soundfont, partitura and our tracker read the same notes. Parts that need a package or data that is not
there are left out, and it is said.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep import formats
from amtsep.config import RECOMMENDED_CLEAN_UP, CleanUp, Decoding
from amtsep.decoding import decode
from amtsep.notes import Notes
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.bends import bend_curves, tuning_cents
from amtsep.rhythm.cleanup import clean
from amtsep.rhythm.key import bar_keys, find_key
from amtsep.rhythm.score import make_score
from amtsep.rhythm.spelling import fifths
from amtsep.rhythm.tracking import track_beats
from amtsep.synthesis.performance import draw_playing, perform
from amtsep.synthesis.written import Written
from amtsep.training.beats import held_out, load_pieces
from amtsep.training.notation import signature_of

LIMIT_S = 60.0
METRE = "metre right (beats of a bar, and simple or compound)"
SAMPLE_RATE = 22050


def f1(truth: NDArray[np.float64], found: NDArray[np.float64], window: float = 0.07) -> float:
    """F1 of times within 70 ms, all of them counted (mir_eval leaves out the first five seconds)."""
    import mir_eval

    return float(mir_eval.util.f_measure(*precision_recall(truth, found, window)))


def precision_recall(
    truth: NDArray[np.float64], found: NDArray[np.float64], window: float
) -> tuple[float, float]:
    """Of a one-to-one matching."""
    import mir_eval

    pairs = len(mir_eval.util.match_events(truth, found, window))
    return pairs / max(len(found), 1), pairs / max(len(truth), 1)


def performances(
    pieces: list[Written], freedom: float = 1.0
) -> Iterator[tuple[Written, Notes, Beats, NDArray[np.intp]]]:
    """Each piece once, the first minute of it; the last value says which written note each one is."""
    for number, piece in enumerate(pieces):
        rng = np.random.default_rng(number)
        notes, beats, source = perform(rng, piece, draw_playing(rng, piece, freedom))
        inside = np.flatnonzero(notes.onset < LIMIT_S)
        yield piece, notes.select(inside), beats, source[inside]


def sound(notes: Notes) -> NDArray[np.float32]:
    """The notes on a soundfont."""
    import io

    import pretty_midi

    midi = pretty_midi.PrettyMIDI(io.BytesIO(formats.midi_bytes(notes)))
    font = next(Path("/usr/share/sounds/sf2").glob("*.sf2"), None)
    samples = midi.fluidsynth(fs=SAMPLE_RATE, sf2_path=None if font is None else str(font))
    return (samples / max(float(np.abs(samples).max()), 1e-6) * 0.7).astype(np.float32)


def beats_of_partitura(notes: Notes) -> NDArray[np.float64] | None:
    """Beats by partitura's tracker (Dixon's agents), from the same notes."""
    # Where it finds a synthesizer it fetches a soundfont when it is imported: it is not to find one.
    synthesizer = sys.modules.get("fluidsynth")
    sys.modules["fluidsynth"] = None  # type: ignore[assignment]
    try:
        import partitura
    except ImportError:
        return None
    finally:
        del sys.modules["fluidsynth"]
        if synthesizer is not None:
            sys.modules["fluidsynth"] = synthesizer
    table = np.zeros(
        len(notes), [("onset_sec", "f4"), ("duration_sec", "f4"), ("pitch", "i4"), ("velocity", "i4"), ("id", "U16")]
    )
    table["onset_sec"], table["duration_sec"] = notes.onset, notes.duration
    table["pitch"], table["velocity"] = notes.pitch, notes.velocity
    table["id"] = [f"n{i}" for i in range(len(notes))]
    try:
        return np.asarray(partitura.musicanalysis.estimate_time(table)["beats"], np.float64)
    except Exception as error:  # noqa: BLE001 - a comparison may fail on a piece
        print(f"partitura: {type(error).__name__}: {error}", file=sys.stderr)
        return np.zeros(0)


def report(name: str, values: list[float]) -> None:
    """One line: mean and number."""
    known = [v for v in values if np.isfinite(v)]
    print(f"{name:<58} {np.mean(known) if known else np.nan:.3f}  ({len(known)})", flush=True)


def kind(metre: Any) -> tuple[int, bool]:
    """What makes two metres one: beats of a bar, and whether a beat has three parts."""
    return metre.beats_per_bar, metre.compound


def measure_beats(pieces: list[Written], transcriber: Any) -> None:
    """Beat and downbeat F1, metre, beside librosa and partitura."""
    import pretty_midi  # noqa: F401 - before partitura, which is to find no synthesizer

    ours: dict[str, list[float]] = {}
    told: list[str] = []

    def add(name: str, value: float) -> None:
        ours.setdefault(name, []).append(value)

    try:
        import librosa
    except ImportError:
        librosa = None
    for piece, notes, beats, _ in performances(pieces):
        end = float(notes.onset.max()) + 0.1
        truth, lines = beats.time[beats.time <= end], beats.time[beats.downbeat & (beats.time <= end)]
        found = track_beats(notes)
        add("beat F1, ours, true notes", f1(truth, found.time[found.time <= end]))
        add("downbeat F1, ours, true notes", f1(lines, found.time[found.downbeat & (found.time <= end)]))
        add(METRE, kind(found.main_metre) == kind(beats.main_metre))
        add("simple or compound right", found.main_metre.compound == beats.main_metre.compound)
        # 2/4 in half the values as 4/4, 9/8 as 3/4 with triplets: another notation of the same bars.
        in_place = f1(lines, found.time[found.downbeat & (found.time <= end)]) > 0.9
        add("metre right, or bar lines in their places (downbeat F1 over .9)", float(in_place or ours[METRE][-1]))
        if not ours[METRE][-1]:
            told.append(f"{beats.main_metre} as {found.main_metre}{' (bar lines right)' if in_place else ''}")
        other = beats_of_partitura(notes)
        if other is not None:
            add("beat F1, partitura, true notes", f1(truth, other[other <= end]))
        if librosa is not None:
            samples = sound(notes)
            _, at = librosa.beat.beat_track(y=samples, sr=SAMPLE_RATE, units="time")
            add("beat F1, librosa, sound", f1(truth, np.asarray(at)[np.asarray(at) <= end]))
            if transcriber is not None:
                from amtsep.audio import Audio

                heard = decode(transcriber(Audio(samples, SAMPLE_RATE)), Decoding())
                found = track_beats(heard)
                add("beat F1, ours, transcribed from the same sound", f1(truth, found.time[found.time <= end]))
                at_lines = found.time[found.downbeat & (found.time <= end)]
                add("downbeat F1, ours, transcribed", f1(lines, at_lines))
                add("key right, transcribed", float((found.key - (signature_of(piece) or 0)) % 12 == 0))
    for name in sorted(ours):
        report(name, ours[name])
    print("metres read otherwise:", ", ".join(told) or "none")


def measure_bach10(root: Path, transcriber: Any) -> None:
    """Beats of the chorales through their alignment with the score (quarter notes at the score's tempo)."""
    try:
        import librosa
    except ImportError:
        librosa = None
    rows: dict[str, list[float]] = {}
    for folder in sorted(root.iterdir()):
        text = next(folder.glob("*.txt"), None)
        if text is None:
            continue
        import mido

        table = np.loadtxt(text)[:, :3]
        midi = mido.MidiFile(str(next(folder.glob("*.mid"))))
        quarter = next(m.tempo for t in midi.tracks for m in t if m.type == "set_tempo") / 1000.0
        place = np.round(table[:, 1] / quarter * 4) / 4
        steps = np.unique(place)
        seconds = np.array([np.median(table[place == p, 0]) for p in steps]) / 1000.0
        whole = np.arange(np.ceil(steps[0]), np.floor(steps[-1]) + 1)
        truth = np.interp(whole, steps, np.maximum.accumulate(seconds))
        mix = folder / f"{folder.name}.flac"
        if transcriber is None or not mix.exists():
            continue
        from amtsep.audio import load_audio

        audio = load_audio(mix)
        found = track_beats(decode(transcriber(audio), Decoding()))
        rows.setdefault("Bach10 dev: beat F1, ours, transcribed", []).append(f1(truth, found.time))
        rows.setdefault("Bach10 dev: downbeat F1, ours, transcribed", []).append(
            f1(truth[whole % 4 == 0], found.time[found.downbeat])
        )
        if librosa is not None:
            at = librosa.beat.beat_track(y=audio.samples.mean(-1) if audio.samples.ndim > 1 else audio.samples,
                                         sr=audio.sample_rate, units="time")[1]  # fmt: skip
            rows.setdefault("Bach10 dev: beat F1, librosa, sound", []).append(f1(truth, np.asarray(at)))
    for name in sorted(rows):
        report(name, rows[name])


def placed(notes: Notes, beats: Beats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each note the written length in beats, and the time at which the bar that it is written in begins."""
    score = make_score(notes, beats)
    lengths, bars = np.full(len(notes), np.nan), np.full(len(notes), np.nan)
    ticks = 24 * beats.main_metre.beat_quarters
    for part in score.parts:
        lengths[part.notes["note"]] = part.notes["length"] / ticks
        place = np.searchsorted(score.bars.bar_tick, part.notes["start"], side="right") - 1
        first = score.bars.bar_beat[np.clip(place, 0, len(score.bars.bar_beat) - 1)]
        bars[part.notes["note"]] = np.where(first >= 0, beats.time[np.maximum(first, 0)], np.nan)
    return lengths, bars


def under_right_key(
    piece: Written, times: tuple[NDArray[np.float64], NDArray[np.float64]], notes: Notes, beats: Beats
) -> dict[str, float]:
    """Share of notes that stand under the signature that the score has there: with one key, and with one a bar.

    `times` are where the notes are written, in quarter notes, and when they sound, in seconds.
    """
    positions, sharps = np.array([p for p, _ in piece.keys]), np.array([k for _, k in piece.keys])
    truth = sharps[np.maximum(np.searchsorted(positions, times[0] + 1e-6, side="right") - 1, 0)]
    one = find_key(notes)[0]
    lines, keys = bar_keys(notes, replace(beats, key=one))
    there = keys[np.maximum(np.searchsorted(lines, times[1] + 0.05, side="right") - 1, 0)]
    return {
        "one key": float(np.mean((one - truth) % 12 == 0)),
        "a key a bar": float(np.mean((there - truth) % 12 == 0)),
    }


def measure_notation(pieces: list[Written], transcriber: Any) -> None:
    """Written lengths and bars, with true beats and with ours, from true notes and from our own; key; spelling."""
    from amtsep.audio import Audio
    from amtsep.evaluation.metrics import match

    rows: dict[str, list[float]] = {}
    right = total = 0
    for piece, notes, beats, source in performances(pieces):
        written = piece.notes[source]
        signature = signature_of(piece)
        if signature is not None:
            whole = piece.notes[~piece.notes["grace"]]
            table = Notes.build(whole["start"] * 0.6, (whole["start"] + whole["length"]) * 0.6, whole["pitch"])
            rows.setdefault("key signature right, true notes", []).append((find_key(table)[0] - signature) % 12 == 0)
            sounding = np.mod(7 * piece.notes["fifth"].astype(int), 12) == piece.notes["pitch"] % 12
            spelled = fifths(piece.notes["pitch"].astype(int), piece.notes["start"].astype(float), signature)
            right += int(np.sum((spelled == piece.notes["fifth"]) & sounding))
            total += int(sounding.sum())
        end = float(notes.onset.max()) + 1.0
        inside = beats.time <= end
        true = Beats(
            beats.time[inside], beats.downbeat[inside], beats.metre[inside], beats.confidence[inside], beats.metres,
            signature or 0,
        )  # fmt: skip
        unit = piece.metres[0].beat_quarters
        every = np.arange(len(notes))
        cases = [("true beats", notes, every, every, true), ("our beats", notes, every, every, track_beats(notes))]
        if transcriber is not None:
            heard = decode(transcriber(Audio(sound(notes), SAMPLE_RATE)), Decoding())
            pairs = match(notes, heard)
            ours = track_beats(heard)
            cases.append(("transcribed, our beats", heard, pairs[:, 0], pairs[:, 1], ours))
            rows.setdefault("notes found, transcribed", []).append(len(pairs) / max(len(notes), 1))
            if signature is not None:
                rows.setdefault("key right, transcribed", []).append((ours.key - signature) % 12 == 0)
        for label, table, which, found, value in cases:
            lengths, starts = placed(table, value)
            ends, bars = (np.full(len(notes), np.nan) for _ in range(2))
            ends[which], bars[which] = lengths[found], starts[found]
            plain = ~written["grace"] & np.isfinite(ends)
            truth_bar = np.searchsorted(piece.bars, written["start"] + 1e-6, side="right") - 1
            lines = beats.time[beats.downbeat]
            begins = np.where(truth_bar >= 0, lines[np.clip(truth_bar, 0, len(lines) - 1)], np.nan)
            known = plain & np.isfinite(begins) & np.isfinite(bars)
            if piece.keys:
                own = written["start"][which], table.onset[found]
                for kind_of, share in under_right_key(piece, own, table, value).items():
                    rows.setdefault(f"notes under the right key signature, {kind_of}, {label}", []).append(share)
            length_ok = np.abs(ends - written["length"] / unit) < 0.02
            rows.setdefault(f"written length right, {label}", []).append(float(np.mean(length_ok[plain])))
            rows.setdefault(f"bar right, {label}", []).append(float(np.mean(np.abs(bars - begins)[known] < 0.1)))
    for name in sorted(rows):
        report(name, [float(v) for v in rows[name]])
    print(f"{'spelling right, true notes (share of notes)':<58} {right / max(total, 1):.3f}  ({total} notes)")


def measure_bends(transcriber: Any) -> None:
    """Error in cents on made-up vibrato, glides and detuned notes, and the tuning of the whole."""
    from amtsep.audio import Audio

    rng = np.random.default_rng(0)
    t = np.arange(int(2.0 * SAMPLE_RATE)) / SAMPLE_RATE
    for name in ("steady", "vibrato", "glide"):
        errors, told = [], 0
        for _ in range(8):
            pitch, detune = int(rng.integers(45, 80)), float(rng.uniform(-40, 40))
            if name == "vibrato":
                cents = detune / 2 + rng.uniform(15, 40) * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * t)
            elif name == "glide":
                cents = detune / 2 + np.interp(t, [0.5, 1.3], [-50.0, 50.0])
            else:
                cents = np.full(len(t), detune)
            phase = 2 * np.pi * np.cumsum(440 * 2 ** ((pitch - 69 + cents / 100) / 12)) / SAMPLE_RATE
            tone = sum(0.3 / h * np.sin(h * phase) for h in range(1, 8)) * np.interp(t, [0, 0.02, 1.9, 2], [0, 1, 1, 0])
            posteriors = transcriber(Audio(tone.astype(np.float32), SAMPLE_RATE))
            curve = bend_curves(Notes.build([0.05], [1.9], [pitch]), posteriors)[0]
            if curve is not None:
                told += 1
                errors.append(np.abs(curve.cents - np.interp(curve.time, t, cents)))
        error = np.concatenate(errors) if errors else np.full(1, np.nan)
        print(f"bend error, {name}: mean {error.mean():.1f}, 95th percentile {np.percentile(error, 95):.1f} cents, "
              f"{told} of 8 notes told", flush=True)  # fmt: skip
    for a4 in (432.0, 437.0, 445.0):
        partials = [(a4 * 2 ** ((p - 69) / 12) * h, h) for p in (57, 61, 64) for h in (1, 2, 3)]
        tones = [0.2 * np.sin(2 * np.pi * f * t) / h for f, h in partials]
        found = tuning_cents(transcriber(Audio(np.sum(tones, axis=0).astype(np.float32), SAMPLE_RATE)))
        print(f"tuning of a recording at A = {a4:.0f} Hz: {440 * 2 ** (found / 1200):.1f} Hz", flush=True)


def measure_bach10_cents(root: Path, transcriber: Any) -> None:
    """Mean pitch of notes in cents against Bach10's annotation, in mixes of four and alone."""
    import scipy.io

    from amtsep.audio import load_audio

    names = ("violin", "clarinet", "saxphone", "bassoon")
    errors: dict[str, list[float]] = {"alone": [], "mix": []}
    told: dict[str, list[bool]] = {"alone": [], "mix": []}
    for folder in sorted(root.iterdir()):
        mat = scipy.io.loadmat(str(next(folder.glob("*-GTNotes.mat"))))
        cells = next(v for k, v in mat.items() if not k.startswith("__")).ravel()
        rows = []
        for part, cell in enumerate(cells):
            for note in cell.ravel():
                frames, pitch = np.asarray(note, float)
                middle = pitch[len(pitch) // 5 :]
                rows.append((frames[0] * 0.01 + 0.008, frames[-1] * 0.01 + 0.018, float(np.mean(middle)), part))
        table = np.array(rows)
        semitone = np.round(table[:, 2]).astype(int)
        for where in ("alone", "mix"):
            for part in range(len(cells)) if where == "alone" else (None,):
                path = folder / (f"{folder.name}-{names[part]}.flac" if part is not None else f"{folder.name}.flac")
                own = np.ones(len(table), bool) if part is None else table[:, 3] == part
                posteriors = transcriber(load_audio(path))
                order = np.flatnonzero(own)
                notes = Notes.build(table[order, 0], table[order, 1], semitone[order], track=np.zeros(len(order)))
                cents = (table[order, 2] - semitone[order]) * 100
                keys = np.lexsort((np.zeros(len(order)), semitone[order], table[order, 0]))
                for curve, true in zip(bend_curves(notes, posteriors), cents[keys], strict=True):
                    told[where].append(curve is not None)
                    if curve is not None:
                        errors[where].append(abs(curve.mean - true))
    for where in errors:
        print(f"Bach10 dev, {where}: mean pitch of notes off by {np.mean(errors[where]):.1f} cents (median "
              f"{np.median(errors[where]):.1f}), {np.mean(told[where]):.2f} of the notes told", flush=True)  # fmt: skip


def measure_clean_up(data: Path, transcriber: Any, count: int = 6) -> None:
    """Onset F1 and short notes before and after, on the development sets."""
    from amtsep.audio import load_audio
    from amtsep.evaluation.metrics import onset_f1

    for name in ("guitarset/dev", "maps/dev"):
        before, after, short = [], [], np.zeros(2)
        for path in sorted((data / name).glob("**/*.ogg"))[:: 10 if "guitarset" in name else 3][:count]:
            table = np.loadtxt(path.with_suffix(".tsv"), ndmin=2, skiprows=1, usecols=(0, 1, 2))
            audio = load_audio(path)
            truth = Notes.build(table[:, 0], table[:, 1], table[:, 2])
            notes = decode(transcriber(audio), Decoding())
            tidy = clean(notes, CleanUp(strength=RECOMMENDED_CLEAN_UP)).notes
            before.append(onset_f1(truth, notes))
            after.append(onset_f1(truth, tidy))
            short += [np.sum(notes.duration < 0.08), np.sum(tidy.duration < 0.08)]
        if before:
            print(f"clean-up, {name}: onset F1 {np.mean(before):.3f} -> {np.mean(after):.3f}; "
                  f"notes under 80 ms {short[0]:.0f} -> {short[1]:.0f}", flush=True)  # fmt: skip


def measure_time(pieces: list[Written]) -> None:
    """Seconds of each step for three minutes of music (say what else the machine was doing)."""
    piece = max(pieces, key=lambda p: p.end)
    rng = np.random.default_rng(1)
    notes, _, _ = perform(rng, piece, draw_playing(rng, piece))
    notes = notes.select(notes.onset < 180.0)
    beats = track_beats(notes)  # weights are read once
    for name, call in (
        ("beats, bars, key", lambda: track_beats(notes)),
        ("score", lambda: make_score(notes, beats)),
        ("score and MusicXML", lambda: formats.musicxml_bytes(notes, beats=beats)),
        ("MIDI with tempo map", lambda: formats.midi_bytes(notes, beats=beats)),
        ("clean-up", lambda: clean(notes, CleanUp(strength=0.5))),
    ):
        began, cpu = time.perf_counter(), time.process_time()
        call()
        print(f"{name}: {time.perf_counter() - began:.2f} s ({time.process_time() - cpu:.2f} s of processor) for "
              f"{len(notes)} notes in {notes.end:.0f} s", flush=True)  # fmt: skip


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pieces", type=int, default=45)
    parser.add_argument("--cache", type=Path, help="keep the scores that have been read here")
    parser.add_argument("--only", nargs="*", choices=("beats", "bach10", "notation", "bends", "clean-up", "time"))
    parser.add_argument("--no-network", action="store_true", help="leave out what has to transcribe")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    found = [p for _, p in load_pieces(args.data / "scores", args.cache) if held_out(p.name)]
    pieces = [p for p in found if p.name.startswith(("lc", "sq"))]
    pieces = [pieces[i] for i in np.random.default_rng(3).permutation(len(pieces))[: args.pieces]]
    print(f"{len(pieces)} held-out pieces of OpenScore")
    transcriber = None
    if not args.no_network:
        from amtsep.inference import Transcriber

        transcriber = Transcriber("light", threads=1)
    wanted = set(args.only or ("beats", "bach10", "notation", "bends", "clean-up", "time"))
    if "notation" in wanted:
        measure_notation(pieces, transcriber)
    if "time" in wanted:
        measure_time(pieces)
    if "beats" in wanted:
        measure_beats(pieces, transcriber)
    if transcriber is not None:
        if "bends" in wanted:
            measure_bends(transcriber)
        if "bach10" in wanted:
            measure_bach10(args.data / "bach10" / "dev", transcriber)
            measure_bach10_cents(args.data / "bach10" / "dev", transcriber)
        if "clean-up" in wanted:
            measure_clean_up(args.data, transcriber)


if __name__ == "__main__":
    main()
