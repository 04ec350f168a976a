"""Check a bundle's account of its row: name, card, submission type, brackets and costs."""

from collections.abc import Iterable
from dataclasses import replace

from benchmark.bundles.assemble import row_card
from benchmark.bundles.io import Bundle
from benchmark.bundles.schema import Manifest
from benchmark.errors import BenchmarkError
from benchmark.planning.plan import Row
from benchmark.planning.rows import WITHOUT_IMAGES, generator_row
from benchmark.plugins.registry import available
from benchmark.stages.records import REAL_ONLY
from benchmark.tasks.profile import GeneratorEntry
from benchmark.verification.check import FAILED, NOT_CHECKED, Check, Fault, checks_of, differences
from benchmark.verification.protocol import Protocol

SUITE = "suite"


def check_row(bundle: Bundle, protocol: Protocol) -> list[Check]:
    """Check the row's name, role and brackets; a row of the suite must be what the suite runs."""
    manifest = bundle.manifest
    faults = [*_type_faults(manifest, protocol), *_bracket_faults(bundle, protocol)]
    if manifest.submission_type == SUITE and not faults:
        return _check_suite_row(manifest, protocol)
    row, submission_type = manifest.row, manifest.submission_type
    return checks_of("row", faults, f"{row.name}, {row.role}, submission type {submission_type}")


def _type_faults(manifest: Manifest, protocol: Protocol) -> Iterable[Fault]:
    controls, row = {*WITHOUT_IMAGES, *protocol.task.controls}, manifest.row
    if manifest.submission_type == SUITE:
        if (row.role == "control") != (row.name in controls):
            yield "row.role", f"is '{row.role}'; the task's controls are {sorted(controls)}"
        return
    if row.name in controls or row.role == "control":
        yield "row.name", f"'{row.name}' is a control, which only the suite runs"
    if row.name in available("generators"):
        yield "row.name", f"'{row.name}' is a generator of the suite; a submission needs another name"
    if manifest.submission is None:
        yield "submission", "is missing: the submission card"
    elif manifest.schema_ == 5:
        yield "schema", "is 5, whose card declares neither attempts nor access to the test: submit again"
    elif manifest.submission.name != row.name:
        yield "submission.name", f"is '{manifest.submission.name}', expected '{row.name}'"


def _bracket_faults(bundle: Bundle, protocol: Protocol) -> Iterable[Fault]:
    """Expect bracket 0 alone of rows without images, and all of the task's brackets and fits of others.

    A control, and submitted samples, may be of one fit.
    """
    if bundle.predictions is None:
        return
    brackets = sorted(set(bundle.predictions["bracket"].tolist()))
    without = bundle.manifest.row.name in WITHOUT_IMAGES
    expected = [0] if without else sorted(protocol.profile.brackets)
    if brackets != expected:
        yield "predictions.parquet: bracket", f"has {brackets}, expected {expected}"
    seeds, fitted = bundle.manifest.fit_seeds, protocol.profile.fit_seeds
    once = without or bundle.manifest.row.role == "control" or bundle.manifest.submission_type == "samples"
    if set(seeds) != set(fitted) and not (once and seeds in ((0,), fitted[:1])):
        yield "fit_seeds", f"is {list(seeds)}, expected {list(fitted)}"
    for name in ("measures", "memorization"):
        if bool(getattr(bundle.manifest, name)) == without:
            yield name, "is not expected of a row without images" if without else "is missing"


def _check_suite_row(manifest: Manifest, protocol: Protocol) -> list[Check]:
    """Compare card, version and parameters with the row of this version of the suite."""
    name = manifest.row.name
    try:
        own = _suite_row(name, protocol)
    except BenchmarkError as error:
        return [Check("row", FAILED, f"{error.problem} {error.remedy}".strip(), "row.name")]
    if own is None:
        return [
            Check(
                "row", NOT_CHECKED, f"'{name}' is not a row of this suite: its origin is unknown", "row.name"
            )
        ]
    reported = {name: value for name, value in manifest.record()["row"].items() if value is not None}
    expected = {"assets": {}} | row_card(replace(own, name=name), protocol.profile)
    for added in ("image_size", "fit_unit"):  # that bundles from before generators had these do not state
        if added not in reported:
            expected.pop(added, None)
    tuned = own.role == "generator" and reported["params"] != expected["params"]
    if tuned:
        expected["params"] = reported["params"]
    checks = checks_of("row", differences(reported, expected, "row."), f"{name}, the same as the suite's")
    if tuned:
        why = "parameters differ from the task's defaults: tuned, or changed"
        checks.append(Check("row", NOT_CHECKED, why, "row.params"))
    return checks


def _suite_row(name: str, protocol: Protocol) -> Row | None:
    """Return the row as this version runs it; None for a generator that is not installed."""
    if name in WITHOUT_IMAGES:
        return Row(name, "control", WITHOUT_IMAGES[name])
    is_control = name in protocol.task.controls
    entry = GeneratorEntry() if is_control else protocol.profile.generators.get(name, GeneratorEntry())
    plugin = available("generators").get(entry.plugin or name)
    return None if plugin is None else generator_row(plugin, entry, {})


def check_costs(manifest: Manifest) -> list[Check]:
    """Check that every stage has costs; their size depends on the machine, and is taken on trust."""
    costs, faults = manifest.costs, list[Fault]()
    if manifest.status == "complete":
        if not costs.classify_seconds:
            faults.append(("costs.classify_seconds", f"is {costs.classify_seconds}: nothing was trained"))
        for name in ("fit_seconds", "sample_seconds"):
            if (getattr(costs, name) is None) != (manifest.row.name in WITHOUT_IMAGES):
                faults.append((f"costs.{name}", f"is {getattr(costs, name)}, for a row of another kind"))
    if manifest.curve and manifest.row.name != REAL_ONLY:
        faults.append(("curve", f"is expected only of {REAL_ONLY}"))
    return checks_of("costs", faults, "present for every stage; their size is not checked")
