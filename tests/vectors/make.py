"""Write the vectors that hold Python and the page's TypeScript to one rule.

    python tests/vectors/make.py

- ``decoding.json``: posteriors, thresholds, and the notes that `amtsep.decoding` makes of them (`decode.ts`);
- ``clustering.json``: notes with embeddings, and the tracks, numbers of timbres and random draws that
  `amtsep.clustering` and `widgets.state.grouping` make of them (`clustering/`);
- ``edits.json``: corrections by hand in turn, and the table after each (`widgets.state.corrections`, `edits.ts`);
- ``midi.json``: tables of notes, drums and pitch curves, and their MIDI and CSV files (`amtsep.formats`, `files.ts`).
- ``notation.json``: tables of notes, a grid, and their MusicXML (`amtsep.formats.musicxml`, `notation.ts`), with what
  the page does not have put out: changes of key and spelling by context, voices, hands that are found.

Write them again where a rule is meant to change, and change its other half in widgets/js/src with it.
"""

from __future__ import annotations

import base64
import importlib.util
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from amtsep.audio import from_samples
from amtsep.clustering import cluster, estimate_timbres
from amtsep.clustering.count import FEATURES
from amtsep.clustering.encoder import CENTRES, NoteEncoder
from amtsep.config import Clustering, Decoding, FrontEnd
from amtsep.decoding import Decoder, embed_notes
from amtsep.formats import csv_text, midi_bytes, musicxml_bytes
from amtsep.notes import Notes, Track
from amtsep.posteriors import Posteriors
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.bends import Bend
from amtsep.rhythm.key import find_key
from amtsep.rhythm.metre import Metre

FRAMES = 60
SETTINGS = (
    Decoding(),
    Decoding(inferred_onsets=False, leftover_notes=False),
    Decoding(onset_threshold=0.2, frame_threshold=0.15, min_note_length=0.03),
    Decoding(onset_threshold=0.35, frame_threshold=0.5, min_note_length=0.15, min_pitch=40, max_pitch=80),
    Decoding(onset_threshold=0.02, frame_threshold=0.05, min_note_length=0.0),
    Decoding(energy_tolerance=0.0, min_note_length=0.02),
    Decoding(energy_tolerance=0.4),
    Decoding(ends="key"),
    Decoding(ends="sound"),
    Decoding(ends="key", onset_threshold=0.2, offset_threshold=0.1, min_note_length=0.03, energy_tolerance=0.05),
)
SHARED = (
    "midi_min",
    "smoothing",
    "sure_height",
    "timing_reach",
    "peak_floor",
    "release_reach",
    "release_s",
    "level_frames",
    "loud_velocity",
    "velocity_per_db",
    "levels",
)
"""What of the static page's settings (web/settings.py) the decoder takes."""
COLUMNS = ("onset", "offset", "pitch", "velocity", "track")


def page_settings() -> dict[str, Any]:
    """All numbers that the static page gets."""
    where = Path(__file__).resolve().parents[2] / "web" / "settings.py"
    spec = importlib.util.spec_from_file_location("web_settings", where)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    every: dict[str, Any] = module.settings()
    return every


def rule() -> dict[str, Any]:
    """The numbers of the decoder."""
    every = page_settings()
    return {name: every[name] for name in SHARED}


