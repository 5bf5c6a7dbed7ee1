"""Voilà with a doorkeeper: who may come in, how many, what they may send, and what is left when they go.

Every handler of Voilà's is wrapped, so that no endpoint is forgotten: requests from other sites and for other names of
this computer are refused, a token is asked for where there is one, pages are counted, and messages are checked before
the server or a kernel reads them. A kernel ends with its page.
"""

from __future__ import annotations

import asyncio
import hmac
import html
import ipaddress
import logging
import re
import time
from collections import deque
from collections.abc import Awaitable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from jupyter_core.utils import ensure_async
from jupyter_server.base.handlers import APIHandler
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1
from tornado.ioloop import PeriodicCallback
from tornado.web import HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler
from voila.app import Voila
from voila.handler import VoilaHandler
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler

from widgets.serving.prompt import PromptConnection
from widgets.state.network import Helper

PROTOCOL = "v1.kernel.websocket.jupyter.org"
MAX_PARTS = 64
"""Of one message: the protocol needs six, and a buffer for each binary value."""
GOING_AWAY = 1001
"""What a browser says on the websocket when its page is closed or left."""
LEFT_S, UNSEEN_S, LOOK_S = 4.0, 90.0, 1.0
"""Seconds that a kernel outlives its page; that it waits for a page which never connects; between two looks."""
GUESSES, GUESSES_S = 10, 60.0
"""Wrong tokens that one visitor may try in so many seconds."""

HEADERS = {
    "Content-Security-Policy": "; ".join(
        [
            "default-src 'none'",
            # The page's own modules come as blobs; JupyterLab's settings are checked by code made at run time.
            "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "frame-ancestors 'self'",
            "form-action 'self'",
            "base-uri 'none'",
        ]
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

SENTENCES = {
    400: "This request is not one of the page's own.",
    403: "This page may not be opened like this.",
    404: "There is no such page here.",
    429: "Too many wrong tokens. Wait a minute, then try again.",
    503: "All places are taken: as many people use amtsep as this computer can serve. Try again in a few minutes.",
}


STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:32em;margin:18vh auto;"
    "padding:0 24px}h1{font-size:1.3em}input,button,a.b{font:inherit;padding:8px 14px;border-radius:8px;"
    "border:1px solid #888;text-decoration:none;display:inline-block}"
)


def page(title: str, body: str) -> str:
    """A page that asks for nothing from anywhere."""
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>amtsep</title><style>{STYLE}</style><h1>{html.escape(title)}</h1>{body}</html>"
    )


