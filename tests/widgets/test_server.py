"""How the page is served: what is refused, what Voilà is told."""

from __future__ import annotations

import http.server
import socket
import threading

import pytest

from widgets.__main__ import main, parser
from widgets.serving import server as serving
from widgets.serving.guard import Door, sound, without_token
from widgets.serving.server import Serve, ServerError, address, check, environment, is_local, settings


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_a_public_address_needs_a_token(host):
    with pytest.raises(ServerError, match="--token"):
        check(Serve(host=host))


@pytest.mark.parametrize(
    ("host", "local"), [("localhost", True), ("127.0.0.1", True), ("::1", True), ("0.0.0.0", False)]
)
def test_what_counts_as_this_computer(host, local):
    assert is_local(host) is local


def test_auto_makes_a_token_that_cannot_be_guessed():
    first, second = check(Serve(host="0.0.0.0", port=0, token="auto")), check(Serve(port=0, token="auto"))
    assert first.token and len(first.token) >= 20 and first.token != second.token
    assert address(first).endswith(f"?token={first.token}")


def test_the_next_port_is_taken_where_one_is_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert check(Serve(port=port)).port > port


def test_the_address_is_printed_at_once_behind_a_proxy_that_does_not_answer(monkeypatch, capsys):
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{dead.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        page = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
        threading.Thread(target=page.serve_forever, daemon=True).start()
        asked_again: list[float] = []
        monkeypatch.setattr(serving.time, "sleep", asked_again.append)
        try:
            serving._announce(Serve(port=page.server_address[1], open_browser=False), "dashboard")
        finally:
            page.shutdown()
            page.server_close()
    assert f":{page.server_address[1]}/" in capsys.readouterr().out and not asked_again


def test_voila_is_told_everything(tmp_path):
    file = tmp_path / "song.wav"
    file.write_bytes(b"RIFF")
    serve = check(Serve(str(file), "light", port=0, max_upload=50, idle_timeout=100, preheat=2, token="secret"))
    config = settings(serve)
    assert config["Voila"]["tornado_settings"]["websocket_max_message_size"] >= 2**25
    assert config["Voila"]["token"] == "secret"
    assert config["MappingKernelManager"]["cull_idle_timeout"] == 100
    assert config["VoilaConfiguration"]["preheat_kernel"] and config["VoilaConfiguration"]["default_pool_size"] == 2
    env = environment(serve)
    assert env["AMTSEP_OPEN"] == str(file) and env["AMTSEP_MODEL"] == "light" and env["AMTSEP_MAX_UPLOAD_MB"] == "50"


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["--host", "0.0.0.0"], "--token"),
        (["missing.wav"], "does not exist"),
        (["--port", "99999"], "no port"),
        (["--model", "missing.safetensors"], "missing.safetensors does not exist"),
        (["--model", "grand"], "no model 'grand'; choose one of base"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(argv, word, capsys):
    assert main(argv) == 2
    said = capsys.readouterr()
    assert word in said.err and said.err.count("\n") == 1 and not said.out


def test_defaults_of_the_command_are_those_of_the_class():
    assert Serve(**vars(parser().parse_args([]))) == Serve()


@pytest.mark.parametrize("token", ["short", "fifteen-letters"])
def test_a_short_token_is_refused_where_others_can_guess(token):
    with pytest.raises(ServerError, match="16 characters"):
        check(Serve(host="0.0.0.0", token=token))


def test_a_token_can_be_given_where_no_list_of_processes_shows_it(monkeypatch):
    monkeypatch.setenv("AMTSEP_TOKEN", "a-token-of-the-environment")
    serve = check(Serve(host="0.0.0.0", port=0))
    assert serve.token == "a-token-of-the-environment"
    assert "AMTSEP_TOKEN" not in environment(serve)


def test_an_ipv6_address_may_be_written_with_brackets():
    serve = check(Serve(host="[::1]", port=0))
    assert serve.host == "::1" and settings(serve)["Voila"]["ip"] == "::1"
    assert address(serve) == f"http://[::1]:{serve.port}/"


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:8866", True),
        ("localhost:8866", True),
        ("[::1]:8866", True),
        ("127.0.0.1.evil.example:8866", False),
        ("evil.example", False),
        ("192.168.1.5:8866", False),
        ("", False),
    ],
)
def test_a_local_server_answers_to_its_own_names_only(host, known):
    assert Door("", True, "127.0.0.1", 1).knows_host(host) is known
    assert Door("t" * 16, False, "0.0.0.0", 1).knows_host(host)


