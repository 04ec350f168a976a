"""The check of the nearness that a bundle reports, by the images that it shows."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmark.verification.nearness import Shown, shown_faults

CLASSES, SHOWN, COMPARED = 15, 100, 300
SHARES = np.linspace(0.2, 0.8, CLASSES)
EVERY = np.repeat(np.arange(CLASSES), [1200, *[80] * (CLASSES - 1)])


class Proximity:
    """A search whose images are numbers: 1 where the nearest image is a training image."""

    def nearest(self, images: np.ndarray) -> np.ndarray:
        return images

    def of_train(self, reference: np.ndarray) -> np.ndarray:
        return reference == 1

    def nearness_of(self, reference: np.ndarray) -> Any:
        return SimpleNamespace(error=0.05)


def faults(share: float, rng: np.random.Generator) -> list[Any]:
    """Check a row that reports this share; half of its images are of the first class, seven are shown."""
    label = np.arange(SHOWN) % CLASSES
    near = (rng.random(SHOWN) < SHARES[label]).astype(int)
    real: Any = [SimpleNamespace(proximity=Proximity())]
    stated = SimpleNamespace(share=share, error=0.05, n=COMPARED, excess=False)
    return shown_faults(SimpleNamespace(nearness=stated), real, [Shown(near, label, EVERY)])  # type: ignore[arg-type]


def compared(rng: np.random.Generator) -> float:
    """Return the share of the images that an honest row compares, drawn in proportion to the classes."""
    label = rng.choice(EVERY, COMPARED)
    return float((rng.random(COMPARED) < SHARES[label]).mean())


def test_honest_rows_pass() -> None:
    """Of 3,000 honest rows that show seven images of their largest class, at most one fails."""
    rng = np.random.default_rng(0)
    assert sum(bool(faults(compared(rng), rng)) for _ in range(3000)) <= 1


def test_a_row_that_hides_reconstructions_fails() -> None:
    """The truth is 0.36 on average; at least 95 % of reports of 0.98 fail."""
    rng = np.random.default_rng(1)
    assert sum(bool(faults(0.98, rng)) for _ in range(200)) >= 190


def test_a_missing_figure_is_told() -> None:
    """A row without the figure fails where the data has enough patients."""
    real: Any = [SimpleNamespace(proximity=Proximity())]
    (fault,) = shown_faults(SimpleNamespace(nearness=None), real, [])  # type: ignore[arg-type]
    assert fault == ("memorization.nearness", "is missing")


@pytest.mark.parametrize("error", [0.076, 0.5])
def test_an_inflated_error_is_told(error: float) -> None:
    """An error above 1.5 times that of the shown images would hide an excess."""
    real: Any = [SimpleNamespace(proximity=Proximity())]
    label = np.zeros(SHOWN, int)
    stated: Any = SimpleNamespace(nearness=SimpleNamespace(share=1.0, error=error, n=COMPARED, excess=False))
    found = shown_faults(stated, real, [Shown(np.ones(SHOWN, int), label, label)])
    assert [where for where, _ in found] == ["memorization.nearness.error"]
