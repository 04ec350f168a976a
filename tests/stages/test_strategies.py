"""Every strategy of the training set, from the task to the bundle and the leaderboard."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.bundles.folds import joined_measures
from benchmark.bundles.io import read_bundles
from benchmark.classifiers import evaluator as evaluators
from benchmark.engine.node import Graph, Node
from benchmark.engine.outcome import Outcome
from benchmark.errors import DataError, MetricError
from benchmark.images import arrow
from benchmark.images.image_set import Splits
from benchmark.metrics.memorization.real_copies import RealCopies
from benchmark.planning.metrics import resolve_metrics
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.reporting.leaderboards.publish import compare_bundles
from benchmark.stages.classify import ClassifyConfig
from benchmark.stages.gan_test import GanTestConfig, gan_test
from benchmark.stages.job import Job
from benchmark.stages.measure import MeasureConfig, in_proportion, measure
from benchmark.stages.quality_filter import QualityFilterConfig, quality_filter
from benchmark.stages.records import ClassValue, Measure
from benchmark.stages.reference import ReferenceResult
from benchmark.stages.select import SelectConfig, select
from benchmark.stages.training import ClassifierStageConfig
from benchmark.tasks.rules import Mix
from benchmark.utils.files import write_json
from support.runs import run_here
from support.samples import ROOT, blobs


@dataclass(frozen=True)
class Run:
    """Results of a run in this process."""

    graph: Graph
    outcome: Outcome
    bundles: Path
    page: str

    def result(self, node_id):
        return self.outcome.results[node_id].manifest["result"]

    def images(self, node_id):
        return arrow.read_images(self.outcome.results[node_id].folder / "synthetic.arrow")

    def bundle(self, row):
        return json.loads((self.bundles / row / "bundle.json").read_text())


def run(root: Path, scenario: str, task: str = "tiny_strategies", mix=None, curve=()) -> Run:
    """Run all stages of a tiny task, and write its bundles and leaderboard."""
    path = ROOT / "tests" / "tasks" / f"{task}.yaml"
    plan = make_plan(RunRequest(task=str(path), scenario=scenario, device="cpu", precision="float32"))
    if mix:
        profiles = {n: p.model_copy(update={"learning_curve": curve}) for n, p in plan.task.profiles.items()}
        plan = replace(plan, task=plan.task.model_copy(update={"mix": mix, "profiles": profiles}))
    out = root / (scenario.replace("=", "-") or task)
    graph, outcome = run_here(plan, root, out)
    return Run(graph, outcome, out / "bundles", (out / "leaderboard.md").read_text())


@pytest.fixture(scope="module")
def root(tmp_path_factory, few_compared):
    """One store for all runs, so that shared nodes are computed once."""
    return tmp_path_factory.mktemp("strategies")


@pytest.fixture(scope="module")
def selected(root):
    """A run with misclassified images as input, deficit balancing and a learning curve."""
    return run(root, "mix.fit_on=misclassified,mix.unit=deficit")


@pytest.fixture(scope="module")
def filtered(root):
    """A run with a mixing ratio of two, a twofold surplus of samples and the quality filter."""
    return run(root, "mix.filter=evaluators,mix.ratio=2.0")


def test_chosen_images_are_misclassified(selected):
    """The counts match the stored positions: fewer than the misclassified, and of the reported classes."""
    content = selected.result("select")
    folder = selected.outcome.results["select"].folder
    train = arrow.read_images(selected.outcome.results["data"].folder / "train.arrow")
    chosen = train.select(np.load(folder / "chosen.npy"))
    assert chosen.counts() == content["chosen"]
    assert content["training_images"] == train.counts()
    assert all(
        content["chosen"][c] <= content["misclassified"][c] <= train.counts()[c] for c in train.classes
    )
    assert 0 < len(chosen) < sum(content["misclassified"].values())
    assert (folder / "boundary.png").read_bytes().startswith(b"\x89PNG")


def test_copies_are_of_chosen_images_and_the_oracle_is_unaffected(selected):
    """Every copy is a chosen image; the oracle draws from the whole reserve."""
    data = selected.outcome.results["data"].folder
    train, reserve = (arrow.read_images(data / f"{name}.arrow") for name in ("train", "reserve"))
    chosen = train.select(np.load(selected.outcome.results["select"].folder / "chosen.npy"))

    def pixels(images):
        return {i.tobytes() for i in images.image}

    assert pixels(selected.images("generate/duplicate_real")) <= pixels(chosen)
    assert pixels(selected.images("generate/oracle")) <= pixels(reserve)


def test_bracket_one_of_the_deficit_balances_the_training(selected):
    """Every class has as many images as the largest one."""
    counts = selected.result("data")["splits"]["train"]["counts"]
    content = selected.result("classify/duplicate_real/1/resnet10_tiny/0")
    assert content["training_images"] == 3 * max(counts.values())


def test_the_selection_is_reported_on_the_leaderboard(selected):
    """The bundle's notes and the page report the count of each class."""
    (note,) = (n for n in selected.bundle("real_only")["data"]["notes"] if "misclassifies" in n)
    fungal = selected.result("select")["chosen"]["fungal"]
    assert f"fungal {fungal} of " in note
    assert f"fungal {fungal} of " in selected.page


