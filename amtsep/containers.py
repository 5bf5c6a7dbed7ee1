"""What the bytes of a recording say of themselves, read without any decoder."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

TAIL = 1 << 17
"""Bytes at the end in which the last page of an Ogg stream is looked for."""
CHAIN = 4
"""Frames of AAC that must follow each other before they are believed."""
PLAIN = (1, 3, 0xFFFE)
"""Kinds of WAV whose samples stand there as they are: integers, floats, either with a longer header."""


def is_plain_wav(handle: BinaryIO) -> bool:
    """Whether this is a WAV file of plain samples: nothing that would have to be decoded."""
    handle.seek(0)
    head = handle.read(22)
    return head[:4] == b"RIFF" and head[8:16] == b"WAVEfmt " and int.from_bytes(head[20:22], "little") in PLAIN


def ends_in_the_middle(handle: BinaryIO) -> bool:
    """Whether a recording that does not say how long it is stops before its end: Ogg, bare AAC, AIFF."""
    size = handle.seek(0, io.SEEK_END)
    handle.seek(0)
    head = handle.read(12)
    if head[:4] == b"OggS":
        return _ogg_is_cut(_tail(handle, size))
    if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        return int(struct.unpack(">I", head[4:8])[0]) + 8 > size + 1
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return _aac_is_cut(_tail(handle, size))
    return False


def _tail(handle: BinaryIO, size: int) -> bytes:
    handle.seek(max(size - TAIL, 0))
    return handle.read(TAIL)


def _ogg_is_cut(tail: bytes) -> bool:
    """The last page is not whole, or not marked as the last of its stream."""
    at = tail.rfind(b"OggS")
    if at < 0:
        return False
    page = tail[at:]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    return len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]) or not page[5] & 4


def _aac_is_cut(tail: bytes) -> bool:
    """The last frame of a chain of them goes on behind the end."""
    for start in range(min(len(tail) - 7, 1 << 14)):
        at, length = start, 0
        while at + 7 <= len(tail) and tail[at] == 0xFF and tail[at + 1] & 0xF6 == 0xF0:
            size = (tail[at + 3] & 3) << 11 | tail[at + 4] << 3 | tail[at + 5] >> 5
            if size < 7:
                break
            at, length = at + size, length + 1
        if length >= CHAIN:
            return at > len(tail) or 0 < len(tail) - at < 7
    return False
