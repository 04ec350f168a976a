"""The code of docs/add_a_dataset.md runs unchanged."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import numpy as np
import yaml

from benchmark.datasets import image_folder
from benchmark.images.disjoint import prove_disjoint
from benchmark.protocol import load as loading
from benchmark.tasks.schema import Source, SplitRule

PAGE = (Path(__file__).parents[2] / "docs/add_a_dataset.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the only code block of a language."""
    (content,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(content)


def test_python_source_loads(tmp_path: Path) -> None:
    """The page's source reads a NumPy file into disjoint splits."""
    (tmp_path / "my_arrays.py").write_text(block("python"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("my_arrays", tmp_path / "my_arrays.py")
    assert spec is not None
    assert spec.loader is not None
    source = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(source)
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "pictures.npz",
        image=rng.integers(0, 256, (24, 20, 30), np.uint8),
        label=np.array(["normal", "edema"] * 12),
        patient=np.array([f"p{i // 2}-{i % 2}" for i in range(24)]),
    )
    params = source.Params(root=tmp_path)
    assert len(source.fingerprint(params)) == 64
    splits = loading.load(
        source,
        params,
        classes=("normal", "edema"),
        image_size=16,
        split=SplitRule.model_validate({}),
        reserve_per_class=9,
        seed=0,
    )
    assert sum(prove_disjoint(splits)["images"].values()) == 24
    assert splits.notes[0].startswith("oracle has fewer")


def test_task_snippet_is_valid() -> None:
    """The task's schema and the source accept the page's YAML."""
    snippet = yaml.safe_load(block("yaml"))
    source = Source.model_validate(snippet["sources"][snippet["default_source"]])
    assert image_folder.Params(root=Path("."), **source.params).patient_separator == "_"


def test_table_of_the_page_is_read() -> None:
    """The page's CSV has the columns that the source reads."""
    header = block("csv").splitlines()[0].split(",")
    assert header[:3] == list(image_folder.COLUMNS)
    assert set(header[3:]) <= {"view", "age", "sex", "site", "split"}


def test_entry_point_group() -> None:
    """The page names the entry point group of the registry."""
    from benchmark.plugins.registry import ENTRY_POINTS

    assert list(tomllib.loads(block("toml"))["project"]["entry-points"]) == [f"{ENTRY_POINTS}sources"]