def test_the_gan_test_is_reproducible_from_the_stored_evaluators(selected):
    """The manifest's value and floor match the stored networks on the samples and on test."""
    from sklearn.metrics import recall_score

    from benchmark.classifiers.config import TrainingConfig
    from benchmark.classifiers.evaluator import load_evaluator

    data = selected.outcome.results["data"].folder
    drawn, test = selected.images("generate/oracle"), arrow.read_images(data / "test.arrow")
    least = min(n for n in drawn.counts().values() if n)  # test is balanced
    drawn = in_proportion(drawn, dict.fromkeys(drawn.classes, least))
    values, floors = [], []
    requested = np.unique(drawn.label)
    real = test.select(np.isin(test.label, requested))
    for seed in (0, 1):
        result = selected.outcome.results[f"classify/real_only/0/resnet10_tiny/{seed}"]
        config = ClassifyConfig(**result.manifest["config"])
        fit = TrainingConfig(
            config.classifier, config.budget, config.balance, seed, "cpu", "float32", Path(), predicted=3
        )
        read = load_evaluator(result.folder, fit, 3, multilabel=False)
        for scores_of, images in ((values, drawn), (floors, real)):
            taken = read.scores(images).argmax(1)
            scores_of.append(
                recall_score(images.label, taken, labels=requested, average="macro", zero_division=0.0)
            )
    measure = selected.bundle("oracle")["measures"]["gan_test_balanced_accuracy"]
    assert measure["floor"] == pytest.approx(np.mean(floors))
    assert measure["direction"] == "maximize"
    assert measure["networks"] == 2
    each = measure["per_class"]
    assert np.mean([v["floor"] for v in each.values()]) == pytest.approx(measure["floor"])
    assert measure["value"] == pytest.approx(np.mean(values))
    assert measure["n"] == len(drawn)
    assert "GAN-test (balanced accuracy)" in selected.page


def test_the_curve_is_in_the_bundle_of_real_only(selected):
    """Test is predicted for every share and seed, images grow with the share, and the bundle is readable."""
    from benchmark.bundles.io import read_bundles

    bundles = {b.manifest.row.name: b for b in read_bundles(selected.bundles)}
    curve = bundles["real_only"].curve
    assert [b.curve is None for name, b in bundles.items() if name != "real_only"] == [True, True]
    assert set(curve["split"]) == {"test"}
    assert curve.groupby(["share", "seed"]).size().tolist() == [48] * 4
    images = curve.groupby(["seed", "share"])["images"].first().unstack()
    full = selected.result("data")["splits"]["train"]["images"]
    assert (images[0.3] < images[0.6]).all()
    assert (images[0.6] < full).all()
    assert set(bundles["real_only"].predictions["bracket"]) == {0}
    assert len(bundles["real_only"].predictions) == 2 * (48 + 16)
    content = json.loads((selected.bundles.parent / "leaderboard.json").read_text())["comparison"]
    points = content["learning_curve"]["points"]
    assert [p["images"] for p in points] == [*images.mean().tolist(), full]
    assert set(content["equivalent"]) == {"duplicate_real", "oracle"}


