"""Torch to ONNX: one file from waveform to posteriors, with everything a runtime needs in its metadata.

What is written runs on ONNX Runtime's CPU and WebAssembly builds alike: paddings are explicit (runtimes refuse `same`
with a dilation), the length is dynamic, and every operator is one of `OPERATORS`. The floors that keep logarithms and
roots from zero are over the smallest 16-bit float within the network (1e-7, 1e-6); that of the level, 1e-12, is the
-120 dB at which `Posteriors` ends, and belongs to the front end, which stays in 32 bits in every variant.

A smaller file stores the network's weights in 16 or 8 bits and computes with them as 32-bit floats; the constant-Q
kernels, the larger part of `light`, stay as they are, since a spectrum has a hundred dB where a network has seven.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from amtsep.config import N_PITCHES, FrontEnd
from amtsep.errors import ModelError
from amtsep.nets.checkpoint import load_checkpoint, sha256
from amtsep.nets.cqt import half_band_filter
from amtsep.nets.harmonic import HarmonicBlock, HarmonicConv
from amtsep.nets.layers import ConvNorm, Parted, ResidualBlock
from amtsep.nets.model import EndToEnd, TranscriberNet

OPSET = 17
Precision = Literal["float32", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
INPUT_RATES = (22050, 44100)

OPERATORS = frozenset(
    """
    Abs Add And AveragePool BatchNormalization Cast Ceil Clip Concat Constant ConstantOfShape Conv CumSum
    DequantizeLinear Div Einsum Elu Equal Exp Expand Floor Gather Gemm GlobalAveragePool Greater GRU Identity
    LayerNormalization LeakyRelu Less Log LSTM MatMul Max MaxPool Min Mul Neg Not Or Pad Pow Range Reciprocal ReduceMax
    ReduceMean ReduceSum Relu Reshape Resize Shape Sigmoid Slice Softmax Softplus Split Sqrt Squeeze Sub Tanh Tile
    Transpose Unsqueeze Where
    """.split()  # noqa: SIM905 - a list of eighty strings says no more
)
"""All that may occur in a file: each is in ONNX Runtime's CPU provider, which its WebAssembly build is made of."""

DECIMATION_TAPS = 255
"""Of the half-band filter for 44,100 Hz: flat to 10.47 kHz, and 100 dB down where something would fold onto that. The
highest bin reaches 10.57 kHz at the foot of its window's main lobe."""
SMALLEST_PACKED = 64
"""Tensors with fewer values stay in 32 bits: nothing to gain."""


