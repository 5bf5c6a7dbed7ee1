"""Files that ask for more than a machine has, or crash decoders: a sentence, soon, and nothing else happens."""

from __future__ import annotations

import io
import os
import signal
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from amtsep import formats, isolation
from amtsep.audio import load_audio
from amtsep.config import Limits
from amtsep.errors import AudioError, FormatError
from amtsep.posteriors import Posteriors

RATE = 22050


def surround(container: str, codec: str) -> bytes:
    """One second of a tone on eight channels."""
    import av

    buffer = io.BytesIO()
    wave = np.tile(0.3 * np.sin(np.arange(48000) * 0.06), (8, 1)).T.astype(np.float32)
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream(codec, rate=48000, layout="7.1")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave.reshape(1, -1)), "flt", "7.1")
        frame.sample_rate = 48000
        converter = av.AudioResampler(format=stream.codec_context.format.name, layout="7.1", rate=48000)
        for converted in converter.resample(frame):
            out.mux(stream.encode(converted))
        out.mux(stream.encode())
    return buffer.getvalue()


@pytest.mark.parametrize(("container", "codec"), [("ipod", "aac"), ("webm", "libopus"), ("matroska", "aac")])
def test_eight_channels_of_ffmpeg(container: str, codec: str) -> None:
    """Planar frames of eight channels and more ended the process (9 of 9)."""
    audio = load_audio(surround(container, codec), name="film")
    assert audio.duration_s == pytest.approx(1.0, abs=0.05)
    assert np.std(audio.samples[2000:-2000]) == pytest.approx(0.3 / np.sqrt(2), abs=0.04)


def flac(seconds: float = 1.0) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.sin(np.arange(int(RATE * seconds)) * 0.1) * 0.3, RATE, format="FLAC")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashes its decoder"),
        ("bytearray(1 << 33)", "takes more than 2048 MB"),
        ("1 / 0", "crashes its decoder"),
        ("time.sleep(30)", "keeps its decoder busy"),
        ("print('noise', flush=True)", None),
    ],
)
def test_a_decoder_that_goes_wrong_ends_alone(what: str, sentence: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, signal, time; import amtsep.isolation as i; d = i.decode\n"
    code += f"def decode(*a):\n {what}\n return d(*a)\n"
    monkeypatch.setattr(isolation, "_CHILD", code + "i.decode = decode\nimport sys; i.serve(sys.argv[1:])")
    limits = Limits(decoder_silence_s=5.0) if "sleep" in what else Limits()
    if sentence is None:
        assert load_audio(flac(), limits=limits).duration_s == pytest.approx(1.0)
        return
    with pytest.raises(AudioError, match=sentence) as caught:
        load_audio(flac(), name="odd.flac", limits=limits)
    assert str(caught.value).startswith("odd.flac ") and "\n" not in str(caught.value)


def test_a_decoder_that_is_stopped_leaves_no_child() -> None:
    psutil = pytest.importorskip("psutil")
    before = set(psutil.Process().children(recursive=True))
    blocks = isolation.decode_apart(io.BytesIO(flac(60.0)), "x", Limits())
    next(blocks)
    blocks.close()
    assert set(psutil.Process().children(recursive=True)) <= before


@pytest.mark.skipif(not hasattr(signal, "SIGKILL") or sys.platform == "darwin", reason="limits of Linux")
def test_processor_time_of_a_decoder_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import amtsep.isolation as i\ndef decode(*a):\n while True: pass\ni.decode = decode\n"
    monkeypatch.setattr(isolation, "_CHILD", code + "import sys; i.serve(sys.argv[1:])")
    with pytest.raises(AudioError, match="more time or memory"):
        load_audio(flac(), limits=Limits(decoder_cpu_s=1))


def test_absurd_numbers_of_channels() -> None:
    head = (
        b"RIFF" + struct.pack("<I", 36 + 4096) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1000, 8000, 0, 2000, 16)
    )
    with pytest.raises(AudioError, match=r"claims 1000 channels|is not a recording"):
        load_audio(head + b"data" + struct.pack("<I", 4096) + bytes(4096), name="odd.wav")


