"""A network that writes its notes, in the page: thresholds rest, tracks go by sound, two networks side by side."""

from __future__ import annotations

import numpy as np
import pytest
import synthetic
from driving import SECONDS, App, Server, fresh_page

from amtsep import formats
from amtsep.audio import load_audio
from amtsep.notes import Notes
from widgets.state import cache

NAME = "tiny.safetensors"


def said() -> Notes:
    """What it writes: a note fewer than there are and one wrong, on tracks that have nothing to do with the voices."""
    notes = synthetic.melody(SECONDS)[1:]
    notes.pitch[-1] += 5
    return notes.with_tracks(np.arange(len(notes)) // 7 % 2, Notes.build([0, 1], [1, 2], [60, 60], track=[0, 1]).tracks)


@pytest.fixture(scope="module")
def page(chromium, files):
    """A page that begins with such a network, whose word on the tune waits in the cache; light, as in a classroom."""
    pytest.importorskip("torch", reason="a sequence network needs torch (pip install 'amtsep[train]')")
    from tiny_sequence import write_tiny

    weights = write_tiny(files / NAME)
    key = cache.key(load_audio((files / "tune.wav").read_bytes(), name="x.wav"), str(weights))
    posteriors = synthetic.perfect(synthetic.melody(SECONDS), SECONDS, timbres=True)
    posteriors.save(files / "cache" / "posteriors" / f"{key}.npz")
    formats.write_json(said(), files / "cache" / "posteriors" / f"{key}.json")
    server = Server(files, "--model", str(weights))
    try:
        with fresh_page(chromium, App, files, server.url, color_scheme="light") as app:
            app.open("tune.wav")
            yield app
    finally:
        server.stop()


VOICES = (
    "[0, 1].map(high => new Set([...hub.notes.track].filter((_, i) =>"
    f" (hub.notes.pitch[i] >= {synthetic.SPLIT_PITCH}) === Boolean(high))).size)"
)
"""On how many tracks the notes of each voice lie."""


def test_written_notes_have_no_thresholds_and_can_be_sorted_by_sound(page):
    n = len(said())
    assert page.hub("hub.notes.n") == n
    rest = page.page.locator(".amt-rest")
    assert "tiny has written these notes itself" in rest.inner_text()
    slider = page.slider("Onset threshold")
    assert slider.get_attribute("aria-disabled") == "true"
    slider.dblclick(force=True)
    assert page.page.locator(".amt-preset").is_disabled() and page.page.locator(".amt-auto").is_disabled()
    assert page.slider("Tidy").get_attribute("aria-disabled") != "true"
    page.page.click("[data-tab=timbres]")
    assert page.hub(VOICES) == [2, 2]
    assert page.page.locator(".amt-auto-timbres").is_disabled()
    page.page.click(".amt-by-sound")
    page.page.wait_for_selector(".amt-by-sound[aria-checked=true]")
    page.page.wait_for_selector(".amt-auto-timbres:enabled")
    page.until(f"String({VOICES}) === '1,1'")
    page.page.click(".amt-by-writer")
    page.until(f"String({VOICES}) === '2,2'")
    page.page.click(".amt-language")
    page.page.wait_for_function("() => document.querySelector('.amt-rest').textContent.includes('没有阈值可调')")
    page.page.click(".amt-language")
    page.page.wait_for_function("() => document.querySelector('.amt-rest').textContent.includes('no thresholds')")
    assert page.hub("hub.notes.n") == n


def test_a_second_network_is_laid_under_and_then_chosen(page):
    page.page.click("[data-tab=compare]")
    page.page.select_option(".amt-second-network", "base")
    page.page.wait_for_selector('.amt-compare-body:has-text("only in base")')
    assert "neither is the truth" in page.page.locator(".amt-compare-body").inner_text()
    assert page.page.locator(".amt-make-heat").count() == 0, "there are no thresholds to try"
    page.slider("Tidy").press("End")
    page.page.click(".amt-hear-again")
    page.page.wait_for_selector(".amt-hear-again", state="detached")
    page.slider("Tidy").press("Home")
    page.page.wait_for_selector(".amt-hear-again")
    page.page.click(".amt-hear-again")
    page.page.wait_for_selector(".amt-hear-again", state="detached")
    page.until("hub.actions.roll().verdict?.hit.length === hub.notes.n")
    found = page.hub("Array.from(hub.actions.roll().verdict.hit).filter(Boolean).length")
    assert 0.5 * len(said()) < found < len(said())
    page.page.click(".amt-host-thresholds .amt-fold summary")
    picker = page.page.locator(".amt-network")
    assert picker.input_value() == NAME
    picker.select_option("base")
    page.page.wait_for_selector(".amt-rest", state="hidden")
    page.until(f"hub.notes.n !== {len(said())}")
    n = page.hub("hub.notes.n")
    slider = page.slider("Onset threshold")
    assert slider.get_attribute("aria-disabled") == "false"
    slider.focus()
    page.page.keyboard.press("End")
    page.until(f"hub.notes.n < {n}")
    page.page.keyboard.press("Control+z")
    page.until(f"hub.notes.n === {n}")
