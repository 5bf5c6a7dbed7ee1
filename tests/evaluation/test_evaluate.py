"""`amtsep evaluate` from end to end: data set to table, JSON and page; one's own pair; the cache; the peers' table."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation_material import HOP, music, shifted
from test_readers import DATA, bach10_folder, tone

from amtsep import formats
from amtsep.audio import Audio
from amtsep.cli import main
from amtsep.config import Decoding
from amtsep.evaluation.metrics import evaluate_agnostic
from amtsep.evaluation.readers import recordings
from amtsep.evaluation.readers.base import Recording
from amtsep.evaluation.report import Report, compare_reports, figures
from amtsep.evaluation.runner import evaluate_notes, evaluate_recordings, posteriors_of, score
from amtsep.notes import Notes, Track
from amtsep.posteriors import Posteriors

ROOT = Path(__file__).resolve().parents[2]


class Oracle:
    """Posteriors drawn from the true notes of the recording with the audio's name: a perfect network."""

    def __init__(self, items) -> None:
        self.references = {item.name: item.reference for item in items}
        self.calls = 0

    def __call__(self, audio: Audio) -> Posteriors:
        self.calls += 1
        reference, n = self.references[audio.name], len(audio.samples) // 256 + 1
        onset, frame = np.zeros((2, 88, n), np.float32)
        for a, b, p in zip(reference.onset, reference.offset, reference.pitch, strict=True):
            first, last = round(a / HOP), round(b / HOP)
            onset[p - 21, first], frame[p - 21, first:last] = 1.0, 0.9
        return Posteriors(onset, frame, np.full((306, n), 200, np.uint8), HOP, audio.duration_s)


@pytest.fixture
def bach(tmp_path):
    return bach10_folder(tmp_path / "bach10")


@pytest.fixture
def oracle(bach, monkeypatch):
    """`amtsep evaluate` with the oracle in the network's place."""
    transcriber = Oracle(recordings("bach10", bach, (1, 2, 3, 4)))
    monkeypatch.setattr("amtsep.inference.Transcriber", lambda *a, **k: transcriber)
    monkeypatch.setattr("amtsep.inference.model_hash", lambda model: "oracle")
    return transcriber


def test_data_set_to_table_json_and_page(bach, oracle, tmp_path, capsys) -> None:
    out, cache = tmp_path / "report", tmp_path / "cache"
    words = [
        "evaluate",
        "--dataset",
        "bach10",
        "--root",
        str(bach),
        "--mixes",
        "1,4",
        "-o",
        str(out),
        "--cache",
        str(cache),
    ]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "onset F1" in text and "thresholds: default" in text and "1 part" in text and "4 parts" in text
    data = json.loads((out / "report.json").read_text())
    assert data["summary"]["onset_f1"]["mean"] > 0.95
    assert data["summary"]["onset_f1"]["n"] == 10 and data["summary"]["onset_f1"]["n_groups"] == 2
    assert len(data["recordings"]) == 10
    assert data["thresholds"]["label"] == "default"
    page = (out / "report.html").read_text()
    # Self-contained: nothing is fetched, plotly is inside.
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=\"?https?:", page)
    assert "Plotly.newPlot" in page and len(page) > 1_000_000
    for title in (
        "Onset F1 over thresholds",
        "Precision and recall",
        "By pitch",
        "By instrument",
        "Onset errors",
        "Worst",
    ):
        assert title in page
    # Rendered tables, no raw ones; every recording with its notes; phones keep their width.
    assert "| onset F1 |" not in page and "<th>onset F1</th>" in page and "name='viewport'" in page
    table = page[page.index("<h2>By recording</h2>") :]
    assert table.count("<details>") == table.count("<svg") == 10
    assert table.count("<rect") > 50
    calls = oracle.calls
    assert calls == 10
    assert main([*words, "--compare", str(out / "report.json")]) == 0
    assert oracle.calls == calls  # all from the cache
    assert "+0.000 [+0.000, +0.000]" in capsys.readouterr().out