def drawn(seed: int, noise: float) -> dict[str, NDArray[np.uint8]]:
    """Bytes of a posterior with notes that repeat, overlap, stop at the ends and fade, under `noise`."""
    rng = np.random.default_rng(seed)
    onset, frame = np.zeros((2, 88, FRAMES))
    spectrogram = rng.integers(0, 60, (306, FRAMES))
    for _ in range(50):
        row, start, length = int(rng.integers(0, 88)), int(rng.integers(-3, FRAMES)), int(rng.integers(2, 40))
        stop = min(start + length, FRAMES)
        for shift, height in ((-1, 0.4), (0, 1.0), (1, 0.5)):
            if 0 <= start + shift < FRAMES:
                onset[row, start + shift] = max(onset[row, start + shift], height * rng.uniform(0.1, 1.0))
        frame[row, max(start, 0) : stop] = rng.uniform(0.1, 1.0)
        frame[row, max(start, 0) : stop] *= rng.uniform(0.6, 1.0, max(stop - max(start, 0), 0))
        spectrogram[3 * row : 3 * row + 2, max(start, 0) : stop] = rng.integers(100, 256)
    for table in (onset, frame):
        table += noise * rng.random(table.shape) ** 4
    # Keys are let go before the sound has gone, or after it, or twice; some are never heard to be.
    offset = np.zeros_like(frame)
    for row, end in np.argwhere((frame[:, :-1] > 0.05) & (frame[:, 1:] <= 0.05)):
        for at in rng.integers(end - 12, end + 9, int(rng.integers(0, 3))):
            if 0 <= at < FRAMES - 1:
                offset[row, at : at + 2] += rng.uniform(0.1, 1.0) * np.array([1.0, rng.uniform(0.0, 1.0)])
    offset += noise * rng.random(offset.shape) ** 6
    tables = {"onset": onset, "frame": frame, "offset": offset}
    as_bytes = {name: np.round(255 * np.clip(table, 0, 1)).astype(np.uint8) for name, table in tables.items()}
    return {**as_bytes, "spectrogram": spectrogram.astype(np.uint8)}


def posteriors_of(tables: dict[str, NDArray[np.uint8]]) -> Posteriors:
    """As both sides make them of the bytes."""
    onset, frame, offset = (tables[name].astype(np.float32) / np.float32(255) for name in ("onset", "frame", "offset"))
    hop_s = FrontEnd().hop_s
    return Posteriors(onset, frame, tables["spectrogram"], hop_s, (FRAMES - 0.3) * hop_s, offset=offset)


def vectors() -> list[dict[str, Any]]:
    """Every case with what must come of it."""
    cases = []
    for seed, noise in ((1, 0.0), (2, 1.0)):
        tables = drawn(seed, noise)
        posteriors = posteriors_of(tables)
        decoder = Decoder(posteriors)
        found = []
        for settings in SETTINGS:
            notes = decoder(settings)
            columns = ("onset", "offset", "pitch", "velocity", "confidence")
            found.append({name: getattr(notes, name).tolist() for name in columns})
        cases.append(
            {
                "frames": FRAMES,
                "hop": posteriors.hop_s,
                "duration": posteriors.duration_s,
                **{name: base64.b64encode(values.tobytes()).decode() for name, values in tables.items()},
                "notes": found,
            }
        )
    return cases


def decoding_vectors() -> dict[str, Any]:
    """``decoding.json``."""
    return {"rule": rule(), "settings": [asdict(s) for s in SETTINGS], "cases": vectors()}


def table_of(notes: Notes, numbers: NDArray[np.int32]) -> list[dict[str, Any]]:
    """A note table as the page has it: one object a note, `hand` its number among those made by hand."""
    rows = zip(*(getattr(notes, name).tolist() for name in COLUMNS), numbers.tolist())
    return [dict(zip((*COLUMNS, "hand"), row)) for row in rows]