def test_rows_are_read_off_the_curve(selected, folded):
    """The curve ends with all real images, and gives each other row's equivalent, or the reason for none."""
    comparison = compare_bundles(read_bundles(selected.bundles)).to_json()
    full = selected.result("data")["splits"]["train"]["images"]
    points = comparison["learning_curve"]["points"]
    assert len(points) == 3
    assert points[-1]["images"] == full
    real_only = comparison["figures"]["test"]["8"]["real_only"]["balanced_accuracy"]["estimate"]
    assert points[-1]["estimate"] == pytest.approx(real_only)
    assert comparison["equivalent"].keys() == comparison["figures"]["test"]["8"].keys() - {"real_only"}
    for worth in comparison["equivalent"].values():
        assert (worth["primary"]["images"] is None) == (worth["primary"]["reason"] is not None)
    folds = compare_bundles(read_bundles(folded.bundles)).to_json()
    assert "has 2 sizes" in next(iter(folds["equivalent"].values()))["primary"]["reason"]


def test_the_filter_retains_images_that_the_evaluators_accept(filtered):
    """Retained images are the first whose mean score over both networks predicts their class."""
    drawn, retained = filtered.images("generate/oracle"), filtered.images("quality_filter/oracle")
    counts = filtered.result("quality_filter/oracle")["quality_filter"]
    assert drawn.counts() == dict.fromkeys(drawn.classes, 32)  # bracket 8, ratio 2, surplus 2
    for name, rate in counts.items():
        assert rate["drawn"] == 32
        assert rate["requested"] == 16
        assert rate["retained"] == min(16, rate["accepted"]) == retained.counts()[name]
    assert set(retained.image_id) <= set(drawn.image_id)
    position = {i: p for p, i in enumerate(drawn.image_id)}
    assert [position[i] for i in retained.image_id] == sorted(position[i] for i in retained.image_id)
    assert (
        len({r["retained"] for r in counts.values()}) > 1
    )  # after a short training the networks miss some classes


def test_a_training_uses_the_filtered_images(filtered):
    """A training has real images and the plausible ones of each class.

    The limit is bracket times ratio: 2 and 16.
    """
    real = filtered.result("data")["splits"]["train"]["images"]
    retained = filtered.images("quality_filter/oracle").counts()
    for bracket, wanted in ((1, 2), (8, 16)):
        content = filtered.result(f"classify/oracle/{bracket}/resnet10_tiny/0")
        assert content["training_images"] == real + sum(min(wanted, n) for n in retained.values())


def test_rates_are_in_the_bundle_and_on_the_leaderboard(filtered):
    """The manifest has rates by class, a measure has their mean, and a note reports missing images."""
    content = filtered.bundle("oracle")
    rates = filtered.result("quality_filter/oracle")["quality_filter"]
    assert content["quality_filter"] == rates
    share = np.mean([r["accepted"] / r["drawn"] for r in rates.values()])
    assert content["measures"]["filter_pass_rate"]["value"] == pytest.approx(share)
    assert 0 <= content["measures"]["filter_pass_rate"]["floor"] <= 1
    assert filtered.bundle("real_only")["quality_filter"] is None
    assert any("the quality filter leaves" in note for note in content["data"]["notes"])
    assert "Filter pass rate" in filtered.page


def test_measured_images_are_the_filtered_images(filtered):
    """Measures exclude dropped images; FID of the few that are left is missing, with the reason."""
    bundle = filtered.bundle("oracle")
    retained = sum(filtered.images("quality_filter/oracle").counts().values())
    assert bundle["memorization"]["n"] == retained
    assert bundle["measures"]["ms_ssim"]["n"] < 20
    assert "fid_phantom_cxr_v1" not in bundle["measures"]
    assert any("at least 20 are needed" in note for note in bundle["data"]["notes"])


