"""Transcription as a sequence: notes as tokens, the way of MT3 (Gardner et al. 2022), beside posteriors.

`tokens` is the vocabulary and its grammar, and needs nothing but NumPy.
"""

from __future__ import annotations

from amtsep.sequence.tokens import Grammar, Vocabulary, decode, encode, on_grid

__all__ = ["Grammar", "Vocabulary", "decode", "encode", "on_grid"]
