"""What trainings done again say of a bundle: the same images, the same predictions, plausible runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.bundles.io import Bundle, read_bundle
from benchmark.bundles.schema import Manifest
from benchmark.errors import SubmissionError
from benchmark.planning.plan import Plan
from benchmark.statistics.metrics import kind_of, reported
from benchmark.utils.environment import hardware, software
from benchmark.utils.hashing import sha256_of
from benchmark.verification.check import Check, Fault, judged, unlike
from benchmark.verification.plausibility import ALPHA, POWER, Verdict, compare_runs
from benchmark.verification.retrain import Again

EXACT = 1e-5  # of a score; float32 sums in one order agree to less


def check_again(
    bundle: Bundle, again: Again, plan: Plan, board: Path | None
) -> tuple[list[Check], dict[str, Any]]:
    """Everything that the new trainings say of the bundle, and the record of it."""
    same_machine = _same_machine(bundle.manifest, plan)
    old, new = run_values(bundle.predictions, bundle.manifest), run_values(again.predictions, bundle.manifest)
    others = [list(per_seed(run_values(b.predictions, b.manifest)).values()) for b in _others(board, bundle)]
    verdict = compare_runs(list(per_seed(old).values()), list(per_seed(new).values()), others)
    agreement = _agreement(bundle, again)
    checks = [
        *_check_images(bundle.manifest, again.facts, same_machine),
        _check_repeated(agreement, same_machine),
        check_plausible(verdict, agreement),
    ]
    record = {
        "seeds": list(again.seeds),
        "retrained": _retrained(old, new),
        "difference": verdict.difference,
        "spread": verdict.spread,
        "df": verdict.df,
        "detectable": verdict.detectable,
        "agreement": agreement,
        "p": verdict.p,
        "plausible": checks[-1].passed,
    }
    return checks, record


Run = tuple[str, int, int]  # classifier, seed, bracket


def run_values(table: Any, manifest: Manifest) -> dict[Run, float]:
    """The primary metric of every run on ``test``, the folds of a cross-validation joined."""
    kind = kind_of(manifest.labels, len(manifest.classes))
    metric = reported(kind, manifest.primary_metric.name)[manifest.primary_metric.name]
    each = range(len(manifest.classes))
    labels = [f"label_{k}" for k in each] if manifest.labels == "multilabel" else "label"
    found = {}
    for group, part in table[table["split"] == "test"].groupby(["classifier", "seed", "bracket"]):
        classifier, seed, bracket = group
        scores = part[[f"score_{k}" for k in each]].to_numpy(np.float64)
        values = metric.values(part[labels].to_numpy(), scores[None])
        found[str(classifier), int(seed), int(bracket)] = float(values.mean())
    return found


def per_seed(values: Mapping[Run, float]) -> dict[int, float]:
    """The mean over classifiers and brackets of every seed, since its trainings share what it draws."""
    by_seed: dict[int, list[float]] = {}
    for (_, seed, _), value in values.items():
        by_seed.setdefault(seed, []).append(value)
    return {seed: float(np.mean(v)) for seed, v in sorted(by_seed.items())}


def _others(board: Path | None, bundle: Bundle) -> list[Bundle]:
    """The complete rows of a board beside this one."""
    if board is None:
        return []
    rows = [
        read_bundle(p) for p in sorted(board.iterdir()) if p.is_dir() and p.name != bundle.manifest.row.name
    ]
    odd = [r.manifest.row.name for r in rows if r.manifest.protocol_hash != bundle.manifest.protocol_hash]
    if odd:
        raise SubmissionError(f"--board {board}", f"row '{odd[0]}' has another protocol than the bundle")
    return [r for r in rows if r.predictions is not None]


def _retrained(old: Mapping[Run, float], new: Mapping[Run, float]) -> list[dict[str, Any]]:
    return [
        {
            "classifier": run[0], "seed": run[1], "bracket": run[2], "fold": None,
            "reported": old[run], "again": value, "difference": old[run] - value,
        }
        for run, value in sorted(new.items())
    ]  # fmt: skip


def _agreement(bundle: Bundle, again: Again) -> dict[str, float]:
    """How alike the scores of the same run are, image by image.

    Returns:
        ``same_class``: share of images with the same highest score (of several labels: the same side of 0.5,
        over labels); ``largest``: the largest difference of a score.
    """
    key = ["split", "bracket", "classifier", "seed", "fold", "image_id"]
    assert bundle.predictions is not None
    columns = [c for c in again.predictions.columns if c.startswith("score_")]
    both = again.predictions.merge(bundle.predictions, on=key, suffixes=("", "_old"), validate="one_to_one")
    if len(both) != len(again.predictions):
        raise SubmissionError("predictions.parquet", "has other runs or images than the trainings done again")
    new, old = both[columns].to_numpy(), both[[f"{c}_old" for c in columns]].to_numpy()
    multilabel = bundle.manifest.labels == "multilabel"
    same = (new >= 0.5) == (old >= 0.5) if multilabel else new.argmax(1) == old.argmax(1)
    return {"same_class": float(same.mean()), "largest": float(np.abs(new - old).max())}


def _same_machine(manifest: Manifest, plan: Plan) -> bool:
    """Whether the bundle says that it was made by this software, on such a machine as this one."""
    here = {**hardware(plan.device), **software()}
    said = {**manifest.hardware, **manifest.software}
    return here == said and (manifest.device, manifest.precision) == (plan.device, plan.precision)


def _check_repeated(agreement: Mapping[str, float], same_machine: bool) -> Check:
    """The same key gives the same bytes on the same hardware."""
    found = f"{100 * agreement['same_class']:.1f} % of the decisions are the same, scores differ by at most "
    found += f"{agreement['largest']:.2g}"
    if agreement["largest"] <= EXACT:
        return Check("repeated", True, found)
    if same_machine:
        why = "though software and hardware are those that the bundle names"
        return Check("repeated", False, f"{found}, {why}", "predictions.parquet: score_*")
    return Check("repeated", None, f"{found}; on other software or hardware than the bundle names they may")


def _check_images(manifest: Manifest, facts: Mapping[str, Any], same_machine: bool) -> list[Check]:
    """The images drawn again, and the measures of them; the sizes of the networks."""
    said = {r.name: r.parameters.model_dump() for r in manifest.classifier_cards if r.parameters}
    sizes = unlike(said, facts["parameters"], "classifier_cards.parameters.")
    checks = judged("networks", sizes, "have as many parameters as the bundle says")
    if "hashes" not in facts or manifest.samples is None:
        return checks
    if manifest.samples.images != facts["images"]:
        fault = f"is {manifest.samples.images}, {facts['images']} were drawn again"
        checks.append(Check("images", False, fault, "samples.images"))
    if manifest.samples.hash != joined_hash(facts["hashes"]):
        why = "the images that were drawn again are not the same"
        if same_machine:
            why += ", though software and hardware are those that the bundle names"
        return [*checks, Check("images", False if same_machine else None, why, "samples.hash")]
    faults = _figure_faults(manifest, facts)
    return [*checks, *judged("images", faults, "drawn again they are the same, and so are their measures")]


def _figure_faults(manifest: Manifest, facts: Mapping[str, Any]) -> list[Fault]:
    """Measures of the same images, within what machines differ by."""
    record = manifest.record()
    own = {name: record["measures"][name] for name in record["measures"] if name in facts["measures"]}
    faults = unlike(_rounded(own), _rounded(facts["measures"]), "measures.")
    gate = record["memorization"]
    return faults + unlike(_rounded(gate or {}), _rounded(facts["memorization"] or {}), "memorization.")


def _rounded(value: Any) -> Any:
    """Numbers to as many digits as machines agree in, through mappings and lists."""
    if isinstance(value, Mapping):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(v) for v in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def check_plausible(verdict: Verdict, agreement: Mapping[str, float]) -> Check:
    """The test, and what it could have found; without a spread, whether the very scores came out again."""
    if verdict.p is None and agreement["largest"] <= EXACT:
        return Check("plausible", True, "no spread to test against, but every score came out again")
    if verdict.p is None:
        why = "one run, and nothing that says how runs spread: give --board, or train more seeds with --seeds"
        return Check("plausible", None, why)
    assert verdict.detectable is not None
    detail = (
        f"reported {100 * verdict.reported:.2f}, trained again {100 * verdict.again:.2f}, p = "
        f"{verdict.p:.3g} (df {verdict.df}; below {ALPHA:g} is not plausible); a difference of "
        f"{100 * verdict.detectable:.1f} points would be found in {100 * POWER:.0f} of 100 cases"
    )
    return Check("plausible", verdict.plausible, detail, "" if verdict.plausible else "predictions.parquet")


def joined_hash(hashes: Sequence[str]) -> str:
    """The hash of a row's images over the folds, as the bundle has it."""
    return hashes[0] if len(hashes) == 1 else sha256_of(list(hashes))
