"""Patches of synthesizers: what is kept and what is not, the files, going on after a stop, and playing them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from amtsep.cli import main
from amtsep.errors import DataError
from amtsep.synthesis import patches, vital, zyn
from amtsep.synthesis.expression import Expression
from amtsep.synthesis.onsets import measure
from amtsep.synthesis.patch_engine import HOLD_S, LEAD_S, TAIL_S, Description, RawNote
from amtsep.synthesis.patches import (
    load_patch,
    read_patches,
    report,
    survey,
    wanted_notes,
)
from amtsep.synthesis.pitch import cents_off, sounding_offset
from amtsep.synthesis.sampler import RATE, render_samples
from amtsep.synthesis.scores import SCORE_DTYPE

KNOWN = Description("test-lead", "test/lead", "synth-lead", "synth", 48, 84, True)
N = int((LEAD_S + HOLD_S + TAIL_S) * RATE)
T = np.arange(N) / RATE


def tone(pitch: float, attack: float = 0.005, decay: float = 0.0, release: float = 0.05) -> np.ndarray:
    f0 = 440 * 2 ** ((pitch - 69) / 12)
    x = sum(np.sin(2 * np.pi * f0 * k * T) / k for k in range(1, 9) if f0 * k < 10000)
    gate = np.clip((T - LEAD_S) / attack, 0, 1) * np.where(
        T > LEAD_S + HOLD_S, np.exp(-(T - LEAD_S - HOLD_S) / release), 1
    )
    return np.asarray(0.1 * x * gate * (10 ** (-T * decay / 20)), np.float32)


def played(sound, known: Description = KNOWN) -> list[RawNote]:  # type: ignore[no-untyped-def]
    return [RawNote(p, v, sound(p) * (v / 127)) for p, v in wanted_notes(known, 0)]


def test_a_steady_patch_is_kept_with_its_times() -> None:
    patch, notes = survey(KNOWN, played(tone))
    assert not patch.verdict and patch.notes == len(notes) == 20
    assert (patch.low, patch.high, patch.mono, patch.category) == (47, 85, True, "synth")
    assert abs(patch.delay_s) < 0.01 and patch.spread_s < 0.005 and patch.decay_s == 0.0
    # It ends half way down its release, not at the end of the file.
    assert all(HOLD_S - 0.05 < n.end_s - n.onset_s < HOLD_S + 0.15 for n in notes)


def test_a_patch_that_dies_away_is_called_plucked() -> None:
    patch, _ = survey(KNOWN, played(lambda p: tone(p, decay=20)))
    assert patch.category == "plucked" and 1.0 < patch.decay_s < 2.0


def _arpeggio(pitch: int) -> np.ndarray:
    """Struck anew every quarter of a second."""
    return np.asarray(tone(pitch) * np.exp(-((T - LEAD_S) % 0.25) / 0.03), np.float32)


def _wandering(pitch: int) -> np.ndarray:
    return np.where(T < 0.7, tone(pitch), tone(pitch + 5)).astype(np.float32)


@pytest.mark.parametrize(
    ("sound", "verdict"),
    [
        (lambda p: np.zeros(N, np.float32), "silent"),
        (lambda p: np.roll(tone(p), int(0.2 * RATE)), "slow"),
        (lambda p: np.roll(tone(p), int(0.01 * (p % 12) * RATE)), "unsteady"),
        (lambda p: np.random.default_rng(p).normal(0, 0.05, N).astype(np.float32), "without clear pitch"),
        (lambda p: tone(p) + tone(p + 3.5), "without clear pitch"),
        (lambda p: tone(p + 0.36 * (p // 4 % 3 - 1)), "out of tune"),
        (_wandering, "pitch wanders"),
        (_arpeggio, "strikes again"),
    ],
)
def test_patches_of_no_use_are_dropped_with_the_reason(sound, verdict: str) -> None:  # type: ignore[no-untyped-def]
    patch, notes = survey(KNOWN, played(sound))
    assert patch.verdict == verdict and not notes


def test_an_octave_and_a_tuning_are_put_right() -> None:
    patch, notes = survey(KNOWN, played(lambda p: tone(p + 12.3)))
    assert not patch.verdict and patch.cents == pytest.approx(30, abs=3)
    assert min(n.pitch for n in notes) == 60
    for note in notes[::5]:
        start = int(note.onset_s * RATE)
        assert sounding_offset(note.samples[start:], RATE, note.pitch) == 0
        assert abs(cents_off(note.samples[start:], RATE, note.pitch)) < 4


class Fake:
    """An engine whose third patch brings it down."""

    grid = (4, 2)

    def names(self, count: int, seed: int) -> list[str]:
        return ["a", "b", "c", "d"][:count]

    def describe(self, name: str) -> Description:
        return Description(name, f"fake {name}", "synth-lead", "synth", 48, 84, True)

    def render(self, name: str, notes: list[tuple[int, int]]) -> list[RawNote]:
        if name == "c":
            raise patches.BrokenProcessPool
        return [RawNote(p, v, tone(p) if name != "b" else np.zeros(N, np.float32)) for p, v in notes]


class Here:
    """A pool that works in this process."""

    class Future:
        def __init__(self, value: object) -> None:
            self.value = value

        def result(self, timeout: float) -> object:
            if isinstance(self.value, BaseException):
                raise self.value
            return self.value

    _processes = None

    def submit(self, function, *args):  # type: ignore[no-untyped-def]
        try:
            return self.Future(function(*args))
        except patches.BrokenProcessPool as error:
            return self.Future(error)

    def shutdown(self, **_: object) -> None:
        pass


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "make_engine", lambda name: Fake())
    monkeypatch.setattr(patches, "_pool", Here)
    monkeypatch.setattr(patches, "_engines", {})


def test_rendering_goes_on_where_it_stopped(fake: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = patches.render_patches(tmp_path, "zyn", 2)
    assert [(p.name, p.verdict) for p in first] == [("a", ""), ("b", "silent")]
    (tmp_path / patches.LIST).open("a").write('{"name": "half a li')  # as if it had been killed while it wrote
    index = (tmp_path / "a" / patches.INDEX).stat().st_mtime_ns
    assert main(["patches", "--out", str(tmp_path), "--engine", "zyn", "--count", "4"]) == 0
    assert "2 of 4 patches kept" in capsys.readouterr().out
    assert [(p.name, p.verdict) for p in read_patches(tmp_path)] == [
        ("a", ""), ("b", "silent"), ("c", "crashed"), ("d", ""),
    ]  # fmt: skip
    assert (tmp_path / "a" / patches.INDEX).stat().st_mtime_ns == index


def test_a_synthesizer_that_is_gone_spoils_no_patches(
    fake: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patches.render_patches(tmp_path, "zyn", 1)
    monkeypatch.setattr(Fake, "names", lambda self, count, seed: ["a", *(f"c{i}" for i in range(count))])

    def gone(self: Fake, name: str, notes: object) -> list[RawNote]:
        raise patches.BrokenProcessPool

    monkeypatch.setattr(Fake, "render", gone)
    with pytest.raises(DataError, match="in a row"):
        patches.render_patches(tmp_path, "zyn", 9)
    assert [p.name for p in read_patches(tmp_path)] == ["a"]


def test_a_patch_is_played_at_its_pitch_and_time(fake: None, tmp_path: Path) -> None:
    patch = patches.render_patches(tmp_path, "zyn", 1)[0]
    made = load_patch(tmp_path, patch, "fake")
    score = np.array([(0.5, 1.0, 61, 90), (2.0, 2.5, 75, 50)], SCORE_DTYPE)
    audio, labels = render_samples(np.random.default_rng(0), made, score, 4.0, Expression())
    assert made.name == "fake:a" and labels["pitch"].tolist() == [61, 75]
    for row in labels:
        piece = audio[int((row["onset"] - 0.2) * RATE) : int((row["onset"] + 0.5) * RATE)]
        shape = measure(piece, RATE)
        assert shape is not None and abs(shape.onset_s - 0.2) < 0.006
        assert sounding_offset(piece[int(0.2 * RATE) :], RATE, int(row["pitch"])) == 0


def test_a_spoilt_collection_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="amtsep patches"):
        read_patches(tmp_path)
    (tmp_path / patches.LIST).write_text(json.dumps({"name": "x"}) + "\n")
    with pytest.raises(DataError, match="line 1"):
        read_patches(tmp_path)


def test_names_tell_families_and_what_is_held_out() -> None:
    assert zyn.describe("Collection", "0101-Bassoon").family == "synth-bassoon"
    assert zyn.describe("Collection", "0001-FM Bass").mono
    assert zyn.describe("Pads", "0003-Analog Pad 1").category == "synth"
    assert zyn.describe("Choir and Voice", "0004-Ghost").category == "voice"
    for title in ("0105-Sitar", "0023-Blues Harmonica", "0007-Harpsichord 2", "0076-Pan Flute", "0003-Koto"):
        assert zyn.describe("Collection", title).held_out, title
    assert not zyn.describe("Collection", "0047-Harp").held_out


def test_random_settings_are_those_of_their_number() -> None:
    assert vital.settings(5)[0] == vital.settings(5)[0] != vital.settings(6)[0]
    roles = {vital.role_of(i) for i in range(60)}
    assert roles == {"bass", "lead", "pad", "keys", "pluck", "organ"}


@pytest.mark.skipif(importlib.util.find_spec("vita") is None, reason="vita is not installed (amtsep[synths])")
def test_vital_renders_a_patch() -> None:
    engine = vital.Vital()
    name = engine.names(1, 0)[0]
    notes = engine.render(name, [(60, 105)])
    assert notes[0].pitch == 60 and sounding_offset(notes[0].samples[int(0.1 * RATE) :], RATE, 60) == 0


@pytest.mark.skipif(
    importlib.util.find_spec("dawdreamer") is None or not zyn.PLUGIN.is_file() or not zyn.BANKS[0].is_dir(),
    reason="ZynAddSubFX is not installed (amtsep[synths], zynaddsubfx-vst, zynaddsubfx-data)",
)
def test_zyn_renders_its_first_organ() -> None:
    engine = zyn.Zyn()
    known = engine.describe("organ-0001-organ-1")
    patch, notes = survey(known, engine.render(known.name, wanted_notes(known, 0, 8, 9)))
    assert patch.category == "organ" and not patch.verdict and len(notes) >= 6


def test_the_report_counts(fake: None, tmp_path: Path) -> None:
    said = report(patches.render_patches(tmp_path, "zyn", 2))
    assert "1 of 2 patches kept" in said and "dropped, silent: 1" in said and "1 synth" in said
