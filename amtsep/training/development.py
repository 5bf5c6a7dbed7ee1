"""How good the network is while it learns: F1 on a few development clips, quickly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from amtsep.config import Decoding, FrontEnd
from amtsep.nets.model import AnyNet, EndToEnd
from amtsep.posteriors import Posteriors
from amtsep.synthesis.mixing import Clip, clip_notes
from amtsep.training.calibration import Example, figures

BATCH = 4
START = (2.0, 1.0)
"""Logit shifts (onset, frame) about where a focal loss with these weights puts them."""
STEPS = (1.0, 0.5)
"""How far the shifts are tried to either side: at first, and then from evaluation to evaluation."""
FIGURES = ("dev_f1", "dev_onset_offset_f1", "dev_frame_f1", "dev_mean")
"""Columns of the log."""


@dataclass(frozen=True)
class Figures:
    """Means over the clips, at the shifts that suit these weights."""

    onset: float
    onset_offset: float
    frame: float

    @property
    def mean(self) -> float:
        """Of the three: what the best weights are chosen by."""
        return (self.onset + self.onset_offset + self.frame) / 3.0

    def columns(self) -> dict[str, float]:
        """For the log."""
        return dict(zip(FIGURES, (self.onset, self.onset_offset, self.frame, self.mean), strict=True))


class Development:
    """Evaluates a network on fixed clips.

    Parameters
    ----------
    clips
        With their notes.
    front_end
        Of the network.
    device
        What to run it on.

    Notes
    -----
    Thresholds suit a run only after its calibration, and move while it learns. So the logits are shifted to where the
    default thresholds do best, searched for around where they did the last time: a few decodings instead of a search.
    """

    def __init__(self, clips: Sequence[Clip], front_end: FrontEnd, device: torch.device) -> None:
        self.front_end, self.device = front_end, device
        self.audio = [torch.from_numpy(np.stack([c.audio for c in clips[a:b]])) for a, b in _spans(len(clips), BATCH)]
        self.truth = [clip_notes(clip, len(clip.audio) / front_end.sample_rate) for clip in clips]
        self.shifts: tuple[float, float] | None = None

    def __call__(self, net: AnyNet) -> Figures:
        """Run `net`, which goes to the device."""
        examples = [Example(*pair) for pair in zip(self._posteriors(net), self.truth, strict=True)]
        known: dict[tuple[float, float], Figures] = {}

        def at(onset: float, frame: float) -> Figures:
            if (onset, frame) not in known:
                known[onset, frame] = Figures(*figures(examples, Decoding(), onset, frame))
            return known[onset, frame]

        first = self.shifts is None
        onset, frame = self.shifts or START
        for step in STEPS if first else STEPS[1:]:
            for _ in range(2 if first else 1):
                onset = max((onset - step, onset, onset + step), key=lambda x, f=frame: at(x, f).onset)  # type: ignore[misc]
                frame = max(
                    (frame - step, frame, frame + step),
                    key=lambda x, o=onset: at(o, x).onset_offset + at(o, x).frame,  # type: ignore[misc]
                )
        self.shifts = (onset, frame)
        return at(onset, frame)

    @torch.no_grad()
    def _posteriors(self, net: AnyNet) -> list[Posteriors]:
        module = EndToEnd(net).to(self.device).eval()
        found = []
        for audio in self.audio:
            outputs = module(audio.to(self.device))
            both = outputs.onset.float().cpu().numpy(), outputs.frame.float().cpu().numpy()
            for one, other in zip(*both, strict=True):
                n_frames, hop_s = one.shape[1], self.front_end.hop_s
                # Levels would only say velocities.
                level = np.zeros((self.front_end.n_bins, n_frames), np.uint8)
                found.append(Posteriors(one, other, level, hop_s, n_frames * hop_s, self.front_end.bins_per_octave))
        return found


def _spans(count: int, size: int) -> list[tuple[int, int]]:
    return list(pairwise([*range(0, count, size), count]))
