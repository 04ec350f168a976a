"""Base checkpoints: located and hashed when a run is planned."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmark.errors import TaskError
from benchmark.planning.assets import locate_assets
from benchmark.planning.graph import build
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.plugins.generator import Asset
from support.samples import TINY

ADAPTED = '''"""A generator of a base checkpoint, whose folder is a parameter."""
from pathlib import Path
from pydantic import BaseModel, Field
from benchmark.plugins.generator import Asset

version = "1"

class Params(BaseModel, extra="forbid", frozen=True):
    base: Path = Field(Path("nowhere"), description="folder")

def assets(params):
    return (ASSET,)

class Generator:
    conditions = {"label"}
    def __init__(self, params): ...
    def fit(self, train, context): ...
    def sample(self, request, context): ...
    def save(self, folder): ...
    @classmethod
    def load(cls, folder, context): ...
'''


def checkpoint(folder: Path, value: float = 0.0) -> Path:
    """Write a checkpoint with a configuration, in a subfolder as diffusers does."""
    (folder / "unet").mkdir(parents=True)
    save_file({"w": np.full(3, value, np.float32)}, folder / "unet" / "model.safetensors")
    (folder / "model_index.json").write_text("{}")
    return folder


def located(folder: Path):
    (asset,) = locate_assets([Asset("base", folder=folder)], "generator 'g'")
    return asset


def test_the_hash_is_of_the_content(tmp_path):
    """A copy elsewhere has the same hash; another value, or another name of a file, has another."""
    here, there = checkpoint(tmp_path / "a"), tmp_path / "b" / "c"
    shutil.copytree(here, there)
    (there / "README.md").write_text("no part of it")
    assert located(here).hash == located(there).hash
    assert located(there).folder == there.resolve()
    (there / "unet" / "model.safetensors").rename(there / "unet" / "other.safetensors")
    hashes = {located(f).hash for f in (here, there, checkpoint(tmp_path / "d", 1.0))}
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("asset", "message"),
    [
        (Asset("base", folder=Path("nowhere")), r"asset 'base': no such folder: nowhere\n +Give the folder"),
        (Asset("base"), "names neither a folder nor a repository with a full commit hash\n +Pin it"),
        (Asset("base", hub_id="org/model", revision="main"), "full commit hash\n +Pin it"),
        (
            Asset("base", hub_id="org/model", revision="0" * 40, files=("*.json",)),
            r"not in the local cache\n +Download it: hf download org/model --revision 0{40} --include",
        ),
    ],
)
def test_a_missing_checkpoint_ends_the_plan(tmp_path, monkeypatch, asset, message):
    """A missing folder, an unpinned repository and one that is not in the cache each name the remedy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(TaskError, match=message):
        locate_assets([asset], "generator 'g'")


@pytest.mark.parametrize("name", ["unet/model.bin", "model.ckpt", "run.py", "unet/data.pkl"])
def test_a_checkpoint_that_can_run_code_is_refused(tmp_path, name):
    """A pickle or a script in the folder is named, whatever the files that the generator reads."""
    folder = checkpoint(tmp_path / "a")
    (folder / name).write_bytes(b"")
    with pytest.raises(TaskError, match=f"holds '{name}', which may run code.*\n.*Remove it"):
        located(folder)


def test_a_generator_cannot_allow_a_pickle(tmp_path):
    """A pattern of the generator's own that matches a pickle does not let it pass."""
    folder = checkpoint(tmp_path / "base")
    (folder / "model.bin").write_bytes(b"x")
    with pytest.raises(TaskError, match=r"model\.bin"):
        locate_assets([Asset("base", folder=folder, files=("*.bin", "*.safetensors"))], "generator 'g'")


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    """An empty folder is no checkpoint."""
    with pytest.raises(TaskError, match="holds no"):
        located(tmp_path)


def plan_of(folder: Path, base: Path, asset: str = 'Asset("base", folder=params.base)'):
    """Return the plan of a run with the adapted generator."""
    folder.mkdir(exist_ok=True)
    (folder / "adapted.py").write_text(ADAPTED.replace("ASSET", asset))
    params = folder / "params.yaml"
    params.write_text(f"generators: {{adapted: {{base: '{base}'}}}}\n")
    return make_plan(RunRequest(str(TINY), generators=(str(folder / "adapted.py"),), params=params))


def test_the_cache_key_has_the_hash_and_not_the_path(tmp_path):
    """Keys of fits and drawings are equal for equal content elsewhere, and differ for other content; other
    nodes do not change. The path reaches the worker, and stands in no key."""
    here, there = checkpoint(tmp_path / "a"), tmp_path / "b"
    shutil.copytree(here, there)
    other = checkpoint(tmp_path / "c", 1.0)
    graphs = [build(plan_of(tmp_path / f"plan{k}", base)) for k, base in enumerate((here, there, other))]
    keys = [graph.keys for graph in graphs]
    assert keys[0] == keys[1]
    changed = {name for name in keys[0] if keys[0][name] != keys[2][name]}
    assert changed == {node.id for node in graphs[0] if node.row == "adapted"}
    config = graphs[1]["fit/adapted"].config
    assert config.assets[0].folder == there.resolve()
    assert config.paths == {"base": str(there)}
    for node in graphs[1].find("fit", "adapted") + graphs[1].find("sample", "adapted"):
        hashed = node.config.model_dump_json()
        assert config.assets[0].hash in hashed
        assert str(tmp_path) not in hashed


def test_faults_of_a_checkpoint_are_found_while_planning(tmp_path):
    """A missing folder, and a path that no asset names, never reach a worker."""
    with pytest.raises(TaskError, match="generator 'adapted': asset 'base': no such folder"):
        plan_of(tmp_path, tmp_path / "nowhere")
    base = checkpoint(tmp_path / "a")
    with pytest.raises(TaskError, match="params: base: is a path that assets"):
        plan_of(tmp_path / "second", tmp_path / "b", f'Asset("base", folder=Path("{base}"))')
