"""The server's door: who comes in, how many, what they may send, and what is left when they go."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from driving import PATIENCE_MS, Server
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

ROOT = Path(__file__).resolve().parents[2]


def ask(url, **headers):
    """Status and text of an address."""
    request = urllib.request.Request(url, headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def kernels(server) -> int:
    """Kernels under a server."""
    return sum("ipykernel" in " ".join(p.cmdline()) for p in psutil.Process(server.process.pid).children(True))


def kernel_id(app) -> str:
    return app.page.evaluate("() => JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId")


def test_other_sites_start_no_kernels_and_read_nothing(server, app):
    before = kernels(server)
    for _ in range(10):
        status, text = ask(server.url, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image")
        assert status == 403
    status, text = ask(server.url, Host="rebound.example")
    assert status == 403 and "kernelId" not in text
    assert kernels(server) <= before
    # A person who follows a link is asked first.
    status, text = ask(server.url, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
    assert status == 403 and "Open amtsep" in text and "kernelId" not in text


def test_errors_name_no_paths_and_fetch_nothing(server):
    for path in ("voila/files/dashboard.ipynb", "voila/templates/../../x", "api/kernels/0", "voila/static/none.js"):
        status, text = ask(server.url + path)
        assert status in (403, 404, 405)
        assert "http://" not in text and "https://" not in text
        assert str(ROOT) not in text and "site-packages" not in text


def test_the_page_asks_for_nothing_that_its_policy_forbids(app):
    said = []
    app.page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    app.page.reload()
    app.page.wait_for_selector(".amt-player .amt-play")
    app.open("tune.wav")
    app.page.keyboard.press("Space")
    app.until("hub.transport.playing && hub.transport.position > 0.3")
    assert not said, said


def test_a_socket_of_another_protocol_is_refused_and_nonsense_closed(server, app):
    url = server.url.replace("http", "ws") + f"api/kernels/{kernel_id(app)}/channels?session_id=x"

    async def attack():
        with pytest.raises(HTTPClientError) as refused:
            await websocket_connect(HTTPRequest(url))
        assert refused.value.code == 400
        for message in (b"\xff" * 64, (2**40).to_bytes(8, "little") + bytes(64), b"{}"):
            socket_ = await websocket_connect(HTTPRequest(url), subprotocols=["v1.kernel.websocket.jupyter.org"])
            await socket_.write_message(message, binary=True)
            while await asyncio.wait_for(socket_.read_message(), 20) is not None:
                pass
            assert socket_.close_code == 1002

    # Playwright has a loop of its own in this thread.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, attack()).result(90)
    assert server.get("voila/static/voila.js") == 200
    app.open("tune.wav")


def runs(server, key):
    """Whether a process of the server's has `key` among its arguments; one that is just ending has none."""
    for process in psutil.Process(server.process.pid).children(True):
        with contextlib.suppress(psutil.Error):
            if key in " ".join(process.cmdline()):
                return True
    return False


def test_a_closed_page_leaves_no_kernel(chromium, server, files):
    from driving import App

    context = chromium.new_context()
    app = App(context.new_page(), files)
    app.goto(server.url)
    key = kernel_id(app)
    app.page.close()
    end = time.monotonic() + PATIENCE_MS / 1000
    while runs(server, key):
        assert time.monotonic() < end, "the kernel has outlived its page"
        time.sleep(0.2)
    context.close()


def test_places_tokens_and_ipv6(tmp_path):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("This machine has no IPv6.")
    token = "a-token-of-26-characters.."
    server = Server(tmp_path, "--host", "[::1]", "--token", token, "--sessions", "1", "--preheat", "0")
    try:
        base = server.url.split("?")[0]
        assert base.startswith("http://[::1]:") and server.url.endswith(token)
        someone = "00000000-0000-4000-8000-000000000000"
        for path in ("voila/static/voila.js", f"api/kernels/{someone}", "voila/labextensions/x/y.js", "voila/files/x"):
            assert ask(base + path)[0] in (403, 404), path
        assert "kernelId" not in ask(base)[1] and "token" in ask(base)[1]
        status, text = ask(base, Authorization=f"token {token}")
        assert status == 200 and "kernelId" in text
        status, text = ask(base, Authorization=f"token {token}")
        assert status == 503 and "All places are taken" in text
        for _ in range(10):
            assert "kernelId" not in ask(base, Authorization="token wrong")[1]
        assert ask(base, Authorization=f"token {token}")[0] == 429
        assert token not in server.log.read_text().replace(server.url, "")
    finally:
        server.stop()
