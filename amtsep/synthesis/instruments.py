"""What the 128 General MIDI programs are: family, class, playable range, one voice or many; and who is held out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Instrument:
    """How an instrument is written for.

    Parameters
    ----------
    family
        What it is called in an orchestra ("violin"); the word by which families are left out of a training set.
    category
        A coarse class ("strings", "reed").
    low, high
        MIDI pitches it is given.
    mono
        Whether it plays one note at a time.
    weight
        How often it is drawn beside the others.
    """

    family: str
    category: str
    low: int
    high: int
    mono: bool
    weight: float = 1.0


_TABLE = """
piano,piano,24,105,p,5;piano,piano,24,105,p,2;electric-piano,piano,28,100,p,2;piano,piano,28,100,p,1
electric-piano,keys,30,98,p,3;electric-piano,keys,30,98,p,2;harpsichord,keys,29,89,p,1;clavinet,keys,29,89,p,1
celesta,mallet,60,105,p,1;glockenspiel,mallet,72,105,p,1;music-box,mallet,60,100,p,1;vibraphone,mallet,53,89,p,2
marimba,mallet,45,96,p,2;xylophone,mallet,60,103,p,1;tubular-bells,mallet,55,80,p,.5;dulcimer,mallet,48,88,p,1
organ,organ,33,96,p,2;organ,organ,33,96,p,1;organ,organ,33,96,p,1;organ,organ,33,96,p,2
reed-organ,organ,36,90,p,1;accordion,organ,41,93,p,2;harmonica,reed,55,91,p,1;accordion,organ,41,93,p,1
guitar,guitar,40,84,p,3;guitar,guitar,40,86,p,3;electric-guitar,guitar,40,86,p,2;electric-guitar,guitar,40,88,p,2
electric-guitar,guitar,40,84,p,1;electric-guitar,guitar,40,88,p,2;electric-guitar,guitar,40,88,p,2;electric-guitar,guitar,52,88,m,.3
double-bass,bass,28,62,m,2;electric-bass,bass,28,65,m,2;electric-bass,bass,28,65,m,2;electric-bass,bass,28,65,m,1
electric-bass,bass,28,60,m,1;electric-bass,bass,28,60,m,1;synth-bass,bass,28,65,m,1;synth-bass,bass,28,65,m,1
violin,strings,55,98,m,2;viola,strings,48,88,m,2;cello,strings,36,80,m,2;double-bass,strings,28,64,m,1
strings,strings,40,92,p,.5;pizzicato,strings,36,88,p,1;harp,strings,28,100,p,2;timpani,drums,38,60,m,0
strings,strings,36,92,p,2;strings,strings,36,92,p,1;synth-strings,strings,36,92,p,1;synth-strings,strings,36,92,p,1
choir,voice,43,84,p,2;choir,voice,43,84,p,2;synth-voice,voice,43,84,p,1;orchestra-hit,hit,48,72,p,0
trumpet,brass,54,86,m,2;trombone,brass,36,74,m,2;tuba,brass,26,62,m,2;trumpet,brass,54,84,m,1
french-horn,brass,36,78,m,2;brass,brass,36,84,p,1;synth-brass,brass,36,84,p,1;synth-brass,brass,36,84,p,1
saxophone,reed,56,88,m,1;saxophone,reed,49,82,m,2;saxophone,reed,44,78,m,2;saxophone,reed,36,70,m,1
oboe,reed,58,92,m,2;english-horn,reed,52,82,m,1;bassoon,reed,34,74,m,2;clarinet,reed,50,92,m,2
piccolo,pipe,74,105,m,1;flute,pipe,60,96,m,2;recorder,pipe,60,96,m,2;pan-flute,pipe,55,90,m,1
bottle,pipe,55,90,m,.5;shakuhachi,pipe,55,88,m,.5;whistle,pipe,64,100,m,.5;ocarina,pipe,60,92,m,1
synth-lead,synth,40,96,m,1;synth-lead,synth,40,96,m,1;synth-lead,synth,48,96,m,1;synth-lead,synth,40,92,m,.7
synth-lead,synth,40,92,m,.7;synth-lead,synth,48,88,m,.7;synth-lead,synth,40,88,p,.3;synth-lead,synth,28,80,m,.7
synth-pad,synth,40,90,p,.5;synth-pad,synth,40,90,p,.7;synth-pad,synth,40,90,p,.7;synth-pad,synth,43,84,p,.7
synth-pad,synth,40,90,p,.5;synth-pad,synth,40,90,p,.5;synth-pad,synth,40,90,p,.7;synth-pad,synth,40,90,p,.5
synth-fx,synth,43,90,p,.3;synth-fx,synth,43,90,p,.3;synth-fx,synth,43,90,p,.5;synth-fx,synth,43,90,p,.3
synth-fx,synth,43,90,p,.3;synth-fx,synth,43,90,p,.3;synth-fx,synth,43,90,p,.3;synth-fx,synth,43,90,p,.3
sitar,plucked,45,84,p,1;banjo,plucked,45,86,p,2;shamisen,plucked,48,84,p,1;koto,plucked,45,88,p,1
kalimba,mallet,55,91,p,1;bagpipe,reed,58,82,m,.5;fiddle,strings,55,96,m,1;shanai,reed,58,86,m,.7
"""
# Programs 112-127 are drums and effects: they have no pitch that a transcription could name.

HELD_OUT_PROGRAMS = frozenset({6, 22, 69, 75, 104, 107})
"""Harpsichord, harmonica, English horn, pan flute, sitar, koto: in no soundfont ever part of training."""
HELD_OUT_RECORDED = frozenset({
    "mandolin", "english-horn", "harpsichord", "harmonica", "pan-flute", "sitar", "koto",
    # Whole collections of band instruments: another's guitar or saxophone is trained on, theirs is not.
    "fsbs-guitar-clean", "fsbs-guitar-dist", "mtg-alto-sax", "mtg-baritone-sax", "mtg-soprano-sax", "mtg-tenor-sax",
    "raikar-shanai", "raikar-sitar", "war-tuba", "winer-glockenspiel", "wurlitzer-ep200", "yr-bass-finger",
    "yr-bass-pick",
})  # fmt: skip
"""Recorded instruments (names of folders) that are never part of training."""

RECORDED: dict[str, Instrument] = {
    "banjo": Instrument("banjo", "plucked", 40, 88, False, 0.7),
    "bass-clarinet": Instrument("bass-clarinet", "reed", 34, 78, True),
    "bassoon": Instrument("bassoon", "reed", 34, 76, True),
    "cello": Instrument("cello", "strings", 36, 84, True, 1.3),
    "clarinet": Instrument("clarinet", "reed", 50, 94, True),
    "contrabassoon": Instrument("contrabassoon", "reed", 22, 58, True, 0.7),
    "double-bass": Instrument("double-bass", "strings", 24, 67, True),
    "english-horn": Instrument("english-horn", "reed", 52, 84, True),
    "flute": Instrument("flute", "pipe", 59, 98, True, 1.3),
    "french-horn": Instrument("french-horn", "brass", 34, 78, True, 1.3),
    "guitar": Instrument("guitar", "guitar", 40, 84, False),
    "mandolin": Instrument("mandolin", "plucked", 54, 93, False),
    "oboe": Instrument("oboe", "reed", 58, 93, True, 1.2),
    "saxophone": Instrument("saxophone", "reed", 46, 86, True),
    "trombone": Instrument("trombone", "brass", 33, 76, True),
    "trumpet": Instrument("trumpet", "brass", 52, 86, True),
    "tuba": Instrument("tuba", "brass", 24, 62, True),
    "viola": Instrument("viola", "strings", 48, 92, True, 1.2),
    "violin": Instrument("violin", "strings", 55, 100, True, 1.3),
    # Names in other collections, most with few samples an instrument and so drawn less often.
    "bass-electric": Instrument("electric-bass", "bass", 28, 67, True, 0.7),
    "contrabass": Instrument("double-bass", "strings", 28, 64, True, 0.4),
    "guitar-acoustic": Instrument("guitar", "guitar", 38, 84, False, 1.0),
    "guitar-electric": Instrument("electric-guitar", "guitar", 38, 86, False, 1.0),
    "guitar-nylon": Instrument("guitar", "guitar", 38, 84, False, 1.0),
    "harmonium": Instrument("reed-organ", "organ", 36, 88, False, 0.7),
    "harp": Instrument("harp", "plucked", 28, 100, False, 0.8),
    "organ": Instrument("organ", "organ", 36, 96, False, 0.7),
    "piano": Instrument("piano", "piano", 21, 107, False, 4.0),
    "xylophone": Instrument("xylophone", "mallet", 60, 103, False, 0.3),
    # Recorded instruments of bands; several collections have the same instrument.
    "black-guitar": Instrument("electric-guitar", "guitar", 38, 88, False),
    "cp80-piano": Instrument("electric-piano", "piano", 28, 103, False),
    "ela-bandoneon": Instrument("accordion", "organ", 36, 90, False),
    "fm-piano": Instrument("electric-piano", "piano", 28, 103, False),
    "fsbs-guitar-clean": Instrument("electric-guitar", "guitar", 38, 88, False),
    "fsbs-guitar-dist": Instrument("electric-guitar", "guitar", 38, 88, False),
    "green-guitar": Instrument("electric-guitar", "guitar", 38, 88, False),
    "growly-bass": Instrument("electric-bass", "bass", 24, 67, True),
    "martin-hd28": Instrument("guitar", "guitar", 38, 88, False),
    "mtg-alto-sax": Instrument("saxophone", "reed", 49, 84, True),
    "mtg-baritone-sax": Instrument("saxophone", "reed", 34, 74, True),
    "mtg-soprano-sax": Instrument("saxophone", "reed", 54, 90, True),
    "mtg-tenor-sax": Instrument("saxophone", "reed", 43, 79, True),
    "pasta-bass6-fetuccine": Instrument("electric-bass", "bass", 22, 70, True, 0.6),
    "pasta-bass6-linguine": Instrument("electric-bass", "bass", 22, 70, True, 0.6),
    "pasta-bass6-spaghetti": Instrument("electric-bass", "bass", 22, 70, True, 0.6),
    "pasta-bass6-tagliatelle": Instrument("electric-bass", "bass", 22, 70, True, 0.6),
    "raikar-shanai": Instrument("shanai", "reed", 50, 90, True),
    "raikar-sitar": Instrument("sitar", "plucked", 40, 86, False),
    "shiny-guitar-mic": Instrument("electric-guitar", "guitar", 38, 88, False),
    "shiny-guitar-pickup": Instrument("electric-guitar", "guitar", 38, 88, False),
    "swag-bass": Instrument("electric-bass", "bass", 22, 67, True),
    "synth-bass": Instrument("synth-bass", "bass", 22, 67, True),
    "vcsl-upright-piano": Instrument("piano", "piano", 22, 107, False, 1.5),
    "vs-pizzicato-strings": Instrument("pizzicato", "strings", 36, 96, False),
    "vs-tremolo-strings": Instrument("strings", "strings", 36, 96, False, 0.6),
    "war-tuba": Instrument("tuba", "brass", 24, 65, True),
    "were-alto-sax": Instrument("saxophone", "reed", 46, 86, True),
    "were-alto-sax-driven": Instrument("saxophone", "reed", 46, 86, True, 0.6),
    "winer-bassoon": Instrument("bassoon", "reed", 30, 76, True),
    "winer-cello": Instrument("cello", "strings", 34, 84, True),
    "winer-glockenspiel": Instrument("glockenspiel", "mallet", 70, 108, False),
    "wurlitzer-ep200": Instrument("electric-piano", "piano", 28, 103, False),
    "yr-bass-finger": Instrument("electric-bass", "bass", 24, 67, True),
    "yr-bass-pick": Instrument("electric-bass", "bass", 24, 67, True),
}
"""Recorded instruments by the name of their folder."""


@lru_cache(maxsize=1)
def general_midi() -> tuple[Instrument, ...]:
    """The programs 0 to 111 of General MIDI as instruments, in order."""
    out = []
    for entry in _TABLE.replace("\n", ";").strip(";").split(";"):
        family, category, low, high, voices, weight = entry.split(",")
        out.append(Instrument(family, category, int(low), int(high), voices == "m", float(weight)))
    return tuple(out)
