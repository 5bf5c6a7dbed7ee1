"""The constant-Q front end: pitches in their bins, levels, clicks, chunks."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network needs torch (pip install 'amtsep[train]')")

from amtsep.config import FrontEnd  # noqa: E402
from amtsep.nets.cqt import CQT, LogPower, bin_frequencies, window_lengths  # noqa: E402

SETTINGS = FrontEnd()
RATE, HOP = SETTINGS.sample_rate, SETTINGS.hop_length


@pytest.fixture(scope="module")
def cqt() -> CQT:
    return CQT(SETTINGS)


def power(cqt: CQT, samples: np.ndarray) -> np.ndarray:
    return cqt(torch.tensor(samples, dtype=torch.float32)[None])[0].numpy()


def test_every_pitch_peaks_in_its_bin_with_its_mean_energy(cqt: CQT) -> None:
    time = np.arange(HOP * 160) / RATE
    for pitch in range(88):
        level = power(cqt, np.sin(2 * np.pi * 27.5 * 2 ** (pitch / 12) * time))[:, 80]
        assert int(level.argmax()) == 3 * pitch
        assert level.max() == pytest.approx(0.5, rel=0.01)


def test_levels_agree_with_librosa_over_all_octaves(cqt: CQT) -> None:
    librosa = pytest.importorskip("librosa")
    n_bins = 8 * SETTINGS.bins_per_octave
    samples = (np.random.default_rng(0).standard_normal(HOP * 500) * 0.1).astype(np.float32)
    reference = np.abs(
        librosa.vqt(
            samples,
            sr=RATE,
            hop_length=HOP,
            fmin=SETTINGS.f_min,
            n_bins=n_bins,
            bins_per_octave=SETTINGS.bins_per_octave,
            gamma=SETTINGS.gamma,
            window="blackmanharris",
            scale=False,
            sparsity=0.0,
        )
    )
    # librosa's unscaled response grows with the window; ours is that of a tone's mean energy.
    reference = reference / window_lengths(SETTINGS)[:n_bins, None] * np.sqrt(2.0)
    own = power(cqt, samples)[:n_bins]
    inner = slice(60, -60)
    ours_db = 10 * np.log10(own[:, inner].mean(axis=1))
    theirs_db = 10 * np.log10((reference[:, : own.shape[1]][:, inner] ** 2).mean(axis=1))
    assert np.abs(ours_db - theirs_db).max() < 1.0


@pytest.mark.parametrize("place", [0, 64, 128, 200])
def test_a_click_peaks_within_a_frame_in_every_octave(cqt: CQT, place: int) -> None:
    samples = np.zeros(HOP * 200, np.float32)
    samples[HOP * 100 + place] = 1.0
    peaks = power(cqt, samples).argmax(axis=1)
    assert np.abs(peaks - (100 + place / HOP)).max() <= 1.0


def test_a_click_is_as_loud_wherever_it_falls_between_frames(cqt: CQT) -> None:
    totals = []
    for place in range(0, HOP, 32):
        samples = np.zeros(HOP * 100, np.float32)
        samples[HOP * 50 + place] = 1.0
        totals.append(power(cqt, samples).sum(axis=1))
    spread_db = 10 * np.log10(np.max(totals, axis=0) / np.min(totals, axis=0))
    assert spread_db.max() < 3.0


def test_a_chunk_equals_the_same_frames_of_the_whole(cqt: CQT) -> None:
    samples = (np.random.default_rng(1).standard_normal(HOP * 400) * 0.3).astype(np.float32)
    whole, chunk, halo = power(cqt, samples), power(cqt, samples[HOP * 100 : HOP * 300]), cqt.halo
    np.testing.assert_allclose(chunk[:, halo:-halo], whole[:, 100 + halo : 300 - halo], atol=1e-5)


def test_a_hop_that_the_octaves_cannot_share_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple"):
        CQT(FrontEnd(hop_length=250))


def test_highest_bin_stays_under_the_nyquist_frequency() -> None:
    top, length = bin_frequencies(SETTINGS)[-1], window_lengths(SETTINGS)[-1]
    assert top + 4 * RATE / length / 2 < RATE / 2


def test_silence_maps_to_zero_and_is_finite() -> None:
    feature = LogPower(SETTINGS.log_floor)(torch.zeros(1, 3, 2))
    assert torch.allclose(feature, torch.zeros_like(feature), atol=1e-5)
