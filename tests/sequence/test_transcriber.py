"""A sequence network behind the commands: notes at their times, tracks of its own, no thresholds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="a sequence network needs torch (pip install 'amtsep[train]')")

from tiny_sequence import write_tiny  # noqa: E402

from amtsep import formats  # noqa: E402
from amtsep.audio import Audio  # noqa: E402
from amtsep.cli import main  # noqa: E402
from amtsep.errors import ModelError  # noqa: E402
from amtsep.inference import find_model  # noqa: E402
from amtsep.nets.checkpoint import load_end_to_end  # noqa: E402
from amtsep.notes import Notes, Track  # noqa: E402
from amtsep.sequence import Vocabulary  # noqa: E402
from amtsep.sequence import transcriber as module  # noqa: E402
from amtsep.sequence.checkpoint import load_sequence  # noqa: E402
from amtsep.sequence.files import installed, is_sequence, writes_notes  # noqa: E402
from amtsep.sequence.network import Encoded  # noqa: E402
from amtsep.sequence.segments import cut  # noqa: E402
from amtsep.sequence.transcriber import SequenceTranscriber  # noqa: E402
from amtsep.sequence.writers import load_writer  # noqa: E402

RATE = 22050
TRUTH = Notes.build(
    [0.5, 1.5, 2.5, 3.0], [1.0, 2.5, 3.0, 3.0001], [69, 57, 69, 38], track=[0, 1, 0, 2],
    tracks=[Track("Flute", 73), Track("Cello", 42), Track("Drums", drums=True)],
)  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("sequence") / "mine.safetensors")


def sound() -> np.ndarray:
    time = np.arange(4 * RATE) / RATE
    found = np.zeros(4 * RATE)
    for onset, offset, pitch in zip(TRUTH.onset[:3], TRUTH.offset[:3], TRUTH.pitch[:3]):
        here = (time >= onset) & (time < offset)
        found[here] += 0.3 * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time[here])
    return found.astype(np.float32)


@pytest.fixture
def knowing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network says the truth, whatever it hears."""
    vocabulary = Vocabulary()
    said = [cut(TRUTH, k * vocabulary.segment_s, vocabulary) for k in range(2)]
    monkeypatch.setattr(module, "greedy", lambda net, encoded, cached=True: said[: len(encoded)])


def test_weights_come_back_with_what_they_know(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, info = load_sequence(weights)
    assert is_sequence(weights) and not is_sequence(find_model("light", ".safetensors")) and info["step"] == 7
    shipped = load_end_to_end(find_model("light", ".safetensors"))
    assert torch.equal(net.trunk.ears.shifts, shipped.shifts)
    noise = torch.randn(1, 8192, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(torch.sigmoid(net.trunk(noise).heard.onset + shipped.shifts[0]), shipped(noise)[0])
    # Shipped beside the others, it is known by its name.
    from amtsep import inference

    (tmp_path / "mine.safetensors").write_bytes(weights.read_bytes())
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  mine.safetensors\n")
    monkeypatch.setattr(inference, "models_folder", lambda: tmp_path)
    assert "mine" in installed() and writes_notes("mine") and not writes_notes("base")
    assert load_writer("mine", "cpu")[1]
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(weights.read_bytes()[:3000])
    assert not is_sequence(broken)
    with pytest.raises(ModelError, match="no sequence network"):
        load_sequence(broken)


def test_segments_hear_the_same_however_the_recording_is_cut_into_chunks(weights: Path) -> None:
    heard = []
    for frames in (1292, 100):
        transcriber = SequenceTranscriber(weights, "cpu")
        transcriber.transcriber.chunk_frames = frames
        found: list[Encoded] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "greedy", lambda net, encoded, cached, to=found: to.append(encoded) or [[]] * 2)
            transcriber(Audio(sound(), RATE, "two"))
        heard.append(Encoded.joined(found))
    assert len(heard[0].memory) == len(heard[0].near) == 2
    torch.testing.assert_close(heard[0], heard[1], rtol=1e-3, atol=1e-3)


def test_notes_and_strokes_come_out_on_tracks_of_their_own(weights: Path, knowing: None) -> None:
    posteriors, notes = SequenceTranscriber(weights, "cpu")(Audio(sound(), RATE, "four seconds"))
    assert posteriors.model == "light"
    assert posteriors.n_frames == round(4 * RATE / 256 + 0.5)
    found = sorted((round(float(n.onset), 2), n.pitch, notes.tracks[n.track].program) for n in notes)
    assert found == [(0.5, 69, 73), (1.5, 57, 42), (2.5, 69, 73), (3.0, 38, 0)]
    assert len(set(notes.velocity.tolist())) > 1, "how loud a note is is heard"


def test_the_commands_transcribe_and_score(
    weights: Path, knowing: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import soundfile

    soundfile.write(tmp_path / "song.wav", sound(), RATE)
    TRUTH.to_midi(tmp_path / "truth.mid")
    command = ["transcribe", str(tmp_path / "song.wav"), "--model", str(weights), "--device", "cpu", "--no-bars"]
    assert main([*command, "--csv"]) == 0
    assert "4 notes in 3 tracks" in capsys.readouterr().out
    assert len(formats.read_midi(tmp_path / "song.mid", drums=True)) == 4
    assert main([*command, "--overwrite", "--onset-threshold", "0.4"]) == 2
    assert "has no thresholds" in capsys.readouterr().err
    pytest.importorskip("plotly")
    command = ["evaluate", "--audio", str(tmp_path / "song.wav"), "--reference", str(tmp_path / "truth.mid")]
    command += ["--model", str(weights), "--device", "cpu", "-o", str(tmp_path / "report")]
    assert main([*command, "--thresholds", "search"]) == 1
    assert main(command) == 0
    assert "no thresholds" in capsys.readouterr().out
    (recording,) = json.loads((tmp_path / "report" / "report.json").read_text())["recordings"]
    figures = recording["figures"]
    assert figures["onset_f1"] == figures["written_macro_onset_f1"] == figures["drum_f1"] == 1.0
    assert figures["multi_f1"] == figures["leakage"] == 1.0


def test_an_untrained_network_writes_something_legal(weights: Path) -> None:
    _, notes = SequenceTranscriber(weights, "cpu")(Audio(sound()[:RATE], RATE, "one second"))
    notes.validate()
    assert notes.end <= 1.0
