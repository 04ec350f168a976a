"""What a bundle says of its row: name, card, way in, costs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmark.bundles.io import Bundle
from benchmark.bundles.schema import Manifest
from benchmark.errors import BenchmarkError
from benchmark.planning.plan import Row
from benchmark.planning.rows import WITHOUT_IMAGES, generator_row
from benchmark.plugins.registry import available
from benchmark.stages.names import REAL_ONLY
from benchmark.tasks.schema import GeneratorEntry
from benchmark.verification.check import Check, Fault, judged, unlike
from benchmark.verification.protocol import Protocol

SUITE = "suite"


def check_row(bundle: Bundle, protocol: Protocol) -> list[Check]:
    """Its name is its own, a row of the suite is what the suite runs, and its brackets are the task's."""
    manifest = bundle.manifest
    faults = [*_way_faults(manifest, protocol), *_bracket_faults(bundle, protocol)]
    checks = judged(
        "row", faults, f"{manifest.row.name}, {manifest.row.role}, by way of {manifest.submission_type}"
    )
    if manifest.submission_type == SUITE and not faults:
        return check_suite_row(manifest, protocol)
    return checks


def _way_faults(manifest: Manifest, protocol: Protocol) -> Iterable[Fault]:
    controls = {*WITHOUT_IMAGES, *protocol.task.controls}
    if manifest.submission_type == SUITE:
        if (manifest.row.role == "control") != (manifest.row.name in controls):
            yield "row.role", f"is '{manifest.row.role}'; the task's controls are {sorted(controls)}"
        return
    if manifest.row.name in controls or manifest.row.role == "control":
        yield "row.name", f"'{manifest.row.name}' is a control, which the suite alone runs"
    if manifest.row.name in available("generators"):
        yield "row.name", f"'{manifest.row.name}' is a generator of the suite; a submission has its own name"
    if manifest.submission is None:
        yield "submission", "is missing: who made it, of what?"
    elif manifest.submission.name != manifest.row.name:
        yield "submission.name", f"is '{manifest.submission.name}', expected '{manifest.row.name}'"


def _bracket_faults(bundle: Bundle, protocol: Protocol) -> Iterable[Fault]:
    """Rows without images have bracket 0 alone, others all of the task's."""
    if bundle.predictions is None:
        return
    has = sorted(set(bundle.predictions["bracket"].tolist()))
    without = bundle.manifest.row.name in WITHOUT_IMAGES
    expected = [0] if without else sorted(protocol.profile.brackets)
    if has != expected:
        yield "predictions.parquet: bracket", f"has {has}, expected {expected}"
    if without == bool(bundle.manifest.measures):
        yield "measures", "are of a row without images" if without else "are missing"
    if without == (bundle.manifest.memorization is not None):
        yield "memorization", "is of a row without images" if without else "is missing"


def check_suite_row(manifest: Manifest, protocol: Protocol) -> list[Check]:
    """Card, version and parameters of a row that this version of the suite has itself."""
    name = manifest.row.name
    try:
        own = _own(name, protocol)
    except BenchmarkError as error:
        return [Check("row", False, f"{error.problem} {error.remedy}".strip(), "row.name")]
    if own is None:
        why = f"'{name}' is no row of the suite here: what it is comes from elsewhere"
        return [Check("row", None, why, "row.name")]
    said = manifest.record()["row"]
    true: dict[str, Any] = {
        "name": name, "role": own.role, "version": own.version, "params": dict(own.params),
        **{k: own.card.get(k, "") for k in ("title", "description", "citation", "license")},
    }  # fmt: skip
    tuned = own.role == "generator" and said["params"] != true["params"]
    if tuned:
        said, true = {**said, "params": {}}, {**true, "params": {}}
    checks = judged("row", unlike(said, true, "row."), f"{name}, as the suite has it")
    if tuned:
        checks.append(
            Check("row", None, "other parameters than the task's own: tuned, or changed", "row.params")
        )
    return checks


def _own(name: str, protocol: Protocol) -> Row | None:
    """The row as this version would run it; None for a generator that is not here."""
    if name in WITHOUT_IMAGES:
        return Row(name, "control", WITHOUT_IMAGES[name])
    is_control = name in protocol.task.controls
    entry = GeneratorEntry() if is_control else protocol.profile.generators.get(name, GeneratorEntry())
    plugin = available("generators").get(entry.plugin or name)
    return None if plugin is None else generator_row(plugin, entry, {})


def check_costs(manifest: Manifest) -> list[Check]:
    """Costs are there for what the row did; how large they are depends on the machine, and is believed."""
    costs, faults = manifest.costs, list[Fault]()
    if manifest.status == "complete":
        if not costs.classify_seconds:
            faults.append(("costs.classify_seconds", f"is {costs.classify_seconds}: nothing was trained"))
        for name in ("fit_seconds", "sample_seconds"):
            if (getattr(costs, name) is None) != (manifest.row.name in WITHOUT_IMAGES):
                faults.append((f"costs.{name}", f"is {getattr(costs, name)}, for a row of another kind"))
    if manifest.curve and manifest.row.name != REAL_ONLY:
        faults.append(("curve", f"is of {REAL_ONLY} alone"))
    return judged("costs", faults, "there for every stage; their size is not checked")
