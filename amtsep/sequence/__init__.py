"""Transcription as a sequence: notes as tokens, the way of MT3 (Gardner et al. 2022), beside posteriors.

`tokens` is the vocabulary and its grammar, and needs nothing but NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from amtsep.lazy import lazily

if TYPE_CHECKING:
    from amtsep.sequence.tokens import Grammar, Vocabulary, decode, encode, on_grid

__all__ = ["Grammar", "Vocabulary", "decode", "encode", "on_grid"]
__getattr__ = lazily(__name__, {"tokens": __all__})
