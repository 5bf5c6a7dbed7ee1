"""MusicGen by name or path: the network, its tokenizer, its codec; a tiny random one to try everything with.

Copet et al., "Simple and controllable music generation", NeurIPS 2023; the classes are those of ``transformers``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from amtsep.audio import load_audio
from amtsep.cache import folder
from amtsep.errors import DataError, ModelError
from amtsep.files import replacing

TERMS = {
    "facebook/musicgen": "CC BY-NC 4.0: not for commercial use (see the model's card)",
}
"""Of the weights, by how their name begins."""
ADAPTER = "adapter_config.json"
WORDS = ("[PAD]", "[UNK]", *"a the of in with and piece music fast slow high low major minor one two three".split())  # noqa: SIM905


@dataclass(frozen=True, eq=False)
class Network:
    """A text-to-music network."""

    model: Any
    tokenizer: Any
    name: str

    @property
    def codebooks(self) -> int:
        """Streams of codes."""
        return int(self.model.decoder.num_codebooks)

    @property
    def pad(self) -> int:
        """The code that stands where there is none, at the start too."""
        return int(self.model.config.decoder.pad_token_id)

    @property
    def frame_rate(self) -> float:
        """Steps of codes a second."""
        codec = self.model.config.audio_encoder
        return float(codec.sampling_rate / np.prod(codec.upsampling_ratios))

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return int(self.model.config.audio_encoder.sampling_rate)

    @property
    def takes_melody(self) -> bool:
        """Whether it can be led by a melody."""
        return bool(self.model.config.model_type == "musicgen_melody")

    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token numbers and mask, (B, L) each."""
        found = self.tokenizer(list(texts), padding=True, truncation=True, max_length=256, return_tensors="pt")
        return found["input_ids"], found["attention_mask"]


def terms(name: str) -> str:
    """What the weights may be used for."""
    known = next((text for start, text in TERMS.items() if name.startswith(start)), None)
    return known or "not known here: read the card of the weights before you publish what they make"


def load(name: str) -> Network:
    """A network by the name of its weights (from the cache of ``transformers``, or the network) or by its folder.

    Parameters
    ----------
    name
        Also a folder with an adapter made by `amtsep.studio.tuning`, which names the network that it is added to.

    Raises
    ------
    ModelError
        If the weights cannot be had, or are of another kind.
    """
    from transformers import AutoConfig, AutoTokenizer, MusicgenForConditionalGeneration
    from transformers import MusicgenMelodyForConditionalGeneration as Melody

    base = name
    adapter = Path(name) / ADAPTER
    if adapter.is_file():
        base = str(json.loads(adapter.read_text(encoding="utf-8"))["base_model_name_or_path"])
    if Path(base).is_dir():  # an adapter is to find it from anywhere
        base = str(Path(base).resolve())
    try:
        kind = AutoConfig.from_pretrained(base).model_type
        classes: dict[str, Any] = {"musicgen": MusicgenForConditionalGeneration, "musicgen_melody": Melody}
        if kind not in classes:
            raise ModelError(f"{base} is a {kind}, no MusicGen; name a checkpoint such as facebook/musicgen-small.")
        model = classes[kind].from_pretrained(base)
        tokenizer = AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The weights {base} cannot be had ({str(error).splitlines()[0][:120]}); name a folder that holds them, "
            "or connect to the network once."
        ) from error
    if model.config.decoder.audio_channels != 1:
        raise ModelError(f"{base} makes stereo, which is not supported; name the mono checkpoint.")
    if adapter.is_file():
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, name).merge_and_unload()
    model.eval()
    return Network(model, tokenizer, base)


