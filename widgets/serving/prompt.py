"""A kernel's websocket that does not hold small messages back."""

from __future__ import annotations

import asyncio

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


class PromptConnection(ZMQChannelsWebsocketConnection):
    """Sends every message at once.

    A step of a slider is answered by some ten messages, most of them small. TCP keeps a small one back while another is
    under way (Nagle's algorithm), and browsers acknowledge late: together they cost 40 ms a step, more than all else.
    """

    def connect(self) -> asyncio.Future[None] | None:  # type: ignore[override]
        """Connect the page to its kernel."""
        self.websocket_handler.set_nodelay(True)
        return super().connect()
