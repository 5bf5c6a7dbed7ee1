"""Make the golden outputs of the shipped models again: ``python tests/golden/make.py`` after a release of weights."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from test_inference import GOLDEN, tune  # noqa: E402

from amtsep.inference import Transcriber, available_models  # noqa: E402

for model in available_models():
    posteriors = Transcriber(model)(tune(2.0))
    np.savez_compressed(GOLDEN / f"{model}.npz", onset=posteriors.onset[39:52], frame=posteriors.frame[39:52])
    print(model)
