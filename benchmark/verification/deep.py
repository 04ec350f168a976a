"""Compare a bundle with its retrained seeds: the same images, the same predictions, plausible runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmark.bundles.io import Bundle, read_bundle
from benchmark.bundles.schema import Manifest
from benchmark.bundles.tables import FIT, KEY, with_fit
from benchmark.errors import SubmissionError
from benchmark.planning.plan import Plan
from benchmark.statistics.metrics import kind_of, reported
from benchmark.statistics.repeats import ALPHA, POWER, RELEVANT, pooled_spread, required_repeats
from benchmark.utils.environment import hardware, software
from benchmark.verification.check import (
    FAILED,
    NOT_CHECKED,
    PASSED,
    Check,
    checks_of,
    difference,
    differences,
)
from benchmark.verification.plausibility import PlausibilityTest, compare_runs
from benchmark.verification.retrain import RegeneratedImages, Retraining
from benchmark.verification.sample_images import read_picture

FIGURES = ("value", "floor", "floor_sd", "n", "direction", "folds")  # of a measure, in every bundle
CLOSE = 1e-4  # relative, of measures of the same images on different machines
EXACT = 1e-5  # of a score; float32 sums in one order agree to less
SAME_MACHINE = "although software and hardware are those that the bundle names"
NO_RECORD = "no record is written"
RECURRING = 0.5  # share of the shown images, from which on the images count as the same
SAME_IMAGE = 1.0  # gray levels, mean absolute difference of an image that recurs
Run = tuple[str, int, int]  # classifier, seed, bracket


@dataclass(frozen=True)
class Agreement:
    """Agreement of the scores of reported and retrained runs, image by image.

    Attributes:
        same_class: share of images with the same highest score; multi-label: of labels on one side of 0.5.
        largest: largest difference of a score.
    """

    same_class: float
    largest: float


@dataclass(frozen=True)
class RetrainedRun:
    """The primary metric of one run, reported and again, under the keys of ``verified.json``."""

    classifier: str
    seed: int
    bracket: int
    reported: float
    again: float
    difference: float
    fold: None = None


@dataclass(frozen=True)
class RetrainingRecord:
    """The outcome of retraining, under the keys of ``verified.json``; see ``PlausibilityTest``.

    Attributes:
        of: number of seeds that the bundle reports.
        sufficient: whether the repeated seeds detect an inflation of 5 points; None without a spread.
    """

    seeds: tuple[int, ...]
    of: int
    sufficient: bool | None
    retrained: tuple[RetrainedRun, ...]
    difference: float
    spread: float | None
    df: int
    detectable: float | None
    agreement: Agreement
    p: float | None
    plausible: bool | None


def check_retraining(
    bundle: Bundle, retraining: Retraining, plan: Plan, board: Path | None
) -> tuple[list[Check], RetrainingRecord]:
    """Compare the bundle with its retrained seeds; ``board`` holds other rows of the same protocol."""
    manifest = bundle.manifest
    same_machine, images = _same_machine(manifest, plan), retraining.regenerated
    same_images = images is not None and _are_same(bundle, images)
    old, new = run_values(bundle.predictions, manifest), run_values(retraining.predictions, manifest)
    reported, again = (list(per_seed(v, manifest.primary_bracket).values()) for v in (old, new))
    test = compare_runs(reported, again, board_seeds(board, bundle))
    agreement = _agreement(bundle, retraining)
    sizes = {c.name: c.parameters.model_dump() for c in manifest.classifier_cards if c.parameters}
    faults = differences(sizes, retraining.parameters, "classifier_cards.parameters.")
    checks = [
        *checks_of("networks", faults, "have the reported number of parameters"),
        *_check_regenerated(manifest, images, same_machine),
        _check_reproduced(agreement, same_machine, same_images),
        check_plausible(test, agreement),
    ]
    runs = (RetrainedRun(*run, old[run], value, old[run] - value) for run, value in sorted(new.items()))
    sufficient = None if test.detectable is None else test.detectable <= RELEVANT
    record = RetrainingRecord(
        retraining.seeds, len(manifest.seeds), sufficient,
        tuple(runs), test.difference, test.spread, test.df, test.detectable, agreement,
        test.p, plausible=None if _is_doubted(agreement, same_images) else checks[-1].passed,
    )  # fmt: skip
    return checks, record


def default_repeats(bundle: Bundle, board: Path | None) -> int:
    """Return the number of seeds whose repetition detects 5 points, as far as all of them do."""
    manifest = bundle.manifest
    own = list(per_seed(run_values(bundle.predictions, manifest), manifest.primary_bracket).values())
    return required_repeats(pooled_spread([own, *board_seeds(board, bundle)]), len(manifest.seeds))


def run_values(table: Any, manifest: Manifest) -> dict[Run, float]:
    """Return the primary metric of every run on ``test``, with the folds of a cross-validation joined.

    The value of a run is the mean over fits.
    """
    kind = kind_of(manifest.labels, len(manifest.classes))
    metric = reported(kind, manifest.primary_metric.name)[manifest.primary_metric.name]
    each = range(len(manifest.classes))
    labels = [f"label_{k}" for k in each] if manifest.labels == "multilabel" else "label"
    values: dict[Run, list[float]] = {}
    tested = with_fit(table[table["split"] == "test"])
    for group, part in tested.groupby(["classifier", "seed", "bracket", FIT]):
        classifier, seed, bracket, _ = cast(tuple[Any, ...], group)
        scores = part[[f"score_{k}" for k in each]].to_numpy(np.float64)
        value = metric.values(part[labels].to_numpy(), scores[None]).mean()
        values.setdefault((str(classifier), int(seed), int(bracket)), []).append(float(value))
    return {run: float(np.mean(own)) for run, own in values.items()}


def per_seed(values: Mapping[Run, float], bracket: int) -> dict[int, float]:
    """Return the mean over classifiers of every seed, whose trainings are not independent.

    The bracket is the one that ranks; an inflation of it alone would be diluted by the others. A row without
    images has another one.
    """
    brackets = {b for _, _, b in values}
    chosen = bracket if bracket in brackets else max(brackets)
    by_seed: dict[int, list[float]] = {}
    for (_, seed, own), value in values.items():
        if own == chosen:
            by_seed.setdefault(seed, []).append(value)
    return {seed: float(np.mean(v)) for seed, v in sorted(by_seed.items())}


def board_seeds(board: Path | None, bundle: Bundle) -> list[list[float]]:
    """Return the values by seed of the other complete rows of a board."""
    if board is None:
        return []
    own = bundle.manifest
    rows = [read_bundle(p) for p in sorted(board.iterdir()) if p.is_dir() and p.name != own.row.name]
    for row in rows:
        if row.manifest.protocol_hash != own.protocol_hash:
            problem = f"row '{row.manifest.row.name}' has another protocol than the bundle"
            raise SubmissionError(f"--board {board}", problem)
    complete = [run_values(r.predictions, r.manifest) for r in rows if r.predictions is not None]
    return [list(per_seed(values, own.primary_bracket).values()) for values in complete]


def _are_same(bundle: Bundle, images: RegeneratedImages) -> bool:
    """Return whether the images recur: by the bundle's hash, or by those that it shows.

    The hash is its author's word, and one altered gray level changes it.
    """
    manifest, shown, again = bundle.manifest, bundle.previews, images.shown
    if manifest.samples is not None and manifest.samples.hash == images.hash:
        return True
    if shown is None or again is None or list(shown["class"]) != list(again["class"]):
        return False
    pairs = [
        [read_picture(content, manifest.image_size, "shown image").astype(float) for content in both]
        for both in zip(shown["image"], again["image"], strict=True)
    ]
    recur = [float(np.abs(one - other).mean()) <= SAME_IMAGE for one, other in pairs]
    return bool(np.mean(recur) >= RECURRING)


def _agreement(bundle: Bundle, retraining: Retraining) -> Agreement:
    key = [FIT, *KEY]
    assert bundle.predictions is not None
    predictions, stored = with_fit(retraining.predictions), with_fit(bundle.predictions)
    columns = [c for c in predictions.columns if c.startswith("score_")]
    both = predictions.merge(stored, on=key, suffixes=("", "_old"), validate="one_to_one")
    if len(both) != len(predictions):
        raise SubmissionError("predictions.parquet", "has other runs or images than the retrained ones")
    new, old = both[columns].to_numpy(), both[[f"{c}_old" for c in columns]].to_numpy()
    multilabel = bundle.manifest.labels == "multilabel"
    same = (new >= 0.5) == (old >= 0.5) if multilabel else new.argmax(1) == old.argmax(1)
    return Agreement(float(same.mean()), float(np.abs(new - old).max()))


def _same_machine(manifest: Manifest, plan: Plan) -> bool:
    """Return whether the bundle names the software, hardware, device and precision of this machine."""
    here = {**hardware(plan.device), **software()}
    named = {**manifest.hardware, **manifest.software}
    same = {"processor", "torch"} <= named.keys() and all(here.get(k) == v for k, v in named.items())
    return same and (manifest.device, manifest.precision) == (plan.device, plan.precision)


def _is_doubted(agreement: Agreement, same_images: bool) -> bool:
    """Return whether the scores differ although the images are the same.

    A machine that repeats a generator bit by bit computes as the author's does, whatever hardware the bundle
    names. Of a generator that computes without rounding this is no proof, so the check does not fail. No
    larger difference is tolerable on other hardware: there the same seed and the same images gave up to 4.5
    points more, as another seed does.
    """
    return same_images and agreement.largest > EXACT


def _check_reproduced(agreement: Agreement, same_machine: bool, same_images: bool) -> Check:
    """Expect the same scores on the same hardware."""
    detail = f"{100 * agreement.same_class:.1f} % of the decisions agree, scores differ by at most "
    detail += f"{agreement.largest:.2g}"
    if agreement.largest <= EXACT:
        return Check("reproduced", PASSED, detail)
    if same_machine:
        return Check("reproduced", FAILED, f"{detail}, {SAME_MACHINE}", "predictions.parquet: score_*")
    why = "other software or hardware than the bundle's may differ"
    if _is_doubted(agreement, same_images):
        why = f"doubted, since the images are the same, and only the scores differ; {NO_RECORD}"
    return Check("reproduced", NOT_CHECKED, f"{detail}; {why}", "predictions.parquet: score_*")


def _check_regenerated(
    manifest: Manifest, images: RegeneratedImages | None, same_machine: bool
) -> list[Check]:
    """Compare number, hash and measures of the images that were generated again."""
    if images is None or manifest.samples is None:
        return []
    faults = difference("samples.images", manifest.samples.images, images.images)
    count = checks_of("images", faults, "") if faults else []
    if manifest.samples.hash != images.hash:
        why = "generated again, the images differ"
        if same_machine:
            return [*count, Check("images", FAILED, f"{why}, {SAME_MACHINE}", "samples.hash")]
        return [*count, Check("images", NOT_CHECKED, why, "samples.hash")]
    record = manifest.record()
    measures = {name: value for name, value in record["measures"].items() if name in images.measures}
    again = {name: _as_reported(value, measures.get(name, {})) for name, value in images.measures.items()}
    faults = differences({n: _as_reported(v, v) for n, v in measures.items()}, again, "measures.", CLOSE)
    faults += differences(record["memorization"] or {}, images.memorization or {}, "memorization.", CLOSE)
    added = [name for name, m in manifest.measures.items() if m.card and name not in images.measures]
    why = "is of a metric that the task does not name, so it was not computed again"
    return [
        *count,
        *checks_of("images", faults, "generated again, the images and their measures are the same"),
        *(Check("images", NOT_CHECKED, why, f"measures.{name}") for name in added),
    ]


def _as_reported(measure: Mapping[str, Any], reported: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a measure; those that older bundles lack count where they are reported."""
    names = [name for name in measure if name in FIGURES or (name == "per_class" and name in reported)]
    return {name: measure[name] for name in names}


def check_plausible(test: PlausibilityTest, agreement: Agreement) -> Check:
    """Judge the test and state its power; without a spread, equal scores decide."""
    if test.p is None and agreement.largest <= EXACT:
        return Check("plausible", PASSED, "every score was reproduced, so no test is needed")
    if test.p is None:
        why = "one run has no spread: give --board, or retrain more seeds with --seeds"
        return Check("plausible", NOT_CHECKED, why)
    assert test.detectable is not None
    detail = (
        f"reported {100 * test.reported:.2f}, retrained {100 * test.retrained:.2f}, p = {test.p:.3g} "
        f"(df {test.df}; below {ALPHA:g} is implausible); the test detects an inflation of "
        f"{100 * test.detectable:.1f} points with {100 * POWER:.0f} % power"
    )
    if test.detectable > RELEVANT:
        detail += f", not the {100 * RELEVANT:.0f} points that count: give --board, or more --seeds"
    return Check("plausible", test.plausible, detail, "" if test.plausible else "predictions.parquet")
