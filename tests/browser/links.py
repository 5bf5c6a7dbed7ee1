"""A connection between the browser and a server that a test can slow down, cut and mend."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time


class Link:
    """A connection between the browser and a server, which can be slow, and be cut and mended.

    Parameters
    ----------
    port
        Where the server listens.
    rate
        Bytes a second, in each direction; `None` for as fast as it goes.
    delay_s
        Of every piece that passes.
    """

    def __init__(self, port: int, rate: float | None = None, delay_s: float = 0.0) -> None:
        self.target, self.rate, self.delay_s = port, rate, delay_s
        self.up = True
        self.pairs: list[socket.socket] = []
        self.lock = threading.Lock()
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.door.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.door.accept()
            except OSError:
                return
            if not self.up:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            with self.lock:
                self.pairs += [near, far]
            for one, other in ((near, far), (far, near)):
                # Small buffers, or the system would swallow whole files at once.
                other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(1 << 15):
                time.sleep(self.delay_s + (len(data) / self.rate if self.rate else 0.0))
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def cut(self) -> None:
        """Break every connection, and refuse new ones until `mend`."""
        self.up = False
        with self.lock:
            for end in self.pairs:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RDWR)
            self.pairs.clear()

    def mend(self) -> None:
        self.up = True

    def close(self) -> None:
        self.cut()
        self.door.close()
