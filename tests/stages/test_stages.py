"""Behavior of stages that no whole run shows."""

from __future__ import annotations

import json

import pytest

from benchmark.engine.node import Node
from benchmark.errors import GeneratorError
from benchmark.images import arrow
from benchmark.images.image_set import Splits
from benchmark.planning.metrics import resolve_metrics
from benchmark.stages.fit import refuse_pickles
from benchmark.stages.job import Job
from benchmark.stages.measure import in_proportion
from benchmark.stages.reference import ReferenceConfig, reference
from benchmark.tasks.rules import Mix
from support.samples import blobs

METRICS = resolve_metrics({"fid": {}, "kid": {}, "ms_ssim": {"images": 3}}, ())


def job(folder, config, inputs):
    out, work = folder / config.stage / "out", folder / config.stage / "work"
    out.mkdir(parents=True)
    work.mkdir()
    folders = {role: (folder,) for role, folder in inputs.items()}
    return Job(Node(config.stage, config, row="mean_picture"), folders, out, work)


def test_fit_sees_neither_test_nor_reserve(tmp_path, splits):
    """The splits of a fit have no test, and no reserve unless requested."""
    arrow.write_splits(tmp_path, splits)
    fit_splits = arrow.read_learning(tmp_path, reserve=False)
    assert not hasattr(fit_splits, "test")
    assert fit_splits.reserve is None
    assert arrow.read_learning(tmp_path, reserve=True).reserve.image_id[0].startswith("reserve")


@pytest.mark.usefixtures("ungated")
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


def test_pickle_in_a_saved_generator_is_refused(tmp_path):
    """A file that could run code on loading never enters the store."""
    (tmp_path / "model.safetensors").write_bytes(b"")
    refuse_pickles(tmp_path, "g")
    (tmp_path / "state.pt").write_bytes(json.dumps({}).encode())
    with pytest.raises(GeneratorError, match=r"wrote 'state\.pt'"):
        refuse_pickles(tmp_path, "g")
