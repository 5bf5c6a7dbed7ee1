"""Random patches of the Vital engine (PyPI ``vita``): leads, basses, pads, keys and plucks of today's productions.

A patch is drawn by its number alone: a role (what it plays and how its envelope goes), one to three oscillators with
wavetables drawn as spectra, a filter that follows the key, envelopes, a little movement, and at times an effect that
leaves the onset where it is. Echoes and reverberation are left to the mixing.
"""

from __future__ import annotations

import base64
import importlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.errors import DataError
from amtsep.synthesis.patch_engine import HOLD_S, LEAD_S, Description, RawNote, one_channel
from amtsep.synthesis.sampler import RATE

_TAIL_S = 0.5
_TABLE = 2048
"""Samples of one period in a wavetable."""

# Family, category, lowest and highest pitch, one voice, share of the patches.
_ROLES: dict[str, tuple[str, str, int, int, bool, float]] = {
    "bass": ("synth-bass", "bass", 26, 64, True, 0.2),
    "lead": ("synth-lead", "synth", 46, 96, True, 0.24),
    "pad": ("synth-pad", "synth", 38, 90, False, 0.16),
    "keys": ("synth-keys", "keys", 32, 96, False, 0.16),
    "pluck": ("synth-pluck", "plucked", 36, 98, False, 0.16),
    "organ": ("synth-organ", "organ", 36, 93, False, 0.08),
}


def role_of(seed: int) -> str:
    """What the patch of a number plays."""
    rng = np.random.default_rng([seed, 7001])
    return str(rng.choice(list(_ROLES), p=[r[5] for r in _ROLES.values()]))


def wavetable(rng: np.random.Generator) -> NDArray[np.float32]:
    """One period drawn as a spectrum: a slope, a weight of even harmonics, a resonance or two, and some scatter."""
    n = np.arange(1, 200)
    tilt = rng.uniform(0.6, 2.0)
    db = -20 * tilt * np.log10(n) + rng.normal(0, rng.uniform(0, 7), len(n))
    db += np.where(n % 2 == 0, -rng.uniform(0, 30) if rng.random() < 0.5 else 0.0, 0.0)
    for _ in range(int(rng.integers(0, 3))):
        db += rng.uniform(4, 16) * np.exp(-(((np.log2(n) - rng.uniform(0.5, 5)) / rng.uniform(0.15, 0.6)) ** 2))
    if rng.random() < 0.25:  # drawbars: a few harmonics only
        db[rng.random(len(n)) < 0.75] -= 60
        db[0] = 0
    phase = rng.uniform(0, 2 * np.pi, len(n)) if rng.random() < 0.5 else np.full(len(n), -np.pi / 2)
    spectrum = np.zeros(_TABLE // 2 + 1, complex)
    spectrum[1 : len(n) + 1] = 10 ** (db / 20) * np.exp(1j * phase)
    wave = np.fft.irfft(spectrum, _TABLE)
    return (wave / np.abs(wave).max()).astype(np.float32)


def settings(seed: int) -> tuple[dict[str, float], dict[int, list[NDArray[np.float32]]], list[tuple[str, str, float]]]:
    """Controls, wavetables by oscillator, and modulations (from, to, amount) of the patch with number `seed`.

    Times of envelopes are in the synthesizer's own scale (the fourth root of seconds).
    """
    rng = np.random.default_rng([seed, 7013])
    role = role_of(seed)

    def root(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))) ** 0.25)

    c: dict[str, float] = {"polyphony": 1.0, "oversampling": 1.0, "velocity_track": float(rng.uniform(0.2, 0.8))}
    tables: dict[int, list[NDArray[np.float32]]] = {}
    links: list[tuple[str, str, float]] = []
    struck = role in ("keys", "pluck") or (role in ("bass", "lead") and rng.random() < 0.35)
    c["env_1_attack"] = root(0.0005, 0.015) if struck or role == "organ" else root(0.001, 0.05)
    if role == "pad":
        c["env_1_attack"] = root(0.008, 0.14)
    c["env_1_decay"] = root(0.25, 2.5) if role == "pluck" else root(0.8, 7.0)
    c["env_1_sustain"] = 0.0 if struck and rng.random() < 0.85 else float(rng.uniform(0.5, 1.0))
    c["env_1_release"] = root(0.03, 0.5)
    c["env_1_decay_power"] = float(rng.uniform(-4, 0))
    count = int(rng.choice([1, 2, 3], p=[0.3, 0.5, 0.2]))
    for k in range(1, 4):
        p = f"osc_{k}_"
        c[p + "on"] = float(k <= count)
        if k > count:
            continue
        tables[k] = [wavetable(rng) for _ in range(2)]
        c[p + "wave_frame"] = float(rng.uniform(0, 256))
        c[p + "level"] = 0.6 if k == 1 else float(rng.uniform(0.2, 0.6))
        # One patch has one pitch: layers are octaves of it (and rarely a twelfth above), never below the first.
        c[p + "transpose"] = 0.0 if k == 1 else float(rng.choice([0, 0, 12, 12, 19, 24]))
        c[p + "tune"] = float(rng.normal(0, 0.04)) if k > 1 else 0.0
        c[p + "destination"] = float(rng.choice([0, 0, 0, 3]))
        if rng.random() < 0.45:
            c[p + "unison_voices"] = float(rng.integers(2, 6))
            c[p + "unison_detune"] = float(rng.uniform(0.5, 4.0))
            c[p + "unison_blend"] = float(rng.uniform(0.3, 1.0))
        c[p + "random_phase"] = float(rng.choice([0.0, 1.0]))
        if rng.random() < 0.4:
            c[p + "spectral_morph_type"] = float(rng.choice([1, 2, 5, 6, 7, 8, 9]))
            c[p + "spectral_morph_amount"] = float(rng.uniform(0.3, 0.8))
        if rng.random() < 0.4:
            c[p + "distortion_type"] = float(rng.choice([1, 2, 3, 4, 5, 6]))
            c[p + "distortion_amount"] = float(rng.uniform(0.3, 0.8))
        elif k < count and rng.random() < 0.2:
            c[p + "distortion_type"] = 7.0  # phase modulation by the next oscillator
            c[p + "distortion_amount"] = float(rng.uniform(0.5, 0.75))
    if rng.random() < 0.12:
        # A breath of its own: the built-in sample is noise.
        c["sample_on"], c["sample_level"] = 1.0, float(rng.uniform(0.03, 0.15))
    if rng.random() < 0.85:
        c["filter_1_on"] = 1.0
        c["filter_1_model"] = float(rng.choice([0, 1, 2, 3, 4, 5]))
        c["filter_1_style"] = float(rng.choice([0, 0, 1]))
        c["filter_1_cutoff"] = float(rng.uniform(55, 115))
        c["filter_1_resonance"] = float(rng.uniform(0, 0.65))
        c["filter_1_drive"] = float(rng.uniform(0, 12)) if rng.random() < 0.3 else 0.0
        c["filter_1_keytrack"] = float(rng.uniform(0.2, 1.0))
        if c["filter_1_model"] == 5:
            c["filter_1_formant_x"], c["filter_1_formant_y"] = float(rng.random()), float(rng.random())
        if rng.random() < 0.7:
            c["env_2_attack"] = root(0.0005, 0.03) if role != "pad" else root(0.01, 0.3)
            c["env_2_decay"] = root(0.08, 2.5)
            c["env_2_sustain"] = float(rng.uniform(0, 0.8))
            links.append(("env_2", "filter_1_cutoff", float(rng.uniform(0.1, 0.5))))
    if rng.random() < 0.3:
        c["lfo_1_sync"], c["lfo_1_frequency"] = 0.0, float(rng.uniform(1.0, 2.7))  # 2 to 6.5 Hz
        place, depth = [
            ("filter_1_cutoff", 0.08), ("osc_1_wave_frame", 0.3), ("osc_1_level", 0.15), ("osc_1_tune", 0.05),
        ][int(rng.integers(4))]  # fmt: skip
        links.append(("lfo_1", place, depth * float(rng.uniform(0.4, 1.0))))
    if rng.random() < 0.35:
        links.append(("velocity", "filter_1_cutoff", float(rng.uniform(0.05, 0.25))))
    if rng.random() < 0.25:
        c["distortion_on"], c["distortion_type"] = 1.0, float(rng.choice([0, 1, 2, 3]))
        c["distortion_drive"] = float(rng.uniform(2, 20))
        c["distortion_mix"] = float(rng.uniform(0.3, 1.0))
    if rng.random() < 0.25:
        c["chorus_on"], c["chorus_dry_wet"] = 1.0, float(rng.uniform(0.15, 0.5))
    if rng.random() < 0.1:
        c["phaser_on"], c["phaser_dry_wet"] = 1.0, float(rng.uniform(0.2, 0.7))
    if rng.random() < 0.06:
        c["flanger_on"], c["flanger_dry_wet"] = 1.0, float(rng.uniform(0.1, 0.35))
    return c, tables, links


