"""The command line as a person meets it: what it says, what it writes, how it ends."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import under_pedal

from amtsep import batch, cli, formats
from amtsep.audio import Audio
from amtsep.config import Decoding
from amtsep.errors import FormatError, ModelError
from amtsep.posteriors import Posteriors


def synthetic_posteriors(pitches: tuple[int, ...] = (60, 64, 67), embedding: bool = False) -> Posteriors:
    """Half a second of each pitch in turn, beyond doubt."""
    hop_s, length = 256 / 22050, 43
    n_frames = length * len(pitches) + 40
    onset = np.zeros((88, n_frames), np.float32)
    frame = np.zeros_like(onset)
    vectors = np.zeros((88, n_frames, 2), np.int8)
    for index, pitch in enumerate(pitches):
        start = 10 + index * length
        onset[pitch - 21, start] = 0.9
        onset[pitch - 21, start + 1] = onset[pitch - 21, start - 1] = 0.4
        frame[pitch - 21, start : start + length - 5] = 0.9
        vectors[pitch - 21, :, index % 2] = 127
    spectrogram = np.full((306, n_frames), 160, np.uint8)
    return Posteriors(
        onset, frame, spectrogram, hop_s, n_frames * hop_s, embedding=vectors if embedding else None, model="test"
    )


DEMOS = Path(__file__).parents[1] / "notebooks" / "demos"


class FakeTranscriber:
    """Stands for the network, which has its own tests: answers every recording with the same three notes."""

    made: list[tuple[Any, ...]] = []
    timbre: list[bool] = []

    def __init__(
        self,
        model: str = "light",
        device: str = "auto",
        backend: str = "auto",
        threads: int | None = None,
        timbre: bool = True,
    ) -> None:
        if model == "absent":
            raise ModelError("There is no model 'absent'; choose one of light.")
        FakeTranscriber.made.append((model, device, threads))
        FakeTranscriber.timbre.append(timbre)

    def __call__(
        self, audio: Audio, progress: Any = None, lean: bool = False, drums: bool = False, also: Any = None
    ) -> Posteriors:
        if progress is not None:
            for done in np.linspace(0, audio.duration_s, 4):
                progress(float(done), audio.duration_s, "Transcribing")
        return synthetic_posteriors()


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> type[FakeTranscriber]:
    import amtsep.inference

    FakeTranscriber.made, FakeTranscriber.timbre = [], []
    batch._transcriber.cache_clear()
    monkeypatch.setattr(amtsep.inference, "Transcriber", FakeTranscriber)
    return FakeTranscriber


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    soundfile.write(path, 0.1 * np.sin(np.arange(44100) * 0.06), 44100)
    return path


def run(*words: object, folder: Path | None = None, code: str = "") -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "amtsep"]
    return subprocess.run(
        [*command, *map(str, words)], capture_output=True, text=True, cwd=folder, check=False, timeout=120
    )


# --- help and version ---


def test_help_is_fast_light_and_names_every_command() -> None:
    code = (
        "import sys; from amtsep.cli import main; status = main(['--help']);"
        "heavy = {'torch', 'scipy', 'onnxruntime', 'sklearn', 'av'} & set(sys.modules);"
        "assert not heavy, heavy; sys.exit(status)"
    )
    before = os.times()
    result = run(code=code)
    after = os.times()
    assert result.returncode == 0, result.stderr
    # Of a processor, not of a clock: the machine may be busy.
    assert after.children_user + after.children_system - before.children_user - before.children_system < 3
    for command in ("transcribe", "dashboard", "synthesize", "train", "evaluate", "export"):
        assert command in result.stdout


def test_no_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    assert "COMMAND" in capsys.readouterr().out


def test_version() -> None:
    from importlib.metadata import version

    assert run("--version").stdout.strip() == f"amtsep {version('amtsep')}"


def test_help_of_transcribe_shows_every_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["transcribe", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for item in fields(Decoding):
        assert "--" + item.name.replace("_", "-") in text
        shown = {True: "yes", False: "no"}[item.default] if isinstance(item.default, bool) else item.default
        assert f"({shown})" in text


@pytest.mark.parametrize("command", ["synthesize", "train", "evaluate", "export"])
def test_help_of_the_other_rooms(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    if importlib.util.find_spec(cli.ROOMS[command][0]) is None:
        pytest.skip(f"{command} is not there yet")
    assert cli.main([command, "--help"]) == 0
    assert f"amtsep {command}" in capsys.readouterr().out


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(cli.importlib, "import_module", absent)
    assert cli.main(["train", "--bank", "x"]) == 1
    assert capsys.readouterr().err == (
        "amtsep: 'amtsep train' needs torch, which is not installed; run: pip install 'amtsep[train]'\n"
    )


# --- transcribe ---


def test_transcribe_writes_midi_beside_the_recording(
    song: Path, network: type[FakeTranscriber], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["transcribe", str(song)]) == 0
    assert list(formats.read_midi(song.with_suffix(".mid")).pitch) == [60, 64, 67]
    assert capsys.readouterr().out == f"{song} -> {song.with_suffix('.mid')}: 3 notes\n"
    assert network.made == [("light", "auto", None)]


def test_everything_at_once(song: Path, network: type[FakeTranscriber], tmp_path: Path) -> None:
    out = tmp_path / "out" / "take.mid"
    words = ["-o", out, "--csv", "--json", "--posteriors", tmp_path / "p.npz", "--device", "cpu", "--threads", "2"]
    assert cli.main(["transcribe", str(song), *map(str, words), "--tempo", "90", "-q"]) == 0
    assert sorted(p.name for p in out.parent.iterdir()) == ["take.csv", "take.json", "take.mid"]
    assert len(formats.read_csv(out.with_suffix(".csv"))) == 3
    assert json.loads(out.with_suffix(".json").read_text())["info"]["source"] == "song.wav"
    assert Posteriors.load(tmp_path / "p.npz").n_frames == synthetic_posteriors().n_frames
    assert network.made == [("light", "cpu", 2)]


@pytest.mark.parametrize(
    ("words", "asked"), [([], False), (["--posteriors", "kept.npz"], True), (["--timbres", "2"], True)]
)
def test_timbres_are_listened_for_only_where_somebody_wants_them(
    network: type[FakeTranscriber], song: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], asked: bool
) -> None:
    monkeypatch.chdir(song.parent)
    cli.main(["transcribe", str(song), "--model", "base", "-q", *words])
    assert network.timbre == [asked]


def test_thresholds_reach_the_decoder(song: Path, network: type[FakeTranscriber]) -> None:
    target = song.with_name("t.mid")

    def pitches(*words: str) -> list[int]:
        assert cli.main(["transcribe", str(song), "-q", "-o", str(target), "--overwrite", *words]) == 0
        return list(formats.read_midi(target).pitch)

    assert pitches() == [60, 64, 67]
    assert pitches("--min-pitch", "E4") == [64, 67]
    assert pitches("--max-pitch", "64") == [60, 64]
    assert pitches("--min-note-length", "2") == []
    assert pitches("--onset-threshold", "1", "--no-leftover-notes", "--no-inferred-onsets") == []


def test_posterior_files_are_decoded_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import amtsep.inference

    monkeypatch.setattr(amtsep.inference, "Transcriber", None)
    synthetic_posteriors().save(tmp_path / "a.npz")
    assert cli.main(["transcribe", str(tmp_path / "a.npz"), "-q"]) == 0
    assert len(formats.read_midi(tmp_path / "a.mid")) == 3


def test_pedal_is_found_though_the_network_hears_keys_come_up(tmp_path: Path) -> None:
    import mido

    under_pedal.posteriors().save(tmp_path / "a.npz")
    assert cli.main(["transcribe", str(tmp_path / "a.npz"), "-q", "--pedal", "--json"]) == 0
    told = json.loads((tmp_path / "a.json").read_text())["tracks"][0]["pedal_s"]
    assert len(told) == 3 and all(down < up for down, up in told)
    track = [m for m in mido.MidiFile(tmp_path / "a.mid") if m.type == "control_change" and m.control == 64]
    assert [m.value >= 64 for m in track] == [True, False] * 3


@pytest.mark.parametrize("words", [["--tempo", "100"], ["--no-bars"], ["--no-bars", "--tempo", "100"], []])
def test_a_metre_that_is_given_holds_in_every_file(tmp_path: Path, words: list[str]) -> None:
    import mido

    synthetic_posteriors().save(tmp_path / "a.npz")
    command = ["transcribe", str(tmp_path / "a.npz"), "-q", "--metre", "6/8", "--musicxml", *words]
    assert cli.main(command) == 0
    said = [(m.numerator, m.denominator) for m in mido.MidiFile(tmp_path / "a.mid") if m.type == "time_signature"]
    text = (tmp_path / "a.musicxml").read_text(encoding="utf-8")
    # A pickup is a shorter bar of its own.
    assert (6, 8) in said and {lower for _, lower in said} == {8}
    assert "<beats>6</beats>" in text and text.count("<beat-type>") == text.count("<beat-type>8<")
    if "--tempo" in words:  # of dotted quarters
        tempo = next(m.tempo for m in mido.MidiFile(tmp_path / "a.mid") if m.type == "set_tempo")
        assert 60e6 / tempo == pytest.approx(150, abs=0.01)


@pytest.mark.parametrize(("tempo", "metre"), [("640", "6/8"), ("10", "6/8"), ("20", "3/8"), ("480", "2/2")])
def test_a_tempo_that_a_metre_allows_is_written(tmp_path: Path, tempo: str, metre: str) -> None:
    synthetic_posteriors().save(tmp_path / "a.npz")
    command = ["transcribe", str(tmp_path / "a.npz"), "-q", "--metre", metre, "--musicxml"]
    assert cli.main([*command, "--tempo", tempo]) == 0


def test_posterior_files_say_what_they_do_not_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    synthetic_posteriors().save(tmp_path / "a.npz")
    (tmp_path / "a.npz").rename(tmp_path / "A.NPZ")
    assert cli.main(["transcribe", str(tmp_path / "A.NPZ"), "-q"]) == 0
    assert cli.main(["transcribe", str(tmp_path / "A.NPZ"), "--drums", "on", "--overwrite"]) == 1
    assert "holds nothing of drums" in capsys.readouterr().err
    assert cli.main(["transcribe", str(tmp_path / "A.NPZ"), "--timbres", "2", "--overwrite"]) == 1
    assert "transcribe the recording itself with --model base" in capsys.readouterr().err


def test_several_files_into_a_folder(song: Path, network: type[FakeTranscriber], tmp_path: Path) -> None:
    other = tmp_path / "sub" / "song.wav"
    other.parent.mkdir()
    other.write_bytes(song.read_bytes())
    third = tmp_path / "b.side.flac"
    soundfile.write(third, np.zeros(22050), 22050)
    out = tmp_path / "midi"
    words = [str(song), str(other), str(third), "-o", str(out), "--posteriors", str(tmp_path / "post")]
    assert cli.main(["transcribe", *words]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["b.side.mid", "song-2.mid", "song.mid"]
    assert sorted(p.name for p in (tmp_path / "post").iterdir()) == ["b.side.npz", "song-2.npz", "song.npz"]
    assert len(network.made) == 1, "the network is loaded once for all files"


def test_a_bad_file_does_not_stop_the_others(
    song: Path, network: type[FakeTranscriber], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "letter.wav"
    bad.write_text("Dear all, " * 500)
    assert cli.main(["transcribe", str(bad), str(tmp_path / "gone.mp3"), str(song)]) == 1
    error = capsys.readouterr().err
    assert "amtsep: letter.wav is not a recording that can be read; use WAV" in error
    assert "amtsep: gone.mp3 does not exist; check the path." in error
    assert "amtsep: 2 of 3 files could not be transcribed." in error
    assert "Traceback" not in error
    assert song.with_suffix(".mid").is_file()


def test_existing_work_is_replaced_only_if_asked(
    song: Path, network: type[FakeTranscriber], capsys: pytest.CaptureFixture[str]
) -> None:
    target, kept = song.with_suffix(".mid"), song.with_name("p.npz")
    formats.write_midi(formats.read_midi(next(DEMOS.glob("Duet*.mid"))), target)
    synthetic_posteriors((60,)).save(kept)
    before = {path: path.read_bytes() for path in (target, kept)}
    for words in (["-q"], ["-o", str(target)], ["-o", str(song.with_name("n.mid")), "--posteriors", str(kept)]):
        assert cli.main(["transcribe", str(song), *words]) == 1
        assert "is there already; add --overwrite" in capsys.readouterr().err
    assert cli.main(["transcribe", str(kept), "-o", str(target)]) == 1, "decoding posteriors again is no exception"
    assert {path: path.read_bytes() for path in before} == before
    assert not network.made, "it says so before the work, not after"
    assert cli.main(["transcribe", str(song), "--overwrite", "--posteriors", str(kept)]) == 0
    assert len(formats.read_midi(target)) == 3


def test_a_recording_is_never_overwritten(
    song: Path, network: type[FakeTranscriber], capsys: pytest.CaptureFixture[str]
) -> None:
    """``-o s.flac`` beside its input wrote MIDI into the recording, with exit status 0."""
    other = song.with_name("p1.flac")
    soundfile.write(other, np.zeros(22050), 22050)
    alias = song.with_name("alias.mid")
    alias.symlink_to(song)
    hard = song.with_name("hard.mid")
    os.link(song, hard)
    misnamed = song.with_name("song.mid")  # where the notes of song.wav would go
    misnamed.write_bytes(song.read_bytes())
    before = {path: path.read_bytes() for path in (song, other, misnamed)}
    for words in (
        [song, "-o", song],
        [other, "-o", other],
        [song, "-o", other],
        [song, "-o", alias],
        [song, "-o", hard],
        [song],
        [song, misnamed, "-o", song.parent],
        [song, "-o", song.with_name("n.mid"), "--posteriors", other],
        [song, "-o", song.with_name("new.flac")],
    ):
        for more in ([], ["--overwrite"]):
            assert cli.main(["transcribe", *map(str, words), *more]) == 1, words
            error = capsys.readouterr().err
            assert error.startswith("amtsep: ") and len(error.splitlines()) <= 2 and "Traceback" not in error, error
    assert {path: path.read_bytes() for path in before} == before
    assert not network.made


def test_a_name_that_is_no_text(song: Path, network: type[FakeTranscriber]) -> None:
    odd = Path(os.fsdecode(os.fsencode(song.parent) + b"/caf\xe9.wav"))
    odd.write_bytes(song.read_bytes())
    result = run("transcribe", odd, song, "--json", code=FAKE_NETWORK)
    assert result.returncode == 0, result.stderr
    assert "caf" in result.stdout and song.with_suffix(".mid").is_file() and odd.with_suffix(".mid").is_file()


def test_the_unforeseen_stops_no_other_file(song: Path, network: type[FakeTranscriber], tmp_path: Path) -> None:
    other = tmp_path / "other.wav"
    other.write_bytes(song.read_bytes())
    result = run("transcribe", song, other, code=BROKEN_ONCE)
    assert result.returncode == 1 and not song.with_suffix(".mid").exists() and other.with_suffix(".mid").is_file()
    assert "song.wav: this should not have happened (RuntimeError: a bug)" in result.stderr
    assert "1 of 2 files could not be transcribed" in result.stderr


def test_threads_have_a_ceiling() -> None:
    from amtsep.inference import Transcriber

    options = Transcriber("light", threads=500).engine.session.get_session_options()  # type: ignore[attr-defined]
    assert options.intra_op_num_threads <= (os.cpu_count() or 1)


def test_output_that_cannot_be_written(
    song: Path, network: type[FakeTranscriber], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert cli.main(["transcribe", str(song), "-o", str(tmp_path / "file" / "a.mid")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"amtsep: {tmp_path / 'file'}") and "Traceback" not in error, "the output is to blame"
    assert "song.wav" not in error
    assert cli.main(["transcribe", str(song), str(song), "-o", str(tmp_path / "file")]) == 1
    assert "for several recordings -o names a folder" in capsys.readouterr().err


def test_model_that_is_not_there(
    song: Path, network: type[FakeTranscriber], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["transcribe", str(song), str(song), "--model", "absent"]) == 1
    assert capsys.readouterr().err == "amtsep: There is no model 'absent'; choose one of light.\n"


def test_timbres_need_a_model_that_tells_them_apart(
    song: Path, network: type[FakeTranscriber], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["transcribe", str(song), "--timbres", "2", "--model", "light"]) == 1
    assert "cannot tell timbres apart; use --model base" in capsys.readouterr().err


def test_timbres_become_tracks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if importlib.util.find_spec("amtsep.clustering") is None:
        pytest.skip("amtsep.clustering is not there yet")
    synthetic_posteriors((60, 48, 62, 50, 64, 52), embedding=True).save(tmp_path / "a.npz")
    for asked in ("2", "auto"):
        assert cli.main(["transcribe", str(tmp_path / "a.npz"), "--timbres", asked, "--overwrite"]) == 0
        notes = formats.read_midi(tmp_path / "a.mid")
        assert {tuple(own.pitch) for _, own in notes.by_track()} == {(60, 62, 64), (48, 50, 52)}
        assert "6 notes in 2 tracks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--onset-threshold", "1.5"], "'1.5' is not a number from 0 to 1"),
        (["--onset-threshold", "nan"], "'nan' is not a number from 0 to 1"),
        (["--min-note-length", "-1"], "'-1' is not a time in seconds"),
        (["--energy-tolerance", "x"], "'x' is not a time in seconds"),
        (["--min-pitch", "H2"], "'H2' is no pitch"),
        (["--min-pitch", "200"], "200 is not a MIDI number"),
        (["--min-pitch", "C5", "--max-pitch", "C4"], "--min-pitch is higher than --max-pitch"),
        (["--timbres", "0"], "'0' is neither 'auto' nor a number of timbres"),
        (["--tempo", "3"], "--tempo must be from 10 to 960 beats a minute."),
        (["--tempo", "900", "--metre", "6/8"], "--tempo must be from 10 to 640 beats a minute in 6/8."),
        (["--tempo", "15", "--metre", "3/8"], "--tempo must be from 20 to 960 beats a minute in 3/8."),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_command_lines(song: Path, words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["transcribe", str(song), *words]) == 2
    assert reason in capsys.readouterr().err
    assert not song.with_suffix(".mid").exists()


def test_a_log_is_added_to_a_log_only(song: Path, network: type[FakeTranscriber], tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.touch()
    words = ["transcribe", str(song), "--overwrite", "--log", str(log)]
    assert cli.main(words) == cli.main(words) == 0
    assert len(log.read_text().splitlines()) == 2


@pytest.mark.parametrize("content", [b"RIFF\x24\xff\x00\x00WAVE", b'{\n"notes": []}', b'{"notes": []}', b"[1]\n"])
def test_a_log_that_is_something_else_is_refused(
    song: Path, network: type[FakeTranscriber], tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "first.wav"
    log.write_bytes(content)
    assert cli.main(["transcribe", str(song), "--log", str(log)]) == 2
    assert "first.wav is no log of amtsep" in capsys.readouterr().err
    assert log.read_bytes() == content and not song.with_suffix(".mid").exists()


@pytest.mark.parametrize(
    ("text", "number"),
    [("60", 60), ("C4", 60), ("c4", 60), ("F#3", 54), ("Bb2", 46), ("B♭2", 46), ("A0", 21), ("C-1", 0)],
)
def test_pitches(text: str, number: int) -> None:
    assert cli.pitch(text) == number


def test_several_recordings_become_no_folder_that_is_named_like_a_file(
    song: Path, network: type[FakeTranscriber], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mid"
    for sources in ([str(song), str(song)], [str(song.parent)]):
        assert cli.main(["transcribe", *sources, "-o", str(out)]) == 2
        assert "-o must be a folder for several recordings" in capsys.readouterr().err
    assert not out.exists()
    out.mkdir()
    assert cli.main(["transcribe", str(song), str(song), "-o", str(out)]) == 0
    assert len(list(out.glob("*.mid"))) == 2


def test_output_paths(tmp_path: Path) -> None:
    files = [Path("a/x.wav"), Path("b/X.mp3")]
    assert batch.output_paths(files[:1], None) == [Path("a/x.mid")]
    assert batch.output_paths(files[:1], "y.mid") == [Path("y.mid")]
    assert batch.output_paths(files[:1], f"{tmp_path}") == [tmp_path / "x.mid"]
    assert batch.output_paths(files[:1], "new/") == [Path("new/x.mid")]
    assert batch.output_paths(files, "new") == [Path("new/x.mid"), Path("new/X-2.mid")]
    assert batch.output_paths(files, None) == [Path("a/x.mid"), Path("b/X.mid")]
    with pytest.raises(FormatError):
        (tmp_path / "z.mid").touch()
        batch.output_paths(files, str(tmp_path / "z.mid"))


def test_posterior_paths() -> None:
    files = [Path("a/x.wav"), Path("b/y.wav")]
    assert batch.posterior_paths(files, None) == [None, None]
    assert batch.posterior_paths(files[:1], Path("p.npz")) == [Path("p.npz")]
    assert batch.posterior_paths(files[:1], Path("post")) == [Path("post/x.npz")]
    assert batch.posterior_paths(files, Path("post")) == [Path("post/x.npz"), Path("post/y.npz")]


def test_the_shipped_model_hears_a_demo_clip(tmp_path: Path) -> None:
    """The whole line, with the real network: most notes of the duet are there, on time."""
    from amtsep.inference import available_models

    if "light" not in available_models():
        pytest.skip("models/light.onnx is not there yet")
    clip = next((Path(__file__).parents[1] / "notebooks" / "demos").glob("Duet*.ogg"))
    result = run("transcribe", clip, "-o", tmp_path / "duet.mid", "--device", "cpu", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    truth, notes = formats.read_midi(clip.with_suffix(".mid")), formats.read_midi(tmp_path / "duet.mid")
    found = sum(
        bool(np.any((np.abs(notes.onset - t) <= 0.05) & (notes.pitch == p))) for t, p in zip(truth.onset, truth.pitch)
    )
    assert found >= 0.85 * len(truth)
    assert len(notes) <= 1.15 * len(truth)


SLOW_NETWORK = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored
import amtsep.inference
class Slow:
    def __init__(self, *a, **k): pass
    def __call__(self, audio, progress=None, lean=False, drums=False, also=None):
        print('working', flush=True)
        time.sleep(60)
amtsep.inference.Transcriber = Slow
from amtsep.cli import main
sys.exit(main(sys.argv[1:]))
"""

