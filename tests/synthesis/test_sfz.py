"""SFZ: which recording sounds where, and that the sampler plays it at its pitch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from amtsep.errors import DataError
from amtsep.synthesis.generate import Recipe, Sources, voices
from amtsep.synthesis.sampler import RATE, instruments_in, load_folder
from amtsep.synthesis.sfz import read_sfz

TEXT = """\
// an instrument
#define $LOUD 100
#include "head.sfz"
<control> default_path=My Notes\\
<global> ampeg_release=0.3 /* the sampler
has its own */
<group> lovel=1 hivel=60
<region> sample=soft c4.wav key=c4
<group> lovel=61 hivel=$LOUD tune=-25
<region> sample=flat d4.wav lokey=61 hikey=63 pitch_keycenter=d4 offset=441 volume=-3
<region> sample=eb4.wav key=D#4 tune=0
<group> trigger=release
<region> sample=soft c4.wav key=60
<group>
<region> sample=*sine key=70
<region> sample=gone.wav key=72
<region> sample=eb4.wav key=bb3 hikey=-1
<control> octave_offset=-1
<region> sample=low.wav key=c5 transpose=12
"""


def _tone(path: Path, pitch: float) -> None:
    t = np.arange(int(1.6 * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * k * t) / k for k in range(1, 7))
    soundfile.write(path, (0.1 * ((t > 0.2) & (t < 1.4)) * wave).astype(np.float32), RATE)


@pytest.fixture(scope="module")
def instrument(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collection") / "flute"
    (folder / "My Notes").mkdir(parents=True)
    # A recording that is 25 cents sharp is corrected by tune=-25.
    for name, pitch in {"soft c4": 60, "flat d4": 62.25, "eb4": 63, "low": 48}.items():
        _tone(folder / "My Notes" / f"{name}.wav", pitch)
    (folder / "flute.sfz").write_text(TEXT.replace("\n", "\r\n"), encoding="utf-8")
    (folder / "head.sfz").write_text("<global> amp_veltrack=80\n", encoding="utf-8")
    return folder


def test_regions_know_file_keys_pitch_and_velocity(instrument: Path) -> None:
    found = read_sfz(instrument / "flute.sfz")
    rows = [(r.path.name, r.low, r.high, r.pitch, r.velocity) for r in found]
    assert rows == [
        ("soft c4.wav", 60, 60, 60.0, 31),
        ("flat d4.wav", 61, 63, 62.25, 81),
        ("eb4.wav", 63, 63, 63.0, 81),
        ("low.wav", 60, 60, 48.0, 75),
    ]
    assert found[1].offset == 441 and found[1].volume_db == -3.0 and found[0].offset == 0


def test_the_sampler_brings_recordings_to_their_keys(instrument: Path) -> None:
    made = load_folder(instrument, collection="mine")
    assert made.name == "mine:flute" and made.instrument.family == "flute"
    assert [(s.pitch, s.velocity) for s in made.samples] == [(60, 31), (62, 81), (63, 81), (48, 75)]
    tuned = made.samples[1].samples
    spectrum = np.abs(np.fft.rfft(tuned * np.hanning(len(tuned)), 1 << 19))
    peak = float(np.argmax(spectrum) * 2 * RATE / (1 << 19))
    assert 12 * np.log2(peak / 440) + 69 == pytest.approx(62.0, abs=0.03)


def test_collections_may_hold_folders_or_files(instrument: Path, tmp_path: Path) -> None:
    assert instruments_in(instrument.parent) == {"flute": instrument}
    assert instruments_in(instrument / "flute.sfz") == {"flute": instrument / "flute.sfz"}
    # Folders beside SFZ files hold their recordings; they are no instruments.
    assert set(instruments_in(instrument)) == {"flute"}
    (instrument.parent / "flute" / "readme.txt").write_text("nothing")
    sources = Sources(samples={"one": instrument.parent, "two": instrument / "flute.sfz"})
    known = voices(sources, Recipe(synthetic=0, voices=0))
    assert [v.key for v in known] == ["one:flute", "two:flute"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("<region> sample=a.wav key=h4", "'h4' is no key"),
        ("<region> sample=a.wav key=60 tune=high", "tune=high is no number"),
        ("<region> sample=a.wav key=60", "none of which is there"),
        ('#include "x.sfz"', "includes itself"),
        ('#include "y.sfz"', "cannot be read"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "x.sfz"
    path.write_text(text)
    with pytest.raises(DataError, match=what):
        read_sfz(path)