def message(rng: np.random.Generator, table: list[dict[str, Any]]) -> dict[str, Any]:
    """A correction as the roll sends it."""
    what = str(rng.choice(["add", "change", "delete", "split", "join"], p=[0.3, 0.3, 0.1, 0.15, 0.15]))
    if what == "add":
        onset = round(float(rng.uniform(-0.2, 6.1)), 3)
        note = {"onset": onset, "offset": onset + 0.4, "pitch": int(rng.integers(60, 64)), "velocity": 80, "track": 0}
        # Twice, so that two notes lie at one place.
        return {"what": what, "notes": [note] * int(rng.integers(1, 3))}
    chosen = rng.choice(len(table), min(len(table), 3 if what == "join" else int(rng.integers(1, 3))), replace=False)
    if what == "join":
        pitch = table[int(chosen[0])]["pitch"]
        chosen = np.flatnonzero([note["pitch"] == pitch for note in table])[:3]
    notes = [table[int(i)] for i in chosen]
    made: dict[str, Any] = {"what": what, "at": [[n["pitch"], n["onset"], n["hand"]] for n in notes]}
    if what == "change":
        by, up = round(float(rng.uniform(-0.1, 0.1)), 3), int(rng.integers(-1, 2))
        moved = [{**n, "onset": n["onset"] + by, "offset": n["offset"] + by, "pitch": n["pitch"] + up} for n in notes]
        # One is sent as it was: that is no correction.
        made["notes"] = [dict(notes[0]), *moved[1:]] if len(moved) > 1 else moved
    if what == "split":
        made["time"] = (notes[0]["onset"] + notes[0]["offset"]) / 2
    return made


def edits_vectors() -> list[dict[str, Any]]:
    """``edits.json``."""
    from widgets.state.corrections import correct
    from widgets.state.session import Session

    cases = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        onset = np.sort(np.round(rng.uniform(0, 5.5, 14), 3))
        decoded = Notes.build(onset, onset + 0.3, rng.integers(60, 64, 14))
        session = Session(model="light")
        silence = Posteriors(*np.zeros((2, 88, 517), np.float32), np.zeros((306, 517), np.uint8), FrontEnd().hop_s, 6.0)
        session.show(from_samples(np.zeros(6 * 22050, np.float32), 22050), silence)
        # The notes are given here: what is decoded, and from what, is the matter of the other vectors.
        session._decoder, session._last = (lambda _settings, notes=decoded: notes), None
        session._refresh()
        steps = []
        for _ in range(25):
            sent = message(rng, table_of(session.notes, session.hand_ids))
            correct(session, sent)
            steps.append({"message": sent, "table": table_of(session.notes, session.hand_ids)})
        cases.append({"decoded": table_of(decoded, np.zeros(14, np.int32)), "end": 6.0, "steps": steps})
        session.close()
    return cases


def drum_table(onset: Any, key: Any, velocity: Any) -> Notes:
    """Strokes on a track of drums."""
    times = np.asarray(onset, np.float64)
    return Notes.build(times, times + 0.05, key, velocity, tracks=[Track("Drums", 0, drums=True)])


def drawn_bend(rng: np.random.Generator, notes: Notes, index: int) -> Bend:
    """A pitch curve of a few points, some of them beyond what pitch bend spans."""
    time = np.linspace(notes.onset[index] - 0.01, notes.offset[index], int(rng.integers(1, 7)))
    return Bend(np.round(time, 4), np.round(rng.normal(0, 90, len(time)), 2))


def midi_vectors() -> list[dict[str, Any]]:
    """``midi.json``."""
    cases = []
    for tracks in (1, 2, 11):
        rng = np.random.default_rng(tracks)
        onset = np.round(rng.uniform(0, 200, 40), 4)  # long enough for every length of a time
        onset[:2] = 12.5  # two of one pitch at once
        pitch = rng.integers(40, 50, 40)
        pitch[1] = pitch[0]
        track = np.arange(40) % tracks
        names = tuple(Track("Timbre ä" if i else "Notes", i) for i in range(tracks))
        ends, velocity = onset + rng.uniform(0.01, 30, 40), rng.integers(1, 128, 40)
        notes = Notes.build(onset, ends, pitch, velocity, track=track, tracks=names)
        key = rng.choice([36, 38, 42], 12)
        struck = np.sort(np.round(rng.uniform(0, 200, 12), 4))
        # The first without drums.
        strokes = drum_table(struck, key, rng.integers(1, 128, 12)) if tracks > 1 else drum_table([], [], [])
        every, order = notes.joined(strokes) if len(strokes) else (notes, np.arange(len(notes)))
        bends = [drawn_bend(rng, notes, i) if rng.random() < 0.7 else None for i in range(len(notes))]
        known = [*bends, *([None] * len(strokes))]
        ordered = [known[i] for i in order]
        about = [{"name": t.name, "program": t.program} for t in names]
        table = table_of(notes, np.zeros(40, np.int32))
        lane = table_of(strokes, np.zeros(len(strokes), np.int32))
        files = [midi_bytes(every, title="Stück"), midi_bytes(every, title="Stück", bends=ordered)]
        plain, bent = (base64.b64encode(data).decode() for data in files)
        curves = [bend and {"time": bend.time.tolist(), "cents": bend.cents.tolist()} for bend in bends]
        made = {"bytes": plain, "bent": bent, "csv": csv_text(every), "bent_csv": csv_text(every, ordered)}
        cases.append({"title": "Stück", "tracks": about, "notes": table, "strokes": lane, "bends": curves, **made})
    return cases


