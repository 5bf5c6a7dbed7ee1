"""Mixes in which timbres recur: clips as training draws them, and every third of two clips' length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.config import Mixing
from amtsep.synthesis import augment, effects
from amtsep.synthesis.mixing import Mixer

Values = NDArray[np.float32]

MIXING = Mixing(clip_s=15.0, parts=(0.08, 0.22, 0.26, 0.24, 0.20))
SEED = 606


@dataclass(frozen=True, eq=False)
class DrawnMix:
    """A mix of a bank's stems.

    Parameters
    ----------
    audio
        Samples at the bank's rate, mean energy one.
    notes
        Rows of onset, offset (s), pitch, and part, (n, 5); the last column is the end of the key.
    timbres, families
        Name of each part's timbre, and of its family.
    """

    audio: Values
    notes: NDArray[Any]
    timbres: list[str]
    families: list[str]


class RecurringMixer(Mixer):
    """Draws mixes of two clips' length, too, in which every timbre plays twice: each third."""

    def drawn(self, index: int) -> DrawnMix:
        """The mix of this number."""
        audio, notes, timbres = self._recurring(index) if index % 3 == 2 else self._clip(index)
        families = [self.instruments()[timbre][1] for timbre in timbres]
        return DrawnMix(audio, notes, [self._names[timbre] for timbre in timbres], families)

    def _clip(self, index: int) -> tuple[Values, NDArray[Any], list[int]]:
        clip = self.clip(index)
        return clip.audio, clip.notes, clip.timbres.tolist()

    def _recurring(self, index: int) -> tuple[Values, NDArray[Any], list[int]]:
        rng = np.random.default_rng([self.seed, 9, index])
        mixing, rate, n = self.mixing, self.front_end.sample_rate, self.n_samples
        count = int(rng.choice(len(mixing.parts), p=np.asarray(mixing.parts) / sum(mixing.parts))) + 1
        stems = self._draw_song(rng, count) if count > 1 and rng.random() < 0.6 else self._draw_any(rng, count)
        timbres = list(dict.fromkeys(self._index[self.bank.stems[stem].timbre] for stem in stems))
        grid = augment.spectrum_grid(2 * n, rate)
        mix, rows = np.zeros(2 * n, np.float32), []
        for part, timbre in enumerate(timbres):
            audio = np.zeros(2 * n, np.float32)
            for half, stem in enumerate(np.resize(rng.permutation(self._by_timbre[timbre]), 2)):
                samples = self.bank.audio(int(stem))[:n].astype(np.float32) / 32768.0
                audio[half * n : half * n + len(samples)] = samples
                notes = self._notes(int(stem), 0, n)
                notes[:, [0, 1, 4]] = np.minimum(notes[:, [0, 1, 4]], n / rate) + half * n / rate
                notes[:, 3] = part
                rows.append(notes)
            if rng.random() < mixing.part_equalizer:
                audio = augment.filter_zero_phase(audio, rate, [augment.random_curve(rng, grid, 5.0)], None)
            if rng.random() < mixing.effects:
                audio = effects.electric(rng, audio, rate, str(self._categories[timbre]))
            mix += audio * np.float32(10.0 ** (np.clip(rng.normal(0.0, mixing.part_gain_db), -18.0, 12.0) / 20.0))
        if self._drums and rng.random() < mixing.drums:
            for half in (0, 1):
                self._add_drums(rng, mix[half * n : (half + 1) * n], 0, None)
        audio = self._spoil(rng, mix, grid)
        return audio / np.float32(np.sqrt(np.mean(audio**2)) + 1e-6), np.concatenate(rows), timbres