class Decimate(nn.Module):
    """Half the sampling rate, by a half-band filter of linear phase: sample n of the output lies on sample 2 n."""

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor(half_band_filter(DECIMATION_TAPS), dtype=torch.float32)
        self.register_buffer("taps", taps[None, None], persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """(B, N) to (B, N / 2), N even."""
        taps: Tensor = self.taps  # type: ignore[assignment]
        return functional.conv1d(audio[:, None], taps, stride=2, padding=DECIMATION_TAPS // 2)[:, 0]


class Exported(nn.Module):
    """Plain outputs: a runtime has no ``None``, and wants time before the embedding's dimension.

    Parameters
    ----------
    inner
        The calibrated network.
    input_rate
        Hz of the waveform: that of the front end, or twice it.
    """

    def __init__(self, inner: EndToEnd, input_rate: int) -> None:
        super().__init__()
        rate = inner.net.front_end.sample_rate
        if input_rate not in (rate, 2 * rate):
            raise ModelError(f"The input rate can be {rate} or {2 * rate} Hz, not {input_rate}.")
        self.inner = inner
        self.decimate: nn.Module = nn.Identity() if input_rate == rate else Decimate()
        self.hop = inner.net.front_end.hop_length * input_rate // rate

    @property
    def halo(self) -> int:
        """Frames at either end of a chunk that are not valid."""
        reach = 0 if isinstance(self.decimate, nn.Identity) else DECIMATION_TAPS // 2
        return self.inner.halo + -(-reach // self.hop)

    def forward(self, audio: Tensor) -> tuple[Tensor, ...]:
        """(1, N) to onset, frame (1, 88, T), level (1, n_bins, T), and offset, embedding (1, 88, T, D)."""
        heard = self.inner(self.decimate(audio))
        rest = [] if heard.embedding is None else [heard.embedding.permute(0, 2, 3, 1)]
        rest += [] if heard.offset is None else [heard.offset]
        return heard.onset, heard.frame, heard.level, *rest


def export_onnx(weights: Path, path: Path, input_rate: int = 22050, precision: Precision = "float32") -> Path:
    """Write the network in `weights` as an ONNX file of dynamic length.

    The input ``audio`` is (1, N) float32 whose mean energy over the whole recording is one, N a multiple of the hop:
    256 samples at 22,050 Hz, 512 at 44,100. Frame t of the outputs is centred on sample ``t * hop``; `halo` frames at
    either end of a chunk are not valid. The metadata key ``amtsep`` holds these numbers as JSON.

    Parameters
    ----------
    weights
        A checkpoint (.safetensors).
    path
        File to write.
    input_rate
        22050, or 44100 with decimation in the graph.
    precision
        How the network's weights are stored: "float32", "float16", or "int8" with one scale an output channel.

    Raises
    ------
    ModelError
        If the weights cannot be read, or rate or precision is none of these.
    """

    if precision not in PRECISIONS:
        raise ModelError(f"The precision can be {', '.join(PRECISIONS)}, not '{precision}'.")
    net, checkpoint = load_checkpoint(weights)
    shifts = checkpoint.onset_shift, checkpoint.frame_shift, checkpoint.offset_shift
    module = Exported(EndToEnd(net, *shifts), input_rate).eval()
    simplify(module, folded=precision == "float32")
    if isinstance(net, TranscriberNet) and precision == "float32" and net.network.memory == "none":
        end_where_known(net)
    outputs = ["onset", "frame", "level"] + (["embedding"] if net.timbre is not None else [])
    outputs += ["offset"] if net.network.offset_head else []
    model = trace(module, path, 200 * module.hop, outputs)
    if isinstance(net, TranscriberNet):
        tell_shapes(model)
    if precision != "float32":
        pack_weights(model, precision)
    about: dict[str, Any] = {"name": checkpoint.network.name, "weights": sha256(weights), "halo": module.halo}
    about["channels"] = checkpoint.network.channels
    describe(model, path, about, input_rate, precision, checkpoint.front_end)
    return path


def simplify(module: nn.Module, folded: bool) -> None:
    """Say the same in fewer steps, in place: each goes through memory.

    With `folded`, for weights that stay in 32 bits, normalisation and residual sums go into the weights.
    """
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, HarmonicConv):
                setattr(parent, name, child.as_combs())
            elif folded and (isinstance(child, ResidualBlock) or (isinstance(child, HarmonicBlock) and child.folds)):
                setattr(parent, name, child.as_convolution())
            elif folded and isinstance(child, ConvNorm) and name in ("onset_hidden", "offset_hidden"):
                setattr(parent, name, Parted(child))


def end_where_known(net: TranscriberNet) -> None:
    """Have convolutions give no frames for which they would need others beyond a chunk's ends, in place.

    Those are the frames of the halo, which nobody reads. What is left is padded last of all (`EndToEnd`). What is
    joined with something shorter by then (`Parted.last`, the embedding's spectrum) keeps its length and its padding.
    """
    shared = net.head
    ends: list[nn.Module] = [net.stem, net.octaves, net.blocks]
    if shared is not None:
        ends += [shared]
    else:
        ends += [net.neck, net.frame_hidden, net.frame_out]
        # `simplify` has put them there.
        parted: list[nn.Module | None] = [net.onset_hidden, net.offset_hidden]
        ends += [hidden.most for hidden in parted if isinstance(hidden, Parted)]
    if net.timbre is not None and shared is None:
        ends.append(net.timbre.blocks)
    for conv in (module for end in ends for module in end.modules() if isinstance(module, nn.Conv2d)):
        conv.padding = (int(conv.padding[0]), 0)


def trace(module: nn.Module, path: Path, samples: int, outputs: list[str]) -> Any:
    """Write a module from waveform (1, N) to outputs of frames (1, rows, T) as an ONNX file; its model is given back.

    `samples` are what it is tried on.
    """
    import onnx

    axes: dict[str, dict[int, str]] = {"audio": {1: "samples"}}
    axes |= {name: {2: "frames"} for name in outputs}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.randn(1, samples),),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["audio"],
            output_names=outputs,
            dynamic_axes=axes,
            do_constant_folding=True,
        )
    return onnx.load(str(path))


