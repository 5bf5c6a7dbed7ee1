"""An ONNX file without the outputs that nobody asks for: runtimes compute all that a graph holds.

A graph is a protocol buffer (onnx.proto): a row of fields, each a number, a kind and a value, in which graph, nodes and
tensors are fields that hold rows of fields again. Leaving some of them out needs no more than to know where each begins
and ends, so nothing has to be installed for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
GRAPH = 7
"""Of a model."""
NODE, INITIALIZER, OUTPUT, VALUE_INFO = 1, 5, 12, 13
"""Of a graph; the last tell shapes of what lies between nodes."""
NODE_INPUT, NODE_OUTPUT = 1, 2
OUTPUT_NAME, TENSOR_NAME = 1, 8


def without_outputs(model: bytes, names: Collection[str]) -> bytes:
    """A model without some of its outputs, and without the nodes and weights that only these needed.

    Parameters
    ----------
    model
        The bytes of an ONNX file, whose nodes stand in the order of their work and hold no graphs themselves.
    names
        Outputs; those that are not there are passed over.

    Raises
    ------
    ValueError
        If the bytes are none of a model.

    Examples
    --------
    >>> from amtsep.inference import models_folder
    >>> base = (models_folder() / "base.onnx").read_bytes()
    >>> len(without_outputs(base, ["embedding"])) < len(base)
    True
    """
    unwanted = {name.encode() for name in names}
    whole = list(_fields(model))
    graph = next((model[first:stop] for number, kind, _, first, stop in whole if (number, kind) == (GRAPH, BYTES)), b"")
    parts = [(number, graph[start:stop], graph[first:stop]) for number, _, start, first, stop in _fields(graph)]
    outputs: list[set[bytes]] = [_names(value, OUTPUT_NAME) for number, _, value in parts if number == OUTPUT]
    needed: set[bytes] = set().union(*outputs) - unwanted
    if len(needed) == len(outputs):
        return model
    nodes = [part for part in parts if part[0] == NODE]
    useful: set[bytes] = set()
    # From the end, so that it is known of each node whether anything after it wants what it gives.
    for _, field, value in reversed(nodes):
        if needed & _names(value, NODE_OUTPUT):
            useful.add(field)
            needed |= _names(value, NODE_INPUT)

    def kept(number: int, field: bytes, value: bytes) -> bool:
        if number == NODE:
            return field in useful
        if number == INITIALIZER:
            return bool(needed & _names(value, TENSOR_NAME))
        if number == VALUE_INFO:
            return bool(needed & _names(value, OUTPUT_NAME))
        return number != OUTPUT or not unwanted & _names(value, OUTPUT_NAME)

    less = b"".join(field for number, field, value in parts if kept(number, field, value))
    return b"".join(
        _varint(GRAPH << 3 | BYTES) + _varint(len(less)) + less if number == GRAPH else model[start:stop]
        for number, _, start, _, stop in whole
    )


def _fields(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Number and kind of every field, where it starts, where its value starts, and where both end."""
    place = 0
    while place < len(data):
        start = place
        key, place = _read_varint(data, place)
        kind, first = key & 7, place
        if kind == VARINT:
            _, place = _read_varint(data, place)
        elif kind == BYTES:
            length, first = _read_varint(data, place)
            place = first + length
        elif kind in (FIXED64, FIXED32):
            place += 8 if kind == FIXED64 else 4
        else:
            raise ValueError("This is no ONNX model.")
        if place > len(data):
            raise ValueError("This is no whole ONNX model.")
        yield key >> 3, kind, start, first, place


def _names(message: bytes, wanted: int) -> set[bytes]:
    found = _fields(message)
    return {message[first:stop] for number, kind, _, first, stop in found if (number, kind) == (wanted, BYTES)}


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data):
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    raise ValueError("This is no whole ONNX model.")


def _varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])