DIM = 4
COUNT = {
    "features": list(FEATURES),
    "mean": [0.1 * i for i in range(len(FEATURES))],
    "scale": [1.0 + 0.1 * i for i in range(len(FEATURES))],
    "weight": [(-1.0) ** i * (0.5 + 0.05 * i) for i in range(len(FEATURES))],
}
"""A model of the number of timbres that is nobody's, so that the vectors outlive other weights."""


def played(seed: int, n: int, timbres: int) -> Notes:
    """Notes of several timbres that overlap in time and in sound; one note in ten is off."""
    rng = np.random.default_rng(seed)
    onset = np.sort(np.round(rng.uniform(0, n / 4, n), 3))
    own = rng.integers(0, timbres, n)
    centre = rng.standard_normal((timbres, DIM))
    x = centre[own] + rng.standard_normal((n, DIM)) * np.where(rng.random(n) < 0.1, 1.5, 0.35)[:, None]
    x = np.round(100 * x / np.linalg.norm(x, axis=1, keepdims=True)) / 128  # short numbers, the same in 32 bits
    return Notes.build(
        onset,
        onset + np.round(rng.uniform(0.05, 1.5, n), 3),
        45 + 7 * own + rng.integers(0, 12, n),
        rng.integers(20, 120, n),
        np.round(rng.uniform(0.2, 1, n) * 128) / 128,
        embedding=x.astype(np.float32),
    )


def heard_table(notes: Notes) -> list[list[float]]:
    """Rows of onset, offset, pitch, velocity, confidence, and the embedding."""
    columns = (notes.onset, notes.offset, notes.pitch, notes.velocity, notes.confidence)
    return np.column_stack([*columns, notes.embedding]).tolist()


def grouped(notes: Notes, others: Notes) -> list[dict[str, Any]]:
    """A person's work on the tracks, step by step, and the tracks after each step."""
    from widgets.state.edits import State
    from widgets.state.grouping import Grouping, group

    taught = [(int(notes.pitch[i]), float(notes.onset[i]) + 0.01, track) for i, track in ((3, 1), (17, 2), (30, 0))]
    steps: tuple[tuple[dict[str, Any], bool, Notes], ...] = (
        ({}, True, notes),
        ({}, False, others),
        ({}, True, others),
        ({"timbres": 3}, True, notes),
        ({"timbres": 3, "taught": taught[:1]}, True, notes),
        ({"timbres": 2, "taught": taught[:1], "merged": [(2, 0)]}, True, notes),
        ({"timbres": 3, "taught": taught, "merged": [(1, 0)]}, True, others),
        ({"timbres": 4, "taught": [(*taught[0][:2], 5)]}, True, notes),
        ({"min_timbres": 2, "found": 4}, True, notes),
    )
    found: list[dict[str, Any]] = []
    before, known = None, Grouping()
    for change, thorough, table in steps:
        clustering = Clustering(timbres=change.get("timbres"), min_timbres=change.get("min_timbres", 1))
        own: dict[str, Any] = {name: change.get(name, ()) for name in ("taught", "merged")}
        state = State(clustering=clustering, found=change.get("found", known.timbres if found else 0), **own)
        before, known = group(table, state, before, known, thorough=thorough)
        found.append(
            {
                "state": {"clustering": asdict(clustering), "found": state.found, **own},
                "thorough": thorough,
                "table": int(table is others),
                "track": before.track.tolist(),
                "timbres": known.timbres,
                "tracks": known.tracks,
            }
        )
    return found