class Door:
    """What every handler asks at the door; one for a server."""

    def __init__(self, token: str, local: bool, host: str, places: int) -> None:
        self.token, self.local, self.host, self.places = token, local, host.strip("[]").lower(), places
        self.wrong: dict[str, deque[float]] = {}

    def knows_host(self, request_host: str) -> bool:
        """Whether a server of this computer alone is called by a name that can only mean it.

        A foreign name that resolves to this computer (DNS rebinding) would make its page our page's equal.
        """
        if not self.local:
            return True
        name = (urlsplit(f"//{request_host}").hostname or "").lower()
        if name in ("localhost", self.host):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    def opens(self, token: str) -> bool:
        """Whether it is the right token, in a time that does not tell how much of it is right."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def guesses(self, who: str) -> deque[float]:
        """When this visitor has given a wrong token lately."""
        times = self.wrong.setdefault(who, deque(maxlen=GUESSES))
        while times and times[0] < time.monotonic() - GUESSES_S:
            times.popleft()
        if len(self.wrong) > 10_000:
            self.wrong = {k: v for k, v in self.wrong.items() if v}
        return times


class Guard(RequestHandler):
    """What is asked before any handler of Voilà's does its work."""

    open_to_all = False

    @property
    def door(self) -> Door:
        """The server's."""
        door: Door = self.application.settings["amtsep_door"]
        return door

    def set_default_headers(self) -> None:
        """Ours over Jupyter's."""
        super().set_default_headers()
        for name, value in HEADERS.items():
            self.set_header(name, value)
        self.clear_header("Server")

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse what no visitor of ours would send."""
        self.current_token = ""
        if ".." in self.request.path:
            raise HTTPError(404)
        if not self.door.knows_host(self.request.host):
            raise HTTPError(403, reason="Wrong host")
        if self.request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            await self._foreign()
            return
        if self.door.token and not self.open_to_all and not await self._let_in():
            return
        more = super().prepare()
        if isinstance(more, Awaitable):
            await more

    async def _foreign(self) -> None:
        """Another site asks: it gets nothing; a person who follows a link there is asked to come in."""
        headers = self.request.headers
        follows = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
        if self.request.method == "GET" and follows and isinstance(self, VoilaHandler):
            self.set_status(403)
            self.set_header("Content-Type", "text/html; charset=utf-8")
            here = html.escape(self.request.uri or "/", quote=True)
            self.finish(page("Open amtsep?", f"<p>Another site led you here.</p><a class=b href='{here}'>Open</a>"))
            return
        raise HTTPError(403, reason="Request of another site")

    async def _let_in(self) -> bool:
        """By the cookie, or by the token, which then leaves the address; false where the answer is given already."""
        name = self.application.settings["identity_provider"].get_cookie_name(self)
        if self.get_secure_cookie(name):
            return True
        given = self.get_query_argument("token", "") or _header_token(self.request.headers.get("Authorization", ""))
        if given:
            guesses = self.door.guesses(self.request.remote_ip or "")
            if len(guesses) >= GUESSES:
                raise HTTPError(429)
            if not self.door.opens(given):
                guesses.append(time.monotonic())
                await asyncio.sleep(0.5)
            else:
                _remember(self)
                if self.get_query_argument("token", "") and self.request.method == "GET":
                    self.redirect(without_token(self.request.uri or "/"))
                    return False
                return True
        if isinstance(self, VoilaHandler) and self.request.method == "GET":
            self.redirect("/login")
            return False
        raise HTTPError(403, reason="Token needed")

    def log_exception(self, kind: Any, value: Any, trace: Any) -> None:
        """What went wrong, without the token that the address may hold."""
        if not isinstance(value, HTTPError):
            where = without_token(self.request.uri or "/")
            logging.getLogger("amtsep.server").error("%s failed", where, exc_info=(kind, value, trace))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A sentence, and nothing of how the server is built."""
        if isinstance(self, (APIHandler, WebSocketHandler)):
            self.finish({"message": SENTENCES.get(status_code, "This did not work.")})
            return
        self.set_header("Content-Type", "text/html; charset=utf-8")
        sentence = SENTENCES.get(status_code, "Something went wrong here. Load the page again.")
        self.finish(page(sentence, "<p><a class=b href='/'>To the start</a></p>"))


def _header_token(value: str) -> str:
    found = re.match(r"(?:token|bearer)\s+(\S+)", value, re.IGNORECASE)
    return found.group(1) if found else ""


def _remember(handler: RequestHandler) -> None:
    """A cookie, so that the token need not be given again."""
    provider = handler.application.settings["identity_provider"]
    user = provider.generate_anonymous_user(handler)
    secure = handler.request.protocol == "https"
    handler.set_signed_cookie(
        provider.get_cookie_name(handler), provider.user_to_cookie(user), httponly=True, samesite="Lax", secure=secure
    )


def without_token(uri: str) -> str:
    """An address without its token."""
    parts = urlsplit(uri)
    kept = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k != "token"]
    return (parts.path or "/") + (f"?{urlencode(kept)}" if kept else "")


class Login(Guard):
    """Asks for the token."""

    open_to_all = True

    def get(self) -> None:
        """The form."""
        self._form()

    def _form(self, sentence: str = "") -> None:
        self.finish(
            page(
                "amtsep",
                f"<p>{html.escape(sentence) or 'This server asks for a token; whoever runs it can tell you.'}</p>"
                "<form method=post action='/login'><input type=password name=token aria-label=Token autofocus> "
                "<button>Open</button></form>",
            )
        )

    async def post(self) -> None:
        """The answer."""
        guesses = self.door.guesses(self.request.remote_ip or "")
        if len(guesses) >= GUESSES:
            raise HTTPError(429)
        if not self.door.opens(self.get_body_argument("token", "")):
            guesses.append(time.monotonic())
            await asyncio.sleep(0.5)
            self.set_status(403)
            self._form("That is not the token. Try again.")
            return
        _remember(self)
        self.redirect("/")

    def check_xsrf_cookie(self) -> None:
        """The form is only taken from our own pages: see `Guard.prepare`."""


