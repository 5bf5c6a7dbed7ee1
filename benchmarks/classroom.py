"""A class on one server, without its browsers: ``python benchmarks/classroom.py [--users 40] [--minutes 5]``.

Each person speaks to the server as the page does (it is asked for, its kernel's channels are opened, messages of the
widgets go over them) but draws nothing, since forty browsers would measure only each other on the computer that they
share with the server. What a person does is as in ``soak.py``: steps of the thresholds, the number of timbres, the MIDI
file, the page once more. Prints what each took until its answer was there, notes included, every fault, and memory.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "browser"), str(ROOT / "tests" / "widgets"), str(ROOT), str(ROOT / "benchmarks")]

from driving import Server  # noqa: E402
from soak import run, until_over  # noqa: E402

PATIENCE_S = 60.0
PROTOCOL = "v1.kernel.websocket.jupyter.org"


class Person:
    """One page's connection."""

    def __init__(self, number: int, url: str, seed: int) -> None:
        self.number, self.url = number, url.rstrip("/")
        self.random = random.Random(seed + number)
        self.times: dict[str, list[float]] = defaultdict(list)
        self.faults: list[str] = []
        self.session, self.turn = uuid.uuid4().hex, 0
        self.socket: WebSocketClientConnection | None = None
        self.panels: dict[str, str] = {}
        self.waiting: dict[Any, asyncio.Future[Any]] = {}

    async def timed(self, name: str, work: Awaitable[Any]) -> None:
        """Do it and keep the time, or the fault."""
        began = time.monotonic()
        try:
            await asyncio.wait_for(work, PATIENCE_S)
            self.times[name].append(time.monotonic() - began)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault
            self.faults.append(f"{name}: {type(error).__name__} {error}"[:200])

    def say(self, kind: str, content: dict[str, Any]) -> None:
        """A message on the shell channel."""
        assert self.socket is not None
        head = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": self.session, "username": "", "version": "5.3"}
        parts = [
            json.dumps(part).encode()
            for part in ({**head, "date": "2026-01-01T00:00:00Z"}, {}, {"version": "1.0.0"}, content)
        ]
        self.socket.write_message(serialize_msg_to_ws_v1(parts, "shell"), binary=True)

    async def answer(self, key: Any) -> Any:
        """What comes under a key."""
        self.waiting[key] = asyncio.get_running_loop().create_future()
        try:
            return await self.waiting[key]
        finally:
            self.waiting.pop(key, None)

    async def listen(self, socket: WebSocketClientConnection) -> None:
        """Give answers to those who wait for them, until the connection ends."""
        while (raw := await socket.read_message()) is not None:
            assert isinstance(raw, bytes)
            _, parts = deserialize_msg_from_ws_v1(raw)
            if json.loads(parts[0])["msg_type"] != "comm_msg":
                continue
            data = json.loads(parts[3])["data"]
            said = data.get("content") if data.get("method") == "custom" else None
            if data.get("method") == "update_states":
                self.arrived("states", data["states"])
            elif isinstance(said, dict) and said.get("do") == "done":
                self.arrived(said["turn"], said)
            elif isinstance(said, dict) and said.get("do") in ("file", "no_file"):
                self.arrived("file", parts[4] if said["do"] == "file" else b"")
            elif data.get("method") == "update" and data["state"].get("count"):
                self.arrived("notes", data["state"]["count"])

    def arrived(self, key: Any, value: Any) -> None:
        waits = self.waiting.get(key)
        if waits is not None and not waits.done():
            waits.set_result(value)

    async def come(self) -> None:
        """Ask for the page, open the channels, ask for the widgets, and wait for the recording's notes."""
        self.panels = {}
        if self.socket is not None:
            self.socket.close(1001)  # as a browser does that leaves a page
        response = await AsyncHTTPClient().fetch(f"{self.url}/", request_timeout=PATIENCE_S)
        found = re.search(r'"kernelId": *"([^"]+)"', response.body.decode())
        if found is None:
            raise ValueError("the page names no kernel")
        cookies = "; ".join(c.split(";")[0] for c in response.headers.get_list("Set-Cookie"))
        where = f"ws{self.url.removeprefix('http')}/api/kernels/{found[1]}/channels?session_id={self.session}"
        headers = {"Origin": self.url, "Cookie": cookies}
        self.socket = await websocket_connect(
            HTTPRequest(where, headers=headers), subprotocols=[PROTOCOL], max_message_size=1 << 28
        )
        task = asyncio.create_task(self.listen(self.socket))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        notes = asyncio.create_task(self.answer("notes"))
        control = uuid.uuid4().hex
        self.say("comm_open", {"comm_id": control, "target_name": "jupyter.widget.control", "data": {}})
        self.say("comm_msg", {"comm_id": control, "data": {"method": "request_states"}})
        states: dict[str, Any] = await self.answer("states")
        self.panels = {s["state"]["panel"]: id for id, s in states.items() if s["state"].get("panel")}
        if any(s["state"].get("panel") == "thresholds" and s["state"].get("count") for s in states.values()):
            notes.cancel()
        else:
            await notes

    async def step(self, panel: str, content: dict[str, Any]) -> None:
        """A step of a slider until the program says that its notes are out."""
        self.turn += 1
        content = {**content, "lasting": False, "turn": self.turn}
        self.say("comm_msg", {"comm_id": self.panels[panel], "data": {"method": "custom", "content": content}})
        await self.answer(self.turn)

    async def take(self) -> None:
        """The MIDI file."""
        content = {"do": "export", "format": "midi"}
        self.say("comm_msg", {"comm_id": self.panels["export"], "data": {"method": "custom", "content": content}})
        if not bytes(await self.answer("file")).startswith(b"MThd"):
            raise ValueError("what came is no MIDI file")

    async def work(self, end: float) -> None:
        """Until the time is over."""
        await self.timed("load the page", self.come())
        while time.monotonic() < end:
            await asyncio.sleep(self.random.uniform(0.3, 1.5))
            chance = self.random.random()
            if not self.panels or chance > 0.997:
                await self.timed("load the page", self.come())
            elif chance < 0.6:
                name = self.random.choice(("onset_threshold", "frame_threshold"))
                values = {name: self.random.uniform(0.2, 0.8)}
                await self.timed("a threshold", self.step("thresholds", {"do": "set", "values": values}))
            elif chance < 0.85:
                wanted = self.random.randint(0, 4)
                await self.timed("timbres", self.step("timbres", {"do": "timbres", "value": wanted}))
            else:
                await self.timed("take the MIDI", self.take())


async def soak(server: Server, _file: Path, users: int, minutes: float, seed: int) -> list[Person]:
    """Let them work; returns them with what they met."""
    AsyncHTTPClient.configure(None, max_clients=users)
    people = [Person(number, server.url, seed) for number in range(users)]
    await until_over(server, people, minutes)
    return people


if __name__ == "__main__":
    run(__doc__ or "", 40, 5.0, soak, opened=True)
