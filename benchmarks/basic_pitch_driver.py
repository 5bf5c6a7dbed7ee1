"""Runs inside Basic Pitch's own environment: its network once a file, its note decoding once a setting.

Reads a job (JSON) from the path given: ``{"files": [{"wav", "posteriors", "notes"}], "settings": [[onset, frame,
min_note_length_ms], ...]}``. ``posteriors`` (.npz) is made where absent; ``notes`` (.npz) gets one (n, 4) array
(onset s, offset s, pitch, amplitude) a setting, under the name ``"onset/frame/length"``; settings it already holds are
not decoded again. Everything that counts is the package's own code; only the loop is ours.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np


def main(job_path: str) -> None:
    job = json.loads(Path(job_path).read_text())
    from basic_pitch import ICASSP_2022_MODEL_PATH, note_creation
    from basic_pitch.inference import Model, run_inference

    # The package's default path may be a format whose runtime is absent here; the ONNX file lies beside it.
    onnx = Path(ICASSP_2022_MODEL_PATH).parent / "nmp.onnx"
    model = Model(onnx)
    infer_s = decode_s = 0.0
    for number, file in enumerate(job["files"]):
        posteriors, target = Path(file["posteriors"]), Path(file["notes"])
        found = {}
        if target.exists():
            with np.load(target) as data:
                found = {name: data[name] for name in data.files}
        wanted = [s for s in job["settings"] if key(s) not in found]
        if not wanted:
            continue
        if posteriors.exists():
            with np.load(posteriors) as data:
                output = {name: data[name].astype(np.float32) for name in ("note", "onset")}
        else:
            start = time.perf_counter()
            output = {name: value for name, value in run_inference(file["wav"], model).items() if name != "contour"}
            infer_s += time.perf_counter() - start
            # Float32: a rounded posterior would move the peaks that tie.
            np.savez(posteriors, **output)
        for onset, frame, length_ms in wanted:
            start = time.perf_counter()
            # Of the contour, which is for pitch bends, only the length is asked here.
            contour = np.zeros((len(output["note"]), 0), np.float32)
            _, events = note_creation.model_output_to_notes(
                {**{name: value.copy() for name, value in output.items()}, "contour": contour},
                onset_thresh=onset,
                frame_thresh=frame,
                min_note_len=int(np.round(length_ms / 1000 * (22050 / 256))),
                include_pitch_bends=False,
                melodia_trick=True,
            )
            decode_s += time.perf_counter() - start
            found[key((onset, frame, length_ms))] = np.array(
                [[float(e[0]), float(e[1]), float(e[2]), float(e[3])] for e in events], np.float64
            ).reshape(-1, 4)
        np.savez(target, **found)
        print(f"{number + 1}/{len(job['files'])} network {infer_s:.0f} s, decoding {decode_s:.0f} s", flush=True)


def key(setting: tuple[float, float, float] | list[float]) -> str:
    return "/".join(f"{value:g}" for value in setting)


if __name__ == "__main__":
    main(sys.argv[1])
