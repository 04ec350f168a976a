"""The proof that splits share no image, in any of its symmetric forms."""

import numpy as np
import pytest

from benchmark.errors import DataError
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import ImageSet, Splits
from benchmark.images.symmetries import INVERTED, SAME, TURNS, changes_of


def part(name: str, image: np.ndarray) -> ImageSet:
    ids = np.array([f"{name}{k}" for k in range(len(image))])
    return ImageSet(
        image=image, label=np.zeros(len(image), np.int64), classes=("a",), image_id=ids, patient_id=ids,
        origin=np.full(len(image), "real:x"),
    )  # fmt: skip


def splits(test: np.ndarray, train: np.ndarray) -> Splits:
    rng = np.random.default_rng(9)
    rest = [part(name, rng.integers(0, 256, (2, 8, 8), np.uint8)) for name in ("val", "reserve")]
    return Splits(train=part("train", train), val=rest[0], test=part("test", test), reserve=rest[1])


@pytest.mark.parametrize("change", [c for c in (*TURNS, *INVERTED) if c != SAME], ids=str)
def test_changed_image_in_two_splits(change):
    """Each of the fifteen forms of a training image in the test split is refused, both named."""
    image = np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8)
    test = np.random.default_rng(1).integers(0, 256, (3, 8, 8), np.uint8)
    prove_disjoint(splits(test, image))
    test[1] = change(image[2:])[0]
    with pytest.raises(DataError, match=r"hold the same picture, .*'train2' and 'test1'"):
        prove_disjoint(splits(test, image))


def test_equally_frequent_gray_values_are_no_copy():
    """Images with the same gray values at other places, and two of one gray value each, pass."""
    image = np.random.default_rng(0).integers(0, 256, (2, 8, 8), np.uint8)
    test = np.random.default_rng(2).permuted(image.reshape(2, -1), axis=1).reshape(2, 8, 8)
    image[0], test[0] = 10, 245
    prove_disjoint(splits(test, image))


def test_the_forms_are_distinct_and_keep_the_shape():
    """Fifteen forms of a square and seven of a rectangle, all different."""
    block = np.arange(24, dtype=np.uint8).reshape(1, 4, 6)
    assert len(changes_of(6, 6)) == 15
    forms = [change(block) for change in changes_of(4, 6)]
    assert [form.shape for form in forms] == [(1, 4, 6)] * 7
    assert len({form.tobytes() for form in [block, *forms]}) == 8
