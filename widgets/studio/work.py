"""`Work`: something that takes long, off the event loop: how far it is, a button to end it, its error in place."""

from __future__ import annotations

import asyncio
import html
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import ipywidgets as ipw

from amtsep.errors import AmtsepError, Cancelled
from widgets.studio.words import say

EVERY_S = 0.1
Report = Callable[[str, float, float], bool]
"""Called with what is done, how much of it, of how much (0: nobody knows); ``False`` asks for an end."""


class Work(ipw.VBox):
    """One piece of work at a time; `function` runs in a thread, everything else in the kernel's.

    Where no event loop runs (a script, a test) the work is done before `start` returns.
    """

    def __init__(self) -> None:
        self.bar = ipw.FloatProgress(min=0.0, max=1.0, layout={"width": "260px"})
        self.text = ipw.HTML()
        self.end = ipw.Button(icon="stop", layout={"width": "auto"})
        self.end.on_click(lambda _: self.cancel())
        self.row = ipw.HBox([self.bar, self.text, self.end], layout={"align_items": "center"})
        self.said = ipw.HTML()
        self.running = False
        self._asked = threading.Event()
        self._last = 0.0
        super().__init__([])

    def tell(self, sentence: str, bad: bool = False) -> None:
        """A line for the person, in place of the one before."""
        role = "alert" if bad else "status"
        kind = "amtsep-bad" if bad else "amtsep-good"
        self.said.value = f'<div class="{kind}" role="{role}">{html.escape(sentence)}</div>' if sentence else ""
        self._show()

    def cancel(self) -> None:
        """Ask for an end; the work stops at its next step."""
        self._asked.set()
        self.end.disabled = True

    def start(
        self, label: str, function: Callable[[Report], Any], then: Callable[[Any], str | None], kept: str = ""
    ) -> None:
        """Begin; `then` gets the result and may give a sentence to show. Refused while something is running.

        Parameters
        ----------
        kept
            What to say when it was ended by hand.
        """
        if self.running:
            return
        self.running = True
        self._asked = asked = threading.Event()
        self.end.description, self.end.disabled = say("Cancel"), False
        self._progress(label, 0.0, 0.0)
        self.tell("")
        try:
            loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            loop = None

        def report(what: str, done: float, total: float) -> bool:
            now = monotonic()
            if loop is not None and (now - self._last >= EVERY_S or done >= total > 0):
                self._last = now
                loop.call_soon_threadsafe(self._progress, what, done, total)
            return not asked.is_set()

        def run() -> tuple[Any, BaseException | None]:
            try:
                return function(report), None
            except BaseException as error:  # noqa: BLE001 - shown to the person
                return None, error

        def end(result: Any, error: BaseException | None) -> None:
            self.running = False
            self._show()
            try:
                if error is not None:
                    raise error
                self.tell(then(result) or "")
            except Cancelled:
                self.tell(kept or say("Stopped."))
            except BaseException as wrong:  # noqa: BLE001 - the page goes on
                self.tell(sentence(wrong), bad=True)

        if loop is None:
            end(*run())
            return

        def work() -> None:
            found = run()
            loop.call_soon_threadsafe(end, *found)

        threading.Thread(target=work, name="amtsep-studio", daemon=True).start()

    def _progress(self, what: str, done: float, total: float) -> None:
        if not self.running:
            return
        known = total > 0
        self.bar.value = min(done / total, 1.0) if known else 1.0
        self.bar.bar_style = "" if known else "info"
        count = f" · {done:.4g} / {total:.4g}" if known else ""
        self.text.value = f"<span>{html.escape(what)}{count}</span>"
        self._show()

    def _show(self) -> None:
        self.children = (*((self.row,) if self.running else ()), *((self.said,) if self.said.value else ()))


def sentence(error: BaseException) -> str:
    """What to say of an error."""
    if isinstance(error, AmtsepError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] not in ("amtsep", "widgets"):
        return say("{name} is not installed; run: pip install 'amtsep[studio]'", name=error.name)
    return say("This should not have happened ({error}).", error=f"{type(error).__name__}: {error}")
