"""The second example: masks, prompts, its own size, one fit per image, two fit seeds, a base checkpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from benchmark.images.arrow import read_images
from benchmark.stages.job import SYNTHETIC
from support.samples import ROOT, TINY

EXAMPLE = ROOT / "examples" / "lesion_blend.py"


def write_task(folder: Path, base: Path) -> Path:
    """Write a task of one control whose only generator is the example, fitted twice at 64 px."""
    task = yaml.safe_load(TINY.read_text())
    demo = task["profiles"]["demo"]
    demo |= {"fit_seeds": [0, 1], "image_size": 32}
    entry = {"image_size": 64, "sources_per_class": 2, "params": {"base": str(base)}}
    demo["generators"] = {"lesion_blend": entry}
    task |= {"name": "blend", "controls": ["real_only"]}
    task["requests"] = {"prompt": {"template": "{class}, large"}}
    path = folder / "blend.yaml"
    path.write_text(yaml.safe_dump(task))
    return path


def run(folder: Path, task: Path) -> subprocess.CompletedProcess[str]:
    """Fit and sample in a folder."""
    places = {
        "SYNTHTHORAX_STORE": str(folder / "store"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "PYTHONPATH": str(ROOT),
    }
    command = ["generate", "--task", str(task), "--generators", str(EXAMPLE), "--out", "out"]
    return subprocess.run(
        [sys.executable, "-m", "benchmark", *command],
        cwd=folder, env=os.environ | places, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("blend")
    base = folder / "base"
    base.mkdir()
    textures = np.random.default_rng(0).integers(100, 255, (4, 32, 32)).astype(np.uint8)
    save_file({"textures": textures}, base / "textures.safetensors")
    completed = run(folder, write_task(folder, base))
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return folder


def manifests(folder: Path, stage: str) -> list[tuple[Path, dict]]:
    """Return folder and manifest of every result of a stage."""
    paths = sorted((folder / "store" / "results" / stage).glob("*/manifest.json"))
    return [(path.parent, json.loads(path.read_text())) for path in paths]


@pytest.mark.slow
def test_every_source_image_is_a_fit(folder: Path) -> None:
    """Two fit seeds, five classes and two source images make 20 fits, of a training image each."""
    fits = [m["result"] for _, m in manifests(folder, "fit")]
    assert len(fits) == 20
    (data, _), *_ = manifests(folder, "data")
    known = set(read_images(data / "train.arrow").image_id)
    assert {fit["source_id"] for fit in fits} <= known
    assert len({fit["source_id"] for fit in fits}) == 10  # both seeds learn from the same images


@pytest.mark.slow
def test_samples_carry_what_the_generator_knows(folder: Path) -> None:
    """Samples have the classifier's size, a source, a binary mask and the prompt of the template."""
    (first, _), (second, _) = manifests(folder, "generate")
    drawn = read_images(first / SYNTHETIC)
    assert drawn.image.shape[1:] == (32, 32)
    assert len(set(drawn.source_id)) == 10
    assert set(np.unique(np.asarray(drawn.mask))) == {0, 255}
    assert set(drawn.prompt) == {f"{name}, large" for name in drawn.classes}
    assert drawn.content_hash() != read_images(second / SYNTHETIC).content_hash()


@pytest.mark.slow
def test_base_checkpoint_is_named_by_its_content(folder: Path) -> None:
    """The configuration of a fit has the hash of the checkpoint and no path; a saved fit names the hash."""
    (result, manifest), *_ = manifests(folder, "fit")
    (asset,) = manifest["config"]["assets"]
    assert set(asset) == {"name", "hash"}
    assert str(folder) not in json.dumps(manifest["config"])
    assert json.loads((result / "fitted" / "model.json").read_text())["base"] == asset["hash"]


def test_a_missing_checkpoint_ends_the_run_at_once(tmp_path: Path) -> None:
    """One line names the asset and the remedy, and no stage runs."""
    completed = run(tmp_path, write_task(tmp_path, tmp_path / "nowhere"))
    assert completed.returncode != 0
    assert "asset 'textures'" in completed.stderr
    assert "no such folder" in completed.stderr
    assert "done in" not in completed.stdout
