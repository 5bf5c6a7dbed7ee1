"""ZynAddSubFX's banks, rendered without a screen: the plugin of Debian's ``zynaddsubfx-vst``, hosted by dawdreamer.

The plugin keeps its whole state as text, so an instrument (``.xiz``) is loaded by putting it into that text. Echoes and
reverberation of an instrument are taken out: rooms come later, when stems are mixed.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import struct
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from amtsep.errors import DataError
from amtsep.synthesis.patch_engine import HOLD_S, LEAD_S, TAIL_S, Description, RawNote, one_channel, slug
from amtsep.synthesis.sampler import RATE

PLUGIN = Path("/usr/lib/vst/ZynAddSubFX.so")
BANKS = (Path("/usr/share/zynaddsubfx/banks"), Path("/usr/share/yoshimi/banks"))

_WIDE = 44100
_SLOT_S = LEAD_S + HOLD_S + TAIL_S + 0.08
_PASSED_OVER = frozenset({"arpeggios", "drums", "noises", "cormi-noise", "splitted"})
"""Banks without single notes of one pitch."""

_HELD_OUT = re.compile(r"sitar|harmonica|harpsi|cembalo|clavecin|\bkoto|pan ?flute|pan ?pipe|english|mandolin", re.I)

# By words in the name, the first that fits: family, category, lowest and highest pitch, one voice.
_BY_NAME: tuple[tuple[str, str, str, int, int, bool], ...] = (
    (r"english ?horn", "english-horn", "reed", 48, 84, True),
    (r"harpsi|cembalo|clavecin", "harpsichord", "keys", 29, 89, False),
    (r"harmonica", "harmonica", "reed", 48, 91, False),
    (r"sitar", "sitar", "plucked", 43, 84, False),
    (r"\bkoto", "koto", "plucked", 43, 88, False),
    (r"mandolin", "mandolin", "plucked", 52, 92, False),
    (r"pan ?flute|pan ?pipe", "pan-flute", "pipe", 55, 91, True),
    (r"bass(?!oon|.?clar|.?drum)", "synth-bass", "bass", 26, 66, True),
    (r"choir|voice|vox|vocal|ahh|ooh|ehh|voz", "choir", "voice", 40, 86, False),
    (r"organ(?!ic)|hammond|drawbar", "organ", "organ", 34, 96, False),
    (r"accordion|bandoneon|musette", "accordion", "organ", 40, 93, False),
    (r"rhodes|e\.? ?piano|elec\w* piano|wurl|dx ?7|epiano", "electric-piano", "keys", 28, 100, False),
    (r"piano", "synth-piano", "keys", 26, 102, False),
    (r"clav", "clavinet", "keys", 29, 89, False),
    (r"glocken|celest|music ?box", "glockenspiel", "mallet", 60, 105, False),
    (r"vibra?|marimba|xylo|kalimba|mallet|steel ?drum", "mallet", "mallet", 45, 96, False),
    (r"bell|chime|gong", "bells", "mallet", 48, 98, False),
    (r"harp\b", "harp", "plucked", 30, 100, False),
    (r"banjo", "banjo", "plucked", 45, 86, False),
    (r"guitar|gtr|strat", "electric-guitar", "guitar", 38, 88, False),
    (r"pizz", "pizzicato", "strings", 36, 90, False),
    (r"pluck|string(?:ed)? ?pick|dulcimer|zither", "plucked", "plucked", 36, 93, False),
    (r"fl[au]u?te|recorder|whistle|ocarina|picc?olo", "synth-flute", "pipe", 55, 98, True),
    (r"clarinet", "synth-clarinet", "reed", 46, 92, True),
    (r"bassoon", "synth-bassoon", "reed", 34, 74, True),
    (r"oboe|reed|sax|shawm|bagpipe", "synth-reed", "reed", 44, 90, True),
    (r"trumpet|thrumpet|tromb|tuba|\bhorn", "synth-brass-solo", "brass", 36, 86, True),
    (r"bras|brazz", "synth-brass", "brass", 36, 88, False),
    (r"violin|viola|cello|fiddle", "synth-violin", "strings", 40, 96, True),
    (r"string|ensemble|orch", "synth-strings", "strings", 36, 92, False),
    (r"pad", "synth-pad", "synth", 38, 90, False),
    (r"lead|solo", "synth-lead", "synth", 40, 96, True),
)
_BY_BANK: dict[str, tuple[str, str, int, int, bool]] = {
    "bass": ("synth-bass", "bass", 26, 66, True),
    "brass": ("synth-brass", "brass", 36, 88, False),
    "choir-and-voice": ("choir", "voice", 40, 86, False),
    "guitar": ("electric-guitar", "guitar", 38, 88, False),
    "organ": ("organ", "organ", 34, 96, False),
    "pads": ("synth-pad", "synth", 38, 90, False),
    "plucked": ("plucked", "plucked", 36, 93, False),
    "reed-and-wind": ("synth-reed", "reed", 44, 92, True),
    "rhodes": ("electric-piano", "keys", 28, 100, False),
    "strings": ("synth-strings", "strings", 36, 92, False),
    "synthpiano": ("synth-piano", "keys", 26, 102, False),
    "synth-piano": ("synth-piano", "keys", 26, 102, False),
}


def describe(bank: str, title: str) -> Description:
    """What an instrument is, by its bank and its name."""
    name = slug(f"{bank}-{title}")
    origin, held = f"{bank}/{title}", _HELD_OUT.search(title) is not None
    for words, family, category, low, high, mono in _BY_NAME:
        if re.search(words, title.replace("_", " "), re.I):
            return Description(name, origin, family, category, low, high, mono, held)
    family, category, low, high, mono = _BY_BANK.get(slug(bank), ("synth", "synth", 34, 96, False))
    return Description(name, origin, family, category, low, high, mono, held)


def _instrument(path: Path) -> bytes:
    """The instrument's text without its echoes and reverberation."""
    raw = path.read_bytes()
    text = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    found = re.search(rb"<INSTRUMENT>.*</INSTRUMENT>", text, re.S)
    if found is None:
        raise DataError(f"{path} is no instrument of ZynAddSubFX.")
    # Types of effects: 1 is reverberation, 2 an echo.
    return re.sub(rb'(<INSTRUMENT_EFFECT id="\d+">\s*<EFFECT>\s*<par name="type" value=")[12]"', rb'\g<1>0"', found[0])


