"""How the page is served: what is refused, what Voilà is told."""

from __future__ import annotations

import socket

import pytest

from widgets.__main__ import main, parser
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


def test_voila_is_told_everything(tmp_path):
    file = tmp_path / "song.wav"
    file.write_bytes(b"RIFF")
    serve = check(Serve(str(file), port=0, max_upload=50, idle_timeout=100, preheat=2, token="secret"))
    config = settings(serve)
    assert config["Voila"]["tornado_settings"]["websocket_max_message_size"] >= 2**25
    assert config["Voila"]["token"] == "secret"
    assert config["MappingKernelManager"]["cull_idle_timeout"] == 100
    assert config["VoilaConfiguration"]["preheat_kernel"] and config["VoilaConfiguration"]["default_pool_size"] == 2
    env = environment(serve)
    assert env["AMTSEP_OPEN"] == str(file) and env["AMTSEP_MAX_UPLOAD_MB"] == "50"


@pytest.mark.parametrize(
    ("argv", "word"),
    [(["--host", "0.0.0.0"], "--token"), (["missing.wav"], "does not exist"), (["--port", "99999"], "no port")],
)
def test_the_command_says_what_is_wrong_in_one_line(argv, word, capsys):
    assert main(argv) == 2
    said = capsys.readouterr()
    assert word in said.err and said.err.count("\n") == 1 and not said.out


def test_defaults_of_the_command_are_those_of_the_class():
    assert Serve(**vars(parser().parse_args([]))) == Serve()