@pytest.mark.parametrize("kind", ["OGG/VORBIS", "OGG/OPUS", "AIFF/PCM_16", "aac"])
def test_a_cut_file_that_does_not_say_how_long_it_was_ends_early(kind: str) -> None:
    wave = (np.random.default_rng(1).standard_normal((6 * 48000, 1)) * 0.1).astype(np.float32)
    if kind == "aac":
        import av

        buffer = io.BytesIO()
        with av.open(buffer, "w", format="adts") as out:
            stream = out.add_stream("aac", rate=48000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave.T), "fltp", "mono")
            frame.sample_rate = 48000
            out.mux([*stream.encode(frame), *stream.encode()])
    else:
        buffer = io.BytesIO()
        container, subtype = kind.split("/")
        soundfile.write(buffer, wave, 48000, format=container, subtype=subtype)
    data = buffer.getvalue()
    assert load_audio(data, name="whole").remark == ""
    cut = load_audio(data[: len(data) // 2], name="cut")
    assert cut.remark.startswith("cut ends early") and 1.0 < cut.duration_s < 5.0


# --- files of notes and posteriors ---


def test_a_midi_file_of_three_days() -> None:
    """37 bytes, as a reference, took 11.5 GiB at every step of a slider."""
    track = b"\x00\x90\x3c\x40" + b"\xff\xff\xff\x7f" + b"\x80\x3c\x00" + b"\x00\xff\x2f\x00"
    data = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(track)) + track
    with pytest.raises(FormatError, match=r"long\.mid lasts 78 hours, over the limit of 12"):
        formats.read_midi(data, name="long.mid")
    end = 13 * 3600.0
    table = f"onset_s,offset_s,pitch\n0.0,{end},60\n".encode()
    with pytest.raises(FormatError, match="lasts 13 hours"):
        formats.read_csv(table, name="long.csv")


def test_a_midi_file_with_an_endless_number() -> None:
    track = b"\xff" * 3_000_000
    data = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(track)) + track
    with pytest.raises(FormatError, match="is not a MIDI file that can be read"):
        formats.read_midi(data, name="endless.mid")
    # A long text in another script is no such number.
    notes = formats.read_midi(
        formats.midi_bytes(formats.read_csv(b"onset_s,offset_s,pitch\n0,1,60\n"), title="音" * 300)
    )
    assert len(notes) == 1


def test_files_of_notes_are_not_larger_than_notes_are(tmp_path: Path) -> None:
    path = tmp_path / "big.json"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    for read in (formats.read_json, formats.read_csv, formats.read_midi):
        with pytest.raises(FormatError, match="larger than 64 MB"):
            read(path)


def test_notation_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    from amtsep.synthesis.music import read_musicxml

    path = tmp_path / "bomb.mxl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("score.xml", "w") as file:
        for _ in range(80):
            file.write(bytes(1 << 20))
    with pytest.raises(FormatError, match="larger than 64 MB"):
        read_musicxml(path)


def archive_of(**arrays: tuple[str, tuple[int, ...], bytes] | np.ndarray) -> bytes:
    """An ``.npz`` whose arrays are given, or announced by kind and shape with a content of any length."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                if isinstance(value, tuple):
                    kind, shape, content = value
                    head = {"descr": kind, "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(file, head)
                    file.write(content)
                else:
                    np.lib.format.write_array(file, np.asarray(value))
    return out.getvalue()


def members(frames: int = 50, **changes: object) -> dict[str, object]:
    made = {
        "format_version": np.int64(1), "onset": np.zeros((88, frames), np.uint16),
        "frame": np.zeros((88, frames), np.uint16), "spectrogram": np.zeros((306, frames), np.uint8),
        "hop_s": np.float64(0.01), "duration_s": np.float64(frames * 0.01), "bins_per_octave": np.int64(36),
        "model": np.str_("x"),
    }  # fmt: skip
    return {**made, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"onset": ("<u2", (88, 10**9), b"")},
        dict.fromkeys(("onset", "frame"), ("<u2", (88, 10**9), b""))
        | {"spectrogram": ("|u1", (306, 10**9), b""), "duration_s": np.float64(1e7)},
        {"onset": ("<f8", (88, 50), bytes(88 * 50 * 8))},
        {"onset": ("<u2", (88,), b"")},
        {"spectrogram": ("|u1", (10**8, 50), b"")},
        {"embedding": ("|i1", (88, 50, 10**7), b"")},
        {"hop_s": np.float64(np.nan)},
        {"hop_s": np.float64(1e-300)},
        {"duration_s": np.float64(np.inf)},
        {"model": ("<U100000000", (), b"")},
        {"model": np.zeros(3)},
        {"onset": ("<u2", (88, 50), b"short")},
    ],
)
def test_posteriors_that_are_none(changes: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "odd.npz"
    path.write_bytes(archive_of(**members()))  # type: ignore[arg-type]
    assert Posteriors.load(path).n_frames == 50
    path.write_bytes(archive_of(**members(**changes)))  # type: ignore[arg-type]
    with pytest.raises(FormatError, match=r"^odd\.npz (is not a posterior file|holds posteriors of)"):
        Posteriors.load(path)
    with pytest.raises(FormatError):
        Posteriors.load(io.BytesIO(path.read_bytes()))


def test_posteriors_longer_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "long.npz"
    path.write_bytes(archive_of(**members(4000)))  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="more than this computer's memory has room for"):
        Posteriors.load(path, Limits(max_duration_s=10.0))


def test_names_in_no_coding(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.flac"))
    path.write_bytes(flac())
    assert load_audio(path).duration_s == pytest.approx(1.0)
    path.write_bytes(b"no sound at all" * 100)
    with pytest.raises(AudioError, match="is not a recording|holds no sound"):
        load_audio(path)