@lru_cache(maxsize=1)
def banks() -> dict[str, Path]:
    """Every instrument of the installed banks by its name (`describe`), doubles left out."""
    found: dict[str, Path] = {}
    seen: set[bytes] = set()
    titles: set[str] = set()
    for root in BANKS:
        # Yoshimi's banks hold most of ZynAddSubFX's, written anew: what is called the same is the same.
        before = frozenset(titles)
        for path in sorted(root.glob("*/*.xiz")):
            name = describe(path.parent.name, path.stem).name
            title = slug(re.sub(r"^\d+-", "", path.stem))
            titles.add(title)
            if title in before:
                continue
            if slug(path.parent.name) in _PASSED_OVER or name in found or re.search(r"drum|arp(?!a)|noise", name):
                continue
            try:
                text = _instrument(path)
            except (DataError, OSError, EOFError):
                continue
            kit = re.sub(rb"<INFO>.*?</INFO>|\s+", b"", text, flags=re.S)
            digest = hashlib.sha256(kit).digest()
            if digest not in seen:
                seen.add(digest)
                found[name] = path
    return found


class Zyn:
    """The plugin, ready to render; see `amtsep.synthesis.patch_engine.Engine`."""

    grid = (4, 1)

    def __init__(self) -> None:
        try:
            import dawdreamer
        except ImportError as error:
            raise DataError("ZynAddSubFX needs dawdreamer: install it with pip install 'amtsep[synths]'.") from error
        if not PLUGIN.is_file():
            raise DataError("ZynAddSubFX was not found: apt install zynaddsubfx-vst zynaddsubfx-data.")
        self._engine = dawdreamer.RenderEngine(_WIDE, 512)
        self._plugin = self._engine.make_plugin_processor("zyn", str(PLUGIN))
        self._engine.load_graph([(self._plugin, [])])
        self._folder = tempfile.TemporaryDirectory()
        state = Path(self._folder.name) / "state.fxb"
        self._plugin.save_state(str(state))
        self._state = state.read_bytes()

    def names(self, count: int, seed: int) -> list[str]:
        """See `amtsep.synthesis.patch_engine.Engine`."""
        known = sorted(banks())
        return [known[i] for i in np.random.default_rng([seed, 4801]).permutation(len(known))[:count]]

    def describe(self, name: str) -> Description:
        """See `amtsep.synthesis.patch_engine.Engine`."""
        path = banks()[name]
        return describe(path.parent.name, path.stem)

    def _load(self, name: str) -> None:
        text = _instrument(banks()[name])
        # The chunk's length stands before it.
        chunk = re.sub(
            rb'(<PART id="0">.*?)<INSTRUMENT>.*?</INSTRUMENT>',
            lambda m: m[1] + text,
            self._state[160:],
            count=1,
            flags=re.S,
        )
        file = Path(self._folder.name) / "patch.fxb"
        file.write_bytes(self._state[:156] + struct.pack(">I", len(chunk)) + chunk)
        self._plugin.load_preset(str(file))

    def render(self, name: str, notes: list[tuple[int, int]]) -> list[RawNote]:
        """See `amtsep.synthesis.patch_engine.Engine`; all notes in one go, each silenced before the next begins."""
        import mido
        import soxr

        self._load(name)
        track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500000)])
        last = 0
        for i, (pitch, velocity) in enumerate(notes):
            begin = LEAD_S + i * _SLOT_S
            for at, message in (
                (begin, mido.Message("note_on", note=pitch, velocity=velocity)),
                (begin + HOLD_S, mido.Message("note_off", note=pitch)),
                (begin + HOLD_S + TAIL_S, mido.Message("control_change", control=120, value=0)),
            ):
                tick = int(round(at * 960))
                track.append(message.copy(time=tick - last))
                last = tick
        file = Path(self._folder.name) / "notes.mid"
        mido.MidiFile(ticks_per_beat=480, tracks=[track]).save(file)
        self._plugin.load_midi(str(file), clear_previous=True, beats=False, all_events=True)
        self._engine.render(len(notes) * _SLOT_S + 0.05)
        wide = one_channel(self._plugin.get_audio())
        mono = soxr.resample(wide, _WIDE, RATE, quality="HQ").astype(np.float32)
        out = []
        for i, (pitch, velocity) in enumerate(notes):
            first = int(round(i * _SLOT_S * RATE))
            out.append(RawNote(pitch, velocity, mono[first : first + int((LEAD_S + HOLD_S + TAIL_S) * RATE)]))
        return out
