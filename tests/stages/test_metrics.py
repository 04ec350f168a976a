"""Metrics within the stages: what each receives, its floor, and its faults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.engine.node import Node
from benchmark.errors import MetricError
from benchmark.images import arrow
from benchmark.images.image_set import ImageSet, Splits
from benchmark.metrics.extractor.features import features
from benchmark.metrics.fid import fid
from benchmark.metrics.kid import kid
from benchmark.metrics.ms_ssim import ms_ssim_within_classes
from benchmark.planning.metrics import resolve_metrics
from benchmark.protocol.halves import largest_half, patient_halves
from benchmark.stages import metrics as stage_metrics
from benchmark.stages.job import Job
from benchmark.stages.measure import MeasureConfig, MeasureResult, in_proportion, measure
from benchmark.stages.records import Measure
from benchmark.stages.reference import ReferenceConfig, ReferenceResult, reference
from benchmark.stages.training import ClassifierStageConfig
from benchmark.tasks.classifier import Budget, ClassifierConfig
from benchmark.tasks.rules import Mix
from support.samples import blobs

pytestmark = pytest.mark.usefixtures("ungated")

CLASSES = ("a", "b", "c")
COUNTS = dict.fromkeys(CLASSES, 20)
HEAD = '''"""A metric of a test."""
import numpy as np
from pydantic import BaseModel
from benchmark.plugins.metric import Value

version = "1"
card = {"title": "TITLE", "description": "d", "citation": "c"}

class Params(BaseModel, extra="forbid", frozen=True):
    pass

class Metric:
    needs = {NEEDS}
    direction = "maximize"
    sides = "SIDES"
    def __init__(self, params, device):
        pass
    def measure(self, real, fake):
'''
LOCATED = """\
        inside = [m[np.unravel_index(i.argmax(), i.shape)] > 0 for i, m in zip(fake.images, fake.masks)]
        of_class = {c: np.mean(np.array(inside)[fake.label == k]) for k, c in enumerate(fake.classes)}
        return Value(float(np.mean(inside)), per_class={c: float(v) for c, v in of_class.items()})
"""
AGREEMENT = """\
        assert fake.predictions.shape == (2, len(fake), 3)
        right = fake.predictions.mean(0).argmax(1) == fake.label
        return Value(float(right.mean()), n=int(right.sum()), details={"evaluators": 2.0})
"""


def plugin(folder: Path, name: str, body: str, needs: str, sides: str = "all") -> str:
    """Write a metric's file and return its path."""
    path = folder / f"{name}.py"
    head = (
        HEAD.replace("TITLE", name.title())
        .replace("{NEEDS}", repr(set(needs.split())))
        .replace("SIDES", sides)
    )
    path.write_text(head + body)
    return str(path)


def measured(
    root: Path, added: tuple[str, ...], test: ImageSet, fake: ImageSet, default: bool = False
) -> tuple[ReferenceResult, MeasureResult]:
    """Run reference and measure with some metrics."""
    folders = {name: root / name for name in ("data", "reference", "synthetic", "evaluators", "measure")}
    for folder in folders.values():
        folder.mkdir()
    parts = [blobs(COUNTS, seed=s, prefix=str(s)) for s in range(3)]
    arrow.write_splits(folders["data"], Splits(parts[0], parts[1], test, parts[2]))
    arrow.write_images(folders["synthetic"] / "synthetic.arrow", fake)
    declared = {"fid": {}, "kid": {}, "ms_ssim": {"images": 7}} if default else {}
    evaluating = ClassifierStageConfig(
        classes=CLASSES, labels="single", metric="accuracy", device="cpu", precision="float32",
        classifier=ClassifierConfig(name="r", timm="resnet10t", learning_rate=0.1, augmentation="none"),
        budget=Budget(unit="steps", length=1, batch_size=4, evaluations=1),
    )  # fmt: skip
    shared = {
        "mix": Mix(), "bracket": 20, "classes": CLASSES, "extractor": "phantom_cxr_v1", "extractor_hash": "",
        "metrics": resolve_metrics(declared, added), "evaluating": evaluating, "device": "cpu",
    }  # fmt: skip
    inputs = {role: (folder,) for role, folder in folders.items()}
    first = Job(Node("r", ReferenceConfig(**shared)), inputs, folders["reference"], root)
    result = reference(first)
    first.write(result)
    second = Job(Node("m", MeasureConfig(**shared), row="gan", seed=2), inputs, folders["measure"], root)
    return result, measure(second)


def with_spots(images: ImageSet, inside: np.ndarray) -> ImageSet:
    """Return the images with a white pixel, and masks that hold it where ``inside`` is true."""
    image, mask = np.minimum(images.image, 200), np.zeros_like(images.image)
    image[:, 3, 4] = 255
    mask[inside, 3, 4] = 255
    mask[~inside, 9, 9] = 255
    return replace(images, image=image, mask=mask)


