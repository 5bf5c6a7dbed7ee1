"""What a person notices of `amtsep.audio`: every common file loads, and what cannot be used says so in a sentence."""

from __future__ import annotations

import io
import subprocess
import sys
import tracemalloc
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from amtsep import audio as audio_module
from amtsep.audio import Audio, from_samples, load_audio, resample, wav_bytes
from amtsep.config import Limits
from amtsep.errors import AudioError, Cancelled

RATE = 22050


def tone(frequency: float = 440.0, seconds: float = 1.0, rate: int = 44100, channels: int = 1) -> np.ndarray:
    mono = 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)
    return np.repeat(mono[:, None], channels, axis=1).astype(np.float32)


def encode(samples: np.ndarray, rate: int, container: str, subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


def encode_av(
    samples: np.ndarray, rate: int, container: str, codec: str, picture: bool = False, sound: bool = True
) -> bytes:
    """M4A, WebM and MP4, which libsndfile neither writes nor reads."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        packets = []
        if picture:
            video = out.add_stream("mpeg4", rate=10, options={})
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
        if sound:
            stream = out.add_stream(codec, rate=rate, layout="mono" if samples.shape[1] == 1 else "stereo")
        out.start_encoding()
        if picture:
            for index in range(10):
                image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                image.pts, image.time_base = index, Fraction(1, 10)
                packets += video.encode(image)
            packets += video.encode()
        if sound:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), "fltp", stream.layout.name)
            frame.sample_rate = rate
            packets += [*stream.encode(frame), *stream.encode()]
        for packet in packets:
            out.mux(packet)
    return buffer.getvalue()


def dominant_frequency(audio: Audio) -> float:
    spectrum = np.abs(np.fft.rfft(audio.samples * np.hanning(len(audio.samples))))
    return float(np.argmax(spectrum)) * audio.sample_rate / len(audio.samples)


def assert_is_tone(audio: Audio, seconds: float = 1.0, frequency: float = 440.0, slack_s: float = 0.12) -> None:
    assert audio.sample_rate == RATE
    assert audio.samples.dtype == np.float32 and audio.samples.ndim == 1
    assert audio.duration_s == pytest.approx(seconds, abs=slack_s)
    assert dominant_frequency(audio) == pytest.approx(frequency, abs=2.0)
    assert np.std(audio.samples[2000:-4000]) == pytest.approx(0.5 / np.sqrt(2), abs=0.03)


@pytest.mark.parametrize(
    ("container", "subtype", "rate"),
    [
        ("WAV", "PCM_16", 44100),
        ("WAV", "PCM_U8", 44100),
        ("WAV", "PCM_24", 48000),
        ("WAV", "FLOAT", 44100),
        ("WAV", "DOUBLE", 22050),
        ("AIFF", "PCM_16", 44100),
        ("FLAC", "PCM_16", 44100),
        ("OGG", "VORBIS", 44100),
        ("OGG", "OPUS", 48000),
        ("MP3", "MPEG_LAYER_III", 44100),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_formats_of_libsndfile(container: str, subtype: str, rate: int, channels: int) -> None:
    loaded = load_audio(encode(tone(rate=rate, channels=channels), rate, container, subtype))
    # libsndfile writes an Opus stream short by up to 0.3 s at its end
    assert_is_tone(loaded, slack_s=0.35 if subtype == "OPUS" else 0.12)


@pytest.mark.parametrize(
    ("container", "codec", "rate", "picture"),
    [
        ("ipod", "aac", 44100, False),  # .m4a
        ("adts", "aac", 44100, False),  # bare AAC
        ("webm", "libopus", 48000, False),  # what Chromium and Firefox record
        ("mp4", "aac", 48000, True),  # a film
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_formats_of_ffmpeg(container: str, codec: str, rate: int, picture: bool, channels: int) -> None:
    data = encode_av(tone(rate=rate, channels=channels), rate, container, codec, picture)
    assert_is_tone(load_audio(data, name="clip"))


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000])
def test_sample_rates(rate: int) -> None:
    loaded = load_audio(encode(tone(rate=rate, channels=1), rate, "WAV"))
    assert_is_tone(loaded, slack_s=0.001)


def test_eight_channels_are_averaged() -> None:
    samples = np.zeros((44100, 8), np.float32)
    samples[:, 5:6] = tone()
    loaded = load_audio(encode(samples, 44100, "WAV", "FLOAT"))
    assert dominant_frequency(loaded) == pytest.approx(440, abs=2)
    assert np.abs(loaded.samples[2000:-2000]).max() == pytest.approx(0.5 / 8, abs=0.002)


def test_channels_that_cancel_are_not_lost() -> None:
    samples = np.concatenate([tone(), -tone()], axis=1)
    assert_is_tone(load_audio(encode(samples, 44100, "WAV", "FLOAT")), slack_s=0.01)
    assert_is_tone(from_samples(samples, 44100), slack_s=0.01)


def test_path_bytes_and_file_objects_give_the_same(tmp_path: Path) -> None:
    data = encode(tone(), 44100, "FLAC")
    path = tmp_path / "Für Elise – 练习.flac"
    path.write_bytes(data)

    class OneWay(io.RawIOBase):  # a pipe: it cannot be wound back
        def __init__(self) -> None:
            self.inner = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            return self.inner.read(size)

        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    reference = load_audio(path)
    assert reference.name == path.name
    assert load_audio(str(path)).name == path.name
    with path.open("rb") as handle:
        from_handle = load_audio(handle)
        assert from_handle.name == path.name
        assert not handle.closed
    for other in (load_audio(data), load_audio(memoryview(data)), load_audio(io.BytesIO(data)), load_audio(OneWay())):
        np.testing.assert_array_equal(other.samples, reference.samples)
    assert load_audio(data, name="mine").name == "mine"


def test_extension_is_not_believed(tmp_path: Path) -> None:
    for extension in ("mp3", "raw", "m4a", "txt", ""):
        path = tmp_path / f"clip.{extension}"
        path.write_bytes(encode(tone(), 44100, "WAV"))
        assert_is_tone(load_audio(path))


def test_silence_loads() -> None:
    loaded = load_audio(encode(np.zeros((22050, 2)), 22050, "WAV"))
    assert loaded.duration_s == pytest.approx(1.0)
    assert not loaded.samples.any()


@pytest.mark.parametrize(
    "data",
    [
        b"Dear diary, today I renamed a text file.\n" * 200,
        b"\0" * 10_000,
        b"RIFF",
        np.random.default_rng(0).bytes(50_000),
        b"\x89PNG\r\n\x1a\n" + bytes(1000),
        b"%PDF-1.4\n" + b"x" * 1000,
    ],
    ids=["text", "zeros", "stub", "noise", "picture", "pdf"],
)
def test_what_is_no_recording(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"^song\.wav is not a recording that can be read; use WAV, .*\.$"):
        load_audio(path)


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(encode(tone(), 44100, "WAV"))
    for text in (
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile secret.wav\n",
    ):
        path = tmp_path / "list.m3u8"
        path.write_text(text)
        with pytest.raises(AudioError, match="not a recording"):
            load_audio(path)


def test_absent_folder_empty_and_forbidden(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"^no\.wav does not exist; check the path\.$"):
        load_audio(tmp_path / "no.wav")
    with pytest.raises(AudioError, match="is a folder"):
        load_audio(tmp_path)
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioError, match=r"^empty\.wav is empty \(0 bytes\)"):
        load_audio(tmp_path / "empty.wav")
    with pytest.raises(AudioError, match="is empty"):
        load_audio(b"")
    with pytest.raises(AudioError, match="cannot be opened"):
        load_audio("a" * 5000)
    with pytest.raises(AudioError, match="cannot be opened"):
        load_audio("nul\0byte.wav")
    with pytest.raises(AudioError, match="mode 'rb'"):
        load_audio(io.StringIO("text"))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        load_audio(42)  # type: ignore[arg-type]


def test_no_samples() -> None:
    with pytest.raises(AudioError, match="holds no sound"):
        load_audio(encode(np.zeros((0, 1)), 44100, "WAV"))


def test_film_without_sound() -> None:
    data = encode_av(np.zeros((0, 1), np.float32), 44100, "mp4", "aac", picture=True, sound=False)
    with pytest.raises(AudioError, match=r"^film\.mp4 holds no sound; give a recording"):
        load_audio(data, name="film.mp4")


@pytest.mark.parametrize(
    ("container", "subtype", "rate"),
    [("WAV", "PCM_16", 44100), ("FLAC", "PCM_16", 44100), ("OGG", "VORBIS", 44100), ("MP3", "MPEG_LAYER_III", 44100)],
)
def test_truncated_files_give_what_they_still_hold(container: str, subtype: str, rate: int) -> None:
    rng = np.random.default_rng(1)
    samples = (tone(seconds=6) * 0.6 + 0.05 * rng.standard_normal((6 * rate, 1))).astype(np.float32)
    data = encode(samples, rate, container, subtype)
    loaded = load_audio(data[: len(data) // 2], name="cut")
    assert 1.0 < loaded.duration_s < 4.0
    assert dominant_frequency(loaded) == pytest.approx(440, abs=2)
    if container != "OGG":  # an OGG file does not say how long it is
        assert loaded.remark.startswith("cut ends early")


def test_truncated_webm_and_m4a() -> None:
    rng = np.random.default_rng(1)
    samples = (tone(seconds=6, rate=48000) * 0.6 + 0.05 * rng.standard_normal((288000, 1))).astype(np.float32)
    webm = encode_av(samples, 48000, "webm", "libopus")
    assert 1.0 < load_audio(webm[: len(webm) // 2]).duration_s < 4.0
    m4a = encode_av(samples, 48000, "ipod", "aac")  # its index stands at the end, so nothing can be found
    with pytest.raises(AudioError, match="not a recording that can be read"):
        load_audio(m4a[: len(m4a) // 2])


def test_damaged_bytes_in_the_middle() -> None:
    data = bytearray(encode_av(tone(seconds=4, rate=48000), 48000, "webm", "libopus"))
    middle = len(data) // 2
    data[middle : middle + 40] = b"\xff" * 40
    assert load_audio(bytes(data)).duration_s > 1.0


def test_few_bad_samples_are_silenced_and_said() -> None:
    samples = tone(rate=RATE)
    samples[[100, 5000], 0] = np.nan
    samples[7000, 0] = -np.inf
    loaded = load_audio(encode(samples, RATE, "WAV", "FLOAT"), name="odd.wav")
    assert np.isfinite(loaded.samples).all()
    assert loaded.samples[5000] == 0.0
    assert loaded.remark == "3 samples of odd.wav were not numbers and were replaced by silence."


def test_nothing_but_bad_samples() -> None:
    with pytest.raises(AudioError, match=r"^bad\.wav is damaged: less than half of its samples are numbers"):
        load_audio(encode(np.full((1000, 1), np.nan), RATE, "WAV", "FLOAT"), name="bad.wav")


def test_float_file_in_integer_units() -> None:
    loaded = load_audio(encode(tone(rate=RATE) * 32767, RATE, "WAV", "FLOAT"))
    assert np.abs(loaded.samples).max() == pytest.approx(1.0)
    assert "turned down" in loaded.remark


def test_damaged_header_rate() -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(3)
        out.writeframes(bytes(2000))
    with pytest.raises(AudioError, match="3 samples a second"):
        load_audio(buffer.getvalue())


def test_limits() -> None:
    data = encode(tone(seconds=3, rate=8000), 8000, "WAV")
    with pytest.raises(AudioError, match=r"^long is 3\.0 s long or more, over the limit of 1\.0 s; cut it"):
        load_audio(data, name="long", limits=Limits(max_duration_s=1.0))
    with pytest.raises(AudioError, match=r"over the limit of 1\.0 s"):  # no length in the header: found on the way
        load_audio(encode_av(tone(seconds=3, rate=44100), 44100, "adts", "aac"), limits=Limits(max_duration_s=1.0))
    with pytest.raises(AudioError, match=r"larger than the limit of 0\.01 MB"):
        load_audio(data, limits=Limits(max_upload_mb=0.01))
    assert load_audio(data, limits=Limits(max_duration_s=3.0)).duration_s == pytest.approx(3.0, abs=0.01)


def test_progress_counts_seconds_and_can_cancel() -> None:
    data = encode(tone(seconds=30, rate=44100, channels=2), 44100, "WAV")
    calls: list[tuple[float, float, str]] = []
    load_audio(data, name="x.wav", progress=lambda *args: calls.append(args))
    done = [call[0] for call in calls]
    assert len(done) > 2 and done == sorted(done) and done[-1] == pytest.approx(30.0)
    assert {call[1:] for call in calls} == {(30.0, "Reading x.wav")}
    with pytest.raises(Cancelled):
        load_audio(data, progress=lambda *args: False)


def test_memory_of_a_long_file_is_its_result_and_little_more(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    second = (np.random.default_rng(0).standard_normal((48000, 2)) * 3000).astype(np.int16).tobytes()
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(48000)
        for _ in range(600):
            out.writeframesraw(second)
    load_audio(encode(tone(), 48000, "WAV"))  # imports
    tracemalloc.start()
    loaded = load_audio(path, resampler="soxr")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert loaded.duration_s == pytest.approx(600, abs=0.01)
    assert peak - loaded.samples.nbytes < 40e6, f"{(peak - loaded.samples.nbytes) / 1e6:.0f} MB beside the result"


def test_blocks_leave_no_seams() -> None:
    samples = tone(seconds=40, rate=48000)
    loaded = load_audio(encode(samples, 48000, "WAV", "FLOAT"), resampler="soxr")
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(loaded.samples)) / RATE)
    error = (loaded.samples - expected)[2000:-2000]
    assert 20 * np.log10(np.abs(error).max()) < -100


@pytest.mark.parametrize("rate", [8000, 16000, 32000, 44100, 48000, 96000, 192000])
def test_torchaudio_and_soxr_agree(rate: int) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    if audio_module.torchaudio_resample() is None:
        pytest.skip("torchaudio is not installed, or does not load beside this torch")
    rng = np.random.default_rng(rate)
    seconds = np.arange(rate * 4 + 37) / rate
    top = min(8000.0, 0.42 * rate)
    mixed = sum(np.sin(2 * np.pi * f * seconds + p) for f, p in zip(rng.uniform(30, top, 40), rng.uniform(0, 6, 40)))
    samples = (mixed / np.abs(mixed).max()).astype(np.float32)
    first, second = (resample(samples, rate, RATE, kind) for kind in ("soxr", "torchaudio"))
    assert abs(len(first) - len(second)) <= 1
    inner = slice(2000, min(len(first), len(second)) - 2000)
    difference = 20 * np.log10(np.std(first[inner] - second[inner]) / np.std(first[inner]))
    assert difference < -80
    stream = audio_module._make_resampler(rate, RATE, "torchaudio")
    pieces = [stream.push(samples[i : i + 7001]) for i in range(0, len(samples), 7001)] + [stream.finish()]
    np.testing.assert_allclose(np.concatenate(pieces), second, atol=1e-5)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_resampling_by_torchaudio_in_blocks_leaves_no_seams(rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SciPy's polyphase filter in torchaudio's place, so that the blocks are tested where it does not load."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from scipy.signal import resample_poly

    def stand_in(samples: Any, rate_in: int, rate_out: int, **options: object) -> Any:
        return torch.from_numpy(resample_poly(samples.numpy(), rate_out, rate_in))

    monkeypatch.setattr(audio_module, "torchaudio_resample", lambda: stand_in)
    samples = np.random.default_rng(0).uniform(-1, 1, 2 * rate + 37).astype(np.float32)
    whole = resample_poly(samples.astype(np.float64), RATE, rate)
    for size in (1, 2, 50):  # thousands of samples
        stream = audio_module._make_resampler(rate, RATE, "torchaudio")
        pieces = [stream.push(samples[i : i + 1000 * size]) for i in range(0, len(samples), 1000 * size)]
        joined = np.concatenate([*pieces, stream.finish()])
        assert abs(len(joined) - len(samples) * RATE / rate) <= 1
        np.testing.assert_allclose(joined, whole[: len(joined)], atol=1e-5)


def test_torchaudio_asked_for_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_module, "torchaudio_resample", lambda: None)
    with pytest.raises(AudioError, match="torchaudio cannot be imported here"):
        resample(np.zeros(1000, np.float32), 44100, RATE, "torchaudio")
    assert len(resample(np.zeros(1000, np.float32), 44100, RATE, "auto")) == 500


def test_reading_a_file_never_imports_torch(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encode(tone(), 44100, "WAV"))
    code = (
        "import sys; from amtsep.audio import load_audio; load_audio(sys.argv[1]);"
        "sys.exit('torch' in sys.modules or 'av' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 0


def test_from_samples() -> None:
    wave_form = tone()
    as_float = from_samples(wave_form[:, 0], 44100, "a")
    as_int = from_samples((wave_form * 32767).astype(np.int16), 44100)
    as_byte = from_samples((wave_form * 127 + 128).astype(np.uint8), 44100)
    for loaded in (as_float, as_int, as_byte):
        assert_is_tone(loaded, slack_s=0.001)
    with pytest.raises(AudioError, match="holds no sound"):
        from_samples([], 44100)
    with pytest.raises(AudioError, match="must be an array of shape"):
        from_samples(np.zeros((2, 2, 2)), 44100)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3), st.sampled_from([8000, 22050, 44100, 48000]))
def test_any_length_and_channels_survive(n: int, channels: int, rate: int) -> None:
    samples = np.random.default_rng(n).uniform(-0.5, 0.5, (n, channels)).astype(np.float32)
    try:
        loaded = load_audio(encode(samples, rate, "WAV", "FLOAT"))
    except AudioError:
        assert n * RATE / rate < 1  # not one sample at the new rate
        return
    assert abs(len(loaded.samples) - n * RATE / rate) <= 1
    assert np.isfinite(loaded.samples).all()


@pytest.mark.parametrize("rubbish", [3e38, -3e38, 1e12])
@pytest.mark.parametrize("channels", [1, 2])
def test_numbers_no_sample_can_be_are_silence_and_not_the_measure_of_all_others(rubbish: float, channels: int) -> None:
    samples = tone(channels=channels)
    samples[[100, 9000]] = rubbish
    loaded = load_audio(encode(samples, 44100, "WAV", "FLOAT"), stereo=True)
    assert "were replaced by silence" in loaded.remark and np.isfinite(loaded.samples).all()
    assert 0.4 < np.sqrt(2 * np.mean(loaded.samples**2)) < 0.6


def test_wav_bytes_play_everywhere() -> None:
    audio = from_samples(tone() * 3, 44100)  # over full scale: clipped, never wrapped
    with wave.open(io.BytesIO(wav_bytes(audio))) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, RATE)
        values = np.frombuffer(reader.readframes(reader.getnframes()), np.int16)
    np.testing.assert_allclose(values / 32768, np.clip(audio.samples, -1, 1), atol=1e-4)


def test_a_recording_of_unknown_length_goes_on_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_module, "IN_MEMORY", 5000)
    sound = tone(seconds=0.4)[:8000]
    collector = audio_module._Collector("a", RATE, "auto", Limits(), None, open_store=io.BytesIO)
    for part in np.split(sound, 4):
        collector.push(RATE, part, 0.0)
    found = collector.finish()
    assert isinstance(found, audio_module.Spooled) and len(collector.samples) == 0
    np.testing.assert_array_equal(found.samples[:], sound.reshape(-1))


@pytest.mark.parametrize("in_memory", [1000, audio_module.IN_MEMORY])
def test_a_recording_in_a_file_is_the_one_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(audio_module, "IN_MEMORY", in_memory)
    path = tmp_path / "a.flac"
    path.write_bytes(encode(tone(seconds=8, channels=2), 44100, "FLAC"))
    whole = load_audio(path, resampler="soxr")
    with audio_module.spool_audio(path) as spooled:
        assert isinstance(spooled, audio_module.Audio) == (in_memory > 1000)
        assert (len(spooled.samples), spooled.name, spooled.sample_rate) == (len(whole.samples), "a.flac", RATE)
        np.testing.assert_array_equal(spooled.samples[1000:5000], whole.samples[1000:5000])
        np.testing.assert_array_equal(spooled.samples[-10:], whole.samples[-10:])
        assert len(spooled.samples[90 * RATE :]) == 0 and spooled.duration_s == whole.duration_s
    inverted = np.concatenate([tone(), -tone()], axis=1)  # gone through a second time, for its first channel
    path.write_bytes(encode(inverted * 100, 44100, "WAV", "FLOAT"))
    with audio_module.spool_audio(path) as spooled:
        assert np.abs(spooled.samples[:]).max() == pytest.approx(1.0, abs=0.01) and "turned down" in spooled.remark
    path.write_text("Dear all, " * 500)
    with pytest.raises(AudioError, match="is not a recording"), audio_module.spool_audio(path):
        pass