def drawn_encoder(seed: int, width: int = 8, outputs: int = 6) -> NoteEncoder:
    """A small encoder of notes that nobody has fitted."""
    rng = np.random.default_rng(seed)
    sizes = [(3 + len(CENTRES) + 3 * DIM, width), *[(width, width)] * 4, (width, outputs)]
    layers = [(rng.standard_normal(size) / 2, rng.standard_normal(size[1]) / 2) for size in sizes]
    return NoteEncoder(("0123456789ab",), 0.7, tuple((a.astype(np.float32), b.astype(np.float32)) for a, b in layers))


def clustering_vectors() -> dict[str, Any]:
    """``clustering.json``."""
    rng = np.random.default_rng
    weight = np.arange(1, 1001) % 7 + 1.0
    draws: dict[str, Any] = {
        "some": [
            [n, size, sorted(rng(0).choice(n, size, replace=False).tolist())] for n, size in ((90, 40), (10_500, 300))
        ],
        "weighted": sorted(rng(0).choice(1000, 60, replace=False, p=weight / weight.sum()).tolist()),
    }
    tables = drawn(5, 0.3)
    units = rng(5).integers(-127, 128, (88, FRAMES, DIM)).astype(np.int8)
    posteriors = posteriors_of(tables)
    sound = Posteriors(
        posteriors.onset,
        posteriors.frame,
        posteriors.spectrogram,
        posteriors.hop_s,
        posteriors.duration_s,
        embedding=units,
    )
    heard = embed_notes(Decoder(sound)(), sound)
    file = json.loads(drawn_encoder(9).text())
    sound = replace(sound, model=f"drawn {file['networks'][0]}")
    with mock.patch("amtsep.clustering.encoder.shipped", lambda _path: NoteEncoder.of(file)):
        encoded = embed_notes(heard, sound)
    cases = []
    with mock.patch("amtsep.clustering.count.count_model", lambda: COUNT):
        for seed, n, timbres in ((1, 70, 3), (2, 45, 1), (3, 300, 4), (4, 900, 3)):
            notes = played(seed, n, timbres)
            others = notes.select(np.flatnonzero(np.arange(n) % 5 > 0))
            estimate = estimate_timbres(notes)
            cases.append(
                {
                    "notes": heard_table(notes),
                    "probability": list(estimate.probability),
                    "tracks": {k: cluster(notes, Clustering(timbres=k)).track.tolist() for k in (1, 2, 3, 5)},
                    # A long table shows the thinning; what people do is shown by short ones.
                    "steps": grouped(notes, others) if n < 100 else [],
                }
            )
    return {
        "rule": page_settings()["clustering_rule"],
        "settings": asdict(Clustering()),
        "count": COUNT,
        "draws": draws,
        "heard": {
            **{
                name: base64.b64encode(values.tobytes()).decode()
                for name, values in {**tables, "embedding": units}.items()
            },
            "frames": FRAMES,
            "dim": DIM,
            "hop": sound.hop_s,
            "duration": sound.duration_s,
            "decoding": {"rule": rule(), "settings": asdict(Decoding())},
            "expected": heard.embedding.tolist(),
            "encoder": file,
            "model": sound.model,
            "encoded": encoded.embedding.tolist(),
        },
        "cases": cases,
    }


