"""The contract of every metric, and properties of the distances between two sets of features."""

from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmark.errors import MetricError
from benchmark.metrics.fid import fid
from benchmark.metrics.kid import kid
from benchmark.plugins.metric import Side, Value, check_metric
from benchmark.plugins.registry import find
from support.samples import ROOT, blobs

each_distance = pytest.mark.parametrize("distance", [fid, kid], ids=lambda f: f.__name__)


def draws(seed: int, n: int = 60, d: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


@each_distance
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_rows_does_not_matter(distance, seed):
    """Shuffling the images of either side changes only rounding."""
    a, b = draws(seed), draws(seed + 1) + 0.5
    order = np.random.default_rng(seed).permutation(len(a))
    assert distance(a[order], b) == pytest.approx(distance(a, b), rel=1e-6)
    assert distance(a, b[order]) == pytest.approx(distance(a, b), rel=1e-6)


@each_distance
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_distance_is_symmetric(distance, seed):
    """The distance from real to fake equals the distance from fake to real."""
    a, b = draws(seed), draws(seed + 1, n=45) * 2
    assert distance(a, b) == pytest.approx(distance(b, a), rel=1e-6)


@each_distance
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_identity_is_zero_or_below(distance, seed):
    """A set against itself has FID 0, and KID at most 0, since KID is unbiased."""
    a = draws(seed)
    assert distance(a, a) <= 1e-6


@each_distance
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_grows_with_a_shift_of_the_mean(distance, seed):
    """A larger shift of one side gives a larger distance."""
    a, b = draws(seed), draws(seed + 1)
    scores = [distance(a, b + shift) for shift in (0.0, 1.0, 2.0, 4.0)]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1] / 10


@each_distance
@pytest.mark.parametrize(
    ("fake", "words"),
    [
        (np.zeros((1, 6)), "at least two"),
        (np.zeros((5, 4)), "same extractor"),
        (np.zeros(6), "expected \\(N, D\\)"),
        (np.full((5, 6), np.nan), "NaN"),
    ],
)
def test_incomparable_inputs_are_refused(distance, fake, words):
    """One row, another width, no matrix or NaN raises a MetricError with the reason and the remedy."""
    with pytest.raises(MetricError, match=words):
        distance(draws(1), fake)
    with pytest.raises(MetricError, match=words):
        distance(fake, draws(1))


BUILTIN = [p.stem for p in sorted((ROOT / "benchmark" / "metrics").glob("[a-z]*.py"))]
EVERY = [*BUILTIN, str(ROOT / "examples" / "my_metric.py")]
CLASSES = ("a", "b", "c")
each_metric = pytest.mark.parametrize("name", EVERY)


def load(name: str) -> ModuleType:
    """Import the module of a metric."""
    return find("metrics", [name])[0].load()


def side(module: ModuleType, seed: int, order: np.ndarray | None = None) -> Side:
    """Return a side of 72 images with exactly the inputs that a metric reads, all of them read-only."""
    images = blobs({"a": 28, "b": 24, "c": 20}, size=16, seed=seed)
    rng, n = np.random.default_rng(seed), len(images)
    every = {
        "feature_maps": lambda pictures: pictures.reshape(len(pictures), 64, 4).astype(np.float32),
        "segmented_classes": np.ones(len(images.classes), bool),
        "found_masks": np.where(images.image > 120, 255, 0).astype(np.uint8),
        "laterality": rng.choice(["left", "right", ""], n),
        "severity": rng.choice(["mild", "severe", ""], n),
        "labels": np.eye(3, dtype=bool)[images.label],
        "predicted_labels": rng.random((2, n, 3)) < 0.3,
        "sex": np.where(rng.random(n) < 0.5, "female", "male"),
        "sources": rng.integers(0, 256, images.image.shape, dtype=np.uint8),
        "features": rng.normal(size=(n, 8)).astype(np.float32),
        "images": images.image.copy(),
        "masks": np.where(images.image > 100, 255, 0).astype(np.uint8),
        "prompts": np.array([f"chest radiograph, {CLASSES[k]}" for k in images.label]),
        "predictions": rng.dirichlet(np.ones(3), size=(2, n)),
    }
    chosen = np.arange(n) if order is None else order
    given = {}
    for need in {*module.Metric.needs, *getattr(module.Metric, "optional", ())}:
        if need in ("feature_maps", "segmented_classes"):  # not one for each image
            given[need] = every[need]
            continue
        by_evaluator = need in ("predictions", "predicted_labels")
        given[need] = every[need][:, chosen] if by_evaluator else every[need][chosen]
        given[need].flags.writeable = False
    return Side(images.label[chosen], CLASSES, given)


def measured(name: str, *sides: Side, seed: int = 0) -> Value:
    """Measure with the default parameters, after setting the global generators."""
    module = load(name)
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    return module.Metric(module.Params(), "cpu").measure(*sides)


@each_metric
def test_module_has_its_parts(name: str) -> None:
    """A module has version, card and parameters, meets the contract, and every default names its source."""
    plugin = find("metrics", [name])[0]
    module = plugin.load()
    assert check_metric(module, plugin) is module.Metric
    assert plugin.version(module)
    assert module.card.keys() == {"title", "description", "citation"}
    assert all(module.card.values())
    assert all(field.description for field in module.Params.model_fields.values())
    with pytest.raises(ValidationError):
        module.Params(no_such_field=1)


@each_metric
def test_value_is_finite_and_of_the_classes(name: str) -> None:
    """With the declared inputs alone, read-only, the value is finite, and so is that of every class."""
    module = load(name)
    value = measured(name, side(module, 1), side(module, 2))
    assert isinstance(value, Value)
    assert np.isfinite([value.value, *value.per_class.values(), *value.details.values()]).all()
    assert {*value.per_class, *value.intervals} <= set(CLASSES)
    assert value.n is None or 1 <= value.n <= 72


@each_metric
def test_value_depends_on_the_inputs_alone(name: str) -> None:
    """Other states of the global generators give the same value, and none of them moves."""
    module = load(name)
    first = measured(name, side(module, 1), side(module, 2))
    assert measured(name, side(module, 1), side(module, 2), seed=9) == first
    assert torch.equal(torch.get_rng_state(), torch.Generator().manual_seed(9).get_state())
    assert np.array_equal(np.random.get_state()[1], np.random.RandomState(9).get_state()[1])  # noqa: NPY002


@each_metric
def test_order_of_images_does_not_matter(name: str) -> None:
    """Both sides in another order give the same value, up to rounding."""
    module, order = load(name), np.random.default_rng(5).permutation(72)
    expected = measured(name, side(module, 1), side(module, 2)).value
    shuffled = measured(name, side(module, 1, order), side(module, 2, order)).value
    assert shuffled == pytest.approx(expected, rel=1e-5)


@each_metric
def test_undeclared_inputs_are_refused(name: str) -> None:
    """A side without inputs names the need that a metric reads first."""
    bare = Side(np.zeros(4, dtype=np.int64), CLASSES, {})
    with pytest.raises(MetricError, match=r"Side\.\w+: is read by a metric whose needs lack it"):
        measured(name, bare, bare)