BROKEN_NETWORK = SLOW_NETWORK.replace("time.sleep(60)", "raise RuntimeError('a bug')")
FAKE_NETWORK = SLOW_NETWORK.replace(
    "time.sleep(60)",
    "import numpy as np; from amtsep.posteriors import Posteriors\n"
    "        return Posteriors(*np.zeros((2, 88, 99), 'f4'), np.zeros((306, 99), 'u1'), 0.01, 1.0)",
)
BROKEN_ONCE = FAKE_NETWORK.replace(
    "        import numpy as np",
    "        if 'song' in audio.name: raise RuntimeError('a bug')\n        import numpy as np",
)


@pytest.mark.skipif(os.name == "nt", reason="signals differ on Windows")
def test_ctrl_c_ends_cleanly(song: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_NETWORK, "transcribe", str(song)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "working"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert error.strip().endswith("Interrupted.") and "Traceback" not in error
    assert sorted(p.name for p in song.parent.iterdir()) == ["song.wav"]


def test_a_bug_is_a_sentence_unless_debugging(song: Path) -> None:
    plain = run("transcribe", song, code=BROKEN_NETWORK)
    assert plain.returncode == 1
    assert "this should not have happened (RuntimeError: a bug); add --debug" in plain.stderr
    assert "Traceback" not in plain.stderr
    assert "Traceback" in run("transcribe", song, "--debug", code=BROKEN_NETWORK).stderr


def test_progress_bar_counts_seconds_of_audio(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import tqdm

    class Terminal(tqdm.tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": False, "leave": True, "mininterval": 0})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tqdm, "tqdm", Terminal)
        with cli._Bar("song.wav", 60.0) as progress:
            progress(30.0, 60.0, "Transcribing")
    assert "song.wav:  50%" in capsys.readouterr().err


# --- dashboard ---


def dashboard_words(*words: str) -> list[str]:
    parser, _ = cli.build_parser(["dashboard"])
    return cli.dashboard_arguments(parser.parse_args(["dashboard", *words]))


def test_dashboard_passes_on_only_what_was_given() -> None:
    assert dashboard_words() == []
    given = [
        "a b.wav",
        "--port",
        "9000",
        "--host",
        "0.0.0.0",
        "--token",
        "auto",
        "--max-upload",
        "50",
        "--idle-timeout",
        "60",
    ]
    assert dashboard_words(*given, "--no-browser") == [
        "a b.wav", "--port=9000", "--host=0.0.0.0", "--max-upload=50", "--idle-timeout=60",
        "--no-browser",
    ]  # fmt: skip


def test_the_app_understands_what_is_passed_on() -> None:
    pytest.importorskip("voila", reason="the app's packages are not installed")
    from widgets.__main__ import parser

    words = dashboard_words(
        "a.wav", "--port", "9", "--host", "h", "--sessions", "7", "--max-upload", "5", "--preheat", "0"
    )
    args = parser().parse_args(words)
    assert (args.file, args.port, args.host, args.sessions, args.max_upload) == ("a.wav", 9, "h", 7, 5.0)


def test_dashboard_of_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("voila", reason="the app's packages are not installed")
    assert cli.main(["dashboard", "nowhere.wav"]) == 1
    assert "nowhere.wav does not exist" in capsys.readouterr().err


def test_dashboard_without_its_packages(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name: None)
    assert cli.main(["dashboard"]) == 1
    assert "pip install 'amtsep[app]'" in capsys.readouterr().err