def test_search_on_the_reported_set_says_oracle_and_on_another_does_not(bach, oracle, tmp_path, capsys) -> None:
    other = bach10_folder(tmp_path / "other", ("07-Neu",))
    # Other sound, so that it is another recording and not the same under another name.
    for path in other.rglob("*.wav"):
        tone(path, 333.0, level=0.2)
    oracle.references.update({item.name: item.reference for item in recordings("bach10", other)})
    common = ["evaluate", "--dataset", "bach10", "--root", str(bach), "-o", str(tmp_path / "r"), "--no-cache"]
    assert main([*common, "--thresholds", "search"]) == 0
    assert "thresholds: oracle" in capsys.readouterr().out
    assert main([*common, "--thresholds", "search", "--search-root", str(other), "--search-dataset", "bach10"]) == 0
    text = capsys.readouterr().out
    assert "thresholds from bach10 in" in text and "oracle" not in text
    # A copy of the reported material under another path is still the reported material.
    assert main([*common, "--thresholds", "search", "--search-root", str(bach), "--search-dataset", "bach10"]) == 0
    assert "thresholds: oracle" in capsys.readouterr().out


def test_own_pair_and_own_notes(oracle, tmp_path, capsys) -> None:
    reference = music(2, 10)
    sound, truth = tone(tmp_path / "a.wav", seconds=8.0), formats.write_midi(reference, tmp_path / "a.mid")
    oracle.references["a"] = formats.read_midi(truth)
    out = ["-o", str(tmp_path / "r"), "--no-heat-map"]
    assert main(["evaluate", "--audio", str(sound), "--reference", str(truth), "--no-cache", *out]) == 0
    assert json.loads((tmp_path / "r" / "report.json").read_text())["summary"]["onset_f1"]["mean"] == 1.0
    late = formats.write_csv(shifted(reference, 0.06), tmp_path / "late.csv")
    assert main(["evaluate", "--estimate", str(late), "--reference", str(truth), *out]) == 0
    summary = json.loads((tmp_path / "r" / "report.json").read_text())["summary"]
    assert summary["onset_f1"]["mean"] == 0.0
    assert summary["onset_bias_s"]["mean"] == pytest.approx(0.06, abs=0.002)


def test_options_hold_for_notes_that_one_brings(tmp_path: Path, capsys) -> None:
    both = Notes.build([0.0, 0.0, 1.0], [0.5, 0.5, 1.5], [60, 60, 64], track=[0, 1, 0], tracks=(Track("A"), Track("B")))
    truth, mine = (
        formats.write_csv(both, tmp_path / "t.csv"),
        formats.write_csv(both.select([0, 2]), tmp_path / "m.csv"),
    )
    words = ["evaluate", "--estimate", str(mine), "--reference", str(truth), "-o", str(tmp_path / "r")]
    recalls, drawn = [], []
    for more, said in ([], "fused"), (["--keep-unisons"], "kept"):
        assert main([*words, *more]) == 0
        text = capsys.readouterr().out
        assert f"unisons of two parts {said}" in text and "separated, as written" in text
        data = json.loads((tmp_path / "r" / "report.json").read_text())
        assert data["unisons"] == said
        recalls.append(data["summary"]["onset_recall"]["mean"])
        drawn.append((tmp_path / "r" / "report.html").read_text().count("fill='none' stroke="))
    assert drawn == [2, 3], "what is drawn is what was counted"
    assert recalls == [1.0, pytest.approx(2 / 3)]
    assert main([*words, "--compare", str(tmp_path / "absent.json")]) == 1
    assert "absent.json" in capsys.readouterr().err
    other = json.loads((tmp_path / "r" / "report.json").read_text())
    other["recordings"] = []
    (tmp_path / "other.json").write_text(json.dumps(other))
    assert main([*words, "--compare", str(tmp_path / "other.json")]) == 0
    assert "nothing was compared" in capsys.readouterr().out


def test_a_threshold_beyond_its_range_is_a_wrong_command_line(capsys) -> None:
    assert main(["evaluate", "--dataset", "bach10", "--root", ".", "--onset-threshold", "1.5"]) == 2
    assert "not a number from 0 to 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--dataset", "bach10"], "--root"),
        (["--dataset", "bach10", "--root", "nowhere"], "Rochester"),
        (["--audio", "a.wav"], "--reference"),
        (["--audio", "a.wav", "--reference", "absent.mid"], "absent.mid"),
        (["--estimate", "a.xyz", "--reference", "a.xyz"], "a.xyz"),
    ],
)
def test_mistakes_get_a_sentence(words, says, capsys) -> None:
    assert main(["evaluate", *words]) == 1
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error


