"""The memorization gate on real radiographs, which the embedded extractor was not trained on."""

from dataclasses import replace

import numpy as np
import pytest

from benchmark.datasets import covid_chestxray
from benchmark.images.image_set import ImageSet, concatenate
from benchmark.metrics.memorization.gate import memorization, near_copies
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


def test_near_copies_of_radiographs_are_gated_and_fresh_patients_are_not(real):
    """A few dozen real images are enough for the gate."""
    train, heldout, fresh = real
    result = memorization(fresh, train, heldout, "phantom_cxr_v1", "cpu", 0)
    assert not result["gated"]
    assert not result["blind"]
    assert result["planted_recall"] > 0.9
    copies = train.select(np.random.default_rng([5, 7]).permutation(len(train)))
    copies = replace(copies, image=near_copies(train.image, seed=5))
    assert memorization(copies, train, heldout, "phantom_cxr_v1", "cpu", 0)["gated"]


def test_one_patient_in_both_splits_makes_the_gate_blind(real):
    """A held-out image that is also a training image spoils the threshold, and the result reports it."""
    train, heldout, fresh = real
    leak = train.select([0])
    leak = replace(leak, image_id=np.array(["leak"]), patient_id=np.array(["leak"]))
    assert memorization(fresh, train, concatenate([heldout, leak]), "phantom_cxr_v1", "cpu", 0)["blind"]
