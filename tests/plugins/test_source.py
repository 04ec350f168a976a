"""The plan refuses a source that breaks its contract, in one line that names the part."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.errors import TaskError
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.plugins.registry import find
from benchmark.plugins.source import load_source, source_conditions
from support.samples import ROOT

EXAMPLE = (ROOT / "examples" / "my_source.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('version = "1"', 'other = "1"', r"version: is missing"),
        ("conditions: frozenset[str] = frozenset()", "", r"conditions: is missing\n.*add_a_dataset"),
        ("= frozenset()", '= frozenset({"masks"})', r"unknown condition 'masks'\n.*Did you mean 'mask'"),
        ("= frozenset()", '= "mask"', r"conditions: is str, expected a frozenset"),
        (', extra="forbid", frozen=True', "", r"Params: is not a strict, frozen model"),
        (
            "def fingerprint(params: Params)",
            "def fingerprint()",
            r"cannot be called as fingerprint\(params\)",
        ),
        ("reserve_per_class: int, seed", "seed", r"images: cannot be called as .*reserve_per_class, seed\)"),
        ("from PIL import Image", "import no_such_package", r"cannot be imported: ModuleNotFoundError"),
    ],
)
def test_a_broken_contract_ends_the_plan(tmp_path: Path, old: str, new: str, message: str):
    """Each missing or wrong part is named before anything is read."""
    assert old in EXAMPLE
    path = tmp_path / "broken.py"
    path.write_text(EXAMPLE.replace(old, new))
    with pytest.raises(TaskError, match=message):
        make_plan(RunRequest("cxr_pneumonia", source=str(path), root=tmp_path))


def test_conditions_may_follow_the_parameters(tmp_path: Path):
    """Without parameters all that are possible; with them, those that the function returns."""
    path = tmp_path / "narrow.py"
    path.write_text(
        EXAMPLE.replace("= frozenset()", '= frozenset({"mask", "view"})')
        + "\n\ndef conditions_of(params):\n    return frozenset({'view'})\n"
    )
    module = load_source(find("sources", [str(path)])[0])
    assert source_conditions(module) == {"mask", "view"}
    assert source_conditions(module, module.Params(root=tmp_path)) == {"view"}
