"""Many recordings: each done once, whatever is in the way, whoever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from amtsep import batch, cli, formats
from amtsep.batch import Task, Work
from amtsep.errors import FormatError
from amtsep.notes import Notes, Track
from amtsep.posteriors import Posteriors

DEMOS = Path(__file__).resolve().parents[1] / "notebooks" / "demos"


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A folder of short recordings, some in folders below, and things that are none."""
    folder = tmp_path / "music"
    for name, pitch in (("a.wav", 60), ("b/a.wav", 62), ("b/c.flac", 64), ("b/d/e.ogg", 65)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        time_s = np.arange(22050) / 22050
        wave = sum(np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * h * time_s) / h for h in range(1, 6))
        soundfile.write(path, 0.2 * wave * np.exp(-2 * time_s), 22050)
    (folder / "notes.txt").write_text("no recording")
    (folder / ".hidden.wav").write_bytes(b"")
    return folder


def log_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_folder_goes_into_a_folder_of_the_same_shape_and_is_resumed(
    music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "midi"
    words = ["transcribe", str(music), "-o", str(out), "--resume", "--threads", "1"]
    (music / "b" / "broken.mp3").write_text("Dear all, " * 300)
    assert cli.main(words) == 1
    made = sorted(str(p.relative_to(out)) for p in out.rglob("*.mid"))
    assert made == ["a.mid", "b/a.mid", "b/c.mid", "b/d/e.mid"]
    assert "1 of 5 files could not be transcribed" in capsys.readouterr().err
    log = log_of(out / "transcribe.jsonl")
    assert sorted(str(line["status"]) for line in log) == ["done"] * 4 + ["failed"]
    failed = next(line for line in log if line["status"] == "failed")
    assert str(failed["source"]).endswith("broken.mp3") and "not a recording" in str(failed["message"])

    stamps = {p: p.stat().st_mtime_ns for p in out.rglob("*.mid")}
    (music / "b" / "broken.mp3").unlink()
    soundfile.write(music / "b" / "c.flac", np.zeros(30000), 22050)  # another recording by now
    (out / "a.mid").unlink()
    assert cli.main([*words, "--overwrite"]) == 0
    again = {p for p in out.rglob("*.mid") if stamps.get(p) != p.stat().st_mtime_ns}
    assert {str(p.relative_to(out)) for p in again} == {"a.mid", "b/c.mid"}
    assert capsys.readouterr().out.count("done before") == 2
    # Other settings are other work, and what is there is not replaced unasked.
    assert cli.main([*words, "--onset-threshold", "0.7"]) == 1
    assert "add --overwrite" in capsys.readouterr().err


def test_processes_give_what_one_gives(music: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert cli.main(["transcribe", str(music), "-o", str(one), "-q", "--threads", "1"]) == 0
    assert cli.main(["transcribe", str(music), "-o", str(two), "-q", "--jobs", "2"]) == 0
    for path in one.rglob("*.mid"):
        a, b = formats.read_midi(path), formats.read_midi(two / path.relative_to(one))
        assert len(a) and a.pitch.tolist() == b.pitch.tolist() and np.allclose(a.onset, b.onset, atol=2e-3)


def test_a_process_that_dies_takes_nothing_with_it(music: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    tasks, refused = batch.plan([music], Work(threads=1), str(music.parent / "out"))
    assert not refused and len(tasks) == 4
    monkeypatch.setattr(batch, "perform", dying_perform)
    found = {Path(r.source).name: r for r in batch.run(tasks, Work(threads=1), jobs=2)}
    assert found["c.flac"].status == "failed" and "died 3 times" in found["c.flac"].message
    assert [found[name].status for name in ("a.wav", "e.ogg")] == ["done", "done"]


def dying_perform(task: Task, work: Work) -> batch.Result:
    """In a worker process: dies under one recording."""
    if task.source.name == "c.flac":
        os.kill(os.getpid(), signal.SIGKILL)
    return batch.Result(str(task.source), "done")


def test_a_folder_without_recordings_and_wrong_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["transcribe", str(tmp_path), "-o", str(tmp_path / "o")]) == 1
    assert "holds no recordings" in capsys.readouterr().err
    assert cli.main(["transcribe", "x.wav", "--jobs", "0"]) == 2
    assert cli.main(["transcribe", "x.wav", "--threads", "0"]) == 2


def test_a_mark_knows_settings_and_recording(music: Path, tmp_path: Path) -> None:
    task, work = Task(music / "a.wav", tmp_path / "a.mid"), Work()
    mark = batch.mark_of(task, work)
    assert mark == batch.mark_of(task, replace(work, threads=7, resume=True, overwrite=True))
    assert mark != batch.mark_of(task, replace(work, timbres=2))
    assert mark != batch.mark_of(task, replace(work, tempo=90.0))
    os.utime(music / "a.wav", (1, 1))
    assert mark != batch.mark_of(task, work)


def test_kind_of_a_file_by_its_beginning(tmp_path: Path) -> None:
    for name, content, same in (
        ("a.mid", b"MThd...", True),
        ("a.mid", b"", True),
        ("a.mid", b"RIFF", False),
        ("a.csv", b"onset_s,offset_s\n", True),
        ("a.csv", b"fLaC\0\0,", False),
        ("a.json", b"\xef\xbb\xbf {", True),
        ("a.json", b"ID3", False),
        ("a.npz", b"PK\3\4", True),
        ("a.npz", b"OggS", False),
    ):
        (tmp_path / name).write_bytes(content)
        assert batch.is_of_kind(tmp_path / name) == same, (name, content)


def test_cluster_addresses(capsys: pytest.CaptureFixture[str], music: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed")
    words = ["transcribe", str(music), "-o", str(tmp_path / "o"), "--dask"]
    assert cli.main([*words, "local:many"]) == 1
    assert "names no cluster" in capsys.readouterr().err


@pytest.mark.timeout(300)
def test_workers_of_a_cluster_are_killed_at_random(tmp_path: Path) -> None:
    """Every recording is done once and none is lost, though one worker or the other dies again and again."""
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    folder, out = tmp_path / "many", tmp_path / "out"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for number in range(16):
        soundfile.write(folder / f"{number:02d}.wav", rng.standard_normal(11025) * 0.1, 22050)
    tasks, _ = batch.plan([folder], Work(threads=1), str(out))
    results, killed = [], 0
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        for result in batch.run_on_cluster(tasks, Work(threads=1), client):
            results.append(result)
            if len(results) % 4 == 0 and len(results) < len(tasks):
                victim = rng.choice(list(cluster.workers.values())).pid
                if victim:
                    os.kill(victim, signal.SIGKILL)
                    killed += 1
    assert killed, "the test killed nobody"
    assert sorted(Path(r.source).name for r in results) == sorted(p.name for p in folder.iterdir())
    assert {r.status for r in results} <= {"done", "skipped"}, [r.message for r in results]
    assert sorted(p.name for p in out.iterdir()) == [f"{number:02d}.mid" for number in range(16)], "halves of files"


def test_a_batch_that_is_killed_goes_on_where_it_was(music: Path, tmp_path: Path) -> None:
    out = tmp_path / "midi"
    command = [sys.executable, "-m", "amtsep", "transcribe", str(music), "-o", str(out), "--resume", "--threads", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()  # the first is done
    process.kill()
    process.communicate()
    half = "import sys, os; from amtsep.files import replacing\nwith replacing(sys.argv[1]): os._exit(9)"
    subprocess.run([sys.executable, "-c", half, str(out / "b" / "d" / "e.mid")], check=False)  # killed while it wrote
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "done before" in result.stdout
    assert len(list(out.rglob("*.mid"))) == 4 and not list(out.rglob(".*.mid*")), "no half files"


def test_plan_refuses_before_it_works(music: Path) -> None:
    with pytest.raises(FormatError, match="would be overwritten"):
        batch.plan([music / "a.wav", music / "b" / "c.flac"], replace(Work(), also=(".flac",)))


def test_a_recording_in_whose_middle_one_is_killed_is_done_again(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    words = ["transcribe", str(music / "a.wav"), "-o", f"{out}/", "--resume", "--threads", "1", "--csv", "--json"]
    words += ["--posteriors", f"{out}/"]
    replace_of, taken = Path.replace, []

    def killed(self: Path, target: Path) -> Path:
        if len(taken) == 2:
            raise KeyboardInterrupt
        taken.append(replace_of(self, target))
        return taken[-1]

    monkeypatch.setattr(Path, "replace", killed)
    assert cli.main(words) != 0
    monkeypatch.undo()
    assert [path.name for path in taken] == ["a.mid", "a.json"]
    assert cli.main(words) == 0
    assert sorted(p.name for p in out.iterdir()) == ["a.csv", "a.json", "a.mid", "a.npz"]
    # What another program or person has put there is no part of it.
    (out / "a.mid").unlink()
    assert cli.main(words) == 1


def test_of_silence_there_is_no_score_and_that_is_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(22050), 22050)
    words = ["transcribe", str(tmp_path / "silent.wav"), "--threads", "1", "--csv", "--musicxml", "--resume"]
    assert cli.main(words) == 0
    assert "no MusicXML" in "".join(capsys.readouterr())
    assert sorted(p.name for p in tmp_path.glob("silent.*")) == ["silent.csv", "silent.mid", "silent.wav"]
    assert cli.main(words) == 0 and "done before" in capsys.readouterr().out


def test_several_posteriors_and_a_file_in_their_place(music: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (music / "p.npz").write_bytes(b"PK")
    assert cli.main(["transcribe", str(music), "--posteriors", str(music / "p.npz")]) == 1
    assert "--posteriors names a folder" in capsys.readouterr().err


def written_with_drums() -> tuple[Posteriors, Notes]:
    """A scale on a piano over a kit's eighths, as a network has written them, and what is heard under all of it."""
    frames, hop_s = 2800, 256 / 22050
    sound = np.full((306, frames), 40, np.uint8)
    for pitch in (38, 42, 46, 61, 63, 65, 66, 68, 70, 72, 73):
        for harmonic in range(1, 7):  # a peak a little above each harmonic
            at = round((pitch - 21) * 3 + 36 * np.log2(harmonic))
            sound[at - 1 : at + 2, :] = [[150], [200], [170]]
    embedding = np.zeros((88, frames, 2), np.int8)
    embedding[np.arange(88), :, np.arange(88) % 2] = 127
    nothing = np.zeros((88, frames), np.float32)
    posteriors = Posteriors(nothing, nothing, sound, hop_s, frames * hop_s, embedding=embedding, model="test")
    onset = np.arange(0, 32, 0.5)
    piano = Notes.build(onset, onset + 0.45, np.tile([61, 63, 65, 66, 68, 70, 72, 73], 8), tracks=[Track("Piano", 1)])
    struck = np.arange(0, 32, 0.25)
    key, loud = np.tile([36, 42, 38, 42], 32), np.tile([110, 60], 64)
    kit = Notes.build(struck, struck + 0.1, key, loud, np.full(128, 0.4), tracks=[Track("Kit", drums=True)])
    return posteriors, Notes.concatenate([kit, piano])


@pytest.mark.parametrize("words", [[], ["--timbres", "2"], ["--bends"], ["--timbres", "auto", "--clean-up", "1"]])
def test_drums_that_a_network_writes_stay_drums(music: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    posteriors, notes = written_with_drums()
    monkeypatch.setattr(batch, "_writer", lambda *_: lambda *_: (posteriors, notes))
    assert cli.main(["transcribe", str(music / "a.wav"), "--model", "mt3", "-q", *words]) == 0
    found = formats.read_midi(music / "a.mid", drums=True)
    kit = {track.name: sorted(own.pitch.tolist()) for track, own in found.by_track() if track.drums}
    assert kit == {"Kit": sorted([36, 42, 38, 42] * 32)}
    assert all(own.pitch.min() > 60 for track, own in found.by_track() if not track.drums and len(own))
    sent = list(mido.MidiFile(music / "a.mid"))
    assert {m.channel == 9 for m in sent if m.type == "pitchwheel"} == ({False} if "--bends" in words else set())
    # Where it is not known which notes are strokes, this is heard in 4/4.
    assert {(m.numerator, m.denominator) for m in sent if m.type == "time_signature"} == {(2, 4)}