def tell_shapes(model: Any) -> None:
    """Write down which features of a `TranscriberNet` are (1, C, 88, T) with one T, in place.

    Inference of shapes loses the number of frames at a dilated convolution, and ONNX Runtime adds to a convolution's
    output while computing it only where it knows both to be of one shape. Known are the trunk and what is made of it
    alone: its first convolution's frames, less those that the following ones take off.
    """
    from onnx import TensorProto, helper

    known: dict[str, tuple[int, int]] = {}
    """Channels, and frames fewer than the first convolution's input has."""
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer if len(tensor.dims) == 4}
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[1] in weights and (not known or node.input[0] in known):
            given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            taken = (given["kernel_shape"][1] - 1) * given["dilations"][1] - given["pads"][1] - given["pads"][3]
            before = known[node.input[0]][1] if known else 0
            known[node.output[0]] = weights[node.input[1]][0], before + taken
        elif node.op_type in ("Add", "Relu", "Sigmoid") and all(name in known for name in node.input):
            known[node.output[0]] = known[node.input[0]]
    for name, (channels, taken) in known.items():
        shape: list[int | str | None] = [1, channels, N_PITCHES, f"inner frames less {taken}"]
        model.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))


def describe(
    model: Any, path: Path, about: dict[str, Any], input_rate: int, precision: Precision, front_end: FrontEnd
) -> None:
    """Write an ONNX model with what a runtime has to know in its metadata, once it is checked.

    `about` holds the name of the network, its halo and, of one that hears notes, its width and its weights' hash.
    """
    import onnx

    about = {
        **about,
        "input_rate": input_rate,
        "precision": precision,
        "front_end": asdict(front_end),
    }
    onnx.helper.set_model_props(model, {"amtsep": json.dumps(about)})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def network_weights(model: Any) -> list[Any]:
    """Initializers that are weights of the network's convolutions, and not filters of the front end."""
    used = {node.input[1] for node in model.graph.node if node.op_type == "Conv"}
    return [
        tensor
        for tensor in model.graph.initializer
        # One dimension less than the network's (pitch, time): the front end's filters run over time alone.
        if tensor.name in used and len(tensor.dims) == 4 and int(np.prod(tensor.dims)) >= SMALLEST_PACKED
    ]


def pack_weights(model: Any, precision: Precision) -> None:
    """Store the network's weights in 16 or 8 bits, in place, each unpacked by a node in front of its convolution."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = []
    for tensor in network_weights(model):
        values, name = numpy_helper.to_array(tensor), tensor.name
        packed = f"{name}_packed"
        if precision == "float16":
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), packed))
            nodes.append(helper.make_node("Cast", [packed], [name], to=TensorProto.FLOAT))
            continue
        scale = np.maximum(np.abs(values).max(axis=(1, 2, 3)) / 127.0, 1e-12).astype(np.float32)
        whole = np.clip(np.round(values / scale[:, None, None, None]), -127, 127).astype(np.int8)
        tensor.CopyFrom(numpy_helper.from_array(whole, packed))
        model.graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        nodes.append(helper.make_node("DequantizeLinear", [packed, f"{name}_scale"], [name], axis=0))
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
