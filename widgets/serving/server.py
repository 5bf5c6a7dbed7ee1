"""Serves the dashboard with Voilà: its settings, and the rules that keep it safe."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from amtsep.config import Limits
from amtsep.errors import AmtsepError
from widgets.places import NOTEBOOK, ROOT, SHARE
from widgets.state.parent import end_with_parent

SHORTEST_TOKEN = 16
PING_MS = 30_000
MESSAGE_BYTES = 32 << 20
"""Largest websocket message that the server takes; uploads come in pieces of 1 MiB, so this is never near."""


class ServerError(AmtsepError):
    """The dashboard cannot be served like this; the sentence says why."""


@dataclass(frozen=True)
class Serve:
    """How to serve; what ``python -m widgets --help`` lists."""

    file: str | None = None
    """A recording to open at once."""
    model: str | None = None
    """The network that a page begins with: a name, or a weights file. ``None``: the best that is installed."""
    port: int = 8866
    host: str = "127.0.0.1"
    token: str | None = None
    """Asked for before the page opens; ``auto`` makes one. Needed on any address that others can reach. The environment
    variable ``AMTSEP_TOKEN`` gives one that no list of processes shows."""
    max_upload: float = Limits().max_upload_mb
    """Megabytes (10^6 bytes)."""
    idle_timeout: float = 900.0
    """Seconds after which a kernel is ended whose page has lost its connection; that of a closed page ends at once."""
    sessions: int = 40
    """Pages that may be open at once; the next visitor is told so."""
    preheat: int = 1
    """Kernels that wait with the page ready; 0 starts one when somebody comes."""
    open_browser: bool | None = None
    """``None``: where there is a display."""


def is_local(host: str) -> bool:
    """Whether only this machine can reach a server at `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def has_display() -> bool:
    """Whether opening a browser makes sense."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def check(serve: Serve) -> Serve:
    """The same choices, made whole; raises `ServerError` where they would not work or would not be safe."""
    given = serve.token or os.environ.get("AMTSEP_TOKEN") or None
    if not is_local(serve.host) and not given:
        raise ServerError(
            f"{serve.host} can be reached by others: add --token auto (or a token of yours), "
            "or leave --host out to serve this computer only."
        )
    if serve.file is not None and not Path(serve.file).is_file():
        raise ServerError(f"{serve.file} does not exist; give the path of a recording, or none.")
    if serve.model is not None:
        _check_model(serve.model)
    if not 0 <= serve.port <= 65535:
        raise ServerError(f"{serve.port} is no port; choose one from 1 to 65535.")
    if serve.sessions < 1:
        raise ServerError("--sessions must be at least 1.")
    if serve.max_upload <= 0:
        raise ServerError("--max-upload must be over 0 MB.")
    token = secrets.token_urlsafe(18) if given == "auto" else given
    if token and not is_local(serve.host) and len(token) < SHORTEST_TOKEN:
        raise ServerError(
            f"A token that others can guess at needs at least {SHORTEST_TOKEN} characters; --token auto makes one."
        )
    file = None if serve.file is None else str(Path(serve.file).resolve())
    host = serve.host.strip("[]")
    model = serve.model
    if model is not None and Path(model).is_file():
        model = str(Path(model).resolve())
    return replace(serve, file=file, model=model, host=host, port=free_port(host, serve.port), token=token)


def _check_model(model: str) -> None:
    from amtsep.inference import find_model
    from amtsep.sequence.files import installed, writes_notes

    if writes_notes(model):
        if not Path(model).is_file() and model not in installed():
            raise ServerError(f"The network {model} needs packages that are not installed: see docs/sequence.md.")
        return
    try:
        find_model(model, ".onnx")
    except AmtsepError as error:
        raise ServerError(str(error)) from None


def free_port(host: str, wanted: int) -> int:
    """`wanted` if it is free, the next free one up to twenty further, or any for 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in [wanted] if wanted == 0 else range(wanted, min(wanted + 20, 65536)):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ServerError(f"Ports {wanted} to {wanted + 19} are taken; choose another with --port.")


def settings(serve: Serve, template: str = "amtsep") -> dict[str, dict[str, Any]]:
    """Voilà's configuration."""
    config: dict[str, dict[str, Any]] = {
        "Voila": {
            "ip": serve.host,
            "port": serve.port,
            "port_retries": 0,
            "token": serve.token or "",
            "open_browser": False,
            "log_level": "WARN",
            "tornado_settings": {
                "websocket_max_message_size": MESSAGE_BYTES,
                "ws_ping_interval": PING_MS,
                # As long as the interval itself would end a connection whose answer comes a moment after the next look.
                "ws_ping_timeout": 3 * PING_MS,
            },
        },
        "VoilaConfiguration": {
            "template": template,
            "strip_sources": True,
            "show_tracebacks": False,
            "allow_template_override": "NO",
            "allow_theme_override": "NO",
            # Nothing beside the notebook is anybody's to fetch: everything the page needs travels with it.
            "file_allowlist": ["(?!)"],
            "file_denylist": [".*"],
            "preheat_kernel": serve.preheat > 0,
            "default_pool_size": max(1, serve.preheat),
        },
        "VoilaExecutor": {"timeout": 120},
    }
    culling = {
        # None at all would keep the kernels of pages that are gone for ever.
        "cull_idle_timeout": max(1, int(serve.idle_timeout)),
        "cull_interval": max(1, min(60, int(serve.idle_timeout) // 2)),
        "cull_connected": False,
    }
    config["MappingKernelManager"] = culling
    # A kernel that dies stays dead: a fresh one would know nothing of the page. It is looked for every second.
    config["AsyncIOLoopKernelRestarter"] = {"restart_limit": 0, "time_to_dead": 1.0}
    if sys.platform != "win32":
        config["KernelManager"] = {"transport": "ipc"}
    return config


def environment(serve: Serve) -> dict[str, str]:
    """What the kernels are told."""
    env = dict(os.environ)
    # What a page computes are small matrices: threads for them cost more than they bring, and others wait.
    env.setdefault("OPENBLAS_NUM_THREADS", "1")
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [env.get("PYTHONPATH")])])
    env["JUPYTER_PATH"] = os.pathsep.join([str(SHARE), *filter(None, [env.get("JUPYTER_PATH")])])
    env["AMTSEP_MAX_UPLOAD_MB"] = f"{serve.max_upload:g}"
    env["AMTSEP_OPEN"] = serve.file or ""
    env["AMTSEP_MODEL"] = serve.model or ""
    env["AMTSEP_SHARED"] = "" if is_local(serve.host) else "1"
    env.pop("AMTSEP_TOKEN", None)
    return env


def address(serve: Serve) -> str:
    """What to type into a browser."""
    host = socket.gethostname() if serve.host in ("0.0.0.0", "::") else _bracketed(serve.host)
    return f"http://{host}:{serve.port}/" + (f"?token={serve.token}" if serve.token else "")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def run(serve: Serve, notebook: Path = NOTEBOOK, name: str = "dashboard", template: str = "amtsep") -> int:
    """Serve until interrupted; returns the exit status.

    Parameters
    ----------
    name
        Of the command, which is said with the address.
    template
        Voilà's, out of `widgets.places.SHARE`.
    """
    serve = check(serve)
    os.environ.update(environment(serve))
    os.environ.pop("AMTSEP_TOKEN", None)
    try:
        from traitlets.config import Config

        from widgets.serving.guard import Door, GuardedVoila
        from widgets.state.network import Helper
    except ImportError as error:
        raise ServerError(f"The {name} needs {error.name}: install it with 'pip install amtsep[app]'.") from None
    threading.Thread(target=_announce, args=(serve, name), daemon=True).start()
    end_with_parent()
    helper = GuardedVoila.helper = Helper()
    os.environ.update(helper.environment())
    GuardedVoila.door = Door(serve.token or "", is_local(serve.host), serve.host, serve.sessions)
    with contextlib.suppress(KeyboardInterrupt), contextlib.closing(helper):
        GuardedVoila.launch_instance(argv=[str(notebook)], config=Config(settings(serve, template)))
    return 0


def _announce(serve: Serve, name: str) -> None:
    """Print the address once it answers, and open it where there is a display."""
    local = {"0.0.0.0": "127.0.0.1", "localhost": "127.0.0.1", "::": "::1"}.get(serve.host, serve.host)
    probe = f"http://{_bracketed(local)}:{serve.port}/voila/static/voila.js"
    # No proxy leads to this computer; and to look for one would read the environment while another thread changes it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(600):
        try:
            opener.open(probe, timeout=2).close()
            break
        except urllib.error.HTTPError:
            break
        except OSError:
            time.sleep(0.1)
    print(f"amtsep {name}: {address(serve)}   (Ctrl+C ends it)", flush=True)
    if has_display() if serve.open_browser is None else serve.open_browser:
        webbrowser.open(address(serve))