def performed(rng: np.random.Generator, beats: int, period: float, start: float, track: int, low: int) -> list[tuple]:
    """Somebody plays: a line or chords of many note values over some bars, hardly ever in time."""
    figures = "1; .5 .5; 1.5 .5; .3333 .3333 .3334; .6667 .3333; .25 .25 .25 .25; 2; 3; .75 .25; 4"
    values = [tuple(map(float, figure.split())) for figure in figures.split("; ")]
    rows: list[tuple] = []
    at = float(rng.integers(0, beats))
    while at < 6 * beats:
        for value in values[rng.integers(len(values))]:
            size = 1 if track == 1 else int(rng.choice([0, 1, 2, 3]))
            for pitch in low + rng.choice(30, size, replace=False):
                onset = start + (at + rng.normal(0, 0.015)) * period
                length = max(value * period * rng.uniform(0.3, 1.1), 0.04)
                rows.append((max(onset, 0.0), max(onset, 0.0) + length, int(pitch), int(rng.integers(20, 120)), track))
                if rng.random() < 0.05:  # a grace note
                    early = max(onset - rng.uniform(0.04, 0.08), 0.0)
                    rows.append((early, early + 0.05, int(pitch) + 2, 50, track))
            at += value
    return rows


def notation_vectors() -> dict[str, Any]:
    """Tables, grids and files."""

    def named(pitch: NDArray[np.int_], _onset: object, signature: NDArray[np.int_]) -> NDArray[np.int_]:
        up = (7 * pitch - signature) % 12
        return signature + np.where(up > 8, up - 12, up)

    rng = np.random.default_rng(11)
    cases = []
    for tempo, metre, start, programs, sharps in (  # the signature that most notes belong to
        (120.0, Metre(4, 4), 0.0, (0, 40), 2),
        (93.5, Metre(3, 4), 0.7, (0, 33), -3),
        (66.0, Metre(2, 4), 0.31, (24, 41), 6),
        (171.0, Metre(4, 4), 2.3, (70, 73), -5),
    ):
        period = 60.0 / tempo
        rows = performed(rng, metre.beats, period, start, 0, 44) + performed(rng, metre.beats, period, start, 1, 60)
        columns = np.round(np.array(rows), 4).T
        # Most notes belong to the key.
        outside = (7 * columns[2].astype(int) - sharps + 1) % 12 > 6
        columns[2] -= outside & (np.arange(len(rows)) % 5 > 0)
        tracks = tuple(Track(f"Timbre & {p}", p) for p in programs)
        notes = Notes.build(*columns[:4], np.full(len(rows), 0.9), columns[4].astype(int), tracks=tracks)
        # Bars go back as far as there are notes.
        bar = metre.beats * period
        first = start - max(0, int(np.ceil((start - notes.onset[0]) / bar - 1e-9))) * bar
        key = np.array([find_key(notes)[0]])
        with (
            mock.patch("amtsep.rhythm.score.bar_keys", lambda *_, key=key: (np.zeros(1), key)),
            mock.patch("amtsep.rhythm.spelling.fifths", named),
            mock.patch("amtsep.rhythm.voices.voices", lambda start, *_: np.zeros(len(start), int)),
            mock.patch("amtsep.rhythm.voices.hands", lambda start, end, pitch: (pitch < 60).astype(int)),
        ):
            beats = Beats.steady(tempo, notes.end, metre, first)
            file = musicxml_bytes(notes, title="<A piece>", beats=beats).decode()
        table = [
            dict(zip(COLUMNS, values, strict=True))
            for values in zip(*(getattr(notes, name).tolist() for name in COLUMNS), strict=True)
        ]
        grid = {"tempo": tempo, "beats": metre.beats, "start": start}
        sounds = [{"name": t.name, "program": t.program} for t in tracks]
        cases.append({"title": "<A piece>", "tracks": sounds, "notes": table, "grid": grid, "file": file})
    return {"rule": page_settings()["quantisation"], "cases": cases}


FILES = {
    "clustering": clustering_vectors,
    "decoding": decoding_vectors,
    "edits": edits_vectors,
    "midi": midi_vectors,
    "notation": notation_vectors,
}


def text(name: str) -> str:
    """One of the files."""
    return json.dumps(FILES[name]()) + "\n"


if __name__ == "__main__":
    for name in FILES:
        Path(__file__).with_name(f"{name}.json").write_text(text(name), encoding="utf-8")