class Vital:
    """The engine, ready to render; see `amtsep.synthesis.patch_engine.Engine`."""

    grid = (5, 2)
    """Coarser than the others': a note costs ten times as much."""

    def __init__(self) -> None:
        try:
            self._vita: Any = importlib.import_module("vita")
        except ImportError as error:
            raise DataError("Vital patches need vita: install it with pip install 'amtsep[synths]'.") from error

    def names(self, count: int, seed: int) -> list[str]:
        """See `amtsep.synthesis.patch_engine.Engine`."""
        return [f"{seed * 1000000 + i:09d}" for i in range(count)]

    def describe(self, name: str) -> Description:
        """See `amtsep.synthesis.patch_engine.Engine`."""
        role = role_of(int(name))
        family, category, low, high, mono, _ = _ROLES[role]
        return Description(f"{role}-{name}", f"vita {name}", family, category, low, high, mono)

    def _load(self, seed: int) -> Any:
        controls, tables, links = settings(seed)
        synth = self._vita.Synth()
        synth.set_sample_rate(RATE)  # oscillators are band-limited; a wider rate costs half as much again
        preset = json.loads(synth.to_json())
        for k, waves in tables.items():
            table = preset["settings"]["wavetables"][k - 1]
            component = table["groups"][0]["components"][0]
            frames = component["keyframes"]
            component["keyframes"] = [
                {**frames[0], "position": position, "wave_data": base64.b64encode(wave.tobytes()).decode()}
                for position, wave in zip((0, 256), waves, strict=True)
            ]
        synth.load_json(json.dumps(preset))
        for source, target, _ in links:
            synth.connect_modulation(source, target)
        found = synth.get_controls()
        for name, value in controls.items():
            found[name].set(value)
        for number, (_, _, amount) in enumerate(links, 1):
            found[f"modulation_{number}_amount"].set(amount)
        return synth

    def render(self, name: str, notes: list[tuple[int, int]]) -> list[RawNote]:
        """See `amtsep.synthesis.patch_engine.Engine`."""
        synth = self._load(int(name))
        out = []
        for pitch, velocity in notes:
            mono = one_channel(synth.render(pitch, velocity / 127, HOLD_S, HOLD_S + _TAIL_S))
            out.append(
                RawNote(pitch, velocity, np.concatenate([np.zeros(int(round(LEAD_S * RATE)), np.float32), mono]))
            )
        return out
