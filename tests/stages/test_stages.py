"""Behavior of stages that no whole run shows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmark.engine.node import Node
from benchmark.errors import GeneratorError
from benchmark.images import arrow
from benchmark.images.image_set import Splits
from benchmark.planning.metrics import resolve_metrics
from benchmark.plugins.generator import SampleRequest
from benchmark.stages.fit import FitConfig, fit, refuse_pickles
from benchmark.stages.generate import GenerateConfig, check_samples, generate
from benchmark.stages.job import Job
from benchmark.stages.measure import in_proportion
from benchmark.stages.reference import ReferenceConfig, reference
from benchmark.tasks.rules import Mix
from support.samples import blobs

METRICS = resolve_metrics({"fid": {}, "kid": {}, "ms_ssim": {"images": 3}}, ())
UNCONDITIONAL = '''"""Draws the mean picture of what it was fitted on, with noise; knows no labels."""
import json
import numpy as np
from pydantic import BaseModel
from benchmark.plugins.generator import synthetic_set

version = "1"

class Params(BaseModel, extra="forbid", frozen=True):
    pass

class Generator:
    conditions = set()
    device = "none"
    def __init__(self, params):
        pass
    def to(self, device):
        self.device = device
    def fit(self, train, context):
        assert len(set(train.label.tolist())) == 1
        self.mean = train.image.mean(0) / 255
    def sample(self, request, *, seed):
        noise = np.random.default_rng(seed).normal(0, 0.02, (len(request.label), *self.mean.shape))
        drawn = synthetic_set((self.mean + noise).clip(0, 1), request, generator="mean_picture")
        drawn.card["device"] = self.device
        return drawn
    def save(self, folder):
        (folder / "m.json").write_text(json.dumps(self.mean.tolist()))
    @classmethod
    def load(cls, folder):
        made = cls(None)
        made.mean = np.array(json.loads((folder / "m.json").read_text()))
        return made
'''


def job(folder, config, inputs):
    out, work = folder / config.stage / "out", folder / config.stage / "work"
    out.mkdir(parents=True)
    work.mkdir()
    folders = {role: (folder,) for role, folder in inputs.items()}
    return Job(Node(config.stage, config, row="mean_picture"), folders, out, work)


def test_generator_without_conditions_is_fitted_once_per_class(tmp_path, splits):
    """Each class has its fit on its images, and the samples have the requested labels."""
    (tmp_path / "data").mkdir()
    arrow.write_splits(tmp_path / "data", splits)
    path = tmp_path / "mean_picture.py"
    path.write_text(UNCONDITIONAL)
    shared = {
        "plugin": {"name": "mean_picture", "origin": "file", "version": "1", "target": str(path)},
        "per_class": True, "device": "cpu", "precision": "float32", "mix": Mix(), "classes": ("a", "b", "c"),
    }  # fmt: skip
    config = FitConfig(
        **shared, params={}, extractor="phantom_cxr_v1", extractor_hash="", preview=20, reserve=False
    )
    fitted = job(tmp_path, config, {"data": tmp_path / "data"})
    assert set(fit(fitted).parts) == {"a", "b", "c"}
    assert sorted(p.name for p in fitted.out.iterdir()) == ["a", "b", "c"]
    inputs = {"data": tmp_path / "data", "generator": fitted.out}
    drawn_job = job(tmp_path, GenerateConfig(**shared, bracket=3, image_size=16), inputs)
    result = generate(drawn_job)
    drawn = arrow.read_images(drawn_job.out / "synthetic.arrow")
    assert drawn.label.tolist() == [0, 1, 2] * 3
    for k in range(3):
        expected = splits.train.of_class(k).image.mean(0)
        assert abs(drawn.of_class(k).image.mean(0) - expected).mean() < 4
    assert result.card["a"]["device"] == "cpu"


def test_fit_sees_neither_test_nor_reserve(tmp_path, splits):
    """The splits of a fit have no test, and no reserve unless requested."""
    arrow.write_splits(tmp_path, splits)
    fit_splits = arrow.read_learning(tmp_path, reserve=False)
    assert not hasattr(fit_splits, "test")
    assert fit_splits.reserve is None
    assert arrow.read_learning(tmp_path, reserve=True).reserve.image_id[0].startswith("reserve")


def test_floor_and_reference_are_of_one_size(tmp_path):
    """20 test images of each of 3 classes give halves of 10 each; a small bracket makes them smaller."""
    counts = {"a": 20, "b": 20, "c": 20}
    parts = [blobs(counts, seed=s, prefix=str(s)) for s in range(4)]
    (tmp_path / "data").mkdir()
    arrow.write_splits(tmp_path / "data", Splits(*parts))
    for bracket, expected in ((250, 10), (4, 4)):
        config = ReferenceConfig(
            extractor="phantom_cxr_v1", extractor_hash="", bracket=bracket, metrics=METRICS, device="cpu",
            mix=Mix(), classes=("a", "b", "c"),
        )  # fmt: skip
        result = reference(job(tmp_path / str(bracket), config, {"data": tmp_path / "data"}))
        assert result.counts == {"a": expected, "b": expected, "c": expected}
        assert result.n == 3 * expected


def test_measured_images_have_the_proportions_of_the_real_images():
    """Counts are matched by class name, whatever the stored order."""
    images = blobs({"healthy": 9, "fungal": 9, "covid19": 9})
    chosen = in_proportion(images, {"covid19": 2, "fungal": 3, "healthy": 5})
    assert chosen.counts() == {"healthy": 5, "fungal": 3, "covid19": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.select(np.arange(5)), "gave shape"),
        (lambda s: s.select(np.arange(6)[::-1]), "changed the labels"),
        (lambda s: blobs({"x": 3, "y": 3}), "changed the labels or classes"),
        (lambda s: np.zeros(3), "gave ndarray"),
    ],
)
def test_samples_that_break_the_request_are_refused(change, message):
    """Fewer images, another order, other classes or no ImageSet are refused."""
    request = SampleRequest(np.array([0, 0, 0, 1, 1, 1]), ("a", "b"), 16)
    with pytest.raises(GeneratorError, match=message):
        check_samples(change(blobs({"a": 3, "b": 3})), request, "g")


def test_pickle_in_a_saved_generator_is_refused(tmp_path):
    """A file that could run code on loading never enters the store."""
    (tmp_path / "model.safetensors").write_bytes(b"")
    refuse_pickles(tmp_path, "g")
    (tmp_path / "state.pt").write_bytes(json.dumps({}).encode())
    with pytest.raises(GeneratorError, match=r"wrote 'state\.pt'"):
        refuse_pickles(tmp_path, "g")
