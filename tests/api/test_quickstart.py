"""The quickstart notebook runs from top to bottom as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.samples import ROOT

NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"


def cells() -> list[str]:
    """Return the code of the notebook."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_is_stored_without_outputs():
    """Every cell is valid Python, and nothing that was computed is in the repository."""
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            compile("".join(cell["source"]), "cell", "exec")
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


@pytest.mark.slow
def test_the_notebook_runs(tmp_path):
    """In one namespace, as a script without a main guard; board, comparison and images are there."""
    checks = (
        "assert set(board.index) == {'real_only', 'duplicate_real', 'traditional', 'ddpm'}, board\n"
        "assert run.failed == {}\n"
        "assert comparison.shape[0] == 4\n"
        "assert images.shape == (3, 32, 32)\n"
        "assert (images[0] != images[1]).any()\n"
        "assert {'fid_phantom_cxr_v1', 'ms_ssim'} <= {*metrics['metric']}\n"
    )
    (tmp_path / "script.py").write_text("\n".join([*cells(), checks]))
    (tmp_path / "quickstart.yaml").write_text(NOTEBOOK.with_suffix(".yaml").read_text())
    settings = {"SYNTHTHORAX_STORE": "store", "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}
    environment = {**os.environ, **settings, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, str(Path("script.py"))]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
