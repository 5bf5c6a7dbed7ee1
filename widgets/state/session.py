"""`Session`: the state of the app, which every widget observes and none bypasses.

Slow work (reading a recording, the network) runs in a thread and comes back through the event loop of the kernel, so
that the page answers meanwhile. Everything after the posteriors (thresholds, edits, tracks) is computed at once, in
place: it is fast enough to follow a slider.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from traitlets import Any as AnyTrait
from traitlets import HasTraits, Instance, Int, Unicode

from amtsep.config import Clustering, Decoding, Limits, Quantisation
from amtsep.decoding import STROKE_S
from amtsep.errors import Cancelled, FormatError
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.bends import concert_pitch, tuning_cents
from amtsep.rhythm.cleanup import Cleaned, clean
from amtsep.rhythm.music import PedalSpans, for_pedal, pedalled
from amtsep.sequence.files import writes_notes
from widgets.state.bars import as_base, edited_beats, found_beats, tapped_beats
from widgets.state.edits import (
    MAX_TRACKS,
    SORTED_BY,
    Edits,
    Kit,
    Note,
    State,
    apply_edits,
    hand_work,
    new_track,
    worked_on,
)
from widgets.state.grouping import Grouping, group, merged, name_tracks, sorted_by_ear
from widgets.state.kit import NONE, Strokes, strokes_in, wants_drums, with_strokes
from widgets.state.network import choices, default_model, first_model
from widgets.state.original import Original
from widgets.state.table import Table
from widgets.state.words import Status, failure
from widgets.state.written import Written, with_sounds, written

if TYPE_CHECKING:
    from widgets.state.session_file import Saved

Result = TypeVar("Result")

UNDO_STEPS = 100
PROGRESS_EVERY_S = 0.08
SETTLE_S = 0.25


class Progress:
    """How far a piece of work is: `done` of `total` in seconds of audio; `what` is "read", "transcribe" or "write"."""

    __slots__ = ("done", "total", "what")

    def __init__(self, done: float, total: float, what: str) -> None:
        self.done, self.total, self.what = float(done), float(total), what


@dataclass(frozen=True, eq=False)
class _Derived:
    """What follows from posteriors and a state: computed whole before any of it is shown."""

    state: State
    decoded: Notes
    sorted: Notes
    table: Notes
    hand_ids: NDArray[np.int32]
    grouping: Grouping
    thorough: bool
    """False where notes went to the timbres known before, in the middle of a drag."""
    tidied: Cleaned | None = None
    pedal: PedalSpans = field(default_factory=dict)
    strokes: Strokes = field(default_factory=Strokes)


@dataclass(frozen=True, eq=False)
class _Heard:
    """What a network says of a recording: posteriors, their name in the cache, and notes if it writes them."""

    key: str
    posteriors: Posteriors
    written: Written | None = None


class _Job:
    """One piece of work in a thread, which a later one or a person can cancel."""

    def __init__(self, kind: str, again: Callable[[], None] | None = None) -> None:
        self.kind = kind
        """"open", where a recording takes the place of the one that is open; "use", "compare", "reference", "drums"."""
        self.again = again
        """Asks for it anew, where other work takes its turn and not its place."""
        self.cancelled = threading.Event()
        self.last = 0.0


class Session(HasTraits):
    """A recording, what the network says about it, what a person has set, and the notes that follow from it.

    Parameters
    ----------
    model
        Name of the network, as `amtsep.inference.Transcriber` or `amtsep.sequence.writers` knows it; by default the
        one that the server was told of, or the best that is installed.
    device
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    limits
        Longest recording and largest upload.

    Notes
    -----
    Traits to observe: `audio`, `posteriors`, `written`, `state`, `notes` (with `hand_ids`), `strokes`, `grouping`,
    `reference`, `status`, `progress`.
    """

    audio = AnyTrait(None, allow_none=True)
    """`amtsep.audio.Audio` or ``None``."""
    posteriors = Instance(Posteriors, allow_none=True)
    written = Instance(Written, allow_none=True)
    """Notes that no threshold decodes, where a sequence network or a file gave them; ``None`` where posteriors did."""
    state = Instance(State)
    notes = Instance(Notes)
    strokes = Instance(Notes)
    """Strokes of drums, beside the notes: their pitch is a General MIDI drum sound."""
    grouping = Instance(Grouping)
    reference = Instance(Notes, allow_none=True)
    """Notes to compare with: true ones, or what another network found; strokes of a file on tracks of drums."""
    reference_name = Unicode("")
    status = Instance(Status)
    progress = Instance(Progress, allow_none=True)
    turn = Int(0)
    """Number of the last correction that a page has sent: what comes again after a broken connection counts once."""

    model = Unicode("")
    """Name of the network; see `use`."""
    absent = Unicode("")
    """How the network is called that listened, where it is not here to be chosen: a reopened session's."""
    exports = Int(0)
    """How many times notes have been saved as a file."""
    steps = Int(0)
    """Changes whenever there is another step to take back or again."""

    def __init__(self, model: str | None = None, device: str = "auto", limits: Limits | None = None) -> None:
        super().__init__()
        self.original: Original | None = None
        """The recording as it was brought, for listening."""
        self.version = 0
        """Counts the recordings that have been opened."""
        self.id = uuid.uuid4().hex
        self.model, self.device = model or first_model(), device
        self.reference_heard = False
        """Whether the reference is what another network found: then neither is the truth."""
        self._heard_with: tuple[object, ...] = ()
        """Those of `_settings` that it was found with; None for one that nothing follows from."""
        self.limits = limits or Limits()
        self.key = ""
        """Name of the posteriors in the cache."""
        self.slot = ""
        """Where the session is kept while one works (see `widgets.state.autosave`)."""
        self.hand_ids: NDArray[np.int32] = np.zeros(0, np.int32)
        """Of each note the number that names it among those made by hand, 0 for decoded ones."""
        self.state = State()
        self.grouping = Grouping()
        self.notes = Notes.empty()
        self.strokes, self.stroke_ids = NONE, np.zeros(0, np.int32)
        self.status = Status()
        self._exported: object = None
        self._decoder: Any = None
        self._last: _Derived | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._job: _Job | None = None
        self._failed: BaseException | None = None
        """What the last piece of work failed of."""
        self._awaited: list[asyncio.Future[None]] = []
        self._after: dict[str, Callable[[], None]] = {}
        """What was asked for while work was in progress and does not end it, by what it is: it comes next."""
        self._beats: tuple[Notes, Notes, Beats] | None = None
        self._tuning: tuple[Posteriors, float] | None = None
        self.tidied: Cleaned | None = None
        """What the clean-up has done to the decoded notes; None where it is off."""
        self.pedal: PedalSpans = {}
        """Where the pedal is down, if notes end by their keys."""
        self.quantisation = Quantisation()
        self._undo: list[State] = []
        self._redo: list[State] = []
        self._pending: State | None = None
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- slow work -------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a recording is being read or transcribed."""
        return self._job is not None

    def open(self, source: Any, name: str | None = None, *, wait: bool = False) -> None:
        """Read and transcribe a recording (path, bytes or file object) in a thread; the session changes when done.

        What is open stays as it is if the recording cannot be read or the work is cancelled: the status says so.

        Parameters
        ----------
        source, name
            As for `amtsep.audio.load_audio`.
        wait
            Come back when it is done, and raise what went wrong: for scripts, and for notebooks that are run in one
            go. ``await session.opened()`` does so without keeping the page from answering.
        """
        label = name or (Path(source).name if isinstance(source, (str, Path)) else "recording")
        chosen = self._after.get("use")  # a network, for what was to be opened before

        def work(progress: Callable[[float, float, str], bool]) -> Callable[[], None]:
            from amtsep.audio import load_audio

            audio = load_audio(source, name=name, limits=self.limits, progress=progress, stereo=True)
            heard = self._transcribe(audio, progress)
            decoder, derived = self._prepare(heard.posteriors, self._fresh(heard.written), came=heard.written)
            original = Original(source, audio.name)
            return lambda: self._adopt(audio, heard, decoder, derived, original=original)

        self._start(work, Status("busy", "opening", {"name": label}), "open")
        if chosen is not None:
            self._after["use"] = chosen
        if wait:
            self.wait()
            self._raise()

    def show(self, audio: Any, posteriors: Posteriors) -> None:
        """Show a recording (`amtsep.audio.Audio`) whose posteriors are at hand, at once: what a lesson begins with."""
        self.cancel()
        decoder, derived = self._prepare(posteriors, self._fresh())
        self._adopt(audio, _Heard("", posteriors), decoder, derived)

    def use(self, model: str) -> None:
        """Listen with another network: what is open is transcribed again, and corrections stay.

        The network is another one when that has been done; cancelled, everything is as it was. Notes of a file that
        were worked on become the reference, where there is none. A recording that is being opened is opened first.
        """
        if self._opening:
            self._queue("use", lambda: self.use(model))
            return
        audio = self.audio
        if audio is None or (model == self.model and not self.brought):
            self._drop("use")
            self.model = model
            return

        def work(progress: Callable[[float, float, str], bool]) -> Callable[[], None]:
            heard = self._transcribe(audio, progress, model=model)

            def adopt() -> None:
                before = self.written
                self._change(heard, model)
                if before is not None and not before.network and self.reference is None:
                    self.set_reference(before.table(), before.by)

            return adopt

        self._start(work, Status("busy", "opening", {"name": audio.name}), "use")

    @property
    def networks(self) -> dict[str, str]:
        """Networks to choose from, and how each is called: those with thresholds first, then those that write notes."""
        return choices(self.model)

    @property
    def writers(self) -> list[str]:
        """How those of `networks` are called that write their notes."""
        return [name for model, name in self.networks.items() if writes_notes(model)]

    @property
    def brought(self) -> bool:
        """Whether the notes are none of the chosen network's: those of a file, or of a network that is not here."""
        came = self.written
        if came is None:
            return bool(self.absent)
        return not came.network or came.by != self.networks[self.model]

    def take(self, notes: Notes, name: str) -> None:
        """Work on notes that a person brings for the recording that is open, in place of those found in it.

        They keep their tracks until `sort_by` sorts them; corrections stay. If they were the reference, there is none
        then.

        Raises
        ------
        FormatError
            If no recording is open, or no note lies in it.
        """
        posteriors = self.posteriors
        if posteriors is None:
            raise FormatError("Open the recording first that these notes belong to.")
        came = written(notes, name, posteriors.duration_s, network=False)
        self._make_way("use")  # these notes stand where a network's would have
        self._change(_Heard(self.key, posteriors, came), self.model, self.absent)
        if self.reference is notes:
            self.set_reference(None)
        self._queue("drums", self._listen)
        self._go_on()

    def compare_with(self, model: str) -> None:
        """Have another network hear the recording, and make what it finds the reference: with the thresholds and the
        number of timbres as they are set now. What is open stays.
        """
        if self._job is not None and self._job.kind in ("open", "use"):
            self._queue("compare", lambda: self.compare_with(model))
            return
        audio, state = self.audio, self.state
        if audio is None:
            return

        def work(progress: Callable[[float, float, str], bool]) -> Callable[[], None]:
            heard = self._transcribe(audio, progress, model=model, drums=False)
            plain = State(decoding=state.decoding, clustering=state.clustering, clean_up=state.clean_up)
            _, derived = self._prepare(heard.posteriors, plain, came=heard.written)

            def adopt() -> None:
                # No threshold decodes what is written.
                used = _settings(plain) if heard.written is None else (plain.clean_up,)
                self.set_reference(derived.table, choices(model)[model], heard=True, heard_with=used)
                self.status = Status()

            return adopt

        self._start(work, Status("busy", "opening", {"name": audio.name}), "compare", lambda: self.compare_with(model))

    @property
    def reference_behind(self) -> bool:
        """Whether the reference is what another network found with other settings than those of now."""
        return any(then != now for then, now in zip(self._heard_with, _settings(self.state), strict=False))

    def _change(self, heard: _Heard, model: str, absent: str = "") -> None:
        """Put what another network or a file says in place of what there was; corrections stay, as does what is saved
        of them."""
        exported, came = self._exported, heard.written
        saved = replace(self.snapshot(), posteriors=heard.posteriors, key=heard.key, written=came)
        if came is not None or self.written is not None:
            saved = replace(saved, state=with_sounds(saved.state, came))
        # Names, colours and joins belong to numbers of tracks: these stay with the notes that they were given to.
        decoder, derived = self._prepare(heard.posteriors, saved.state, saved.sorted, came)
        self.model, self.absent = model, absent
        self._adopt(self.audio, heard, decoder, derived, self.slot, saved)
        self._exported = exported

    def open_saved(self, file: BinaryIO, name: str) -> None:
        """Reopen a session file."""
        from widgets.state.session_file import read_session

        self.restore(lambda: read_session(file, name, self.limits), name)

    def restore(
        self, read: Callable[[], Saved], name: str, slot: str = "", then: Callable[[], None] | None = None
    ) -> None:
        """Go on with a saved session: read, checked and computed whole in a thread before it takes the place of what
        is open; `slot` is where it is kept, `then` is called when it is there.
        """

        def work(progress: Callable[[float, float, str], bool]) -> Callable[[], None]:
            saved = read()
            # The notes that were written are kept with the session; any network may give what is under them.
            wanted = (self._here().get(saved.model), self.model, default_model())
            own = next(model for model in wanted if model and not writes_notes(model))
            if saved.posteriors is None:
                drums = wants_drums(saved.state) and (saved.written is None or saved.written.strokes is None)
                heard = self._transcribe(saved.audio, progress, saved.key, own, drums)
            else:
                heard = _Heard(saved.key, saved.posteriors)
            heard = replace(heard, written=saved.written)
            decoder, derived = self._prepare(heard.posteriors, saved.state, saved.sorted, saved.written)
            model, absent = self._network_of(saved, heard, own)

            def adopt() -> None:
                self.model, self.absent = model, absent
                self._adopt(saved.audio, heard, decoder, derived, slot, saved)
                self._queue("drums", self._listen)
                if then is not None:
                    then()

            return adopt

        self._start(work, Status("busy", "opening", {"name": name}), "open")

    def _here(self) -> dict[str, str]:
        """Networks to choose from by what they are called, in posteriors, too, where the ending is left out."""
        named = {name: model for model, name in self.networks.items()}
        return {Path(name).stem: model for name, model in named.items()} | named

    def _network_of(self, saved: Saved, heard: _Heard, own: str) -> tuple[str, str]:
        """The network of a saved session; where it is not here the one in its place, `own`, and how it is called."""
        came, here = saved.written, self._here()
        wrote = came.by if came is not None and came.network else ""
        # Older sessions do not say which network was chosen.
        name = saved.model or wrote or heard.posteriors.model.partition(" ")[0]
        anew = saved.posteriors is None and heard.key != saved.key
        if name in here:
            return here[name], ""
        return own, "" if anew or came is not None else name

    def open_reference(self, file: BinaryIO | bytes, name: str) -> None:
        """Read a MIDI file of true notes in a thread, after any work in progress; the recording that is open stays."""
        data = file if isinstance(file, bytes) else file.read()  # it may be asked for a second time

        def again() -> None:
            self.open_reference(data, name)

        if self.busy:
            self._queue("reference", again)
            return

        def work(_progress: Callable[[float, float, str], bool]) -> Callable[[], None]:
            from amtsep import formats

            notes = formats.read_midi(data, name=name, drums=True)

            def adopt() -> None:
                self.set_reference(notes, name)
                self.status = Status()

            return adopt

        self._start(work, Status("busy", "opening", {"name": name}), "reference", again)

    def saved(self) -> bytes:
        """The bytes of a session file."""
        from widgets.state.session_file import write_session

        return write_session(self.snapshot())

    def snapshot(self) -> Saved:
        """Everything that a session file or the autosave keeps, as values that no later change touches."""
        from widgets.state.session_file import Saved

        if self.audio is None or self.posteriors is None:
            raise FormatError("There is nothing to save yet: open a recording first.")
        return Saved(
            self.audio,
            self.posteriors,
            self.state,
            self.reference,
            self.reference_name,
            self.reference_heard,
            self.written,
            self._last.sorted if self._last is not None and self.grouping.available else None,
            self.key,
            self.turn,
            self.original,
            tuple(self._undo),
            tuple(self._redo),
            self._heard_with if self.reference_heard else None,
            self.absent or Path(self.model).name,
        )

    def _transcribe(
        self,
        audio: Any,
        progress: Callable[[float, float, str], bool],
        key: str = "",
        model: str = "",
        drums: bool | None = None,
    ) -> _Heard:
        """The network's word on a recording, from the cache where it has been heard before, and its name there.

        Drums are listened for where `drums` or, without it, the state asks for them; a sequence network writes its own.
        """
        from amtsep.cache import load_posteriors
        from widgets.state import cache

        model = model or self.model
        if writes_notes(model):
            return self._have_written(audio, progress, model)
        drums = wants_drums(self.state) if drums is None else drums
        for name in filter(None, (key, cache.key(audio, model))):
            known = load_posteriors(name)
            if known is not None:
                heard = cache.with_drums(known, audio, progress) if drums and known.drums is None else known
                heard = _with_stereo(heard, audio)
                if heard is not known:
                    cache.store(name, heard)
                return _Heard(name, heard)
        posteriors = cache.transcriber(model, self.device)(audio, progress=progress, drums=drums)
        posteriors = _with_stereo(posteriors, audio)
        cache.store(name, posteriors)
        return _Heard(name, posteriors)

    def _have_written(self, audio: Any, progress: Callable[[float, float, str], bool], model: str) -> _Heard:
        """`_transcribe` with a network that writes its notes."""
        from amtsep.cache import load_notes, load_posteriors
        from widgets.state import cache

        key = cache.key(audio, model)
        posteriors, notes = load_posteriors(key), load_notes(key)
        if posteriors is None or notes is None:
            posteriors, notes = cache.writer(model, self.device)(audio, progress=progress)
            posteriors = _with_stereo(posteriors, audio)
            cache.store(key, posteriors, notes)
        return _Heard(key, posteriors, written(notes, choices(model)[model], posteriors.duration_s, network=True))

    def _prepare(
        self, posteriors: Posteriors, state: State, before: Notes | None = None, came: Written | None = None
    ) -> tuple[Any, _Derived]:
        """The threshold-independent part of decoding, and the notes, so that nothing of it can fail or wait later."""
        from amtsep.decoding import Decoder

        decoder = Decoder(posteriors)
        return decoder, _derive(decoder, posteriors, state, before=before, came=came)

    def _adopt(
        self,
        audio: Any,
        heard: _Heard,
        decoder: Any,
        derived: _Derived,
        slot: str = "",
        saved: Saved | None = None,
        original: Original | None = None,
    ) -> None:
        """Make a transcribed recording the session's; thresholds are kept, edits belonged to the one before."""
        fresh = self._fresh(heard.written)
        sliders = ("decoding", "clustering", "kit", "clean_up")
        moved = any(getattr(fresh, name) != getattr(derived.state, name) for name in sliders)
        if saved is None and moved:  # a slider moved while the network listened
            derived = _derive(decoder, heard.posteriors, fresh, came=heard.written)
        self._decoder, self.key, self.slot = decoder, heard.key, slot
        self._pending = None
        self._exported = hand_work(derived.state)
        self._undo[:] = () if saved is None else saved.undo
        self._redo[:] = () if saved is None else saved.redo
        self.original = original if saved is None else saved.original
        self.version += 1
        with self.hold_trait_notifications():
            self.steps += 1
            self.posteriors = heard.posteriors
            self.written = heard.written
            # A saved sound has one channel; the posteriors beside it know what there was.
            known = heard.posteriors.stereo
            self.audio = audio if known is None or audio.stereo is not None else replace(audio, stereo=known)
            self._show(derived)
            if saved is None:
                self.absent = ""
            self.reference = None if saved is None else saved.reference
            self.reference_name = "" if saved is None else saved.reference_name
            self.reference_heard = saved is not None and saved.reference_heard
            heard_with = None if saved is None else saved.reference_settings
            self._heard_with = (heard_with or _settings(self.state)) if self.reference_heard else ()
            self.turn = 0 if saved is None else saved.turn
        if derived.grouping.problem is None:
            self.status = Status("info", "opened", {"name": audio.name, "notes": len(self.notes)})

    def _fresh(self, came: Written | None = None) -> State:
        """What a recording begins with: thresholds and *Tidy* stay, the number of timbres was another one's."""
        clustering = self.state.clustering
        if self.audio is not None:
            clustering = replace(clustering, timbres=None, min_timbres=Clustering.min_timbres)
        kit = Kit(self.state.kit.when, self.state.kit.threshold)
        state = State(decoding=self.state.decoding, clustering=clustering, kit=kit, clean_up=self.state.clean_up)
        return with_sounds(state, came)

    def cancel(self) -> None:
        """Stop the work in progress, and forget what was to come after it; what was open stays."""
        self._after.clear()
        if self._job is not None:
            self._stop(self._job)
            self.status = Status("info", "cancelled")

    def _drop(self, kind: str) -> None:
        """Have no work of this kind done, in progress or to come; all other work goes on."""
        self._after.pop(kind, None)
        if self._job is not None and self._job.kind == kind:
            self._stop(self._job)
            self.status = Status("info", "cancelled")
            self._go_on()

    def _make_way(self, kind: str) -> None:
        """Stop the work in progress for some of another kind; what this one does not take the place of comes after it.

        What was asked for while a recording was being opened belongs to that recording.
        """
        job = self._job
        if "open" in (kind, job.kind if job is not None else ""):
            self._after.clear()
        self._after.pop(kind, None)
        if job is None:
            return
        if job.again is not None and kind not in ("open", job.kind):
            self._queue(job.kind, job.again)
        self._stop(job)

    def _stop(self, job: _Job) -> None:
        job.cancelled.set()
        self._over()

    @property
    def _opening(self) -> bool:
        return self._job is not None and self._job.kind == "open"

    def _queue(self, what: str, call: Callable[[], None]) -> None:
        """Have `call` come after the work in progress, in place of what was to come of the same kind."""
        self._after.pop(what, None)
        self._after[what] = call

    def _start(
        self,
        work: Callable[[Callable[..., bool]], Callable[[], None]],
        status: Status,
        kind: str,
        again: Callable[[], None] | None = None,
    ) -> None:
        """Run `work(progress)` in a thread; the function that it returns is called back here. See `_Job`."""
        self._make_way(kind)
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        job = self._job = _Job(kind, again)
        self._failed = None
        self.status = status
        self.progress = Progress(0, 0, "read")

        def report(done: float, total: float, what: str) -> bool:
            if job.cancelled.is_set():
                return False
            now = monotonic()
            if now - job.last >= PROGRESS_EVERY_S or done >= total:
                job.last = now
                words = {"read": "read", "writ": "write"}
                kind = words.get(what.lower()[:4], "transcribe")
                self._post(job, lambda: setattr(self, "progress", Progress(done, total, kind)))
            return True

        def run() -> None:
            try:
                finish = work(report)
            except Cancelled:
                return
            except BaseException as error:
                # Bound at once: Python forgets `error` at the end of the clause.
                self._post(job, lambda error=error: self._finish(lambda: self._fail(error)))  # type: ignore[misc]
                return
            self._post(job, lambda: self._finish(finish))

        threading.Thread(target=run, name="amtsep-work", daemon=True).start()

    def _finish(self, then: Callable[[], None]) -> None:
        self._job = None
        self.progress = None
        with self.guard():
            then()
        self._over()
        self._go_on()

    def _go_on(self) -> None:
        """Begin what was asked for while there was other work, the earliest first."""
        after, self._after = self._after, {}
        while after and not self.busy:
            with self.guard():
                after.pop(next(iter(after)))()
        self._after = {**after, **self._after}

    def _over(self) -> None:
        """No work is in progress any more: whoever waits may go on."""
        self._job = None
        self.progress = None
        awaited, self._awaited = self._awaited, []
        for future in awaited:
            if not future.done():
                future.set_result(None)

    def _fail(self, error: BaseException) -> None:
        self._failed = error
        self.status = failure(error)

    def _post(self, job: _Job, call: Callable[[], None]) -> None:
        """Have `call` run in the thread of the kernel, unless the job has been cancelled by then."""

        def unless_cancelled() -> None:
            if not job.cancelled.is_set():
                call()

        self.soon(unless_cancelled)

    def soon(self, call: Callable[[], None]) -> None:
        """Have `call` run in the thread of the kernel, from any other."""
        self._inbox.put(call)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._next)

    def _next(self) -> None:
        """What waits longest; nothing where `wait` has been quicker."""
        with contextlib.suppress(queue.Empty):
            self._inbox.get_nowait()()

    def wait(self, timeout_s: float = 120.0) -> None:
        """Wait for the work in progress, in a script or in a cell of a notebook, whose loop stands still meanwhile.

        Raises
        ------
        TimeoutError
            If the work has made no progress for `timeout_s` seconds; it goes on.
        """
        while self.busy:
            try:
                self._inbox.get(timeout=timeout_s)()
            except queue.Empty:
                raise TimeoutError(f"The recording has made no progress for {timeout_s:g} seconds.") from None

    def aside(
        self, work: Callable[[], Result], then: Callable[[Result], None], failed: Callable[[], None] | None = None
    ) -> None:
        """Work that takes longer than a page should wait, in a thread, beside everything else; `then` gets its result.

        An error becomes the status, and `failed` is called. Where no event loop runs there is nobody to keep waiting:
        everything is done before this returns.
        """

        def end(result: Result | None, error: BaseException | None) -> None:
            with self.guard():
                if error is None:
                    return then(cast(Any, result))
                if failed is not None:
                    failed()
                raise error if isinstance(error, Exception) else RuntimeError(repr(error))

        def run() -> tuple[Result | None, BaseException | None]:
            try:
                return work(), None
            except BaseException as error:
                return None, error

        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            return end(*run())

        def post() -> None:
            result, error = run()
            self.soon(lambda: end(result, error))

        threading.Thread(target=post, name="amtsep-aside", daemon=True).start()
        return None

    def close(self) -> None:
        """Stop all work, forget who follows this session, and let go of the recording."""
        self.unobserve_all()
        self.cancel()
        if self._settling is not None:
            self._settling.cancel()
        self.audio = self.posteriors = self.reference = self._decoder = self._last = self._beats = None
        self.notes, self.hand_ids = Notes.empty(), np.zeros(0, np.int32)
        self.strokes, self.stroke_ids = NONE, np.zeros(0, np.int32)
        self._undo.clear()
        self._redo.clear()

    async def opened(self) -> Notes:
        """Wait for the work in progress while the page answers: ``await session.opened()``.

        Returns
        -------
        Notes
            Of what is open then.

        Raises
        ------
        Exception
            What kept the recording from being opened.
        """
        if self.busy:
            done = asyncio.get_running_loop().create_future()
            self._awaited.append(done)
            await done
        self._raise()
        return self.notes

    def _raise(self) -> None:
        if self._failed is not None:
            raise self._failed

    # --- what a person sets -----------------------------------------------------------------------------------------

    def set(self, *, lasting: bool = True, **changes: Any) -> None:
        """Change parts of `state` (``decoding=…``, ``edits=…``) and bring the notes up to date.

        `lasting` false is for the steps of a drag: they are one entry in the undo list, made when a lasting change ends
        the drag.
        """
        new = replace(self.state, **changes)
        before, self._pending = self.state if self._pending is None else self._pending, None
        if not lasting:
            self._pending = before
        rough = self._last is not None and not self._last.thorough
        redecode = new.decoding != self.state.decoding
        with self.hold_trait_notifications():
            if new != self.state or (lasting and rough):
                self.state = new
                # Where the page waits, notes go to the known timbres at once and are sorted anew when the hand rests.
                later = redecode and self._settle_later()
                self._refresh(thorough=lasting and not later)
            if lasting:
                self._remember(before)

    def _settle_later(self) -> bool:
        """Plan a thorough grouping for when nothing has changed for a moment; false where no event loop runs."""
        if not self.grouping.available:
            return False
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if self._settling is not None:
            self._settling.cancel()
        self._settling = loop.call_later(SETTLE_S, self._settle)
        return True

    def _settle(self) -> None:
        self._settling = None
        if self._last is not None and not self._last.thorough:
            with self.guard():
                self._refresh()

    def set_decoding(self, *, lasting: bool = True, **changes: Any) -> None:
        """Change thresholds by name, as `amtsep.config.Decoding` has them."""
        self.set(lasting=lasting, decoding=replace(self.state.decoding, **changes))

    def set_kit(self, *, lasting: bool = True, **changes: Any) -> None:
        """Change what is set about drums, as `widgets.state.edits.Kit` has it; listens for them if nobody has yet."""
        self.set(lasting=lasting, kit=replace(self.state.kit, **changes))
        self._listen()

    def _listen(self) -> None:
        """Listen for drums in a thread where they are asked for and nobody has, after any work in progress."""
        audio, posteriors, key = self.audio, self.posteriors, self.key
        if self.busy:
            self._queue("drums", self._listen)
            return
        if audio is None or posteriors is None or posteriors.drums is not None:
            return
        if not wants_drums(self.state) or (self.written is not None and self.written.strokes is not None):
            return

        def work(progress: Callable[[float, float, str], bool]) -> Callable[[], None]:
            from widgets.state import cache

            heard = cache.with_drums(posteriors, audio, progress)
            if key:
                cache.store(key, heard)

            def adopt() -> None:
                with self.hold_trait_notifications():
                    self.posteriors = heard
                    self._refresh()
                self.status = Status()

            return adopt

        self._start(work, Status("busy", "opening", {"name": audio.name}), "drums", self._listen)

    def _remember(self, before: State) -> None:
        """A step to take back, if it was one."""
        if before != self.state:
            self._undo.append(before)
            del self._undo[:-UNDO_STEPS]
            self._redo.clear()
            self.steps += 1

    @property
    def beats(self) -> Beats | None:
        """Beats of the music, with a person's corrections; found when first asked for. None without notes.

        They are found in the notes as decoded and kept until those change: a note that is moved onto a beat does not
        move the beat. From the first correction on, no change of thresholds moves them either.
        """
        return self.beats_to_be()()

    def beats_to_be(self) -> Callable[[], Beats | None]:
        """`beats` of the notes as they are now, found when the result is called, from any thread."""
        edits, last = self.state.beats, self._last
        source = last.sorted if last is not None and len(last.sorted) else self.notes
        strokes = last.strokes.decoded if last is not None and len(last.strokes.decoded) else self.strokes

        def find() -> Beats | None:
            if edits:
                return edited_beats(Beats.steady(120.0, 10.0), edits)
            if not len(source) + len(strokes):
                return None
            known = self._beats
            if known is None or known[0] is not source or known[1] is not strokes:
                known = self._beats = (source, strokes, found_beats(with_strokes(source, strokes)[0]))
            return known[2]

        return find

    def edit_beats(self, edit: tuple[str, str] | None) -> None:
        """Add a correction of the beats (see `widgets.state.bars`), or find them anew, in the notes as they are."""
        beats = self.beats
        if beats is None:
            return
        if edit is None:
            corrected = bool(self.state.edits or self.state.strokes)
            edits = as_base(found_beats(self.everything)) if corrected and len(self.everything) else ()
        elif edit[0] == "tap":
            edits = as_base(tapped_beats(self.everything, beats, edit[1]))
        else:
            edits = (*(self.state.beats or as_base(beats)), edit)
            edited_beats(beats, edits)  # an impossible one changes nothing
        self.set(beats=edits)

    @property
    def everything(self) -> Notes:
        """The notes and, on a track behind theirs, the strokes of drums: what is written and engraved."""
        return with_strokes(self.notes, self.strokes)[0]

    @property
    def tuning(self) -> float | None:
        """Frequency of A4 of the recording in Hz; None where nothing has been transcribed."""
        posteriors = self.posteriors
        if posteriors is None:
            return None
        if self._tuning is None or self._tuning[0] is not posteriors:
            self._tuning = (posteriors, concert_pitch(tuning_cents(posteriors)))
        return self._tuning[1]

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to take again."""
        return bool(self._redo)

    def undo(self) -> None:
        """Take back the last change of thresholds, edits or tracks."""
        self._go(self._undo, self._redo)

    def redo(self) -> None:
        """Take it again."""
        self._go(self._redo, self._undo)

    def _go(self, back: list[State], forth: list[State]) -> None:
        with self.hold_trait_notifications():
            if self._pending is not None:  # in the middle of a drag: what it has done so far is a step
                before, self._pending = self._pending, None
                self._remember(before)
            if back:
                forth.append(self.state)
                self.state = back.pop()
                self.steps += 1
                self._refresh()
        self._listen()

    # --- corrections by hand ----------------------------------------------------------------------------------------

    @property
    def unsaved(self) -> bool:
        """Whether there are corrections that no saved file holds."""
        return worked_on(self.state) > 0 and hand_work(self.state) != self._exported

    def exported(self, state: State | None = None) -> None:
        """The notes as they are, or as they were in `state`, have been saved as a file."""
        self._exported = hand_work(self.state if state is None else state)
        self.exports += 1

    @property
    def table(self) -> Table:
        """The notes with their corrections."""
        return Table(self.notes, self.hand_ids, self.state.edits, self._end)

    @property
    def stroke_table(self) -> Table:
        """The drum strokes with their corrections; their pitch is a General MIDI drum sound."""
        return Table(self.strokes, self.stroke_ids, self.state.strokes, self._end)

    @property
    def _end(self) -> float:
        return self.audio.duration_s if self.audio is not None else float("inf")

    def find(self, anchors: Sequence[Sequence[float]]) -> NDArray[np.intp]:
        """Indices of the notes that these anchors name; see `Table.find`."""
        return self.table.find(anchors)

    def replace_notes(self, index: NDArray[np.intp], by: Sequence[Note], **also: Any) -> None:
        """Strike notes out and put others in their place: every correction is this."""
        self.set(edits=self.table.replaced(index, by), **also)

    def change(self, changes: Sequence[tuple[int, Note]]) -> None:
        """Give notes (by index) other values; one made by hand keeps its number, one that stays as it was is left."""
        self.set(edits=self.table.changed(changes))

    def delete(self, index: NDArray[np.intp]) -> None:
        """Take notes out."""
        self.replace_notes(index, ())

    def split(self, index: NDArray[np.intp], at: float) -> None:
        """Cut notes in two at a time in seconds."""
        cut = [i for i in index if self.notes.onset[i] + 0.02 < at < self.notes.offset[i] - 0.02]
        halves = []
        for i in cut:
            note = self.table.note(i)
            halves += [replace(note, offset=at), replace(note, onset=at, id=0)]
        if cut:
            self.replace_notes(np.asarray(cut, np.intp), halves)

    def join(self, index: NDArray[np.intp]) -> None:
        """Make one note of all chosen ones of a pitch and track."""
        groups: dict[tuple[int, int], list[int]] = {}
        for i in index:
            groups.setdefault((int(self.notes.pitch[i]), int(self.notes.track[i])), []).append(int(i))
        several = [g for g in groups.values() if len(g) > 1]
        joined = [replace(self.table.note(min(g)), offset=float(self.notes.offset[g].max())) for g in several]
        if several:
            self.replace_notes(np.asarray([i for g in several for i in g], np.intp), joined)

    def assign(self, index: NDArray[np.intp], track: int) -> None:
        """Put notes into a track; the clustering takes them as given and sorts the others again.

        The number of timbres follows: a track that is new counts, one that all notes have been taken from does not.
        """
        tracks = self.state.tracks
        if not 0 <= track < MAX_TRACKS:
            raise ValueError(f"There are tracks 1 to {MAX_TRACKS} only.")
        if not len(index):
            return
        before = set(self.notes.track.tolist())
        joined = {source for source, _ in self.state.merged}
        if track in joined:  # nobody sees that number: a free one stands for a new track
            track = min(set(range(MAX_TRACKS)) - before - joined, default=max(before))
        while len(tracks) <= track:
            tracks += (new_track(len(tracks)),)
        rest = set(np.delete(self.notes.track, index).tolist()) | {track}
        clustering = self.state.clustering
        if self.grouping.available and rest != before:
            clustering = replace(clustering, timbres=min(len(rest), MAX_TRACKS))
        hand = [i for i in index if self.hand_ids[i]]
        taught = [(int(self.notes.pitch[i]), float(self.notes.onset[i]), track) for i in index if not self.hand_ids[i]]
        numbers = {int(self.hand_ids[i]) for i in hand}
        added = tuple(replace(n, track=track) if n.id in numbers else n for n in self.state.edits.added)
        fresh = {(pitch, round(onset, 2)) for pitch, onset, _ in taught}
        kept = tuple(t for t in self.state.taught if (t[0], round(t[1], 2)) not in fresh)
        told = {(pitch, round(onset, 2), track) for pitch, onset, track in self.state.taught}
        if {(pitch, round(onset, 2), track) for pitch, onset, _ in taught} <= told:
            kept, taught = self.state.taught, []  # said a second time, it is no correction
        edits = replace(self.state.edits, added=added)
        self.set(edits=edits, taught=kept + tuple(taught), tracks=tracks, clustering=clustering)

    def replace_strokes(self, index: NDArray[np.intp], by: Sequence[Note]) -> None:
        """Take drum strokes out and put others in their place."""
        self.set(strokes=self.stroke_table.replaced(index, by))

    def change_strokes(self, changes: Sequence[tuple[int, Note]]) -> None:
        """Give drum strokes (by index) another sound, time or velocity."""
        self.set(strokes=self.stroke_table.changed(changes))

    def add_stroke(self, key: int, time: float, velocity: int = 96) -> None:
        """Put a drum stroke (a General MIDI drum sound) at a time in seconds."""
        none = np.zeros(0, np.intp)
        self.replace_strokes(none, [Note(time, time + STROKE_S, int(key), velocity)])

    def drop_stroke(self, key: int, time: float) -> None:
        """Take out the drum stroke of this sound that is next to a time in seconds."""
        found = self.stroke_table.find([(key, time)])
        if len(found):
            self.replace_strokes(found, ())

    def drop_edits(self) -> None:
        """Forget all corrections by hand; tracks that were joined are two again."""
        clustering = self.state.clustering
        if clustering.timbres is not None:
            joined = len({source for source, _ in self.state.merged})
            clustering = replace(clustering, timbres=min(clustering.timbres + joined, MAX_TRACKS))
        self.set(edits=Edits(), strokes=Edits(), taught=(), merged=(), clustering=clustering)

    # --- tracks -----------------------------------------------------------------------------------------------------

    def set_track(self, index: int, *, lasting: bool = True, **changes: Any) -> None:
        """Change name, program, volume, mute, solo or hidden of a track."""
        tracks = list(self.state.tracks)
        tracks[index] = replace(tracks[index], **changes)
        self.set(lasting=lasting, tracks=tuple(tracks))

    def recolour(self, index: int, color: int) -> None:
        """Give a track a colour of the palette (0 to 7); a track that has it takes the one that becomes free."""
        tracks = list(self.state.tracks)
        color %= MAX_TRACKS
        before = tracks[index].color
        for i, view in enumerate(tracks):
            if i == index:
                tracks[i] = replace(view, color=color)
            elif view.color % MAX_TRACKS == color:
                tracks[i] = replace(view, color=before)
        self.set(tracks=tuple(tracks))

    def merge(self, index: int, into: int) -> None:
        """Join a track with another: there is one fewer from then on."""
        if index == into:
            return
        clustering = self.state.clustering
        if self.grouping.available:
            clustering = replace(clustering, timbres=max(1, len(set(self.notes.track.tolist()) - {index})))
        edits = self.state.edits
        moved = tuple(replace(note, track=into) if note.track == index else note for note in edits.added)
        self.set(
            merged=self.state.merged + ((index, into),),
            clustering=clustering,
            edits=replace(edits, added=moved),
        )

    def set_timbres(self, timbres: int | None, *, at_least: int = 1, lasting: bool = True) -> None:
        """How many timbres to tell apart; ``None`` has the number estimated, `at_least` so many.

        Tracks that a person has joined stay joined.
        """
        if timbres is not None:
            timbres = max(1, min(timbres, MAX_TRACKS - len({source for source, _ in self.state.merged})))
        clustering = replace(self.state.clustering, timbres=timbres, min_timbres=at_least)
        # Asked anew, the estimate starts from nothing.
        self.set(lasting=lasting, clustering=clustering, found=0)

    def sort_by(self, how: str) -> None:
        """What tracks of written notes go by: "sound", as `base` hears it under each of them, or their "writer".

        By sound, notes made by hand are sorted with the others (see `sort_hand_made`).

        Raises
        ------
        FormatError
            If the network that listened tells no timbres apart.
        """
        if how not in SORTED_BY:
            raise ValueError(f"notes are sorted by {' or '.join(SORTED_BY)}, not {how}")
        if how == "writer":
            self.set(sorted_by=how)
        else:
            self._sort_hand_made(replace(self.state, sorted_by=how))

    def sort_hand_made(self) -> None:
        """Put each note made by hand on the track that sounds most like it; where there are no other notes, tell
        those by hand apart among themselves.

        Raises
        ------
        FormatError
            If the network that listened tells no timbres apart.
        """
        self._sort_hand_made(self.state)

    def _sort_hand_made(self, state: State) -> None:
        posteriors = self.posteriors
        if posteriors is None:
            return
        if posteriors.embedding is None:
            raise FormatError("This network does not tell timbres apart; choose another one to sort notes by sound.")
        others = _derive(self._decoder, posteriors, state, self._last, came=self.written)
        edits = sorted_by_ear(others.table, others.hand_ids, others.state, posteriors)
        highest = 1 + max((note.track for note in edits.added), default=0)
        self.set(sorted_by=state.sorted_by, edits=edits, tracks=_with_views(others.state, highest).tracks)

    # --- reference --------------------------------------------------------------------------------------------------

    def set_reference(
        self, notes: Notes | None, name: str = "", *, heard: bool = False, heard_with: tuple[object, ...] = ()
    ) -> None:
        """Notes to compare with, or none: true ones, or what another network has `heard`, with which settings."""
        self._heard_with = heard_with if notes is not None else ()
        self.reference_name = name if notes is not None else ""
        self.reference_heard = heard and notes is not None
        self.reference = notes

    # --- notes ------------------------------------------------------------------------------------------------------

    def _refresh(self, thorough: bool = True) -> None:
        """Notes from posteriors, thresholds, edits and tracks."""
        if self._decoder is None or self.posteriors is None:
            return
        came = self.written
        self._show(_derive(self._decoder, self.posteriors, self.state, self._last, came=came, thorough=thorough))

    def _show(self, derived: _Derived) -> None:
        if derived.grouping.problem is not None and derived.grouping is not self.grouping:
            self.status = failure(derived.grouping.problem)
        self._last = derived
        self.state = derived.state
        self.hand_ids, self.tidied, self.pedal = derived.hand_ids, derived.tidied, derived.pedal
        self.stroke_ids, self.strokes = derived.strokes.numbers, derived.strokes.notes
        self.grouping = derived.grouping
        self.notes = derived.table

    def decode(self, **thresholds: Any) -> Notes:
        """The decoded notes at other thresholds; nothing on the screen changes."""
        return self.decode_others()(**thresholds)

    def decode_others(self) -> Callable[..., Notes]:
        """`decode` of the recording that is open now, for any thread."""
        decoder, settings = self._decoder, self.state.decoding

        def decode(**thresholds: Any) -> Notes:
            return Notes.empty() if decoder is None else _decoded(decoder, replace(settings, **thresholds))

        return decode

    def onset_heights(self) -> NDArray[np.float32]:
        """Heights of the onset candidates of this recording: what the onset threshold picks from."""
        if self._decoder is None:
            return np.zeros(0, np.float32)
        return np.asarray(self._decoder.onset_peaks(self.state.decoding.inferred_onsets), np.float32)

    def guard(self) -> _Guard:
        """A context in which an error becomes the status line instead of vanishing in a log."""
        return _Guard(self)


def _with_stereo(posteriors: Posteriors, audio: Any) -> Posteriors:
    """Posteriors of one channel with what both channels of the recording say, where it is not there yet."""
    if posteriors.stereo is not None or posteriors.embedding is None or audio.stereo is None:
        return posteriors
    return replace(posteriors, stereo=audio.stereo)


def _decoded(decoder: Any, decoding: Decoding) -> Notes:
    """Notes at these thresholds. By key they come with the pedal, which is found where their sounds end."""
    return cast(Notes, decoder(for_pedal(decoding) if decoding.ends == "key" else decoding))


def _derive(
    decoder: Any,
    posteriors: Posteriors,
    state: State,
    last: _Derived | None = None,
    before: Notes | None = None,
    *,
    came: Written | None = None,
    thorough: bool = True,
) -> _Derived:
    """Notes from posteriors, thresholds, edits and tracks; from those that `came` written, in place of thresholds.

    What nothing has changed for is taken from `last`, the step before of the same recording: notes are decoded anew
    for other thresholds alone, and sorted anew for other notes, other settings of the clustering, or notes put into
    tracks by hand.
    `before` are sorted notes from a file, whose tracks keep their numbers.
    """
    if last is not None and (came is not None or last.state.decoding == state.decoding):
        decoded = last.decoded
    else:
        decoded = _decoded(decoder, state.decoding) if came is None else came.notes
        if posteriors.embedding is not None and not decoded.embedding.shape[1]:
            from amtsep.decoding import embed_notes

            decoded = embed_notes(decoded, posteriors)
    if (
        last is not None
        and decoded is last.decoded
        and _sorting(last.state) == _sorting(state)
        and (last.thorough or not thorough)
    ):
        sorted_notes, grouping, thorough = last.sorted, last.grouping, last.thorough
    else:
        if last is not None:
            before = last.sorted
        known = Grouping() if last is None else last.grouping
        sorted_notes, grouping = group(decoded, state, before, known, thorough=thorough, came=came)
    own_strokes = None if came is None else came.strokes
    strokes = strokes_in(posteriors, state, None if last is None else last.strokes, own_strokes)
    if last is not None and sorted_notes is last.sorted and _same_table(state, last.state):
        return replace(last, state=state, decoded=decoded, grouping=grouping, thorough=thorough, strokes=strokes)
    found = merged(sorted_notes, state)
    tidied = clean(found, state.clean_up) if state.clean_up.strength > 0 else None
    notes = found if tidied is None else tidied.notes
    state = _with_views(state, len(notes.tracks))
    pedal: PedalSpans = {}
    if came is None and state.decoding.ends == "key":
        notes, pedal = pedalled(name_tracks(notes, state))
    table, hand_ids = apply_edits(notes, state.edits)
    if grouping.available and thorough and grouping.timbres != state.found:
        state = replace(state, found=grouping.timbres)
    state = _with_views(state, len(table.tracks))
    table = name_tracks(table, state, came)
    return _Derived(state, decoded, sorted_notes, table, hand_ids, grouping, thorough, tidied, pedal, strokes)


def _settings(state: State) -> tuple[object, ...]:
    """What of a state the notes that a network finds follow from, nothing corrected."""
    return state.clean_up, state.decoding, state.clustering


def _sorting(state: State) -> tuple[object, ...]:
    """What of a state the grouping depends on, the notes apart."""
    return state.clustering, state.taught, state.merged, state.found, state.sorted_by


def _same_table(one: State, other: State) -> bool:
    """Whether two states differ in nothing that the note table shows: volumes are none of it."""
    shown = [(s.edits, s.merged, s.clean_up, [(view.name, view.program) for view in s.tracks]) for s in (one, other)]
    return shown[0] == shown[1]


def _with_views(state: State, count: int) -> State:
    """A state with views of at least so many tracks."""
    views = state.tracks
    more = tuple(new_track(i) for i in range(len(views), count))
    return replace(state, tracks=views + more) if more else state


class _Guard:
    def __init__(self, session: Session) -> None:
        self.session = session

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> bool:
        if isinstance(error, Exception):
            self.session.status = failure(error)
            return True
        return False
