"""``notebooks/sequence.ipynb`` from top to bottom, with both kinds of network."""

from __future__ import annotations

from pathlib import Path

import pytest

from amtsep.notes import Notes
from widgets.places import NOTEBOOKS

pytest.importorskip("nbclient", reason="nbclient is not installed")


@pytest.mark.parametrize("kind", ["light", "sequence"])
def test_it_runs_and_leaves_a_midi_file(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    model = kind
    if kind == "sequence":
        pytest.importorskip("torch", reason="a sequence network needs torch (pip install 'amtsep[train]')")
        from tiny_sequence import write_tiny

        model = str(write_tiny(tmp_path / "tiny.safetensors"))
    monkeypatch.setenv("AMTSEP_MODEL", model)
    monkeypatch.setenv("AMTSEP_CACHE", str(tmp_path / "cache"))
    notebook = nbformat.read(NOTEBOOKS / "sequence.ipynb", as_version=4)
    assert len(notebook.cells) <= 11
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [o for c in notebook.cells for o in c.get("outputs", [])]
    assert not [o for o in shown if o["output_type"] in ("error", "display_data") and "Traceback" in str(o)]
    views = [o for o in shown if "application/vnd.jupyter.widget-view+json" in o.get("data", {})]
    assert len(views) == 8, "picker, source, player, roll, thresholds, tracks, comparison, files"
    said = "".join(o.get("text", "") for o in shown)
    assert f"notes by {Path(model).name}" in said and (" · end" in said) == (": 0 notes" not in said)
    written = Notes.from_midi(tmp_path / "transcription.mid")
    assert written.tracks and (len(written) > 20 or kind == "sequence")
