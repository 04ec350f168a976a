"""A bundle's protocol is derived from its task and the choices in its rules."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.bundles.schema import Manifest
from benchmark.errors import SubmissionError
from benchmark.metrics.extractor.features import INCEPTION, PHANTOM
from benchmark.planning.resolve import make_plan
from benchmark.tasks.loading import load_task
from benchmark.verification.protocol import claimed_protocol
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
        "protocol_hash": variant.protocol_hash("demo", SOURCE, extractor),
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