@pytest.fixture(scope="module")
def folded(root):
    """A run of two folds on plausible synthetic images alone, with a learning curve."""
    mix = Mix(training="synthetic", filter="evaluators", surplus=4)
    return run(root, "", "tiny_folds", mix=mix, curve=(0.5,))


def test_each_fold_has_separate_evaluators(folded):
    """The evaluators of a fold were not trained on its held-out patients, and judge no other fold."""
    for node in folded.graph:
        if node.stage in ("quality_filter", "gan_test"):
            assert {folded.graph[need].fold for need in node.needs} == {node.fold}
    rates = [folded.result(f"quality_filter/oracle@{k}")["quality_filter"] for k in (0, 1)]
    joined = folded.bundle("oracle")["quality_filter"]
    for name, content in joined.items():
        assert content == {key: sum(r[name][key] for r in rates) for key in content}
    measures = [
        folded.result(f"gan_test/oracle@{k}")["measures"]["gan_test_balanced_accuracy"] for k in (0, 1)
    ]
    gan_test = folded.bundle("oracle")["measures"]["gan_test_balanced_accuracy"]
    assert gan_test["value"] == pytest.approx(np.mean([m["value"] for m in measures]))
    assert gan_test["folds"] == 2


def test_training_on_synthetic_images_uses_the_plausible_ones(folded):
    """Five of six train and one of six chooses the epoch; real_only and its curve stay real."""
    for fold in (0, 1):
        retained = folded.images(f"quality_filter/oracle@{fold}").counts().values()
        content = folded.result(f"classify/oracle/8/resnet10_tiny/0@{fold}")
        assert content["training_images"] == sum(n - n // 6 for n in retained)
        half, full = (
            folded.result(f"{name}/resnet10_tiny/0@{fold}")["training_images"]
            for name in ("learning_curve/0.5", "classify/real_only/0")
        )
        assert 0 < half < full


def test_a_curve_over_folds_is_complete(folded):
    """The network of each fold predicts every test image, as in the predictions."""
    curve = pd.read_parquet(folded.bundles / "real_only" / "curve.parquet")
    whole = pd.read_parquet(folded.bundles / "real_only" / "predictions.parquet").query("split == 'test'")
    key = ["image_id", "seed", "fold"]
    assert set(map(tuple, curve[key].to_numpy())) == set(map(tuple, whole[key].to_numpy()))


def test_measures_of_folds_are_means():
    """Values 0.2 and 0.6 of two folds give 0.4, in total and by class; n is the smaller one."""
    folds = [
        {"gan_test_f1": Measure(value=v, floor=0.5, n=n, direction="maximize",
                                per_class={"a": ClassValue(value=v, floor=0.5)})}
        for v, n in ((0.2, 9), (0.6, 7))
    ]  # fmt: skip
    joined = joined_measures(folds)["gan_test_f1"]
    assert (joined.value, joined.n, joined.folds) == (pytest.approx(0.4), 7, 2)
    assert joined.per_class["a"].value == pytest.approx(0.4)


class Oracle:
    """An evaluator that is always right about ``blobs``, from the position of the square."""

    def __init__(self, multilabel=False):
        self.multilabel = multilabel

    def scores(self, images):
        corners = np.stack([images.image[:, 0:4, 4 * k : 4 * k + 4].mean((1, 2)) for k in range(3)], 1)
        scores = np.eye(3)[corners.argmax(1)] * 0.8 + 0.1
        return scores if self.multilabel else scores / scores.sum(1, keepdims=True)

    def penultimate_features(self, images):
        return np.eye(len(images), 5)

    def last_layer(self):
        return np.eye(3, 5), np.zeros(3)


def job(folder: Path, kind: type[ClassifierStageConfig], splits: Splits, drawn, monkeypatch, **mix) -> Job:
    """Return a stage's job with an evaluator that is always right, without training."""
    multilabel = splits.train.multilabel
    monkeypatch.setattr(evaluators, "load_evaluator", lambda *_, **__: Oracle(multilabel))
    for name in ("data", "generate", "out"):
        (folder / name).mkdir()
    arrow.write_splits(folder / "data", splits)
    arrow.write_images(folder / "generate" / "synthetic.arrow", drawn)
    given = {
        "classifier": {"name": "none", "timm": "resnet10t"}, "budget": {"length": 1, "batch_size": 2},
        "device": "cpu", "precision": "float32", "metric": mix.pop("metric", "auroc" if multilabel else "f1"),
        "classes": ("a", "b", "c"), "labels": "multilabel" if multilabel else "single", "bracket": 4,
        "mix": Mix(**mix),
    }  # fmt: skip
    inputs = {"data": (folder / "data",), "synthetic": (folder / "generate",), "evaluators": (folder,)}
    config = kind(**{k: v for k, v in given.items() if k in kind.model_fields})
    return Job(Node("x", config, row="gan"), inputs, folder / "out", folder)


def multilabel(images):
    """Return the same images as a multi-label set; every fourth has no label."""
    label = np.eye(3, dtype=np.uint8)[images.label]
    label[::4] = 0
    return replace(images, label=label)


def mislabeled(counts, wrong, **options):
    """Return images of which the first ``wrong`` of each class show the next class."""
    images = blobs(counts, **options)
    place = {k: np.flatnonzero(images.label == k) for k in range(len(counts))}
    label = images.label.copy()
    for k, n in enumerate(wrong):
        label[place[k][:n]] = (k + 1) % 3
    return replace(images, label=label)


def test_the_filter_drops_images_of_another_class(tmp_path, splits, monkeypatch):
    """Of 9 requested as b, 3 show a: 6 are plausible, of which the bracket's 4 are retained."""
    drawn = mislabeled({"a": 12, "b": 6, "c": 9}, (3, 0, 0), prefix="fake")
    result = quality_filter(
        job(tmp_path, QualityFilterConfig, splits, drawn, monkeypatch, filter="evaluators")
    )
    assert result.quality_filter["b"].record() == {
        "drawn": 9, "accepted": 6, "requested": 4, "retained": 4,
    }  # fmt: skip
    assert result.measures["filter_pass_rate"].value == pytest.approx(np.mean([1, 6 / 9, 1]))
    assert result.measures["filter_pass_rate"].floor == 1
    retained = arrow.read_images(tmp_path / "out" / "synthetic.arrow")
    assert retained.counts() == {"a": 4, "b": 4, "c": 4}
    assert not set(retained.image_id) & {"fake-00000", "fake-00001", "fake-00002"}


def test_the_multi_label_filter_tests_the_requested_finding(tmp_path, splits, monkeypatch):
    """Youden's threshold comes from val; the evaluator gives 0.9 to shown findings and 0.1 to the others."""
    many = Splits(
        multilabel(splits.train), multilabel(splits.val), multilabel(splits.test), multilabel(splits.reserve)
    )
    drawn = mislabeled({"a": 12, "b": 6, "c": 9}, (3, 0, 0), prefix="fake")
    result = quality_filter(job(tmp_path, QualityFilterConfig, many, drawn, monkeypatch, filter="evaluators"))
    assert result.thresholds == {"a": 0.9, "b": 0.9, "c": 0.9}
    assert result.quality_filter["b"].record() == {
        "drawn": 9, "accepted": 6, "requested": 4, "retained": 4,
    }  # fmt: skip


def test_a_generator_without_plausible_images_is_an_error(tmp_path, splits, monkeypatch):
    """A row without any plausible image ends with the reason and is not trained."""
    drawn = mislabeled({"a": 4, "b": 4, "c": 4}, (4, 4, 4))
    with pytest.raises(DataError, match="row 'gan': none of 12 images passes"):
        quality_filter(job(tmp_path, QualityFilterConfig, splits, drawn, monkeypatch, filter="evaluators"))


def test_the_gan_test_matches_the_proportions_of_real_images(tmp_path, splits, monkeypatch):
    """All real images are right; a quarter of b shows a; four images of each class are compared."""
    drawn = mislabeled({"a": 9, "b": 3, "c": 8}, (1, 0, 0), prefix="fake")  # 8 of a, 4 of b, 8 of c
    given = job(tmp_path, GanTestConfig, splits, drawn, monkeypatch, metric="balanced_accuracy")
    measure = gan_test(given).measures["gan_test_balanced_accuracy"]
    assert (measure.value, measure.floor, measure.n) == (pytest.approx((1 + 0.75 + 1) / 3), 1.0, 12)
    assert measure.per_class["b"] == ClassValue(value=0.75, floor=1.0)


def test_the_multi_label_gan_test_is_the_mean_auroc_of_the_requested_class(tmp_path, splits, monkeypatch):
    """Three requested as b show a: areas 1 - 1/2 * 3/18, (6 + 3/2)/9 and 1; real ones 1 - 1/2 * 5/45."""
    many = Splits(
        multilabel(splits.train), multilabel(splits.val), multilabel(splits.test), multilabel(splits.reserve)
    )
    drawn = mislabeled({"a": 12, "b": 6, "c": 9}, (3, 0, 0), prefix="fake")
    measure = gan_test(job(tmp_path, GanTestConfig, many, drawn, monkeypatch)).measures["gan_test_auroc"]
    areas = [1 - 3 / 36, 7.5 / 9, 1]
    assert [v.value for v in measure.per_class.values()] == pytest.approx(areas)
    assert (measure.value, measure.floor) == pytest.approx((np.mean(areas), 1 - 5 / 90))
    assert measure.n == 27


def test_a_gan_test_without_its_metric_has_a_note(tmp_path, splits, monkeypatch):
    """Images of one class have no AUROC: a note replaces the measure, and the recall by class stays."""
    drawn = blobs({"a": 0, "b": 5, "c": 0}, prefix="fake")
    result = gan_test(job(tmp_path, GanTestConfig, splits, drawn, monkeypatch, metric="auroc"))
    assert result.measures == {}
    assert result.notes == ["gan: the GAN-test has no auroc, since too few classes were requested"]
    assert result.per_class == {"b": ClassValue(value=1.0, floor=1.0)}


def test_a_class_without_misclassified_images_is_an_error(tmp_path, splits, monkeypatch):
    """A perfect network leaves no image to choose; the error names the class and the remedy."""
    given = job(tmp_path, SelectConfig, splits, splits.test, monkeypatch, fit_on="misclassified")
    with pytest.raises(DataError, match="class 'a': no training image is misclassified near the boundary"):
        select(given)


def test_a_class_with_few_images_is_not_measured(tmp_path, splits):
    """Two images of c are too few: FID covers a and b alone, and a note reports it."""
    config = MeasureConfig(
        mix=Mix(), bracket=4, classes=("a", "b", "c"), extractor="phantom_cxr_v1", extractor_hash="",
        metrics=resolve_metrics({"fid": {}, "ms_ssim": {"images": 5}}, ()), device="cpu",
    )  # fmt: skip
    folders = {name: tmp_path / name for name in ("data", "synthetic", "reference")}
    for folder in folders.values():
        folder.mkdir()
    arrow.write_splits(folders["data"], splits)
    reference = ReferenceResult(n=30, counts={"a": 10, "b": 10, "c": 10}, floors={})
    half = np.concatenate([np.arange(10) + first for first in (0, 20, 40)])
    np.savez(folders["reference"] / "reference.npz", half=half)
    write_json(folders["reference"] / "result.json", reference.record())
    RealCopies.of(splits, 0).save(folders["reference"] / "copies.npz")
    given = Job(Node("x", config, row="gan"), {k: (f,) for k, f in folders.items()}, tmp_path, tmp_path)
    some = blobs({"a": 10, "b": 10, "c": 2}, prefix="fake")
    arrow.write_images(folders["synthetic"] / "synthetic.arrow", some)
    result = measure(given)
    assert result.measures["fid_phantom_cxr_v1"].n == 20
    assert "are of a, b alone, since the filter leaves fewer than 4 images of c" in result.notes[0]
    few = blobs({"a": 3, "b": 3, "c": 2}, prefix="fake")
    arrow.write_images(folders["synthetic"] / "synthetic.arrow", few)
    with pytest.raises(MetricError, match="leaves at most 3 images of a class, measuring needs 4"):
        measure(given)
