"""Recordings a minute long with a known number of timbres, to learn from how many there are.

    python -m amtsep.synthesis.songs --samples samples/philharmonia --scores scores --count 100 --out songs
    python -m amtsep.training.timbres hear --songs songs --model base.safetensors --out songs.npz

The bank that a network is trained on holds clips of nine seconds; a recording that somebody wants taken apart lasts
minutes, and within it a piano wanders over six octaves. Here a minute of a real score is given to one polyphonic
instrument (a piano, a guitar, an organ, keys, a harp), to a combo of two to four, or to a chamber ensemble, and is
rendered by the means of `amtsep.synthesis`. The result is a bank whose stems share the name of their song.

With ``--held-out`` it is a development set: songs of two to four timbres that no training hears (held-out programs,
collections and patches), on pieces kept from training, mixed with and without drums (`amtsep.synthesis.arrangements`):

    python -m amtsep.synthesis.songs --held-out --count 10 --seconds 45 --seed 1 --out songs \\
        --samples samples/philharmonia --samples samples/bands --scores scores --music21 \\
        --patches patches/zyn --patches patches/vita --groove groove --drum-kits kits
    amtsep evaluate --dataset pairs --root songs/plain --model base -o report-plain
    amtsep evaluate --dataset pairs --root songs/drums --model base -o report-drums
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amtsep.errors import AmtsepError, DataError
from amtsep.synthesis.arrangements import Drummers, mix_songs
from amtsep.synthesis.generate import Order, Recipe, Sources, Voice, collections, split_pieces, synthesize
from amtsep.synthesis.guard import refuse
from amtsep.synthesis.music import Piece, excerpt, music21_folders
from amtsep.synthesis.scores import monophonic, tidy
from amtsep.synthesis.soundfonts import available, find_soundfonts
from amtsep.synthesis.stage import SCENES

Score = NDArray[np.void]
TIMBRES = (0.44, 0.19, 0.19, 0.18)
"""Chance of 1, 2, 3 and 4 timbres."""
BANDS = (0.0, 0.2, 0.4, 0.4)
"""The same for songs of held-out timbres."""
SOLO = {"piano": 0.42, "guitar": 0.2, "keys": 0.1, "organ": 0.08, "mallet": 0.06, "plucked": 0.06, "any": 0.08}
"""What plays alone, by category of instrument."""
ROLES: dict[str, tuple[str, ...]] = {
    "lead": ("reed", "pipe", "voice", "synth", "strings", "brass", "guitar", "keys", "mallet"),
    "second": ("guitar", "keys", "mallet", "strings", "brass", "plucked", "reed", "synth"),
    "chords": ("piano", "guitar", "keys", "organ", "synth", "strings"),
    "bass": ("bass",),
    "part": (),
}
"""Categories that may take a part of a combo; none stands for all."""
POLYPHONIC = 0.85
"""A part that loses more than the rest of its notes when played one at a time is made of chords."""
RATHER_SOLO = 0.55
"""Share of solos that play every part of a score at once; the rest draws from one part or from chance."""


def _joined(parts: Sequence[Score], seconds: float) -> Score:
    return tidy(np.concatenate(parts), seconds)


def in_range(score: Score, low: int, high: int, seconds: float) -> Score:
    """The part with what lies outside a range moved by octaves, and left out where no octave fits."""
    moved = score.copy()
    pitch = moved["pitch"].astype(int)
    pitch = np.where(pitch < low, pitch + 12 * -((pitch - low) // 12), pitch)
    moved["pitch"] = np.where(pitch > high, pitch - 12 * -((high - pitch) // 12), pitch)
    return tidy(moved[(moved["pitch"] >= low) & (moved["pitch"] <= high)], seconds)


def roles_of(rng: np.random.Generator, parts: Sequence[Score], count: int) -> list[tuple[str, Score]]:
    """`count` parts of a score and what each is to a combo; fewer where the score does not give them.

    A part of chords may be split in a bass and the rest, as a band would.
    """
    chosen = [part for part in parts if len(part) >= 8]
    chordal = [len(monophonic(part)) < POLYPHONIC * len(part) for part in chosen]
    if any(chordal):
        order = sorted(range(len(chosen)), key=lambda i: (chordal[i], -float(np.median(chosen[i]["pitch"]))))
        named = [("chords" if chordal[i] else ("second" if n else "lead"), chosen[i]) for n, i in enumerate(order)]
        name, last = named[-1]
        low = last["pitch"] < 50
        if name == "chords" and count > 1 and low.sum() >= 8 and (~low).sum() >= 8 and rng.random() < 0.8:
            named[-1:] = [(name, last[~low]), ("bass", monophonic(last[low]))]
    else:
        named = [("part", part) for part in chosen]
    keep = np.sort(rng.permutation(len(named))[:count])
    return [named[i] for i in keep]


def choose(
    rng: np.random.Generator,
    known: Sequence[Voice],
    score: Score,
    categories: Sequence[str],
    taken: Sequence[int],
    held_out: bool = False,
) -> int | None:
    """A voice of one of the categories whose range holds the part, held out or not; None where there is none."""
    low, high = np.quantile(score["pitch"].astype(int), [0.03, 0.97])
    chordal = len(monophonic(score)) < POLYPHONIC * len(score)
    weights = np.zeros(len(known))
    # Two soundfonts' harpsichords may be one: who is scored for telling timbres apart is not asked to.
    families = {known[i].instrument.family for i in taken} if held_out else set()
    for i, voice in enumerate(known):
        made_for = not categories or voice.instrument.category in categories
        fits = min(high, voice.instrument.high) - max(low, voice.instrument.low) >= 0.7 * (high - low)
        free = voice.held_out == held_out and i not in taken and voice.instrument.family not in families
        if made_for and fits and free and not (chordal and voice.instrument.mono):
            weights[i] = voice.weight
    if not weights.any():
        return None
    # Every category of a role is as likely, however many programs it has.
    kinds = np.array([voice.instrument.category for voice in known])
    for kind in set(kinds[weights > 0].tolist()):
        weights[kinds == kind] /= weights[kinds == kind].sum()
    return int(rng.choice(len(known), p=weights / weights.sum()))


def draw_song(
    rng: np.random.Generator,
    known: Sequence[Voice],
    pieces: Sequence[Piece],
    seconds: float,
    held_out: bool = False,
) -> list[tuple[int, Score | None]]:
    """Voices and what they play; None as a score has the renderer invent one. Empty where nothing came of it."""
    count = 1 + int(rng.choice(len(TIMBRES), p=BANDS if held_out else TIMBRES))
    parts = excerpt(rng, pieces[int(rng.integers(len(pieces)))], seconds, least_notes=30, tempo=(0.8, 1.25))
    parts = [part for part in parts or [] if len(part)]
    if not parts:
        return []
    if count == 1:
        kind = str(rng.choice(list(SOLO), p=list(SOLO.values())))
        way = rng.random()
        score = _joined(parts, seconds) if way < RATHER_SOLO else max(parts, key=len)
        voice = choose(rng, known, score, () if kind == "any" else (kind,), ())
        if voice is None:
            return []
        score = in_range(score, known[voice].instrument.low, known[voice].instrument.high, seconds)
        return [(voice, None if way > 0.85 or len(score) < 20 else score)]
    song: list[tuple[int, Score | None]] = []
    for role, part in roles_of(rng, parts, count):
        voice = choose(rng, known, part, ROLES[role], [v for v, _ in song], held_out)
        if voice is not None:
            score = in_range(part, known[voice].instrument.low, known[voice].instrument.high, seconds)
            song.append((voice, monophonic(score) if known[voice].instrument.mono else score))
    long_enough = all(score is not None and len(score) >= 8 for _, score in song)
    return song if len(song) == count and long_enough else []


def plan_songs(
    recipe: Recipe, known: list[Voice], pieces: list[Piece], count: int, held_out: bool = False
) -> list[Order]:
    """Orders for `count` songs; their stems share the name of the song as `piece`.

    With `held_out` all timbres are held out, and the pieces those that a bank keeps for development.
    """
    if held_out:
        pieces = split_pieces(pieces)[1]
        # Collections and programs are few, patches many: each of the former counts as often as all patches of a class.
        known = [replace(v, weight=4.0 * v.weight) if v.patch is None else v for v in known]
    if not pieces:
        raise DataError("Songs need scores: give a folder of MIDI or MusicXML files with --scores, or --music21.")
    orders: list[Order] = []
    for number in range(count):
        for attempt in range(200):
            song = draw_song(
                np.random.default_rng([recipe.seed, number, attempt]), known, pieces, recipe.clip_s, held_out
            )
            if song:
                break
        for part, (voice, score) in enumerate(song):
            split = "dev" if held_out else "train"
            orders.append(Order(voice, (30 + part, number), score, f"song {number:04d}", part, split))
    return orders


def main(arguments: Sequence[str] | None = None) -> int:
    """Render songs; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, help="folder to write: a bank whose pieces are songs")
    parser.add_argument("--count", type=int, default=100, help="songs (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a song (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=Path, action="append", default=[], help="as for 'amtsep synthesize'")
    parser.add_argument("--scores", type=Path, action="append", default=[], help="folder of MIDI or MusicXML files")
    parser.add_argument("--music21", action="store_true", help="scores of the installed music21 too")
    parser.add_argument("--fonts", nargs="*", help="names of the soundfonts to use (default: all that are found)")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--held-out", action="store_true", help="a development set of held-out timbres, mixed with and without drums"
    )
    parser.add_argument("--patches", type=Path, action="append", default=[], help="as for 'amtsep synthesize'")
    parser.add_argument("--groove", type=Path, help="what drums play, with --held-out")
    parser.add_argument("--drum-kits", type=Path, action="append", default=[], help="with --held-out")
    parser.add_argument(
        "--stereo", action="store_true", help="with --held-out: in two channels too, panned in three ways, in stereo/"
    )
    args = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        found = find_soundfonts() if available() else {}
        fonts = {name: path for name, path in found.items() if args.fonts is None or name in args.fonts}
        given = collections(args.samples, "samples")
        samples = {name: refuse(folder, "a collection of samples") for name, folder in given.items()}
        sources = Sources(samples, (*args.scores, *(music21_folders() if args.music21 else ())), None, fonts)
        sources = replace(sources, patches=collections(args.patches, "patches", tuple(samples)))
        # As many made-up singers as a bank of so many hours has; some of them are held out.
        hours = 64.0 if args.held_out else 1.0
        recipe = Recipe(hours=hours, seed=args.seed, clip_s=args.seconds, synthetic=0.0)
        bank = synthesize(
            args.out / "stems" if args.held_out else args.out,
            recipe,
            sources,
            args.jobs,
            planner=lambda recipe, known, pieces, _: plan_songs(recipe, known, pieces, args.count, args.held_out),
        )
        if args.held_out:
            mix_songs(bank, args.out / "plain", args.seed)
            if args.groove is not None:
                band = Drummers.of(args.groove, args.drum_kits)
                mix_songs(bank, args.out / "drums", args.seed, band)
            for scene in SCENES if args.stereo else ():
                mix_songs(bank, args.out / "stereo" / scene, args.seed, scene=scene)
    except AmtsepError as error:
        print(str(error), file=sys.stderr)
        return 1
    print(f"{bank!r} in {args.out}: {args.count} songs, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
