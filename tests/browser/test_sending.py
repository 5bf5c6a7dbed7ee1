"""Uploads in the browser: whatever the disk, the connection and the person do, the file arrives or the page says so."""

from __future__ import annotations

import pytest


@pytest.fixture
def big(files):
    """Five megabytes of which the program has a lot to say, once all of them are there: a recording of eleven hours."""
    path = files / "big.wav"
    size = 5_000_000
    header = b"RIFF" + (size - 8).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    header += b"\1\0\1\0" + (100).to_bytes(4, "little") * 2 + b"\1\0\x08\0data" + (size - 44).to_bytes(4, "little")
    path.write_bytes(header.ljust(size, b"\x80"))
    return path


def arrived(app, name):
    """The program speaks of the whole file only when it has all of it."""
    line = app.page.locator(".amt-status.amt-error")
    line.wait_for()
    assert name in line.inner_text() and "did not arrive" not in line.inner_text(), line.inner_text()


SLOW_DISK = """() => {
    const read = Blob.prototype.arrayBuffer;
    let turn = 0;
    Blob.prototype.arrayBuffer = async function () {
        const data = await read.call(this);
        await new Promise((done) => setTimeout(done, turn++ % 2 ? 0 : 60));
        return data;
    };
}"""


def test_pieces_keep_their_order_when_reading_them_takes_its_time(app, big):
    app.page.evaluate(SLOW_DISK)
    app.page.set_input_files(".amt-file", str(big))
    arrived(app, "big.wav")


def test_an_upload_goes_on_after_lost_pieces(chromium, server, files, big):
    from driving import App

    context = chromium.new_context()
    page = context.new_page()
    count = {"chunks": 0, "lost": 0}

    def between(ws):
        upstream = ws.connect_to_server()

        def pass_on(message):
            if isinstance(message, bytes) and b'"do":"chunk"' in message:
                count["chunks"] += 1
                if count["chunks"] in (2, 5):
                    count["lost"] += 1
                    return
            upstream.send(message)

        ws.on_message(pass_on)

    page.route_web_socket("**/channels*", between)
    app = App(page, files)
    app.goto(server.url)
    page.set_input_files(".amt-file", str(big))
    arrived(app, "big.wav")
    assert count["lost"] == 2
    context.close()


def test_a_second_file_takes_the_place_of_one_under_way(app, big):
    app.page.evaluate(SLOW_DISK)
    app.page.set_input_files(".amt-file", str(big))
    app.page.wait_for_selector(".amt-work .amt-bar")
    app.open("other.wav")
    assert not app.page.locator(".amt-status.amt-error").is_visible()


def test_an_upload_outlives_a_change_of_language(app, big):
    app.page.evaluate(SLOW_DISK)
    app.page.set_input_files(".amt-file", str(big))
    app.page.wait_for_selector(".amt-work .amt-bar")
    app.page.click(".amt-language")
    arrived(app, "big.wav")
