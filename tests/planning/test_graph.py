"""The graph of a task: what depends on what, and what a change makes anew."""

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
    """Ids of the nodes whose key differs after a change of the plan."""
    before, after = build(plan).keys, build(replace(plan, **updates)).keys
    return {n for n in after if before.get(n) != after[n]}


def test_every_need_comes_first(plan):
    """The list is in an order in which it can be computed, and no id is there twice."""
    computed: set[str] = set()
    for node in build(plan):
        assert set(node.needs) <= computed
        assert node.id not in computed
        computed.add(node.id)


def test_count_of_trainings(plan):
    """Rows without images are trained once per seed, others once per bracket and seed: 3 + 3 + 2 * 3."""
    assert sum(n.stage == "classify" for n in build(plan)) == 12


def test_changed_parameter_recomputes_its_own_row_alone(plan):
    """Another learning rate of one generator leaves data, reference and the other rows."""
    other = changed(plan, rows=(*ROWS[:2], replace(GAN, params={"steps": 6})))
    assert other == {n.id for n in build(plan) if n.row == "gan"}


def test_another_place_of_the_same_data_recomputes_nothing(plan):
    """Paths and import targets are no part of a key; the fingerprint is."""
    assert changed(plan, source_paths={"root": "/there"}, source_target="y") == set()
    assert changed(plan, source_fingerprint="g") == {n.id for n in build(plan)}


def test_changed_code_version_recomputes_what_it_made(plan):
    """A new version of a generator is a new generator."""
    assert "fit/gan" in changed(plan, rows=(*ROWS[:2], replace(GAN, version="2")))


def test_device_and_precision_are_part_of_the_key(plan):
    """bfloat16 and float32 do not give the same bytes, so they are not the same result."""
    assert "classify/real_only/0/resnet10_narrow/0" in changed(plan, precision="bfloat16")


def test_only_the_oracle_is_handed_the_reserve(plan):
    """A generator that calls itself oracle does not get the images kept aside."""
    control = replace(GAN, name="oracle", role="control")
    for row, expected in ((GAN, False), (control, True), (replace(GAN, name="oracle"), False)):
        fit = next(n for n in build(replace(plan, rows=(ROWS[0], row))) if n.stage == "fit")
        assert fit.config.reserve is expected


def test_fits_do_not_depend_on_what_reads_test(plan):
    """No fit or sample needs a node that measures or classifies."""
    for node in build(plan):
        if node.stage in ("fit", "generate"):
            assert set(node.inputs) <= {"data", "generator"}


def with_task(plan, **updates):
    """The plan with some fields of its task changed."""
    return replace(plan, task=plan.task.model_copy(update=updates))


def folded(plan, folds):
    """The plan with cross-validation."""
    source = plan.task.source(plan.source)
    rule = source.split.model_copy(update={"folds": folds})
    return with_task(plan, sources={plan.source: source.model_copy(update={"split": rule})})


def test_every_fold_is_a_run_of_its_own(plan):
    """Three folds: three times the nodes, nothing shared but what is the same, needs within the fold."""
    one, three = build(plan), build(folded(plan, 3))
    assert len(three) == 3 * len(one)
    for node in three:
        assert node.id.endswith(f"@{node.fold}")
        assert {three[need].fold for need in node.needs} <= {node.fold}
    held = {n.config.split.fold for n in three if n.stage == "data"}
    assert held == {0, 1, 2}
    assert len(set(three.keys.values())) == len(three)


def test_a_teacher_stands_between_the_certain_labels_and_the_rest(plan):
    """With self-trained labels, everything but the certain data depends on the teacher."""
    rule = LabelPolicy(rule="label_policy", finding="pneumothorax", uncertain="self_trained")
    nodes = {n.id: n for n in build(with_task(plan, scenario={"labels": rule}))}
    assert nodes["certain"].stage == "data"
    assert nodes["data"].stage == "pseudo_label"
    assert nodes["data"].inputs == {"data": ("certain",)}
    assert not any("certain" in n.needs for n in nodes.values() if n.id != "data")
    assert nodes["data"].config.metric == "balanced_accuracy"


def test_mix_changes_what_is_drawn_and_trained_and_not_the_data(plan):
    """Another way of adding images: other samples, trainings and measures; the same data."""
    other = changed(plan, task=plan.task.model_copy(update={"mix": Mix(training="synthetic")}))
    assert "data" not in other
    assert {"generate/gan", "classify/gan/250/resnet10_narrow/0"} <= other


