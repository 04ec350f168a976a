"""The metrics of a run: named, validated, and outside the protocol unless the task names them."""

from dataclasses import replace

import pytest

from benchmark.errors import TaskError, UnknownNameError
from benchmark.planning.graph import build
from benchmark.planning.metrics import resolve_metrics
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.tasks.profile import Measures
from support.samples import ROOT, TINY

EXAMPLE = str(ROOT / "examples" / "my_metric.py")
DEFAULT = {"fid": {}, "kid": {}, "ms_ssim": {}}


@pytest.fixture(scope="module")
def plan():
    return make_plan(RunRequest(task=str(TINY), generators=(), metrics=(EXAMPLE,), device="cpu"))


def test_added_metric_comes_last_with_its_defaults(plan):
    """The profile's metrics come first; a file's version has its hash, and its parameters their defaults."""
    assert [m.name for m in plan.metrics] == ["fid", "kid", "ms_ssim", "my_metric"]
    mine = plan.metrics[-1]
    assert (mine.params, mine.needs, mine.version[:2]) == ({"k": 5}, ("features",), "1+")
    assert plan.metrics[2].params == {"images": 5}


def test_added_metric_leaves_protocol_and_images_alone(plan):
    """The hash of the protocol stands, and only reference and measure get other cache keys."""
    before = replace(plan, metrics=plan.metrics[:3])
    assert before.protocol_hash == plan.protocol_hash
    old, new = build(before).keys, build(plan).keys
    assert {i.partition("/")[0] for i in new if new[i] != old[i]} == {"reference", "measure"}
    assert old.keys() == new.keys()


def test_path_of_a_metric_is_in_no_key(plan):
    """The same file in another folder gives the same keys."""
    moved = replace(plan, metrics=(*plan.metrics[:3], plan.metrics[3].model_copy(update={"target": "/x.py"})))
    assert build(moved).keys == build(plan).keys


def test_predictions_come_from_the_evaluators(plan):
    """Where a metric needs predictions, reference and measure read the classifiers of real_only."""
    needing = plan.metrics[3].model_copy(update={"needs": ("predictions",)})
    graph = build(replace(plan, metrics=(needing,)))
    evaluators = tuple(n.id for n in graph.find("classify", "real_only"))
    for node in (*graph.find("reference"), *graph.find("measure")):
        assert node.inputs["evaluators"] == evaluators
        assert node.config.evaluating.classifier == plan.profile.classifiers[0]
    computed: set[str] = set()
    for node in graph:
        assert set(node.needs) <= computed
        computed.add(node.id)
    assert all("evaluators" not in n.inputs for n in build(plan).find("measure"))


@pytest.mark.parametrize(
    ("declared", "added", "message"),
    [
        ({"fidd": {}}, (), "unknown metric 'fidd'"),
        (DEFAULT, ("kid",), "--metrics: 'kid' is named twice"),
        ({"ms_ssim": {"image": 3}}, (), "metric 'ms_ssim': params: image: unknown field"),
        ({"ms_ssim": {"images": 1}}, (), "metric 'ms_ssim': params: images: .*greater than or equal to 2"),
        ({}, ("nowhere.py",), "nowhere.py: no such file"),
    ],
)
def test_faults_are_named_when_planned(declared, added, message):
    """An unknown or repeated name and a wrong parameter give one line each."""
    with pytest.raises(TaskError, match=message):
        resolve_metrics(declared, added)


def test_misspelled_metric_gets_a_did_you_mean():
    """The error for 'ms_sim' suggests 'ms_ssim'."""
    with pytest.raises(UnknownNameError, match="Did you mean 'ms_ssim'"):
        resolve_metrics({}, ("ms_sim",))


def test_name_of_another_figure_is_refused(tmp_path):
    """A metric may not take the name of the GAN-test's figure."""
    path = tmp_path / "gan_test_accuracy.py"
    path.write_text("version = '1'")
    with pytest.raises(TaskError, match="'gan_test_accuracy' is a figure of the suite"):
        resolve_metrics({}, (str(path),))


def test_default_metrics_leave_older_hashes_as_they_were():
    """The default counts as ms_ssim_images alone, as before metrics had names; any other choice counts."""
    assert Measures().hashed("x") == {"extractor": "x", "preview_images": 250, "ms_ssim_images": 50}
    fewer = Measures(metrics={**DEFAULT, "ms_ssim": {"images": 30}})
    assert fewer.hashed("x")["ms_ssim_images"] == 30
    for metrics in ({"fid": {}}, {**DEFAULT, "my_metric": {}}, {**DEFAULT, "fid": {"a": 1}}):
        hashed = Measures(metrics=metrics).hashed("x")
        assert hashed == {"extractor": "x", "preview_images": 250, "metrics": metrics}
