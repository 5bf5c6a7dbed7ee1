"""The door for programmers: what a note table offers to other libraries, and what is refused with a sentence."""

from __future__ import annotations

import json

import mir_eval
import numpy as np
import pytest

import amtsep
from amtsep import AudioError, Clustering, Decoding, FormatError, Note, Notes, Posteriors, Track, from_samples
from amtsep.formats import jams_text, read_jams

NOTES = Notes.build(
    [0.5, 1.0, 1.0],
    [0.9, 2.0, 1.5],
    [60, 64, 69],
    [90, 80, 70],
    [1.0, 0.5, 0.25],
    track=[0, 1, 1],
    tracks=(Track("Flute", 73), Track("Bass", 33)),
)


def test_a_table_is_a_sequence_of_notes():
    assert list(NOTES)[1] == NOTES[1] == Note(1.0, 2.0, 64, 80, 0.5, 1)
    assert NOTES[-1].pitch == 69 and [n.pitch for n in NOTES] == [60, 64, 69]
    assert len(NOTES[1:]) == 2 and isinstance(NOTES[1:], Notes)
    assert list(NOTES[NOTES.pitch > 60].pitch) == [64, 69] and list(NOTES[[0, -1]].pitch) == [60, 69]
    with pytest.raises(IndexError):
        NOTES[3]


def test_what_other_libraries_take():
    perfect = mir_eval.transcription.precision_recall_f1_overlap(
        NOTES.intervals(), NOTES.frequencies(), NOTES.intervals(), NOTES.frequencies()
    )
    assert perfect[:3] == (1.0, 1.0, 1.0) and NOTES.frequencies()[2] == pytest.approx(440.0)
    midi = NOTES.to_pretty_midi()
    assert [(i.name, i.program, len(i.notes)) for i in midi.instruments] == [("Flute", 73, 1), ("Bass", 33, 2)]
    assert midi.instruments[1].notes[0].start == 1.0


def test_a_data_frame():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed, and is no dependency")
    frame = NOTES.to_dataframe()
    assert isinstance(frame, pandas.DataFrame) and list(frame.track) == ["Flute", "Bass", "Bass"]


def test_jams_there_and_back(tmp_path):
    path = NOTES.to_jams(tmp_path / "notes.jams", title="Tune")
    again = Notes.from_jams(path)
    assert again.equals(NOTES, 1e-9) and np.array_equal(again.confidence, NOTES.confidence)
    assert json.loads(path.read_text())["file_metadata"]["title"] == "Tune"
    assert len(read_jams(jams_text(Notes.empty()).encode())) == 0


def test_jams_of_others():
    """As GuitarSet has them: an annotation a string, pitches with cents, no confidence, columns or rows."""
    rows = {"time": [0.5, 1.0], "duration": [0.4, 0.0], "value": [59.7, 61.0], "confidence": [None, None]}
    content = {
        "annotations": [
            {"namespace": "pitch_contour", "data": []},
            {"namespace": "note_midi", "annotation_metadata": {"data_source": "0"}, "data": rows},
            {"namespace": "note_midi", "annotation_metadata": {"data_source": "1"}, "data": []},
        ]
    }
    notes = read_jams(json.dumps(content).encode(), name="take.jams")
    assert list(notes.pitch) == [60] and [t.name for t in notes.tracks] == ["String 0", "String 1"]
    for wrong in (b"{}", b"no json", json.dumps({"annotations": [{"namespace": "beat", "data": []}]}).encode()):
        with pytest.raises(FormatError, match="take.jams"):
            read_jams(wrong, name="take.jams")


def test_an_array_is_transcribed_as_a_file_is(monkeypatch):
    tone = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050).astype(np.float32) * np.hanning(22050).astype(np.float32)
    notes = amtsep.transcribe(np.stack([tone, tone], axis=1), sample_rate=22050, model="light")
    assert 69 in notes.pitch
    with pytest.raises(TypeError, match="sample_rate=44100"):
        amtsep.transcribe(tone)
    with pytest.raises(TypeError, match="files say theirs"):
        amtsep.transcribe("song.wav", sample_rate=44100)


def test_arrays_that_lie_the_other_way_round_or_hold_no_numbers_are_refused():
    with pytest.raises(AudioError, match=r"\(2, 44100\).*samples.T"):
        from_samples(np.zeros((2, 44100)), 44100)
    broken = np.zeros(1000, np.float32)
    broken[5] = np.nan
    with pytest.raises(AudioError, match="NaN"):
        from_samples(broken, 22050)


