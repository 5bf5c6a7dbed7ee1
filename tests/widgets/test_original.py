"""What one hears is what one brought: stereo and full band; and waiting for a recording in a notebook."""

from __future__ import annotations

import asyncio
import io
import threading

import numpy as np
import pytest
import soundfile

from amtsep.audio import load_audio, playback_flac
from amtsep.errors import AudioError
from widgets.panels.player import Player
from widgets.state.autosave import Autosave
from widgets.state.session import Session

RATE = 44100


def stereo(seconds: float = 3.0) -> bytes:
    """A file with 440 Hz on the left and 15 kHz on the right."""
    time = np.arange(int(seconds * RATE)) / RATE
    both = 0.3 * np.stack([np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 15000 * time)], axis=1)
    file = io.BytesIO()
    soundfile.write(file, both, RATE, format="WAV")
    return file.getvalue()


def loudest_hz(sound: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(sound))
    return float(np.argmax(spectrum) * rate / len(sound))


def received(player: Player) -> tuple[np.ndarray, int]:
    """What the browser has when it has asked for all of it."""
    box: list[bytes] = []
    size: list[int] = []

    def send(content, buffers=None):
        if content["do"] == "original":
            size.append(content["size"])
            box.append(bytes(buffers[0]))

    player.send = send
    start = 0
    while not size or start < size[0]:
        player._receive(player, {"do": "original", "version": player.sound["version"], "start": start}, [])
        if start == 0:
            player.session._inbox.get(timeout=60)()
        start = sum(map(len, box))
    return soundfile.read(io.BytesIO(b"".join(box)))


def test_playback_keeps_both_channels_the_band_and_the_time() -> None:
    data = stereo()
    sound, rate = soundfile.read(io.BytesIO(playback_flac(data)))
    assert rate == RATE and sound.shape == (3 * RATE, 2)
    assert loudest_hz(sound[:, 0], rate) == pytest.approx(440, abs=2)
    assert loudest_hz(sound[:, 1], rate) == pytest.approx(15000, abs=2)
    click = np.zeros((RATE, 2), np.float32)
    click[RATE // 2] = 0.9
    file = io.BytesIO()
    soundfile.write(file, click, 32000, format="WAV")
    sound, rate = soundfile.read(io.BytesIO(playback_flac(file.getvalue())))
    heard = load_audio(file.getvalue(), name="click.wav")
    assert np.argmax(np.abs(sound[:, 0])) / rate == pytest.approx(RATE / 2 / 32000, abs=1e-4)
    assert np.argmax(np.abs(heard.samples)) / heard.sample_rate == pytest.approx(RATE / 2 / 32000, abs=1e-4)


def test_what_is_too_long_is_mixed_and_what_holds_no_more_is_left() -> None:
    mixed = soundfile.info(io.BytesIO(playback_flac(stereo(), max_samples=4 * RATE)))
    assert mixed.channels == 1 and mixed.samplerate == RATE
    assert playback_flac(stereo(), max_samples=RATE) is None
    file = io.BytesIO()
    soundfile.write(file, np.zeros(8000), 8000, format="WAV")
    assert playback_flac(file.getvalue()) is None


def test_the_page_gets_the_recording_as_it_was_brought(transcriber) -> None:
    session = Session()
    session.open(stereo(), name="both.wav", wait=True)
    player = Player(session)
    assert player.sound["original"] and player.sound["rate"] == 22050
    sound, rate = received(player)
    assert sound.shape == (3 * RATE, 2) and rate == RATE


def test_a_kept_session_and_a_session_file_keep_it(transcriber, tmp_path) -> None:
    session = Session()
    kept = Autosave(session)
    session.open(io.BytesIO(stereo(12.0)), name="both.wav", wait=True)
    kept.flush()
    file = session.saved()
    for open_it in (
        lambda again: again.open_saved(io.BytesIO(file), "both.amtsep"),
        lambda again: Autosave(again).go_on(session.slot),
    ):
        again = Session()
        open_it(again)
        again.wait(60)
        assert again.original is not None
        assert received(Player(again))[0].shape == (12 * RATE, 2)


def test_a_cell_of_a_notebook_can_wait(transcriber, recording) -> None:
    """In a notebook the code runs inside the loop that brings the results."""

    async def cell() -> int:
        session = Session()
        session.open(recording, name="tune.wav", wait=True)
        return len(session.notes)

    box: list[int] = []
    thread = threading.Thread(target=lambda: box.append(asyncio.run(cell())), daemon=True)
    thread.start()
    thread.join(60)
    assert box and box[0] > 0


def test_opened_can_be_awaited_while_the_loop_runs(transcriber, recording) -> None:
    async def cell() -> tuple[int, int]:
        session = Session()
        session.open(recording, name="tune.wav")
        turns = 0

        async def other() -> None:
            nonlocal turns
            while session.busy:
                turns += 1
                await asyncio.sleep(0.001)

        beside = asyncio.create_task(other())
        notes = await session.opened()
        await beside
        return len(notes), turns

    notes, turns = asyncio.run(cell())
    assert notes > 0 and turns > 1


def test_what_cannot_be_opened_is_raised_where_one_waits(transcriber) -> None:
    session = Session()
    with pytest.raises(AudioError, match=r"words\.wav"):
        session.open(b"These are words, not sound. " * 100, name="words.wav", wait=True)
    assert session.status.kind == "error"

    async def cell() -> None:
        session.open(b"These are words, not sound. " * 100, name="words.wav")
        await session.opened()

    with pytest.raises(AudioError, match=r"words\.wav"):
        asyncio.run(cell())
