"""The code in docs/add_a_metric.md runs."""

import re
from typing import get_args

import numpy as np
import pytest

from benchmark.plugins.metric import Need, Side, Value
from benchmark.plugins.registry import find
from support.samples import ROOT

PAGE = (ROOT / "docs" / "add_a_metric.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "my_metric.py"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def side(features: list[float], label: list[int]) -> Side:
    """Return a side with one feature per image."""
    return Side(np.array(label), ("a", "b"), {"features": np.array(features, dtype=np.float32)[:, None]})


def test_page_links_the_example() -> None:
    """The page links the file in examples/, which the contract tests run."""
    assert "(../examples/my_metric.py)" in PAGE


def test_page_names_every_need() -> None:
    """The page's table has a line for every need, and names the attribute."""
    for need in get_args(Need):
        assert f"| `{need}` | `side.{need}` |" in PAGE


def test_example_is_the_coverage_of_the_paper() -> None:
    """With the nearest neighbor, the images at 0, 1 and 10 have radii 1, 1 and 9; 0.5 and 25 cover two."""
    module = find("metrics", [str(EXAMPLE)])[0].load()
    metric = module.Metric(module.Params(k=1), "cpu")
    value = metric.measure(side([0, 1, 10], [0, 0, 1]), side([0.5, 25], [0, 1]))
    assert value.value == pytest.approx(2 / 3)
    assert value.per_class == {"a": 1.0, "b": 0.0}


def test_metric_of_masks_runs() -> None:
    """The brightest pixel of the first image is inside its mask, that of the second is not."""
    scope = {"np": np, "Value": Value}
    exec(BLOCKS[0], scope)
    images, masks = np.zeros((2, 4, 4), np.uint8), np.zeros((2, 4, 4), np.uint8)
    images[:, 1, 2] = 255
    masks[0, 1, 2] = 255
    both = Side(np.array([0, 1]), ("a", "b"), {"images": images, "masks": masks})
    assert scope["Metric"](None, "cpu").measure(both, both).value == 0.5