def test_a_row_that_is_not_installed_has_no_nodes(plan):
    """It is on the leaderboard with its reason, and nothing is computed for it."""
    rows = (*ROWS[:2], replace(GAN, absent="no generator named 'gan' is installed"))
    assert not any(n.row == "gan" for n in build(replace(plan, rows=rows)))


def strategic(plan, folds=0, curve=(), **mix):
    """The plan with another mix, perhaps with folds or a learning curve; three rows with images."""
    names = ("oracle", "noise", "duplicate_real")
    controls = [replace(GAN, name=n, role="control", plugin={"name": n, "origin": "builtin"}) for n in names]
    plan = replace(plan, rows=(GAN, *controls, *ROWS[:2]))  # real_only need not be the first row
    profiles = {n: p.model_copy(update={"learning_curve": curve}) for n, p in plan.task.profiles.items()}
    plan = with_task(plan, mix=Mix(**mix), profiles=profiles)
    return folded(plan, folds) if folds else plan


ALL_STRATEGIES = {"fit_on": "misclassified", "filter": "evaluators", "unit": "deficit", "curve": (0.25, 0.5)}


@pytest.mark.parametrize("folds", [0, 3])
def test_every_strategy_at_once_is_a_graph(plan, folds):
    """With a hold-out and with folds: needs come first, within their fold; ids and keys are distinct."""
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


def test_ceiling_and_floor_see_what_they_always_see(plan):
    """Of the misclassified images generators and copies are made; oracle and noise keep to theirs."""
    fits = build(strategic(plan, fit_on="misclassified")).find("fit")
    assert {n.row for n in fits if n.inputs.get("selection") == ("select",)} == {"gan", "duplicate_real"}


def test_networks_are_kept_of_real_only_alone(plan):
    """Those of the first classifier, every seed: the judges; no other training stores a network."""
    stored = {n.id for n in build(strategic(plan)) if getattr(n.config, "keep_network", False)}
    assert stored == {f"classify/real_only/0/resnet10_narrow/{seed}" for seed in (0, 1, 2)}


def test_a_mixing_ratio_fits_nothing_anew(plan):
    """It says how many images are drawn; the generator is the same."""
    one, two = (build(strategic(plan, ratio=r)).keys for r in (1.0, 2.0))
    assert {n for n in one if n.startswith("fit/") and one[n] != two[n]} == set()
    assert one["generate/gan"] != two["generate/gan"]
    assert one["data"] == two["data"]


def test_a_filter_or_a_curve_leaves_what_it_does_not_touch(plan):
    """The same fits and the same trainings of real_only; a curve changes nothing that is there without it."""
    plain = build(strategic(plan)).keys
    filtered = build(strategic(plan, filter="evaluators")).keys
    same = [n for n in plain if n.startswith(("fit/", "learning_curve/"))]
    assert all(plain[n] == filtered[n] for n in same)
    curved = build(strategic(plan, curve=(0.5,))).keys
    assert all(curved[n] == plain[n] for n in plain)
    assert len(curved) == len(plain) + 3


def test_a_verb_computes_what_it_ends_in_and_what_that_needs(plan):
    """Samples of misclassified images need one training; no verb but run needs a GAN-test."""
    nodes = build(strategic(plan, **ALL_STRATEGIES))
    stages = {verb: {n.stage for n in nodes.until(ends)} for verb, ends in UNTIL.items()}
    assert stages["data"] == {"data"}
    assert stages["generate"] == {"data", "classify", "select", "fit", "generate", "quality_filter"}
    assert stages["measure"] == stages["generate"] | {"reference", "measure"}
    assert stages["run"] == {n.stage for n in nodes}
    plain = build(strategic(plan))
    assert {n.stage for n in plain.until(UNTIL["generate"])} == {"data", "fit", "generate"}
    trained = [n.id for n in nodes.until({"select"}) if n.stage == "classify"]
    assert trained == ["classify/real_only/0/resnet10_narrow/0"]


def test_judges_find_their_initial_weights_where_the_trainings_do(plan):
    """Every stage that rebuilds a network is told where its weights lie; no key has the path."""
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