def test_mixes_must_be_numbers(capsys) -> None:
    assert main(["evaluate", "--mixes", "two"]) == 2
    assert "numbers of parts" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["transcribe song.wav", "evaluate"])
def test_a_weight_of_places_below_zero_is_refused_alike_by_both_commands(command, capsys) -> None:
    for wrong in ("-1", "nan", "much"):
        assert main([*command.split(), "--stereo", wrong]) == 2
        assert f"argument --stereo: '{wrong}' is not a number from 0 on" in capsys.readouterr().err


def test_cache_tells_networks_and_sounds_apart_and_survives_a_torn_file(bach, tmp_path) -> None:
    items = recordings("bach10", bach, (4,))
    oracle, cache = Oracle(items), tmp_path / "cache"
    posteriors_of(items[0], oracle, "a", cache)
    posteriors_of(items[0], oracle, "a", cache)
    assert oracle.calls == 1
    posteriors_of(items[0], oracle, "b", cache)
    posteriors_of(items[0], oracle, "", cache)  # without a hash nothing is kept
    assert oracle.calls == 3
    for file in cache.rglob("*.npz"):
        file.write_bytes(file.read_bytes()[:100])
    again = posteriors_of(items[0], oracle, "a", cache)
    assert oracle.calls == 4 and again.onset.max() == 1.0
    tone(items[0].sources[0], 555.0)  # the sound changes under the same name
    posteriors_of(items[0], oracle, "a", cache)
    assert oracle.calls == 5


def test_tracks_are_scored_with_the_number_of_timbres_given_and_estimated(bach, monkeypatch) -> None:
    items = recordings("bach10", bach, (2, 4))
    oracle = Oracle(items)

    def with_embedding(audio: Audio) -> Posteriors:
        plain, reference = oracle(audio), oracle.references[audio.name]
        embedding = np.zeros((*plain.onset.shape, 4), np.int8)
        for a, b, p, t in zip(reference.onset, reference.offset, reference.pitch, reference.track, strict=True):
            embedding[p - 21, round(a / HOP) : round(b / HOP), t] = 127
        return replace(plain, embedding=embedding)

    def cluster(notes: Notes, settings) -> Notes:
        """Right when told how many; one timbre when asked to guess."""
        track = notes.embedding.argmax(axis=1) if settings.timbres else np.zeros(len(notes), int)
        return notes.with_tracks(track, [Track(str(i)) for i in range(settings.timbres or 1)])

    monkeypatch.setattr("amtsep.clustering.cluster", cluster)
    results = evaluate_recordings(items, with_embedding, timbres=("given", "estimated"))
    report = Report("bach10", "toy", Decoding(), "default", results)
    summary = report.as_dict()["summary"]
    assert summary["given_macro_onset_f1"]["mean"] > 0.95
    assert summary["estimated_macro_onset_f1"]["mean"] < 0.6
    timbres = report.as_dict()["timbres"]
    assert timbres["exact"] == 0.0
    assert timbres["confusion"] == [[2, 1, 12], [4, 1, 2]]
    assert "exact in 0% of 14" in report.text()
    assert "Number of timbres" in [title for title, _, _ in figures(report)]


def test_reference_through_every_path_scores_one(bach, tmp_path) -> None:
    items = recordings("bach10", bach, (2, 3, 4))

    def midi_round_trip(item):
        return formats.read_midi(formats.write_midi(item.reference, tmp_path / "x.mid"))

    for way in (lambda item: item.reference, midi_round_trip):
        for result in evaluate_notes(items, way):
            assert result.agnostic.onset.f1 == result.agnostic.onset_offset.f1 == 1.0
    report = Report("bach10", "reference", Decoding(), "none", evaluate_notes(items, lambda item: item.reference))
    summary = report.as_dict()["summary"]
    assert summary["onset_f1"]["mean"] == summary["frame_f1"]["low"] == 1.0


