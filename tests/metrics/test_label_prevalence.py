"""Label prevalence: the bootstrap against its exact distribution, and planted mode dropping."""

import numpy as np
import pytest
from scipy.stats import binom

from benchmark.metrics import label_prevalence as module
from benchmark.metrics.label_prevalence import resampled
from benchmark.plugins.metric import Side

CLASSES = ("none", "common", "fine")


def side(shares: tuple[float, ...], n: int = 1000, evaluators: int = 1) -> Side:
    """Return images of which exactly these shares have each label, the same for every evaluator."""
    seen = np.stack([np.arange(n) < share * n for share in shares], axis=1)
    return Side(np.zeros(n, np.int64), CLASSES, {"predicted_labels": np.stack([seen] * evaluators)})


def measured(real: Side, fake: Side, **params):
    return module.Metric(module.Params(**params), "cpu").measure(real, fake)


def test_planted_mode_dropping_is_found():
    """A label at 4 % in place of 12 % is dropped, and one at 70 % in place of 60 % raised."""
    value = measured(side((0.6, 0.3, 0.12)), side((0.7, 0.3, 0.04)))
    assert value.details == {"dropped": 1, "raised": 1}
    assert value.per_class == {"none": 0.7, "common": 0.3, "fine": 0.04}
    assert value.value == pytest.approx((0.1 + 0 + 0.08) / 3)
    assert (
        value.intervals["fine"][1]
        < 0.12
        < measured(side((0.6, 0.3, 0.12)), side((0.6, 0.3, 0.12))).intervals["fine"][1]
    )


def test_equal_shares_drop_nothing():
    """The same images on both sides differ by 0."""
    value = measured(side((0.6, 0.3, 0.1)), side((0.6, 0.3, 0.1)))
    assert (value.value, value.details) == (0.0, {"dropped": 0, "raised": 0})


def test_a_label_that_is_never_drawn_has_an_empty_interval():
    """No image of the label has share 0 from 0 to 0, and the label is dropped."""
    value = measured(side((0.6, 0.3, 0.1)), side((0.6, 0.3, 0.0)))
    assert value.intervals["fine"] == (0.0, 0.0)
    assert value.details["dropped"] == 1


def test_interval_is_that_of_the_binomial():
    """The resampled count of 120 of 1000 images is binomial with 0.12; so are the interval's bounds."""
    bounds = measured(side((0.6, 0.3, 0.12)), side((0.6, 0.3, 0.12))).intervals["fine"]
    assert bounds == pytest.approx(binom.ppf([0.025, 0.975], 1000, 0.12) / 1000, abs=0.0015)


def test_several_evaluators_count_in_shares():
    """Two evaluators that see a label in disjoint halves give 0.5 for every image, without any variance."""
    seen = np.array([[True] * 50 + [False] * 50, [False] * 50 + [True] * 50])
    mean, draws = resampled(seen, 1000, np.random.default_rng(0))
    assert (mean, draws.std()) == (0.5, 0.0)


def test_resampling_images_has_the_same_distribution():
    """Drawing the images themselves gives the same mean and spread as drawing their levels."""
    rng = np.random.default_rng(1)
    seen = rng.random((3, 200)) < 0.3
    each = seen.mean(0)
    by_hand = each[rng.integers(0, 200, (4000, 200))].mean(1)
    _, draws = resampled(seen, 4000, rng)
    assert draws.mean() == pytest.approx(by_hand.mean(), abs=0.002)
    assert draws.std() == pytest.approx(by_hand.std(), rel=0.08)


def test_false_alarms_are_rare():
    """Of 60 pairs of sets with equal shares few have a label outside the 95 % interval of the difference."""
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(60):
        real, fake = (
            Side(np.zeros(300, np.int64), CLASSES, {"predicted_labels": rng.random((1, 300, 3)) < 0.2})
            for _ in range(2)
        )
        alarms += int(sum(measured(real, fake, resamples=400).details.values()))
    assert alarms / 180 < 0.12