def test_default_metrics_have_the_values_of_their_functions(tmp_path):
    """FID, KID and MS-SSIM and their floors equal, to the last bit, those of their functions."""
    test, fake = blobs(COUNTS, seed=8, size=32, prefix="test"), blobs(COUNTS, seed=9, size=32, prefix="fake")
    result, row = measured(tmp_path, (), test, fake, default=True)
    figures = row.measures
    real = features(test.image, "phantom_cxr_v1")
    n = largest_half(test.patient_id, test.label, 0)
    halves = [
        patient_halves(test.patient_id, test.label, n, np.random.default_rng([0, repeat]))
        for repeat in range(5)
    ]
    drawn = features(in_proportion(fake, result.counts).image, "phantom_cxr_v1")
    for name, distance in (("fid", fid), ("kid", kid)):
        own = figures[f"{name}_phantom_cxr_v1"]
        floors = [distance(real[a], real[b]) for a, b in halves]
        assert own.value == distance(real[halves[0][0]], drawn)
        assert (own.floor, own.floor_sd) == (float(np.mean(floors)), float(np.std(floors)))
        assert (own.n, own.direction, own.card.extractor) == (n, "minimize", "phantom_cxr_v1")
    alike, of_real = (ms_ssim_within_classes(i.image, i.label, CLASSES, 7) for i in (fake, test))
    own = figures["ms_ssim"]
    assert (own.value, own.floor, own.n, own.details) == (alike.value, of_real.value, 21, {"scales": 2})
    assert {c: v.value for c, v in own.per_class.items()} == alike.per_class
    assert {c: v.floor for c, v in own.per_class.items()} == of_real.per_class


def test_metric_of_masks(tmp_path):
    """Spots lie in 45 of 60 synthetic masks and in 50 of 60 real ones, class by class."""
    path = plugin(tmp_path, "located", LOCATED, "images masks")
    fake = with_spots(blobs(COUNTS, seed=9, prefix="fake"), np.arange(60) % 4 > 0)
    test = with_spots(blobs(COUNTS, seed=8, prefix="test"), np.arange(60) % 6 > 0)
    _, result = measured(tmp_path, (path,), test, fake)
    own = result.measures["located"]
    assert (own.value, own.floor, own.floor_sd, own.n) == (0.75, pytest.approx(50 / 60), None, 60)
    assert own.per_class["a"].value == np.mean((np.arange(60) % 4 > 0)[fake.label == 0])
    assert own.card.model_dump() == {
        "title": "Located", "description": "d", "citation": "c", "version": own.card.version, "params": {}
    }  # fmt: skip


def test_metric_without_its_inputs_is_left_out_with_a_note(tmp_path):
    """A row without masks, and real images without prompts, lack these metrics, and a note reports why."""
    masks = plugin(tmp_path, "located", LOCATED, "images masks")
    prompts = plugin(tmp_path, "worded", "        return Value(1.0)\n", "prompts")
    test = with_spots(blobs(COUNTS, seed=8, prefix="test"), np.arange(60) > 0)
    result, row = measured(tmp_path, (masks, prompts), test, blobs(COUNTS, seed=9, prefix="fake"))
    assert set(result.floors) == {"located"}
    assert row.measures == {}
    assert row.notes == [
        "Worded is not measured: the real test images have no prompts",
        "gan: Located is not measured, since its images have no masks",
    ]


def test_metric_of_prompts(tmp_path):
    """The share of prompts that name the class is 2 in 3 for synthetic images, and 1 for real ones."""
    body = (
        "        named = [fake.classes[k] in p.split() for k, p in zip(fake.label, fake.prompts)]\n"
        "        return Value(float(np.mean(named)))\n"
    )
    path = plugin(tmp_path, "worded", body, "prompts")
    fake, test = blobs(COUNTS, seed=9, prefix="fake"), blobs(COUNTS, seed=8, prefix="test")
    test = replace(test, prompt=np.array([f"finding {CLASSES[k]}" for k in test.label]))
    fake = replace(fake, prompt=np.array([f"finding {CLASSES[min(k, 1)]}" for k in fake.label]))
    own = measured(tmp_path, (path,), test, fake)[1].measures["worded"]
    assert (own.value, own.floor) == (pytest.approx(2 / 3), 1.0)


class _Evaluator:
    """Recognizes every image but the synthetic ones with an odd number."""

    def scores(self, images: ImageSet) -> np.ndarray:
        shift = np.array([i.startswith("fake") and int(i[-1]) % 2 for i in images.image_id]).astype(int)
        return np.eye(3)[(images.label - shift) % 3]


def test_metric_of_predictions(tmp_path, monkeypatch):
    """Two evaluators give probabilities of both sides; half of the synthetic images are recognized."""
    monkeypatch.setattr(stage_metrics, "evaluators", lambda *_: [_Evaluator(), _Evaluator()])
    path = plugin(tmp_path, "agreement", AGREEMENT, "predictions", "matched")
    fake, test = blobs(COUNTS, seed=9, prefix="fake"), blobs(COUNTS, seed=8, prefix="test")
    own = measured(tmp_path, (path,), test, fake)[1].measures["agreement"]
    assert (own.value, own.floor, own.floor_sd) == (0.5, 1.0, 0.0)
    assert (own.n, own.details) == (15, {"evaluators": 2.0})


