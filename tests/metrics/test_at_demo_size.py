"""The measures at the demo's size, for the tables of docs/metrics.md.

``python -m pytest -m slow -s tests/metrics/test_at_demo_size.py`` prints them.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from benchmark.datasets.phantom import chest
from benchmark.generators import copycat, duplicate_real, noise, traditional
from benchmark.images.image_set import ImageSet, Splits
from benchmark.metrics.extractor.features import features
from benchmark.metrics.fid import fid
from benchmark.metrics.kid import kid
from benchmark.metrics.memorization.gate import memorization
from benchmark.metrics.memorization.real_copies import RealCopies
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from benchmark.protocol import load as loading
from benchmark.protocol.halves import REPEATS, patient_halves
from benchmark.tasks.schema import SplitRule
from support.fit_context import FakeContext
from support.samples import synthetic

pytestmark = pytest.mark.slow
CLASSES = ("healthy", "fungal", "covid19", "bacterial", "viral")
SIZE, PER_CLASS = 32, 250
GATED = {
    "copycat",
    "duplicate_real",
    "traditional",
    "blend 80:20",
    "mean of 2 training images",
    "every tenth a copy",
}
FREE = {"oracle", "noise", "blurred", "collapsed"}


@pytest.fixture(scope="module")
def splits() -> Splits:
    rule = SplitRule(val=0.15)
    return loading.load(
        chest,
        chest.Params(),
        classes=CLASSES,
        image_size=SIZE,
        split=rule,
        reserve_per_class=PER_CLASS,
        seed=31,
    )


def candidates(splits: Splits) -> Iterator[tuple[str, ImageSet]]:
    """Yield sets of 250 images per class: controls, and several ways to approach the training images."""
    request = SampleRequest.balanced(PER_CLASS, CLASSES, SIZE)
    rng, fresh = np.random.default_rng(0), splits.reserve
    yield "oracle", fresh
    controls = {}
    for module in (copycat, duplicate_real, traditional, noise):
        generator = module.Generator(module.Params())
        generator.fit(splits.train, FakeContext(Path(), classes=CLASSES, image_size=SIZE))
        drawn = generator.sample(request, SampleContext(seed=1))
        controls[module] = synthetic(drawn.image, request)
        yield module.__name__.rpartition(".")[2], controls[module]
    tenth = (np.arange(len(fresh)) % 10 == 0)[:, None, None]
    yield "every tenth a copy", replace(fresh, image=np.where(tenth, controls[copycat].image, fresh.image))
    yield "blend 80:20", blend(splits.train, fresh, (0.8, 0.2), rng)
    yield "mean of 2 training images", blend(splits.train, fresh, (0.5, 0.5), rng)
    yield "mean of 8 training images", blend(splits.train, fresh, (1 / 8,) * 8, rng)
    yield "blurred", replace(fresh, image=gaussian_filter(fresh.image, (0, 1.2, 1.2)))
    few = np.stack([np.resize(np.flatnonzero(fresh.label == k)[:20], PER_CLASS) for k in range(5)], 1).ravel()
    noisy = fresh.image[few] + rng.normal(0, 5, (len(few), SIZE, SIZE))
    yield "collapsed", replace(fresh, image=noisy.clip(0, 255).astype(np.uint8), label=fresh.label[few])


def blend(train: ImageSet, like: ImageSet, weights: tuple[float, ...], rng: np.random.Generator) -> ImageSet:
    """Return weighted means of different training images of one class."""
    pools = [train.image[train.label == k].astype(float) for k in range(len(CLASSES))]
    images = [
        np.average(pools[k][rng.choice(len(pools[k]), len(weights), replace=False)], 0, weights)
        for k in like.label
    ]
    return replace(like, image=np.stack(images).round().astype(np.uint8))


def real_floor(real: np.ndarray, test: ImageSet, n: int) -> dict[str, float]:
    """Return mean and standard deviation of FID and KID between halves of n images."""
    scores: dict[str, list[float]] = {"fid": [], "kid": []}
    for repeat in range(REPEATS):
        rng = np.random.default_rng([0, repeat])
        a, b = (real[half] for half in patient_halves(test.patient_id, test.label, n, rng))
        scores["fid"].append(fid(a, b))
        scores["kid"].append(kid(a, b))
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    return means | {f"{name}_sd": float(np.std(values)) for name, values in scores.items()}


def test_only_copies_are_gated(splits):
    """Copies, near-copies and faint blends are gated; new, noisy, blurred and collapsed images are not."""
    print(
        "\n| images | rate | 95 % interval | nearest to a training patient | gated |\n|---|---|---|---|---|"
    )
    gated, real = {}, RealCopies.of(splits, 0)
    for name, images in candidates(splits):
        r = gated[name] = memorization(images, splits.test, real)
        low, high = r["interval"]
        near = f"{r['nearness']['share']:.2f} ± {r['nearness']['error']:.2f}"
        verdict = "yes" if r["gated"] else "no"
        print(f"| {name} | {r['rate']:.3f} | {low:.3f} to {high:.3f} | {near} | {verdict} |")
        assert not r["blind"]
    print({k: round(r[k], 4) for k in ("expected", "threshold", "planted_recall")})
    assert {name for name in GATED | FREE if gated[name]["gated"]} == GATED
    assert gated["copycat"]["rate"] > 0.9


def test_fid_and_kid_order_clearly_different_sets(splits):
    """Floors fall with n.

    Fresh patients score near the floor, blur and augmentation higher, noise highest.
    """
    test, n = splits.test, 1000
    real = features(test.image, "phantom_cxr_v1")
    floors = {k: real_floor(real, test, k) for k in (50, 250, n)}
    print("\n| n | FID floor | KID floor |\n|---|---|---|")
    for k, f in floors.items():
        print(f"| {k} | {f['fid']:.2f} ± {f['fid_sd']:.2f} | {f['kid']:.4f} ± {f['kid_sd']:.4f} |")
    half, _ = patient_halves(test.patient_id, test.label, n, np.random.default_rng(0))
    fids = {}
    print(f"\n| images (n = {n}) | FID | KID |\n|---|---|---|")
    for name, images in candidates(splits):
        fake = features(images.image[:n], "phantom_cxr_v1")
        fids[name] = fid(real[half], fake)
        print(f"| {name} | {fids[name]:.2f} | {kid(real[half], fake):.4f} |")
    assert floors[50]["fid"] > floors[250]["fid"] > floors[n]["fid"]
    assert fids["oracle"] < 2 * floors[n]["fid"] < fids["blurred"]
    assert fids["noise"] > fids["traditional"] > 2 * floors[n]["fid"]