class PageGuard(Guard):
    """The page: each one starts a kernel, so there are only so many."""

    async def get(self, *args: Any, **kwargs: Any) -> None:
        """The page, or a sentence when all places are taken."""
        keeper: Keeper = self.application.settings["amtsep_keeper"]
        if keeper.taken() >= self.door.places:
            raise HTTPError(503)
        keeper.coming += 1
        try:
            await super().get(*args, **kwargs)  # type: ignore[misc]
        finally:
            keeper.coming -= 1


class SocketGuard(Guard):
    """A kernel's websocket: one protocol, and a note of how it ends."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Only clients that speak the present protocol."""
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        if PROTOCOL not in [name.strip() for name in offered.split(",")]:
            raise HTTPError(400, reason="Unknown protocol")
        await super().prepare()

    def get_websocket_protocol(self) -> Any:
        """Jupyter sends the pings, by an interval in milliseconds; Tornado would read the same number as seconds."""
        protocol = super().get_websocket_protocol()  # type: ignore[misc]
        if protocol is not None:
            protocol.params.ping_interval = None
        return protocol

    def write_message(self, message: Any, binary: bool = False) -> Any:
        """Pass a kernel's message to the page, unless the connection is being closed.

        After a ping without an answer some seconds go by until the close is complete; the kernel may speak meanwhile.
        """
        if self.ws_connection is None or self.ws_connection.is_closing():  # type: ignore[attr-defined]
            return None
        return super().write_message(message, binary)  # type: ignore[misc]

    def on_close(self) -> None:
        """The page has gone, or its connection has."""
        keeper: Keeper = self.application.settings["amtsep_keeper"]
        keeper.closed(getattr(self, "kernel_id", ""), self.close_code == GOING_AWAY)  # type: ignore[attr-defined]
        super().on_close()  # type: ignore[misc]


class ShutdownGuard(Guard):
    """The page says goodbye with a beacon, which can carry no cookie of its own: that it is ours is checked above."""

    def check_xsrf_cookie(self) -> None:
        """The request's origin is known."""

    async def post(self, kernel_id: str) -> None:
        """End the kernel."""
        origin = self.request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != self.request.host:
            raise HTTPError(403)
        keeper: Keeper = self.application.settings["amtsep_keeper"]
        if kernel_id not in keeper.manager:
            raise HTTPError(404)
        await keeper.end(kernel_id)
        self.set_status(204)


class Connection(PromptConnection):
    """Takes messages apart only when their parts lie where they say."""

    @property
    def subprotocol(self) -> str:
        """The only one that is let in.

        Jupyter asks the connection, which no longer knows once it is being closed; a message then went out in the old
        form, whose first bytes Voilà took for a count of thousands of millions: the whole server stood still.
        """
        return PROTOCOL

    def handle_incoming_message(self, incoming_msg: Any) -> None:
        """Pass on a message of the page, or close the connection."""
        if not sound(incoming_msg):
            self.websocket_handler.close(1002, "This message is not one of the page's own.")
            return
        super().handle_incoming_message(incoming_msg)


def sound(message: Any) -> bool:
    """Whether a message of the v1 protocol has a bounded number of parts, in order, inside itself, and a header."""
    if not isinstance(message, bytes) or len(message) < 16:
        return False
    count = int.from_bytes(message[:8], "little")
    if not 6 <= count <= MAX_PARTS or 8 * (count + 1) > len(message):
        return False
    offsets = [int.from_bytes(message[8 * (i + 1) : 8 * (i + 2)], "little") for i in range(count)]
    if offsets[0] < 8 * (count + 1) or offsets[-1] > len(message) or offsets != sorted(offsets):
        return False
    try:
        channel, _ = deserialize_msg_from_ws_v1(message)
    except UnicodeDecodeError:
        return False
    return channel in ("shell", "control", "stdin", "iopub")


