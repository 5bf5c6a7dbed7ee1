"""What once stood in a musician's way: each fault with the test that would have found it."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from driving import App, fresh_page

from amtsep.notes import Notes


@pytest.fixture(scope="module")
def shared(chromium, server, files):
    """One page for the tests here; each leaves it as it found it."""
    with fresh_page(chromium, App, files, server.url) as app:
        app.open("tune.wav")
        yield app


def test_keys_mean_the_music_after_a_slider_was_dragged(shared):
    slider = shared.slider("Onset threshold")
    box = slider.bounding_box()
    shared.page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 10)
    value = slider.get_attribute("aria-valuenow")
    shared.hub("hub.transport.seek(5)")
    shared.page.keyboard.press("Home")
    shared.until("hub.transport.position === 0")
    assert slider.get_attribute("aria-valuenow") == value
    slider.evaluate("e => e.blur()")
    slider.focus()
    shared.page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuenow") == "0.05", "by keyboard it is a slider like any other"
    shared.page.click(".amt-reset")


def test_notes_without_a_start_are_counted_apart_and_drawn_hollow(shared):
    page = shared.page
    shared.slider("Onset threshold").press("End")
    shared.until("hub.sure > 0.9")
    page.wait_for_function("() => document.querySelector('.amt-hollow')")
    solid, hollow = (int(page.locator(f".amt-{kind}").inner_text().split()[0]) for kind in ("solid", "hollow"))
    assert solid + hollow == shared.hub("hub.notes.n") and hollow > solid
    assert shared.hub("Array.from(hub.notes.pitch.keys()).filter(i => hub.missed(i)).length") == hollow
    shared.hub("hub.actions.roll().setWindow({ t0: 0, t1: 5 })")
    inside = """(want => { const v = hub.actions.roll(); const n = hub.notes;
        const long = i => n.offset[i] - n.onset[i] > 0.2 && n.onset[i] < 4;
        const i = Array.from(n.pitch.keys()).find(i => hub.missed(i) && long(i));
        return [Math.round(v.x((n.onset[i] + n.offset[i]) / 2)), Math.round(v.y(n.pitch[i]))]; })()"""
    page.wait_for_timeout(200)
    x, y = shared.hub(inside)
    assert shared.pixels("notes")[y, x, 3] < 120, "its inside lets the spectrogram through"
    page.get_by_role("checkbox", name="Notes whose start was missed").uncheck()
    shared.until(f"hub.notes.n === {solid}")
    page.get_by_role("checkbox", name="Notes whose start was missed").check()
    page.click(".amt-reset")
    shared.until("hub.sure === 0.5")
    page.keyboard.press("0")


def test_a_track_can_be_recoloured(shared):
    page = shared.page
    page.keyboard.press("Escape")
    before = shared.hub("hub.tracks[0].color")
    page.locator(".amt-track[data-track] .amt-swatch").first.click()
    colour = page.locator(".amt-colours [data-colour='5']")
    colour.wait_for()
    # The tracks change while the colours are being looked at, as they do when a number of timbres arrives.
    renamed = """() => { const name = [...document.querySelectorAll('.amt-name')].at(-1);
        name.value = 'Changed'; name.dispatchEvent(new Event('change')); }"""
    page.evaluate(renamed)
    shared.until("hub.tracks.some(track => track.name === 'Changed')")
    colour.click(timeout=5000)
    shared.until("hub.tracks[0].color === 5")
    page.keyboard.press("Control+z")
    shared.until(f"hub.tracks[0].color === {before}")
    page.keyboard.press("Control+z")
    shared.until("!hub.tracks.some(track => track.name === 'Changed')")


def stereo(seconds: float = 6.0) -> bytes:
    """440 Hz on the left, 15 kHz on the right, at 44.1 kHz."""
    time = np.arange(int(seconds * 44100)) / 44100
    both = 0.3 * np.stack([np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 15000 * time)], axis=1)
    file = io.BytesIO()
    soundfile.write(file, both, 44100, format="WAV")
    return file.getvalue()


def test_the_recording_is_heard_in_stereo_and_full_band(shared, files):
    import synthetic

    from amtsep.audio import load_audio
    from widgets.state import cache
    from widgets.state.session import default_model

    data = stereo()
    tone = Notes.build([0.1], [5.8], [69])
    name = cache.key(load_audio(data, name="x.wav"), default_model())
    synthetic.perfect(tone, 6.0).save(files / "cache" / "posteriors" / f"{name}.npz")
    (files / "both.wav").write_bytes(data)
    shared.open("both.wav")
    shared.until("hub.transport.recording?.numberOfChannels === 2")
    assert shared.hub("hub.transport.recording.sampleRate") == 44100
    left, right = (
        np.array(shared.hub(f"Array.from(hub.transport.recording.getChannelData({c}).slice(44100, 48196))"))
        for c in (0, 1)
    )
    loudest = [np.argmax(np.abs(np.fft.rfft(x))) * 44100 / len(x) for x in (left, right)]
    assert loudest == pytest.approx([440, 15000], abs=15)
    shared.open("tune.wav")


def test_play_pressed_while_the_sound_is_on_its_way_waits_for_it(shared):
    """The answer to the question for the new sound is held back: Play then neither plays the old one nor is lost."""
    page = shared.page
    page.evaluate(
        f"""() => {{ const {{ transport }} = {shared.HUB}; const set = transport.setRecording;
            globalThis.held = null;
            transport.setRecording = function (pcm, ...rest) {{
                if (pcm) globalThis.held = () => {{ delete transport.setRecording; set.call(this, pcm, ...rest); }};
                else set.call(this, pcm, ...rest); }}; }}"""
    )
    page.set_input_files(".amt-file", str(shared.files / "other.wav"))
    page.wait_for_function("() => document.querySelector('.amt-title b')?.title === 'other.wav' && globalThis.held")
    page.click(".amt-play")
    shared.until("hub.transport.wanted && !hub.transport.playing")
    assert "sound is there" in page.locator(".amt-player .amt-note").inner_text()
    page.evaluate("() => globalThis.held()")
    shared.until("hub.transport.playing && hub.transport.position > 0.3")
    assert shared.hub("hub.transport.recording.duration") == pytest.approx(8, abs=0.1)
    page.click(".amt-play")
    shared.until("!hub.transport.playing")
    shared.open("tune.wav")


def test_a_panel_is_hidden_however_late_it_comes_to_the_page(chromium, server, files):
    """Frames that come before the widgets are on the page: none of the panels under the tabs may stay."""

    class Early(App):
        def goto(self, url: str) -> None:
            # The first frames of each module run at once, before anything is on the page.
            self.page.add_init_script(
                """(() => { const real = requestAnimationFrame; let depth = 0;
                    globalThis.requestAnimationFrame = f => {
                        if (depth > 2 || document.querySelector('.amt-play')) return real(f);
                        depth += 1; try { f(performance.now()); } finally { depth -= 1; } return 0; }; })()"""
            )
            super().goto(url)

    with fresh_page(chromium, Early, files, server.url) as app:
        app.page.wait_for_function("() => document.querySelectorAll('[role=tabpanel]').length >= 5")
        shown = app.page.evaluate(
            "() => [...document.querySelectorAll('[role=tabpanel]')].filter(p => p.checkVisibility()).map(p => p.id)"
        )
        assert len(shown) == 1 and shown[0].endswith("timbres"), shown
