"""Report of the stage ``data``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.datasets.phantom import chest
from benchmark.images import arrow
from benchmark.images.image_set import ImageSet, Splits
from benchmark.stages.data import describe


def phantoms(first: int, dark: bool = False) -> ImageSet:
    """Return a phantom of each of two classes, as dark as 12 bits read as 16 if requested."""
    ids = np.array([f"i{k}" for k in (first, first + 1)])
    drawn = [chest.draw("viral", seed=1, index=k, size=32).image for k in (first, first + 1)]
    return ImageSet(
        image=np.stack(drawn) // (16 if dark else 1), label=np.arange(2), classes=("a", "b"),
        image_id=ids, patient_id=ids, origin=np.full(2, "real:x"),
    )  # fmt: skip


def test_images_with_few_gray_levels_are_noted(tmp_path: Path) -> None:
    """The note counts them in all splits and names the first; phantoms leave none."""
    sets = phantoms(0), phantoms(2), phantoms(4), phantoms(6)
    for folder, test in (("plain", sets[2]), ("dark", phantoms(4, dark=True))):
        (tmp_path / folder).mkdir()
        arrow.write_splits(tmp_path / folder, Splits(sets[0], sets[1], test, sets[3], notes=("a note",)))
    assert describe(tmp_path / "plain", "x", ("a", "b"), "single").notes == ["a note"]
    notes = describe(tmp_path / "dark", "x", ("a", "b"), "single").notes
    assert notes == ["a note", "FEW GRAY LEVELS: 2 of 8 images have fewer than 32, the first is i4"]
