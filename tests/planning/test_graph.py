"""The graph of a task: its dependencies, and the nodes that a change recomputes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.experiments.run import UNTIL
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan, Row
from benchmark.stages.training import ClassifierStageConfig
from benchmark.tasks.classifier import Weights
from benchmark.tasks.loading import load_task
from benchmark.tasks.rules import LabelPolicy, Mix

GAN = Row("gan", "generator", {}, {"name": "gan", "origin": "builtin"}, params={"steps": 5}, trained=True)
ROWS = (Row("real_only", "control", {}), Row("oversample", "control", {}), GAN)


@pytest.fixture
def plan():
    return Plan(
        task=load_task("cxr_pneumonia"), profile_name="demo", source="phantom.chest", source_target="x",
        source_params={"a": 1}, source_paths={"root": "/here"}, source_fingerprint="f", source_version="1",
        rows=ROWS, extractor="phantom_cxr_v1", extractor_hash="h", device="cpu", precision="float32",
    )  # fmt: skip


def changed(plan, **updates):
    """Return ids of the nodes whose key differs after a change of the plan."""
    before, after = build(plan).keys, build(replace(plan, **updates)).keys
    return {n for n in after if before.get(n) != after[n]}


def test_every_need_comes_first(plan):
    """The list is in topological order without a repeated id."""
    computed: set[str] = set()
    for node in build(plan):
        assert set(node.needs) <= computed
        assert node.id not in computed
        computed.add(node.id)


def test_count_of_trainings(plan):
    """Rows without images train once per seed, others once per bracket and seed: 3 + 3 + 2 * 3."""
    assert sum(n.stage == "classify" for n in build(plan)) == 12


def test_changed_parameter_recomputes_only_its_row(plan):
    """Another learning rate of one generator does not affect data, reference and the other rows."""
    other = changed(plan, rows=(*ROWS[:2], replace(GAN, params={"steps": 6})))
    assert other == {n.id for n in build(plan) if n.row == "gan"}


def test_moved_data_recomputes_nothing(plan):
    """Paths and import targets are not part of a key; the fingerprint is."""
    assert changed(plan, source_paths={"root": "/there"}, source_target="y") == set()
    assert changed(plan, source_fingerprint="g") == {n.id for n in build(plan)}


def test_changed_code_version_recomputes_its_results(plan):
    """A new version of a generator is a new generator."""
    assert "fit/gan" in changed(plan, rows=(*ROWS[:2], replace(GAN, version="2")))


def test_device_and_precision_are_part_of_the_key(plan):
    """bfloat16 and float32 give different bytes, so their results differ."""
    assert "classify/real_only/0/resnet10_narrow/0" in changed(plan, precision="bfloat16")


def test_only_the_oracle_gets_the_reserve(plan):
    """A generator that is named oracle does not get the reserve."""
    control = replace(GAN, name="oracle", role="control")
    for row, expected in ((GAN, False), (control, True), (replace(GAN, name="oracle"), False)):
        fit = next(n for n in build(replace(plan, rows=(ROWS[0], row))) if n.stage == "fit")
        assert fit.config.reserve is expected


def test_fits_do_not_depend_on_nodes_that_read_test(plan):
    """No fit or sample depends on a node that measures or classifies."""
    for node in build(plan):
        if node.stage in ("fit", "sample", "generate"):
            assert set(node.inputs) <= {"data", "generator", "drawn"}


def with_task(plan, **updates):
    """Return the plan with updated fields of its task."""
    return replace(plan, task=plan.task.model_copy(update=updates))


def folded(plan, folds):
    """Return the plan with cross-validation."""
    source = plan.task.source(plan.source)
    rule = source.split.model_copy(update={"folds": folds})
    return with_task(plan, sources={plan.source: source.model_copy(update={"split": rule})})


def test_every_fold_is_a_separate_run(plan):
    """Three folds have three times the nodes, share only what is equal, and depend only on their fold."""
    one, three = build(plan), build(folded(plan, 3))
    assert len(three) == 3 * len(one)
    for node in three:
        assert node.id.endswith(f"@{node.fold}")
        assert {three[need].fold for need in node.needs} <= {node.fold}
    held = {n.config.split.fold for n in three if n.stage == "data"}
    assert held == {0, 1, 2}
    assert len(set(three.keys.values())) == len(three)


def test_a_teacher_precedes_all_but_the_certain_data(plan):
    """With self-trained labels, every node but the certain data depends on the teacher."""
    rule = LabelPolicy(rule="label_policy", finding="pneumothorax", uncertain="self_trained")
    nodes = {n.id: n for n in build(with_task(plan, scenario={"labels": rule}))}
    assert nodes["certain"].stage == "data"
    assert nodes["data"].stage == "pseudo_label"
    assert nodes["data"].inputs == {"data": ("certain",)}
    assert not any("certain" in n.needs for n in nodes.values() if n.id != "data")
    assert nodes["data"].config.metric == "balanced_accuracy"


def test_mix_changes_samples_and_trainings_but_not_the_data(plan):
    """Another mix gives other samples, trainings and measures on the same data."""
    other = changed(plan, task=plan.task.model_copy(update={"mix": Mix(training="synthetic")}))
    assert "data" not in other
    assert {"generate/gan", "classify/gan/250/resnet10_narrow/0"} <= other


def test_a_row_that_is_not_installed_has_no_nodes(plan):
    """The row is on the leaderboard with its reason, without nodes."""
    rows = (*ROWS[:2], replace(GAN, absent="no generator named 'gan' is installed"))
    assert not any(n.row == "gan" for n in build(replace(plan, rows=rows)))


def strategic(plan, folds=0, curve=(), **mix):
    """Return the plan with another mix, optionally folds or a learning curve, and three rows with images."""
    names = ("oracle", "noise", "duplicate_real")
    controls = [replace(GAN, name=n, role="control", plugin={"name": n, "origin": "builtin"}) for n in names]
    plan = replace(plan, rows=(GAN, *controls, *ROWS[:2]))  # real_only need not be the first row
    profiles = {n: p.model_copy(update={"learning_curve": curve}) for n, p in plan.task.profiles.items()}
    plan = with_task(plan, mix=Mix(**mix), profiles=profiles)
    return folded(plan, folds) if folds else plan


ALL_STRATEGIES = {"fit_on": "misclassified", "filter": "evaluators", "unit": "deficit", "curve": (0.25, 0.5)}


@pytest.mark.parametrize("folds", [0, 3])
def test_every_strategy_at_once_is_a_graph(plan, folds):
    """With a hold-out or folds, nodes follow their inputs within the fold, and ids and keys are distinct."""
    nodes, computed = build(strategic(plan, folds, **ALL_STRATEGIES)), set()
    for node in nodes:
        assert set(node.needs) <= computed
        assert node.id not in computed
        computed.add(node.id)
    assert len(set(nodes.keys.values())) == len(nodes)
    assert {n.fold for n in nodes if n.stage == "quality_filter"} == set(range(max(folds, 1)))
    end = "@2" if folds else ""
    data, drawn = (f"data{end}",), (f"generate/gan{end}",)
    evaluators = tuple(f"classify/real_only/0/resnet10_narrow/{seed}{end}" for seed in (0, 1, 2))
    evaluating = {"data": data, "synthetic": drawn, "evaluators": evaluators}
    assert nodes[f"select{end}"].inputs == {"data": data, "evaluators": evaluators[:1]}
    assert nodes[f"quality_filter/gan{end}"].inputs == evaluating
    assert nodes[f"gan_test/gan{end}"].inputs == evaluating
    assert nodes[f"measure/gan{end}"].inputs["synthetic"] == (f"quality_filter/gan{end}",)
    training = nodes[f"classify/gan/250/resnet10_narrow/1{end}"]
    assert training.inputs == {"data": data, "synthetic": (f"quality_filter/gan{end}",)}
    assert (training.bracket, training.classifier, training.seed) == (250, "resnet10_narrow", 1)
    assert nodes[f"learning_curve/0.25/resnet10_narrow/1{end}"].row == "real_only"


def test_oracle_and_noise_keep_their_inputs(plan):
    """Generators and copies use the misclassified images; the inputs of oracle and noise do not change."""
    fits = build(strategic(plan, fit_on="misclassified")).find("fit")
    assert {n.row for n in fits if n.inputs.get("selection") == ("select",)} == {"gan", "duplicate_real"}


def test_only_networks_of_real_only_are_stored(plan):
    """The evaluators are the networks of the first classifier, every seed; no other training stores one."""
    stored = {n.id for n in build(strategic(plan)) if getattr(n.config, "keep_network", False)}
    assert stored == {f"classify/real_only/0/resnet10_narrow/{seed}" for seed in (0, 1, 2)}


def test_a_mixing_ratio_repeats_no_fit(plan):
    """The ratio sets the number of drawn images; the generator is the same."""
    one, two = (build(strategic(plan, ratio=r)).keys for r in (1.0, 2.0))
    assert {n for n in one if n.startswith("fit/") and one[n] != two[n]} == set()
    assert one["generate/gan"] != two["generate/gan"]
    assert one["data"] == two["data"]


def test_a_filter_or_a_curve_reuses_unaffected_nodes(plan):
    """The fits and the trainings of real_only are the same; a curve only adds nodes."""
    plain = build(strategic(plan)).keys
    filtered = build(strategic(plan, filter="evaluators")).keys
    same = [n for n in plain if n.startswith(("fit/", "learning_curve/"))]
    assert all(plain[n] == filtered[n] for n in same)
    curved = build(strategic(plan, curve=(0.5,))).keys
    assert all(curved[n] == plain[n] for n in plain)
    assert len(curved) == len(plain) + 3


def test_a_verb_computes_its_results_and_their_inputs(plan):
    """Samples of misclassified images need one training; only run needs a GAN-test."""
    nodes = build(strategic(plan, **ALL_STRATEGIES))
    stages = {verb: {n.stage for n in nodes.until(ends)} for verb, ends in UNTIL.items()}
    assert stages["data"] == {"data"}
    assert stages["generate"] == {
        "data", "classify", "select", "fit", "sample", "generate", "quality_filter",
    }  # fmt: skip
    assert stages["measure"] == stages["generate"] | {"reference", "measure"}
    assert stages["run"] == {n.stage for n in nodes}
    plain = build(strategic(plan))
    assert {n.stage for n in plain.until(UNTIL["generate"])} == {"data", "fit", "sample", "generate"}
    trained = [n.id for n in nodes.until({"select"}) if n.stage == "classify"]
    assert trained == ["classify/real_only/0/resnet10_narrow/0"]


def test_evaluators_use_the_weights_path_of_the_trainings(plan):
    """Every stage that rebuilds a network gets the path of its weights; no key includes it."""
    weights = Weights(kind="file", path=Path("/here/w.safetensors"), sha256="0" * 64)
    plan = strategic(plan, **ALL_STRATEGIES)
    profile = plan.profile
    with_weights = profile.model_copy(
        update={"classifiers": (profile.classifiers[0].model_copy(update={"weights": weights}),)}
    )
    nodes = build(with_task(plan, profiles={**plan.task.profiles, "demo": with_weights}))
    asking = [n for n in nodes if isinstance(n.config, ClassifierStageConfig)]
    assert {n.stage for n in asking} == {"classify", "learning_curve", "select", "quality_filter", "gan_test"}
    assert {n.config.classifier.weights.path for n in asking} == {Path("/here/w.safetensors")}
    assert not any("/here" in n.config.model_dump_json() for n in asking)
