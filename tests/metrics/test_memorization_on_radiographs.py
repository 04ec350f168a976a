"""The memorization gate on real radiographs, which the embedded extractor was not trained on."""

from dataclasses import replace

import numpy as np
import pytest

from benchmark.datasets import covid_chestxray
from benchmark.images.copies.alterations import altered
from benchmark.images.image_set import ImageSet, Splits, concatenate
from benchmark.metrics.memorization.gate import memorization
from benchmark.metrics.memorization.real_copies import RealCopies
from benchmark.protocol import load as loading
from benchmark.tasks.schema import SplitRule

CLASSES = ("healthy", "fungal", "covid19", "bacterial", "viral")


@pytest.fixture
def real(packs) -> tuple[ImageSet, ImageSet, ImageSet]:
    """Return training, held-out and fresh radiographs of different patients, at 64 pixels."""
    splits = loading.load(
        covid_chestxray,
        covid_chestxray.Params(root=packs / "covid-chestxray"),
        classes=CLASSES,
        image_size=64,
        split=SplitRule(test=0.3, val=0.15, reserve=0.15, too_few="exclude"),
        reserve_per_class=50,
        seed=0,
    )
    return splits.train, splits.test, concatenate([splits.val, splits.reserve])


def real_copies(train: ImageSet, heldout: ImageSet) -> RealCopies:
    """Return the detectors over training images, calibrated on held-out ones."""
    empty = heldout.select([])
    return RealCopies.of(Splits(train, empty, heldout, empty), 0)


def test_altered_copies_of_radiographs_are_gated_and_fresh_patients_are_not(real):
    """A few dozen real images are enough for the gate."""
    train, heldout, fresh = real
    copies = real_copies(train, heldout)
    result = memorization(fresh, heldout, copies)
    assert not result["gated"]
    assert not result["blind"]
    assert result["planted_recall"] > 0.9
    for kind in ("mirrored", "rotated"):
        some = train.select(range(40))
        images = altered(kind, some.image, some.image, np.random.default_rng(5))
        assert memorization(replace(some, image=images), heldout, copies)["gated"]


def test_one_patient_in_both_splits_makes_the_gate_blind(real):
    """A held-out image that is also a training image spoils the threshold, and the result reports it."""
    train, heldout, fresh = real
    leak = train.select([0])
    leak = replace(leak, image_id=np.array(["leak"]), patient_id=np.array(["leak"]))
    spoiled = concatenate([heldout, leak])
    result = memorization(fresh, spoiled, real_copies(train, spoiled))
    assert result["blind"]
    assert "rotated" in result["blind_to"]
