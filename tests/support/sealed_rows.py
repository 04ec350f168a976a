"""Verification of single rows of a small phantom task on the sealed test of a season."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmark.bundles.schema import Manifest
from benchmark.bundles.sealed import SealedResult
from benchmark.bundles.seasons import read_secret
from benchmark.planning.plan import Plan
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.verification.retrain import retrain
from benchmark.verification.sealed import check_sealed
from support.samples import ROOT, TINY

ATTACK = ROOT / "tests" / "support" / "draws_test_patients.py"
PER_CLASS = 24  # test patients of the tiny task


def sealed_plan(folder: Path) -> Plan:
    """Plan the tiny task with trainings long enough to learn, and with an attack."""
    text = TINY.read_text().replace("length: 8,", "length: 240,").replace("[4, 12]", "[4, 48]")
    text = text.replace("primary_bracket: 12", "primary_bracket: 48").replace(
        "[8, 8, 16, 16]", "[16, 16, 32, 32]"
    )
    (folder / "tiny.yaml").write_text(text)
    request = RunRequest(
        task=str(folder / "tiny.yaml"), generators=(str(ATTACK),), device="cpu", precision="float32"
    )
    return make_plan(request)


def sealed_result(plan: Plan, row: str, secret: Path, store: Path) -> SealedResult:
    """Train a row with two seeds, and compare its gains on test and on the sealed test."""
    own = read_secret(secret)
    retrained = retrain(plan, row, (0, 1), store, 1, own)
    assert retrained.sealed is not None
    manifest = Manifest.model_construct(
        labels="single",
        classes=plan.task.classes,
        statistics=plan.task.statistics,
        primary_metric=plan.task.primary_metric,
        primary_bracket=plan.profile.primary_bracket,
        row=replace(next(r for r in plan.rows if r.name == row)),  # type: ignore[arg-type]
    )
    return check_sealed(manifest, retrained.sealed, own, (0, 1))[1]