def v1(parts, channel=b"shell"):
    """A message of the websocket's protocol."""
    body = [channel, *parts]
    offsets = [8 * (len(body) + 2)]
    for part in body:
        offsets.append(offsets[-1] + len(part))
    return b"".join([len(offsets).to_bytes(8, "little"), *(o.to_bytes(8, "little") for o in offsets), *body])


def test_only_whole_messages_are_taken_apart():
    good = v1([b"{}", b"{}", b"{}", b"{}"])
    assert sound(good)
    huge = (2**62).to_bytes(8, "little")
    assert not sound(huge + good[8:]), "the count asks for more than is there"
    assert not sound(good[:16] + huge + good[24:]), "a part lies outside"
    assert not sound(good[:-1]) and not sound(b"") and not sound("text") and not sound(b"\0" * 100)
    assert not sound(v1([b"{}"] * 4, b"elsewhere"))


def test_the_token_leaves_the_address():
    assert without_token("/?token=abc&x=1") == "/?x=1"
    assert without_token("/?token=abc") == "/"


def test_the_command_hands_the_token_over_unseen(monkeypatch):
    from amtsep import cli

    started = {}

    class Process:
        def __init__(self, command, env):
            started.update(command=command, env=env)

        def wait(self, timeout=None):
            return 0

    monkeypatch.setattr(cli.subprocess, "Popen", Process)
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    assert cli.main(["dashboard", "--token", "a-long-enough-token"]) == 0
    assert not any("long-enough" in word for word in started["command"])
    assert started["env"]["AMTSEP_TOKEN"] == "a-long-enough-token"


def test_a_message_to_a_page_that_is_just_going_holds_nothing_up() -> None:
    """A ping without an answer closes the connection; what the kernel says meanwhile once froze the whole server."""
    from types import SimpleNamespace

    from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1
    from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

    from widgets.serving.guard import PROTOCOL, Connection, guarded

    sent: list[bytes] = []
    Handler = guarded(VoilaKernelWebsocketHandler)
    handler = Handler.__new__(Handler)
    connection = Connection.__new__(Connection)
    connection.websocket_handler = handler
    stream = SimpleNamespace(closed=lambda: False, channel="iopub")
    parts = [b'{"msg_type": "comm_msg"}', b"{}", b"{}", b'{"comm_id": "x"}', b"\xff" * 64]

    handler.ws_connection = None
    assert connection.subprotocol == PROTOCOL
    connection._on_zmq_reply(stream, parts)

    open_ = SimpleNamespace(is_closing=lambda: False, write_message=lambda m, binary: sent.append(m))
    handler.ws_connection = open_
    connection._on_zmq_reply(stream, parts)
    assert sent == [serialize_msg_to_ws_v1(parts, "iopub")]


@pytest.mark.parametrize("where", ["prompt", "guard"])
def test_small_messages_are_not_held_back(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of a slider took 76 ms, 40 of them waiting for an acknowledgement by TCP."""
    import asyncio
    import importlib
    import socket

    from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
    from tornado.httpserver import HTTPServer
    from tornado.web import Application
    from tornado.websocket import WebSocketHandler, websocket_connect

    module = importlib.import_module(f"widgets.serving.{where}")
    made = module.Connection if where == "guard" else module.PromptConnection
    monkeypatch.setattr(ZMQChannelsWebsocketConnection, "connect", lambda self: None)
    found: list[int] = []

    class Page(WebSocketHandler):
        def open(self) -> None:
            connection = made.__new__(made)
            monkeypatch.setattr(made, "websocket_handler", self)
            connection.connect()
            assert self.ws_connection is not None
            stream = self.ws_connection.stream  # type: ignore[attr-defined]
            found.append(stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            self.write_message("open")

    async def visit() -> None:
        server = HTTPServer(Application([("/", Page)]))
        server.listen(0, "127.0.0.1")
        port = next(iter(server._sockets.values())).getsockname()[1]
        page = await websocket_connect(f"ws://127.0.0.1:{port}/")
        assert await page.read_message() == "open"
        page.close()
        server.stop()

    asyncio.run(visit())
    assert found and found[0]


def test_kernels_of_pages_that_are_gone_end_whatever_time_is_given():
    assert settings(Serve(idle_timeout=0))["MappingKernelManager"]["cull_idle_timeout"] >= 1