def test_damage_shows_in_the_report_and_in_a_paired_comparison(bach) -> None:
    items = recordings("bach10", bach, (1, 2, 3, 4))
    whole = Report("bach10", "whole", Decoding(), "none", evaluate_notes(items, lambda item: item.reference))
    late = Report(
        "bach10", "late", Decoding(), "none", evaluate_notes(items, lambda item: shifted(item.reference, 0.06))
    )
    assert late.as_dict()["summary"]["onset_f1"]["mean"] == 0.0
    found = compare_reports(late, json.loads(json.dumps(whole.as_dict())))
    assert found["onset_f1"].difference.mean == -1.0 and found["onset_f1"].losses == 30
    assert [title for title, _, _ in figures(late)][:2] == ["By pitch", "By instrument"]


def test_cancelling_an_evaluation(bach) -> None:
    from amtsep.errors import Cancelled

    items = recordings("bach10", bach, (4,))
    with pytest.raises(Cancelled):
        evaluate_recordings(items, Oracle(items), progress=lambda done, total, what: done < 1)


def test_page_of_an_empty_transcription_is_written(tmp_path) -> None:
    items = recordings("bach10", bach10_folder(tmp_path), (4,))
    report = Report("bach10", "silence", Decoding(), "none", evaluate_notes(items, lambda item: Notes.empty()))
    report.write(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "report.json").read_text())["summary"]["onset_bias_s"]["mean"] is None


def test_silence_found_silent_has_no_overlap_that_pulls_the_mean_down(tmp_path) -> None:
    items = [Recording(name, "own", (), notes) for name, notes in (("music", music()), ("silence", Notes.empty()))]
    report = Report("own", "truth", Decoding(), "none", evaluate_notes(items, lambda item: item.reference))
    overlap = report.interval("average_overlap")
    assert (overlap.mean, overlap.low, overlap.n) == (1.0, 1.0, 1)
    assert "average overlap: 1.000 [1.000, 1.000]" in report.text()
    report.write(tmp_path)
    written = json.loads((tmp_path / "report.json").read_text())["recordings"]
    assert [item["figures"]["average_overlap"] for item in written] == [1.0, None]


def test_development_quartets_damaged_by_hand() -> None:
    root = DATA / "bach10" / "dev"
    if not root.is_dir():
        pytest.skip("AMTSEP_DATA has no bach10/dev")
    for item in recordings("bach10", root):
        reference = item.reference
        assert score(item, reference).agnostic.onset.f1 == 1.0
        dropped = reference.select(np.arange(len(reference)) % 10 != 0)
        n, left = len(reference), len(dropped)
        apart = evaluate_agnostic(reference, dropped, HOP, fuse_unisons=False)
        assert apart.onset.precision == 1.0 and apart.onset.recall == pytest.approx(left / n)


def test_scoring_all_development_mixes_is_fast() -> None:
    root = DATA / "bach10" / "dev"
    if not root.is_dir():
        pytest.skip("AMTSEP_DATA has no bach10/dev")
    items = recordings("bach10", root, (1, 2, 3, 4))
    start = time.perf_counter()
    results = evaluate_notes(items, lambda item: shifted(item.reference, 0.01))
    assert len(results) == 75 and time.perf_counter() - start < 60


def _peers():
    spec = importlib.util.spec_from_file_location("peers", ROOT / "benchmarks" / "peers.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["peers"] = module
    spec.loader.exec_module(module)
    return module


def test_peers_table_and_any_command(bach, tmp_path, monkeypatch) -> None:
    peers = _peers()
    monkeypatch.setattr(peers, "BUILD", tmp_path / "build")
    items = recordings("bach10", bach, (4,))
    truth = formats.write_midi(items[0].reference, tmp_path / "truth.mid")
    copy = f"{sys.executable} -c \"import shutil; shutil.copy('{truth}', r'{{midi}}')\""
    tables = peers.command_notes(items, copy)
    rows = [evaluate_agnostic(i.reference, n, HOP).figures() for i, n in zip(items, tables, strict=True)]
    text = peers.table([peers._row("quartets", "copy", "as given", rows, items)])
    assert "| quartets | copy | as given | 1.000 [1.00, 1.00] |" in text


def test_peers_measure_a_whole_process() -> None:
    if not hasattr(__import__("os"), "wait4"):
        pytest.skip("the system has no wait4")
    cost = _peers().measure([sys.executable, "-c", "x = bytearray(80 << 20); sum(range(3_000_000))"], 1)
    assert cost.wall_s > 0.05 and cost.cpu_s > 0.05 and cost.peak_mib > 80
