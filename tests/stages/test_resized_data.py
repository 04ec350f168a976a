"""Images at a generator's own size: the same images, labels and splits as the data of the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmark import stages
from benchmark.engine.node import Graph
from benchmark.engine.runner import input_keys
from benchmark.engine.store import Store
from benchmark.engine.worker import compute
from benchmark.errors import DataError
from benchmark.images import arrow
from benchmark.planning.graph import build
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.stages.job import SYNTHETIC
from benchmark.stages.resized_data import at_size
from support.samples import ROOT, blobs

TASKS = ROOT / "tests" / "tasks"
LARGE = {"duplicate": {"plugin": "duplicate_real", "image_size": 48}}


def run(folder: Path, task: str, ends: set[str], **request) -> tuple[Graph, dict[str, Path]]:
    """Compute a tiny task with a copying generator of 48 px until some stages; return the folders by node."""
    content = yaml.safe_load((TASKS / f"{task}.yaml").read_text())
    for profile in content["profiles"].values():
        profile["generators"] = LARGE
        profile["brackets"], profile["primary_bracket"] = [4], 4
    path = folder / f"{task}.yaml"
    path.write_text(yaml.safe_dump(content))
    plan = make_plan(RunRequest(str(path), device="cpu", precision="float32", **request), stages=ends)
    only = "duplicate" if "generate" in ends else None
    graph, store, folders = build(plan).until(ends, only), Store(folder / "store"), {}
    for node in graph:
        key = graph.keys[node.id]
        compute(node, key, input_keys(graph, node), str(store.root), stages.run)
        folders[node.id] = store.folder(node.stage, key)
    return graph, folders


def check_same(small: Path, large: Path) -> None:
    """Compare train and val at both sizes: everything but the pixels is equal, and the pixels are alike."""
    base, own = (arrow.read_learning(folder, reserve=False) for folder in (small, large))
    for a, b in ((base.train, own.train), (base.val, own.val)):
        assert b.size == 48
        assert a.classes == b.classes
        columns, others = a.columns(), b.columns()
        assert columns.keys() == others.keys()
        for name in columns.keys() - {"image", "mask", "box"}:
            np.testing.assert_array_equal(columns[name], others[name], name)
        fine, coarse = (np.asarray(x.image[:20], float) for x in (b, a))
        shrunk = fine.reshape(len(fine), 16, 3, 16, 3).mean((2, 4))
        halved = coarse.reshape(len(coarse), 16, 2, 16, 2).mean((2, 4))
        matched = [np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in zip(shrunk, halved, strict=True)]
        assert np.median(matched) > 0.95


@pytest.mark.parametrize(
    ("task", "scenario"),
    [
        ("tiny_binary", "labels.uncertain=self_trained"),
        pytest.param("tiny_binary", "labels.uncertain=multi_class,view.keep=frontal", marks=pytest.mark.slow),
        pytest.param("tiny_multi", None, marks=pytest.mark.slow),
    ],
)
def test_a_larger_generator_learns_the_same_images(tmp_path, task, scenario):
    """With pseudo-labels, a third class, or several labels, the images are the same ones."""
    graph, folders = run(tmp_path, task, {"resized_data"}, scenario=scenario)
    (node,) = graph.find("resized_data")
    check_same(folders[node.inputs["data"][0]], folders[node.id])


def test_real_images_are_the_same_at_another_size(tmp_path, packs):
    """Files of a real pack are decoded again at the larger size, in the same splits."""
    pack = {"source": "covid_chestxray", "root": packs / "covid-chestxray"}
    graph, folders = run(tmp_path, "tiny", {"resized_data"}, **pack)
    (node,) = graph.find("resized_data")
    check_same(folders[node.inputs["data"][0]], folders[node.id])


def test_every_fold_of_an_imbalanced_class_has_its_images_and_samples(tmp_path):
    """In each of two folds the images are those of the run, with half of a class left out. Copies of them at
    48 px arrive at 32 px, resembling the training images at 32 px."""
    graph, folders = run(tmp_path, "tiny_folds", {"generate"})
    for node in graph.find("generate"):
        (own,) = [n for n in graph.find("resized_data") if n.fold == node.fold]
        data = folders[own.inputs["data"][0]]
        check_same(data, folders[own.id])
        drawn, train = (
            arrow.read_images(folders[node.id] / SYNTHETIC),
            arrow.read_images(data / "train.arrow"),
        )
        assert drawn.size == train.size == 32
        place = {name: row for row, name in enumerate(train.image_id.tolist())}
        real = train.select([place[name] for name in drawn.source_id])
        assert np.abs(drawn.image.astype(float) - real.image).mean() < 12
        assert (drawn.label == real.label).all()
    assert len(graph.find("generate")) == 2


def test_a_source_with_other_images_is_refused():
    """An image that the source lacks at the other size is named; masks and boxes are those of the size."""
    split, large = blobs({"a": 3, "b": 2}), blobs({"a": 3, "b": 2}, size=32)
    with pytest.raises(DataError, match=r"has no image 'p-00003' at 32 px, which it has at 16 px"):
        at_size(split, [large.select([0, 1, 2])], "s")
    parts = [large.select([4, 0]), large.select([3, 2, 1])]
    box = np.arange(20, dtype=np.float32).reshape(5, 4)
    whole = replace(large, box=box)
    assert np.array_equal(at_size(split, parts, "s").image, large.image)
    assert np.array_equal(at_size(split.select([4, 1]), [whole], "s").box, box[[4, 1]])