@pytest.mark.parametrize(
    "change",
    [
        {"onset_threshold": 1.5},
        {"frame_threshold": float("nan")},
        {"min_note_length": -1},
        {"min_pitch": 100, "max_pitch": 50},
        {"ends": "never"},
    ],
)
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(ValueError, match="|".join(("between 0 and 1", "negative", "pitch range", "ends is"))):
        Decoding(**change)


def test_numbers_of_timbres_out_of_range_are_refused():
    for change in ({"timbres": 0}, {"min_timbres": 5, "max_timbres": 3}):
        with pytest.raises(ValueError, match="timbres"):
            Clustering(**change)
    with pytest.raises(ValueError, match="number or 'auto'"):
        amtsep.separate(np.zeros(100), timbres="many", sample_rate=22050)


def test_posteriors_that_are_none_are_refused():
    good = np.zeros((88, 20), np.float32)
    picture = np.zeros((306, 20), np.uint8)
    with pytest.raises(ValueError, match=r"\(88, T\)"):
        Posteriors(good.T, good.T, np.zeros((306, 88), np.uint8), 0.01, 0.2)
    for bad in (good - 3.0, good + 4.0, good * np.nan):
        with pytest.raises(ValueError, match="logits"):
            Posteriors(good, bad, picture, 0.01, 0.2)


def test_clustering_stands_at_the_top():
    assert amtsep.cluster is __import__("amtsep.clustering", fromlist=["cluster"]).cluster
    notes = Notes.build(NOTES.onset, NOTES.offset, NOTES.pitch, embedding=np.eye(3, dtype=np.float32))
    assert len(amtsep.cluster(notes, Clustering(timbres=2)).tracks) == 2


def test_a_table_in_a_notebook_is_a_line_and_a_small_roll():
    page = NOTES._repr_html_()
    assert "3 notes, 2.0 s, MIDI 60 to 69" in page and page.count("<rect") == 3
    assert "Flute 1" in page and "Bass 2" in page and "<script" not in page
    wicked = Notes.build([0.0], [1.0], [60], tracks=(Track("<b>Horn & co</b>"),))
    assert "&lt;b&gt;Horn &amp; co" in wicked._repr_html_()
    many = Notes.build(np.arange(5000.0), np.arange(5000.0) + 1, np.full(5000, 60))
    assert "5,000 notes" in many._repr_html_() and len(many._repr_html_()) < 400_000
    assert Notes.empty()._repr_html_() == "<p>0 notes</p>"


def test_plots_show_what_they_are_made_of():
    pytest.importorskip("plotly", reason="plotly is not installed: pip install 'amtsep[app]'")
    from amtsep import plots

    figure = plots.roll(NOTES, "Tune", reference=NOTES[:1])
    assert [trace.name for trace in figure.data] == ["reference", "Flute", "Bass"]
    assert list(figure.data[2].x[:2]) == [1.0, 2.0] and figure.data[2].text[0] == "E4"
    onset, frame = np.zeros((2, 88, 9000), np.float32)
    for row, at in ((39, 100), (43, 4000), (48, 7000)):
        onset[row, at] = 1.0
        frame[row, at : at + 200] = 0.9
    spectrogram = np.zeros((306, 9000), np.uint8)
    hop = 256 / 22050
    posteriors = Posteriors(onset, frame, spectrogram, hop, 9000 * hop)
    picture = plots.posterior(posteriors).data[0]
    assert picture.z.shape == (88, 3000) and picture.z.max() == pytest.approx(0.9)
    assert picture.dx == pytest.approx(3 * hop) and picture.y0 == 21
    assert plots.posterior(posteriors, "spectrogram").data[0].z.max() == -120.0
    with pytest.raises(ValueError, match="no 'offset'; choose one of onset, frame, spectrogram"):
        plots.posterior(posteriors, "offset")
    assert len(plots.onset_histogram(posteriors).data[0].x) >= 3
    curve = plots.threshold_curve(posteriors, thresholds=(0.3, 0.99)).data[0]
    assert curve.y[0] == 3 and curve.y[1] <= curve.y[0]
    truth = amtsep.decode(posteriors)
    assert max(plots.threshold_curve(posteriors, truth).data[0].y) == 1.0


def test_plotly_is_imported_when_a_picture_is_asked_for_alone():
    import subprocess
    import sys

    code = "import amtsep, amtsep.decoding, sys; amtsep.Notes.empty()._repr_html_(); assert 'plotly' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
