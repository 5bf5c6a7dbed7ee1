"""Readers of public data sets, each on a small generated folder of the exact published layout."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.io import savemat

from amtsep import formats
from amtsep.errors import DataError
from amtsep.evaluation.readers import DATASETS, mixes_of, recordings
from amtsep.evaluation.readers.base import mix_samples
from amtsep.formats.midi import hold
from amtsep.notes import Notes, Track
from amtsep.pitch import pitch_number

ONE_PART = (Track("Part", 0),)
DATA = Path(os.environ.get("AMTSEP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def tone(path: Path, hz: float = 440.0, seconds: float = 1.0, rate: int = 22050, level: float = 0.3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(seconds * rate)) / rate
    soundfile.write(path, level * np.sin(2 * np.pi * hz * time), rate)
    return path


def midi(path: Path, pitches=(60, 64), tracks=ONE_PART) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    onset = 0.5 * np.arange(len(pitches))
    notes = Notes.build(
        onset,
        onset + 0.4,
        pitches,
        np.arange(len(pitches)) + 50,
        track=np.arange(len(pitches)) % len(tracks),
        tracks=tracks,
    )
    return formats.write_midi(notes, path)


def bach10_folder(root: Path, pieces=("01-Ach", "02-Weh")) -> Path:
    for order, piece in enumerate(pieces):
        for number, name in enumerate(("violin", "clarinet", "saxphone", "bassoon")):
            tone(root / piece / f"{piece}-{name}.wav", 220 * (number + 1) + order, level=0.4)
        cells = np.empty((4, 1), object)
        for part in range(4):
            notes = np.empty((2, 1), object)
            notes[0, 0] = np.stack([np.arange(21, 51), np.full(30, 72.1 - 5 * part)]).astype(float)
            notes[1, 0] = np.stack([np.arange(60, 71), np.full(11, 74.4 - 5 * part)]).astype(float)
            cells[part, 0] = notes
        savemat(root / piece / f"{piece}-GTNotes.mat", {"GTNotes": cells})
    return root


def test_bach10_reads_its_clock_and_mixes_every_choice_of_parts(tmp_path) -> None:
    bach10_folder(tmp_path / "Bach10")
    found = recordings("bach10", tmp_path, (1, 2, 3, 4))
    assert len(found) == 2 * 15
    assert len({r.name for r in found}) == 30
    quartet = recordings("bach10", tmp_path)[0]
    assert quartet.instruments == ("violin", "clarinet", "saxophone", "bassoon")
    assert [t.program for t in quartet.reference.tracks] == [40, 71, 65, 70]
    violin = quartet.reference.select(quartet.reference.track == 0)
    # Frames 21 to 50: 10 n + 8 ms, 10 n + 18 ms.
    assert violin.onset[0] == pytest.approx(0.218) and violin.offset[0] == pytest.approx(0.518)
    assert violin.pitch.tolist() == [72, 74]
    solo = next(r for r in found if r.name == "01-Ach/bassoon")
    assert solo.reference.pitch.tolist() == [57, 59] and solo.n_parts == 1
    assert {r.group for r in found} == {"01-Ach", "02-Weh"}
    # The sum of four tones of 0.4 would clip, so it is turned down; a pair's does not and is left as it is.
    assert np.abs(quartet.audio()).max() == pytest.approx(1.0, abs=1e-4)
    pair = next(r for r in found if r.name == "01-Ach/violin+clarinet")
    assert 0.6 < np.abs(pair.audio()).max() < 0.8
    assert pair.audio().dtype == np.float32
    assert pair.content_hash() != quartet.content_hash()


def test_urmp(tmp_path) -> None:
    piece = tmp_path / "Dataset" / "01_Jupiter_vn_vc"
    for number, code in ((1, "vn"), (2, "vc")):
        tone(piece / f"AuSep_{number}_{code}_01_Jupiter.wav", rate=48000)
        (piece / f"Notes_{number}_{code}_01_Jupiter.txt").write_text(
            f"0.100000\t{440.0 / number:.3f}\t0.400000\n0.600000\t{493.9 / number:.3f}\t0.300000\n"
        )
    tone(piece / "AuMix_01_Jupiter_vn_vc.wav", rate=48000)
    (found,) = recordings("urmp", tmp_path)
    assert found.name == "01_Jupiter_vn_vc" and found.instruments == ("1 vn", "2 vc")
    assert found.reference.pitch.tolist() == [57, 69, 59, 71]
    assert found.reference.offset[:2] == pytest.approx([0.5, 0.5])
    assert len(found.audio()) == pytest.approx(22050, abs=2)


def test_phenicx_sums_the_desks_of_an_instrument(tmp_path) -> None:
    root = tmp_path / "PHENICX-Anechoic"
    for number in (1, 2):
        tone(root / "audio" / "mozart" / f"violin{number}.wav", level=0.2)
    tone(root / "audio" / "mozart" / "bassoon1.wav", 110, level=0.2)
    notes = root / "annotations" / "mozart"
    notes.mkdir(parents=True)
    (notes / "violin.txt").write_text("0.10,0.50,A4\n0.50,0.90,C#5\n")
    (notes / "violin_o.txt").write_text("9.0,9.5,A4\n")
    (notes / "bassoon.txt").write_text("0.10,0.90,Bb2\n")
    (found,) = recordings("phenicx", tmp_path)
    assert found.instruments == ("bassoon", "violin") and len(found.sources) == 3
    assert sorted(found.reference.pitch.tolist()) == [46, 69, 73]
    assert found.reference.end == pytest.approx(0.9)


@pytest.mark.parametrize(("name", "number"), [("A0", 21), ("C4", 60), ("F#3", 54), ("Bb5", 82), ("C-1", 0)])
def test_note_names(name, number) -> None:
    assert pitch_number(name) == number
    with pytest.raises(ValueError, match="not the name"):
        pitch_number("H2")


@pytest.mark.parametrize("suffix", [".flac", ".wav"])
def test_slakh_takes_pitched_stems_with_sound_and_midi(tmp_path, suffix) -> None:
    track = tmp_path / "slakh2100_flac_redux" / "validation" / "Track01501"
    for stem in ("S00", "S01", "S02"):
        tone(track / "stems" / f"{stem}{suffix}", rate=44100)
        midi(track / "MIDI" / f"{stem}.mid")
    midi(track / "MIDI" / "S03.mid")
    tone(track / f"mix{suffix}")
    (track / "metadata.yaml").write_text(
        "stems:\n"
        "  S00: {is_drum: false, inst_class: Piano, midi_program_name: Grand, program_num: 0}\n"
        "  S01: {is_drum: true, inst_class: Drums, midi_program_name: Drums, program_num: 128}\n"
        "  S02: {is_drum: false, inst_class: Bass, midi_program_name: Bass, program_num: 33}\n"
        "  S03: {is_drum: false, inst_class: Pipe, midi_program_name: Flute, program_num: 73}\n"
    )
    (found,) = recordings("slakh", tmp_path)
    assert found.instruments == ("S00 Grand", "S02 Bass") and found.split == "dev"
    assert found.reference.pitch.tolist() == [60, 60, 64, 64]
    assert len(recordings("slakh", tmp_path, (1,))) == 2
    assert recordings("slakh", tmp_path, split="dev")
    with pytest.raises(DataError, match="split 'train'"):
        recordings("slakh", tmp_path, split="train")


def test_folder_of_stems(tmp_path) -> None:
    tone(tmp_path / "song" / "flute.wav")
    midi(tmp_path / "song" / "flute.mid", (72, 74))
    tone(tmp_path / "song" / "cello.flac", 110)
    midi(tmp_path / "song" / "cello.mid", (48,), (Track("Cello", 42),))
    tone(tmp_path / "song" / "no notes.wav")
    (found,) = recordings("stems", tmp_path, (2,))
    assert found.instruments == ("cello", "flute") and found.reference.tracks[0].program == 42
    assert [r.name for r in recordings("stems", tmp_path, (1,))] == ["song/cello", "song/flute"]


def test_guitarset_jams_one_annotation_a_string(tmp_path) -> None:
    tone(tmp_path / "audio_mono-mic" / "00_BN1-129-Eb_comp_mic.wav", rate=44100)
    value = {"time": 0.5, "duration": 0.25, "value": 52.07, "confidence": None}
    dense = {"time": [0.1, 0.3], "duration": [0.2, 0.1], "value": [40.2, 44.96], "confidence": [None, None]}
    jams = {
        "annotations": [
            {"namespace": "note_midi", "data": [value]},
            {"namespace": "note_midi", "data": dense},
            {"namespace": "pitch_contour", "data": [value]},
        ],
        "file_metadata": {},
    }
    (tmp_path / "annotation").mkdir()
    (tmp_path / "annotation" / "00_BN1-129-Eb_comp.jams").write_text(json.dumps(jams))
    (found,) = recordings("guitarset", tmp_path)
    assert found.reference.pitch.tolist() == [40, 45, 52]
    assert found.reference.offset == pytest.approx([0.3, 0.4, 0.75])
    assert found.n_parts == 1 and found.instruments == ("guitar",)


def test_guitarset_and_maps_tables(tmp_path) -> None:
    tone(tmp_path / "dev" / "03_BN1_mic.ogg", rate=16000)
    (tmp_path / "dev" / "03_BN1_mic.tsv").write_text(
        "# onset,offset,note,velocity\n0.25\t0.5\t55.0\t1.0\n0.1\t0.3\t67.0\t99.0\n"
    )
    (found,) = recordings("guitarset", tmp_path / "dev")
    assert found.split == "dev" and found.reference.velocity.tolist() == [99, 1]
    assert len(found.audio()) == pytest.approx(22050, abs=2)
    (tmp_path / "dev" / "03_BN1_mic.tsv").write_text("not\ta table\n")
    with pytest.raises(DataError, match="03_BN1_mic.tsv"):
        recordings("guitarset", tmp_path)


def test_maps_published_layout(tmp_path) -> None:
    place = tmp_path / "ENSTDkAm" / "MUS"
    tone(place / "MAPS_MUS-a_ENSTDkAm.wav", rate=44100)
    midi(place / "MAPS_MUS-a_ENSTDkAm.mid", (60, 64))
    (place / "MAPS_MUS-a_ENSTDkAm.txt").write_text("OnsetTime\tOffsetTime\tMidiPitch\n0.0\t0.7\t60\n0.5\t0.9\t64\n")
    tone(place / "MAPS_MUS-b_ENSTDkAm.wav", rate=44100)
    midi(place / "MAPS_MUS-b_ENSTDkAm.mid", (70,))
    first, second = recordings("maps", tmp_path)
    assert first.reference.offset == pytest.approx([0.7, 0.9])
    assert first.reference.velocity.tolist() == [50, 51]  # from the MIDI file
    assert second.reference.pitch.tolist() == [70]


def test_maestro_table_splits_and_pedal(tmp_path) -> None:
    import pretty_midi

    root = tmp_path / "maestro-v3.0.0"
    rows = ["canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration"]
    for name, split in (("a", "train"), ("b", "validation"), ("c", "test")):
        tone(root / "2018" / f"{name}.wav", rate=44100)
        file = pretty_midi.PrettyMIDI()
        piano = pretty_midi.Instrument(0)
        piano.notes = [pretty_midi.Note(70, 60, 0.1, 0.3), pretty_midi.Note(70, 64, 1.0, 1.2)]
        piano.control_changes = [pretty_midi.ControlChange(64, 100, 0.2), pretty_midi.ControlChange(64, 0, 0.8)]
        file.instruments.append(piano)
        file.write(str(root / "2018" / f"{name}.midi"))
        rows.append(f'"Bach, J.S.",Title,{split},2018,2018/{name}.midi,2018/{name}.wav,1.0')
    (root / "maestro-v3.0.0.csv").write_text("\n".join(rows))
    assert [r.split for r in recordings("maestro", tmp_path)] == ["train", "dev", "test"]
    (found,) = recordings("maestro", tmp_path, split="test")
    assert found.metadata["composer"] == "Bach, J.S."
    assert found.reference.offset == pytest.approx([0.8, 1.2], abs=0.01)  # the first is held by the pedal


def test_pedal_ends_at_the_next_stroke_of_the_key() -> None:
    keys = Notes.build([0, 1, 0.5], [0.2, 1.1, 0.6], [60, 60, 62])
    held = hold(keys, [(0.1, 127), (3.0, 0)])
    assert {(int(p), float(o)) for p, o in zip(held.pitch, held.offset, strict=True)} == {
        (60, 1.0),
        (60, 3.0),
        (62, 3.0),
    }
    assert hold(keys, []).equals(keys)
    assert hold(keys, [(0.1, 30)]).equals(keys)


def test_musicnet_labels_in_samples_and_em_labels_instead(tmp_path) -> None:
    root = tmp_path / "musicnet"
    tone(root / "test_data" / "1759.wav", rate=44100)
    (root / "test_labels").mkdir()
    (root / "test_labels" / "1759.csv").write_text(
        "start_time,end_time,instrument,note,start_beat,end_beat,note_value\n"
        "44100,66150,41,76,0.0,1.0,Quarter\n4410,22050,1,60,0.0,1.0,Quarter\n22050,44100,1,64,1.0,1.0,Quarter\n"
    )
    (found,) = recordings("musicnet", tmp_path)
    assert found.split == "test" and found.metadata["labels"] == "original"
    assert found.reference.onset == pytest.approx([0.1, 0.5, 1.0])
    assert found.instruments == ("piano", "violin") and found.reference.track.tolist() == [0, 0, 1]
    assert [t.program for t in found.reference.tracks] == [0, 40]
    midi(root / "musicnet_em" / "1759.mid", (50, 52, 53))
    (found,) = recordings("musicnet", tmp_path)
    assert found.metadata["labels"] == "EM" and found.reference.pitch.tolist() == [50, 52, 53]


def test_folder_of_pairs(tmp_path) -> None:
    tone(tmp_path / "a" / "one.wav")
    midi(tmp_path / "a" / "one.mid", (60, 67), (Track("x"), Track("y")))
    tone(tmp_path / "alone.wav")
    (found,) = recordings("pairs", tmp_path)
    assert found.name == "a/one" and found.n_parts == 2


def test_pairs_take_a_sound_once_and_tell_equal_names_apart(tmp_path) -> None:
    for folder in ("a", "b"):
        tone(tmp_path / folder / "one.wav")
        (tmp_path / folder / "one.tsv").write_text("0.1\t0.5\t61\t90\n", encoding="utf-8")
    midi(tmp_path / "a" / "one.mid", (60, 67))
    midi(tmp_path / "a" / "one.midi", (62, 65, 69))
    found = recordings("pairs", tmp_path)
    assert [item.name for item in found] == ["a/one", "b/one"]
    assert [item.reference.pitch.tolist() for item in found] == [[60, 67], [61]]


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_missing_data_set_says_where_it_is_published(tmp_path, dataset) -> None:
    for root in (tmp_path / "absent", tmp_path):
        with pytest.raises(DataError) as caught:
            recordings(dataset, root)
        text = str(caught.value)
        assert str(root) in text
        if DATASETS[dataset].title[0].isupper():
            assert "published" in text and "B" in text.split("published")[1]  # MB or GB
    with pytest.raises(DataError, match="choose one of"):
        recordings("nothing", tmp_path)


def test_mixes_of_finished_recordings_are_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="finished recordings"):
        recordings("maps", tmp_path, (2,))


def test_drawn_mixes_are_balanced_and_repeatable(tmp_path) -> None:
    bach10_folder(tmp_path, ("01-Ach",))
    from amtsep.evaluation.readers.ensembles import bach10

    pieces = bach10(tmp_path)
    drawn = mixes_of(pieces, "bach10", (2,), per_size=2, seed=5)
    assert len(drawn) == 2
    assert sorted(name for r in drawn for name in r.instruments) == ["bassoon", "clarinet", "saxophone", "violin"]
    assert [r.name for r in drawn] == [r.name for r in mixes_of(pieces, "bach10", (2,), per_size=2, seed=5)]
    assert len(mixes_of(pieces, "bach10", (1,), per_size=2)) == 4


def test_stems_of_unequal_length_are_padded() -> None:
    mixed = mix_samples([np.full(3, 0.25, np.float32), np.full(5, 0.5, np.float32)])
    assert mixed.tolist() == [0.75, 0.75, 0.75, 0.5, 0.5]


@pytest.mark.parametrize(
    ("dataset", "mixes", "count"),
    [("bach10", (1, 2, 3, 4), 75), ("guitarset", None, 60), ("maps", None, 10), ("slakh", (1,), 13)],
)
def test_development_sets(dataset, mixes, count) -> None:
    root = DATA / dataset / "dev"
    if not root.is_dir():
        pytest.skip(f"AMTSEP_DATA has no {dataset}/dev")
    found = recordings(dataset, root, mixes)
    assert len(found) == count
    assert {r.split for r in found} == {"dev"}
    for recording in found[:3]:
        assert abs(len(recording.audio()) / 22050 - recording.reference.end) < 60