PAIRED = ("ssim", "sifid", "psnr")


def test_metrics_of_sources_compare_with_the_training_image(tmp_path):
    """Copies of their sources have the best values; the floor is that of two patients of a class."""
    train, test = blobs(COUNTS, seed=0, prefix="0"), blobs(COUNTS, seed=8, prefix="test")
    fake = replace(
        blobs(COUNTS, seed=9, prefix="fake"), image=train.image[::-1].copy(), label=train.label[::-1].copy(),
        source_id=train.image_id[::-1].copy(),
    )  # fmt: skip
    _, row = measured(tmp_path, PAIRED, test, fake)
    ssim, sifid, psnr = (row.measures[n] for n in ("ssim", "sifid_phantom_cxr_v1", "psnr"))
    assert (ssim.value, psnr.value) == (pytest.approx(1, abs=1e-6), pytest.approx(58.92, abs=0.01))
    assert sifid.value == pytest.approx(0, abs=1e-6)
    assert (ssim.floor < 0.9, sifid.floor > 1e-3, psnr.floor < 20) == (True, True, True)
    assert (ssim.floor_sd, ssim.n, sifid.card.extractor) == (None, 60, "phantom_cxr_v1")


@pytest.mark.parametrize("source", [None, "elsewhere"])
def test_a_row_without_sources_says_so(tmp_path, source):
    """Without source ids, or with ids of no training image, a line each reports what is not measured."""
    fake = blobs(COUNTS, seed=9, prefix="fake")
    if source:
        fake = replace(fake, source_id=np.full(len(fake), source))
    _, row = measured(tmp_path, PAIRED, blobs(COUNTS, seed=8, prefix="test"), fake)
    assert row.measures == {}
    assert row.notes == [
        f"gan: {title} is not measured, since its images have no source image"
        for title in ("SSIM", "SIFID", "PSNR, dB")
    ]


def test_prevalence_and_intervals_reach_the_record(tmp_path, monkeypatch):
    """Every label has the share and the interval of both sides."""
    monkeypatch.setattr(stage_metrics, "evaluators", lambda *_: [_Evaluator()])
    fake, test = blobs(COUNTS, seed=9, prefix="fake"), blobs(COUNTS, seed=8, prefix="test")
    own = measured(tmp_path, ("label_prevalence",), test, fake)[1].measures["label_prevalence"]
    a = own.per_class["a"]
    assert a.interval[0] < a.value < a.interval[1]
    assert a.floor_interval[0] < a.floor < a.floor_interval[1]
    assert own.floor == pytest.approx(0.0, abs=0.2)


def test_class_distances_reach_the_record(tmp_path):
    """Both matrices and the distances to the first class are in the record, which is written and read."""
    counts = dict.fromkeys(CLASSES, 50)
    fake, test = blobs(counts, seed=9, prefix="fake"), blobs(counts, seed=8, prefix="test")
    own = measured(tmp_path, ("class_distances",), test, fake)[1].measures
    measure = own["class_distances_phantom_cxr_v1"]
    assert measure.matrix.names == measure.floor_matrix.names == CLASSES
    assert (measure.per_class["a"].value, measure.per_class["a"].floor) == (0.0, 0.0)
    assert measure.per_class["b"].value > 0
    again = Measure.model_validate_json(measure.model_dump_json())
    assert again == measure


def test_what_the_images_do_not_admit_is_a_note(tmp_path):
    """With 10 images of a class in each half no class is measured, real or synthetic."""
    fake, test = blobs(COUNTS, seed=9, prefix="fake"), blobs(COUNTS, seed=8, prefix="test")
    result, row = measured(tmp_path, ("class_distances",), test, fake)
    line = "Class distances is not measured between real test images: fewer than 3 classes have 20 images"
    assert (result.notes, row.measures) == ([line], {})
    assert row.notes == [line]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('no idea')", r"measure\(\) raised ValueError: no idea"),
        ("return 0.5", r"measure\(\) gave float, expected a Value"),
        ("return Value(float('nan'))", r"measure\(\) gave nan for 'value'"),
        ("return Value(1.0, per_class={'a': float('inf')})", r"measure\(\) gave inf for 'a'"),
        ("return Value(1.0, per_class={'x': 1.0})", r"measure\(\) gave a value of 'x', which is no class"),
        ("return Value(fake.masks.mean())", r"Side\.masks: is read by a metric whose needs lack it"),
    ],
)
def test_fault_of_a_metric_is_one_line(tmp_path, body, message):
    """An exception, another type, a value that is not finite and an undeclared input name the fault."""
    path = plugin(tmp_path, "faulty", f"        {body}\n", "images")
    with pytest.raises(MetricError, match=message):
        measured(
            tmp_path, (path,), blobs(COUNTS, seed=8, prefix="test"), blobs(COUNTS, seed=9, prefix="fake")
        )
