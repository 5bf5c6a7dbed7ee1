"""All that is fitted to a network's embedding, for another network: hear, fit the encoder, fit the number, write.

    python -m amtsep.training.timbres refit --bank bank --guitarset guitarset/train --model base --work heard

To be run whenever the weights of the network that tells timbres apart change (`tools/sounds.py`, too). It goes on where
it was broken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from amtsep.clustering.count import features
from amtsep.clustering.encoder import NoteEncoder
from amtsep.clustering.evidence import Evidence
from amtsep.inference import Transcriber, networks_of
from amtsep.synthesis.bank import Bank
from amtsep.training.timbres.drawing import LARGEST
from amtsep.training.timbres.encoder import Fitting, Heard, fit_encoder, hear_bank, hear_solos
from amtsep.training.timbres.fitting import fit, validate
from amtsep.training.timbres.hearing import HeardMix

SOLO_COPIES, MIX_SOLO_COPIES = 3, 2
"""How often a recorded solo, and a mix of one part, counts for the number: people bring more than were drawn."""


@dataclass(frozen=True)
class Refit:
    """What `refit` needs to know.

    Parameters
    ----------
    bank
        Folder of a bank; its training split is heard.
    model
        A shipped network, or the path of one; files of its name beside it are called the same network.
    work
        Folder for what was heard.
    guitarset
        Training half of GuitarSet, each `every`-th take of which counts as a solo; ``None`` does without.
    mixes
        How many are heard.
    fitting
        Of the encoder.
    penalty
        Of the number's weights.
    """

    bank: Path
    model: str
    work: Path
    guitarset: Path | None = None
    every: int = 3
    mixes: int = 600
    fitting: Fitting = Fitting()  # noqa: RUF009 - frozen
    penalty: float = 0.002


def count_examples(mixes: Sequence[Heard], solos: Sequence[Heard], encoder: NoteEncoder) -> tuple[list[Any], list[int]]:
    """Figures of every partition (`amtsep.clustering.count`) of each mix as encoded, and how many timbres play."""
    tables, timbres = [], []

    def add(example: HeardMix, parts: int, copies: int) -> None:
        table = features(Evidence(example.heard), LARGEST)
        tables.extend([table] * copies)
        timbres.extend([parts] * copies)

    for mix in mixes:
        if 1 <= mix.parts <= LARGEST:
            add(mix.encoded(encoder), mix.parts, MIX_SOLO_COPIES if mix.parts == 1 else 1)
    for solo in solos:
        add(solo.encoded(encoder), 1, SOLO_COPIES)
    return tables, timbres


def refit(what: Refit) -> tuple[NoteEncoder, str]:
    """Hear and fit; the encoder with the number's weights, and a line on what both are made of."""
    networks = networks_of(what.model)
    folder = what.work / networks[0]
    folder.mkdir(parents=True, exist_ok=True)
    transcriber = Transcriber(what.model, device="cpu", threads=1)
    mixes = hear_bank(Bank.open(what.bank), transcriber, "train", what.mixes, folder)
    solos = [] if what.guitarset is None else hear_solos(what.guitarset, transcriber, what.every, folder)
    encoder = fit_encoder(mixes, networks, what.fitting)
    tables, timbres = count_examples(mixes, solos, encoder)
    report = validate(tables, timbres, what.penalty)
    name = transcriber.engine.name.split(" ")[0]
    made = f"{len(mixes)} mixes of a bank and {len(solos)} guitar solos as {name} hears them, encoded"
    count = {"made_of": f"{made}; {len(tables)} examples", "cross_validated": report}
    return replace(encoder, count={**count, **fit(tables, timbres, what.penalty)}), made