class Keeper:
    """Which kernels have a page, and the end of those that have none."""

    def __init__(self, manager: Any) -> None:
        self.manager = manager
        self.coming = 0
        self.left: dict[str, float] = {}
        """When the page of a kernel was left."""
        self.unseen: dict[str, float] = {}
        """Since when a kernel has waited for its page."""
        self.seen: set[str] = set()

    def pooled(self) -> tuple[set[str], bool]:
        """Kernels that wait for a visitor, and whether more are being made."""
        known, making = set(), False
        for pool in getattr(self.manager, "_pools", {}).values():
            for task in pool:
                if not task.done():
                    making = True
                elif not task.cancelled() and task.exception() is None:
                    known.add(task.result()["kernel_id"])
        return known, making

    def taken(self) -> int:
        """How many places are in use."""
        waiting, making = self.pooled()
        return max(len(set(self.manager.list_kernel_ids()) - waiting) - making, 0) + self.coming

    def closed(self, kernel_id: str, left: bool) -> None:
        """A connection has ended; `left` where the page itself was closed."""
        if left:
            self.left[kernel_id] = time.monotonic()

    async def look(self) -> None:
        """End kernels whose page was left or never came, and forget those that have died."""
        now = time.monotonic()
        waiting, making = self.pooled()
        for kernel_id in list(self.manager.list_kernel_ids()):
            if kernel_id in waiting:
                continue
            connected = self.manager._kernel_connections.get(kernel_id, 0) > 0
            if connected:
                self.seen.add(kernel_id)
                self.left.pop(kernel_id, None)
            first = self.unseen.setdefault(kernel_id, now)
            if making and kernel_id not in self.seen:
                self.unseen[kernel_id] = now
            over = now - self.left.get(kernel_id, now) > LEFT_S
            never = kernel_id not in self.seen and now - first > UNSEEN_S
            if over or never:
                await self.end(kernel_id)
            elif kernel_id in self.manager and not await ensure_async(self.manager.get_kernel(kernel_id).is_alive()):
                await asyncio.sleep(2 * LOOK_S)  # so that the page hears of it first
                await self.end(kernel_id)

    async def end(self, kernel_id: str) -> None:
        """End a kernel, if it is still there."""
        self.left.pop(kernel_id, None)
        self.unseen.pop(kernel_id, None)
        self.seen.discard(kernel_id)
        if kernel_id in self.manager:
            await ensure_async(self.manager.shutdown_kernel(kernel_id))


def guarded(handler: type[RequestHandler]) -> type[RequestHandler]:
    """The same handler behind the door."""
    guard: type[RequestHandler] = Guard
    if issubclass(handler, VoilaShutdownKernelHandler):
        guard = ShutdownGuard
    elif issubclass(handler, VoilaHandler):
        guard = PageGuard
    elif issubclass(handler, WebSocketHandler) and hasattr(handler, "pre_get"):
        guard = SocketGuard
    return type(f"Guarded{handler.__name__}", (guard, handler), {"__doc__": handler.__doc__})


def log_request(handler: RequestHandler) -> None:
    """Requests that failed, without what is secret in their address."""
    if handler.get_status() >= 400:
        request = handler.request
        where = without_token(request.uri or "/")
        logging.getLogger("amtsep.server").info("%d %s %s", handler.get_status(), request.method, where)


class GuardedVoila(Voila):
    """Voilà behind the door."""

    door: Door
    helper: Helper
    name = "voila"

    def init_settings(self) -> dict[str, Any]:
        """Voilà's settings and ours."""
        made: dict[str, Any] = super().init_settings()
        made["amtsep_door"] = self.door
        made["amtsep_keeper"] = self.keeper = Keeper(self.kernel_manager)
        made["kernel_websocket_connection_class"] = Connection
        made["log_function"] = log_request
        made["headers"] = HEADERS
        # The notebook is ours and runs as it is: Jupyter's remark that nobody has signed it helps no one.
        self.log.addFilter(lambda record: "is not trusted" not in record.getMessage())
        return made

    def init_handlers(self) -> list[Any]:
        """Voilà's handlers, each behind the door."""
        made = [(h[0], guarded(h[1]), *h[2:]) for h in super().init_handlers() if not re.search("log(in|out)", h[0])]
        self.helper.keep()
        PeriodicCallback(self.helper.keep, 2000).start()
        self.looking = PeriodicCallback(self.keeper.look, 1000 * LOOK_S)
        self.looking.start()
        return [("/login", Login), *made]
