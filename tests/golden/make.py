"""Make the golden outputs of the shipped models again: ``python tests/golden/make.py`` after a release of weights.

Of every network its posteriors, and its embeddings where something sounds; of `base` the tracks of the demo clips.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from test_inference import GOLDEN, tune  # noqa: E402
from test_promise import FLOORS, separated  # noqa: E402

from amtsep.inference import Transcriber, available_models  # noqa: E402

for model in available_models():
    posteriors = Transcriber(model)(tune(2.0))
    arrays = {"onset": posteriors.onset[39:52], "frame": posteriors.frame[39:52]}
    if posteriors.embedding is not None:
        arrays["embedding"] = posteriors.embedding[39:52][arrays["frame"] > 0.3].astype(np.float16)
    np.savez_compressed(GOLDEN / f"{model}.npz", **arrays)
    print(model)
for word in FLOORS:
    separated(word).to_csv(GOLDEN / f"{word.lower()}.csv")
    print(word)
