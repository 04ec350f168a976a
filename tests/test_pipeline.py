"""The graph of a task: what depends on what, and what a change makes anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmark.pipeline import Plan, Row, build, keys
from benchmark.task import load_task

GAN = Row("gan", "generator", {}, {"name": "gan", "origin": "builtin"}, params={"steps": 5}, trained=True)
ROWS = (Row("real_only", "control", {}), Row("oversample", "control", {}), GAN)


@pytest.fixture
def plan():
    return Plan(
        task=load_task("cxr_pneumonia"), profile_name="demo", source="phantom.chest", source_target="x",
        source_params={"a": 1}, source_paths={"root": "/here"}, source_fingerprint="f", source_version="1",
        rows=ROWS, extractor="phantom_cxr_v1", extractor_hash="h", device="cpu", precision="float32",
    )  # fmt: skip


def changed(plan, **what):
    """Ids of the nodes whose key differs after a change of the plan."""
    before, after = keys(build(plan)), keys(build(replace(plan, **what)))
    return {n for n in after if before.get(n) != after[n]}


def test_every_need_comes_first(plan):
    """The list is in an order in which it can be computed, and no id is there twice."""
    seen: set[str] = set()
    for node in build(plan):
        assert set(node.needs) <= seen
        assert node.id not in seen
        seen.add(node.id)


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
        assert fit.config["reserve"] is expected


def test_fits_do_not_depend_on_what_reads_test(plan):
    """No fit or sample needs a node that measures or classifies."""
    for node in build(plan):
        if node.stage in ("fit", "generate"):
            assert not any(n.startswith(("reference", "measure", "classify")) for n in node.needs)
