"""docs/add_a_generator.md agrees with the contract and with its example."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from benchmark.plugins.registry import find
from support.fit_context import FakeContext
from support.samples import ROOT, blobs

PAGE = (ROOT / "docs" / "add_a_generator.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "my_generator.py"


def test_page_links_the_example() -> None:
    """The page links the file in examples/, which the contract tests run."""
    assert "(../examples/my_generator.py)" in PAGE


def test_page_names_every_member_of_the_contract() -> None:
    """The page names every method of the contract and every member of the context."""
    called = ("fit", "sample", "save", "load", "log", "checkpoint", "save_state", "load_state")
    for word in (*called, "search_space", "tiny", "assets", "scaler", "autocast"):
        assert f"{word}(" in PAGE
    for word in ("device", "precision", "dtype", "seed", "scratch", "assets", "classifier", "should_stop"):
        assert f"context.{word}" in PAGE


def test_example_learns_the_classes(tmp_path: Path) -> None:
    """The mean of 200 samples equals the class mean within sampling error."""
    module = find("generators", [str(EXAMPLE)])[0].load()
    train = blobs({"a": 40, "b": 20}, size=16)
    model = module.Generator(module.Params())
    model.fit(train, FakeContext(tmp_path, classes=("a", "b"), labels=(0, 1)))
    label = np.repeat([0, 1], 200)
    drawn = model.sample(SampleRequest(label, ("a", "b"), 16), SampleContext()).image * 255
    for k in (0, 1):
        difference = drawn[label == k].mean(0) - train.of_class(k).image.mean(0)
        assert np.abs(difference).max() < 12