def write_tiny(where: Path, melody: bool = False, seed: int = 0) -> Path:
    """A MusicGen of random weights and no size, with the real classes: it makes noise, and makes it in a moment."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import (
        EncodecConfig,
        MusicgenConfig,
        MusicgenDecoderConfig,
        MusicgenForConditionalGeneration,
        MusicgenMelodyConfig,
        MusicgenMelodyDecoderConfig,
        MusicgenMelodyForConditionalGeneration,
        PreTrainedTokenizerFast,
        T5Config,
    )

    size, codes = 32, 1024
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.normalizer, words.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
    text = T5Config(vocab_size=len(WORDS), d_model=size, d_kv=8, d_ff=64, num_layers=1, num_heads=2)
    # 25 steps a second; four codebooks of 10 bits.
    codec = EncodecConfig(
        sampling_rate=8000, target_bandwidths=[1.0], upsampling_ratios=[8, 5, 4, 2], codebook_size=codes,
        codebook_dim=16, hidden_size=16, num_filters=4, num_lstm_layers=1, use_causal_conv=False,
    )  # fmt: skip
    decoder_class = MusicgenMelodyDecoderConfig if melody else MusicgenDecoderConfig
    decoder = decoder_class(
        vocab_size=codes, num_codebooks=4, hidden_size=size, num_hidden_layers=2, num_attention_heads=2, ffn_dim=64,
        max_position_embeddings=1024, pad_token_id=codes, bos_token_id=codes, dropout=0.0, attention_dropout=0.0,
        activation_dropout=0.0, layerdrop=0.0,
    )  # fmt: skip
    torch.manual_seed(seed)
    configs: dict[str, Any] = {
        "text_encoder": text.to_dict(),
        "audio_encoder": codec.to_dict(),
        "decoder": decoder.to_dict(),
    }
    model: Any
    if melody:
        model = MusicgenMelodyForConditionalGeneration(MusicgenMelodyConfig(**configs))
    else:
        model = MusicgenForConditionalGeneration(MusicgenConfig(**configs))
    for settings in (model.generation_config, model.decoder.generation_config):
        settings.pad_token_id = settings.bos_token_id = settings.decoder_start_token_id = codes
        settings.max_length, settings.do_sample = 256, True
    for config in (model.config, model.config.decoder):
        config.pad_token_id = config.decoder_start_token_id = codes
    where.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(where)
    tokenizer.save_pretrained(where)
    return where


# --- codes -----------------------------------------------------------------------------------------------------------


def codec_mark(network: Network) -> str:
    """What tells this codec from another."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.model.audio_encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def codes_of(network: Network, path: Path, mark: str, most_s: float) -> Tensor:
    """Codes of a recording, (codebooks, steps) int64; computed once, then read from the cache.

    Parameters
    ----------
    mark
        `codec_mark`.
    most_s
        Of the recording that is taken, from its start.
    """
    key = hashlib.sha256(f"{mark}{hashlib.sha256(path.read_bytes()).hexdigest()}{most_s}".encode()).hexdigest()[:40]
    place = folder("codes") / f"{key}.npy"
    try:
        return torch.from_numpy(np.load(place, allow_pickle=False).astype(np.int64))
    except Exception:  # noqa: BLE001 - absent or damaged: made anew
        pass
    sound = load_audio(path, sample_rate=network.sample_rate).samples[: int(most_s * network.sample_rate)]
    codec = network.model.audio_encoder
    with torch.no_grad():
        given = torch.from_numpy(sound)[None, None].to(next(codec.parameters()).device)
        found = codec.encode(given).audio_codes[0, 0].cpu()
    if len(found) != network.codebooks:
        raise DataError(f"{network.name}: its codec gives {len(found)} streams, its decoder takes {network.codebooks}.")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as temporary, temporary.open("wb") as out:
            np.save(out, found.numpy().astype(np.int16))
    except Exception:  # noqa: BLE001 - a full disk or a read-only home: then nothing is kept
        pass
    return found


def delayed(codes: Sequence[Tensor], pad: int) -> tuple[Tensor, Tensor]:
    """Input and target of the decoder for a batch: each stream a step later than the one above.

    Parameters
    ----------
    codes
        (K, T) each, of any lengths.
    pad
        Where there is no code.

    Returns
    -------
    tuple
        Input (B, K, L) and target (B, K, L), L the longest T + K - 1; -100 where there is nothing to predict.
    """
    streams = codes[0].shape[0]
    length = max(c.shape[1] for c in codes) + streams
    both = torch.full((len(codes), streams, length), pad)
    for b, own in enumerate(codes):
        for k in range(streams):
            both[b, k, k + 1 : k + 1 + own.shape[1]] = own[k]
    target = both[:, :, 1:].clone()
    target[target == pad] = -100
    return both[:, :, :-1], target
