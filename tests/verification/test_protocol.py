"""A bundle's protocol is derived from its task and the choices in its rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmark.bundles.schema import Manifest
from benchmark.errors import SubmissionError
from benchmark.metrics.extractor.features import INCEPTION, PHANTOM
from benchmark.planning.protocol_hash import protocol_hash
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.tasks.loading import load_task
from benchmark.verification.protocol import claimed_protocol
from support import source_folders
from support.samples import ROOT

FOLDS = ROOT / "tests" / "tasks" / "tiny_folds.yaml"
SOURCE = "phantom.ultrasound"


def claim(keep: float, extractor: str = PHANTOM, **changed: Any) -> Manifest:
    """Return the protocol fields of a bundle whose rule ``few`` retains a share ``keep`` of the images."""
    task = load_task(str(FOLDS))
    variant = task.variant({"few.keep": keep}) if keep in (0.5, 1.0) else task
    steps = {n: rule.model_dump(mode="json") for n, rule in variant.steps("demo", SOURCE).items()}
    steps["few"]["keep"] = keep
    manifest = {
        "task": "tiny_folds", "profile": "demo", "source": SOURCE, "scenario": steps, "classifier_cards": (),
        "mix": variant.mix.model_dump(mode="json"), "measures": {},
        "protocol_hash": protocol_hash(variant, "demo", SOURCE, extractor),
    }  # fmt: skip
    return Manifest.model_construct(**{**manifest, **changed})


@pytest.mark.parametrize(("keep", "scenario"), [(0.5, ""), (1.0, "few.keep=1.0")])
def test_choices_are_read_from_the_rules(keep: float, scenario: str):
    """The task's own values are not choices; a run planned with the choices has the bundle's hash."""
    manifest = claim(keep)
    protocol = claimed_protocol(manifest, FOLDS)
    assert protocol.scenario == scenario
    assert (
        make_plan(protocol.request(None, PHANTOM), stages=("data",)).protocol_hash == manifest.protocol_hash
    )


def test_the_extractor_is_that_of_the_hash(monkeypatch: pytest.MonkeyPatch):
    """A row without images has no extractor in its measures, so the hash determines it; its weights are not
    needed."""
    assert claimed_protocol(claim(0.5, INCEPTION), FOLDS).extractor == INCEPTION


@pytest.mark.parametrize(
    ("manifest", "field"),
    [
        (claim(0.7), "scenario"),
        (claim(0.5, profile="huge"), "profile"),
        (claim(0.5, source="phantom.chest"), "source"),
        (claim(0.5, task="another"), "task"),
    ],
    ids=["choice", "profile", "source", "task"],
)
def test_a_value_unknown_to_the_task_is_named(manifest: Manifest, field: str):
    """The error names the bundle's field."""
    with pytest.raises(SubmissionError) as error:
        claimed_protocol(manifest, FOLDS)
    assert error.value.where == field


def test_settings_are_part_of_the_claim():
    """A bundle of a run with settings has the protocol that a run with the same settings has."""
    words = ("split.too_few=exclude", "test_per_class=9")
    plan = make_plan(RunRequest(str(FOLDS), set=words, generators=()), stages=("data",))
    manifest = claim(0.5, settings=dict(plan.settings), protocol_hash=plan.protocol_hash)
    protocol = claimed_protocol(manifest, FOLDS)
    assert protocol.hash(PHANTOM) == plan.protocol_hash
    again = make_plan(protocol.request(None, PHANTOM), stages=("data",))
    assert again.protocol_hash == plan.protocol_hash
    assert again.source_params["test_per_class"] == 9


def test_a_source_by_its_path_is_verified(tmp_path: Path):
    """A bundle of a third party's source needs its file; another file is refused."""
    example = ROOT / "examples" / "my_source.py"
    source_folders.my_source(tmp_path)
    request = RunRequest(
        str(FOLDS), source=str(example), root=tmp_path, set=("split.test=0.3",), generators=()
    )
    plan = make_plan(request, stages=("data",))
    manifest = claim(0.5, source="my_source", settings=dict(plan.settings), protocol_hash=plan.protocol_hash)
    protocol = claimed_protocol(manifest, FOLDS, example)
    again = make_plan(protocol.request(tmp_path, PHANTOM), stages=("data",))
    assert again.protocol_hash == protocol.hash(PHANTOM) == plan.protocol_hash
    with pytest.raises(SubmissionError, match="unknown source 'my_source'"):
        claimed_protocol(manifest, FOLDS)
    with pytest.raises(SubmissionError, match=r"the given file is my_generator\.py"):
        claimed_protocol(manifest, FOLDS, ROOT / "examples" / "my_generator.py")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test_per_clas": 9}, r"settings: --set: unknown setting 'test_per_clas'"),
        ({"split.too_few": "error"}, "is a path, or is the task's own value"),
    ],
)
def test_a_wrong_setting_of_a_bundle_is_refused(settings: dict[str, Any], message: str):
    """The error names the field of the bundle."""
    with pytest.raises(SubmissionError, match=message):
        claimed_protocol(claim(0.5, settings=settings), FOLDS)
