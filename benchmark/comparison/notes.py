"""Notes for the reader of a comparison: cautions, and what is missing from it."""

import numpy as np

from benchmark.comparison.aligned_rows import NOT_RECORDED, AlignedRows
from benchmark.comparison.compared_rows import ComparedRows
from benchmark.comparison.figures import baselines
from benchmark.comparison.learning_curve import Equivalents
from benchmark.statistics.metrics import findings
from benchmark.statistics.sides import FEWEST, with_and_without, without_interval
from benchmark.utils.formatting import listed

FEW_PATIENTS = 10
NO_MCNEMAR = (
    "McNemar's test is left out: it compares images that are right with images that are wrong, and an image "
    "with several labels is neither."
)
FOLDS = {
    True: "Each image of split {split} is tested in one of {folds} folds, which are joined into one run. The "
    "folds' models share most of their training patients, so their errors are related in a way that no "
    "interval can show.",
    False: "Each image of split {split} is read by the models of all {folds} folds. They share most of their "
    "training patients, so they vary less than models trained on fresh patients would.",
}


def notes(
    aligned: AlignedRows,
    compared: ComparedRows,
    equivalents: Equivalents | None,
) -> list[str]:
    """Return all notes in the order of the page; ``compared`` is at the primary bracket of ``test``."""
    return [
        *_protocol_notes(aligned),
        *_silent_runs(compared),
        *_identical_rows(compared),
        *_learning_curve_notes(equivalents),
        *_subgroup_notes(aligned),
    ]


def _protocol_notes(aligned: AlignedRows) -> list[str]:
    protocol, notes = aligned.protocol, []
    for name, split in sorted(aligned.splits.items()):
        for k, label in enumerate(protocol.classes):
            sides = with_and_without(split.label, split.patient, k, label)
            notes += without_interval(name, sides)
            if FEWEST <= sides[0].patients < FEW_PATIENTS:
                notes.append(f"Split {name} has {sides[0]}: too few to trust its intervals.")
        if protocol.folds > 1:
            notes.append(FOLDS[split.joined].format(split=name, folds=protocol.folds))
    if len(aligned.splits["test"].runs) == 1:
        notes.append("There is one run per row: intervals leave out the variation between trainings.")
    notes += _fit_notes(aligned)
    if protocol.kind == "multilabel":
        notes.append(NO_MCNEMAR)
    present = {row.name for row in aligned.complete()}
    missing = [base for base in baselines(protocol) if base not in present]
    return notes + [f"Differences to {base} are missing: no such finished row." for base in missing]


def _identical_rows(compared: ComparedRows) -> list[str]:
    """Return a note on each row whose scores are those of an earlier row."""
    notes, names = [], list(compared.scores)
    for i, name in enumerate(names):
        own = compared.scores[name]
        same = [other for other in names[:i] if np.array_equal(compared.scores[other], own)]
        if same:
            notes.append(f"The predictions of {name} are identical to those of {same[0]}.")
    return notes


def _fit_notes(aligned: AlignedRows) -> list[str]:
    """Return a note on the generators whose refits no interval covers, where there are generators."""
    generators = [row for row in aligned.complete() if row.role == "generator"]
    once = [row.name for row in generators if len(row.fits) == 1]
    if not once:
        return []
    which = "Every generator was" if len(once) == len(generators) else f"{listed(once)}: the generator was"
    return [
        f"{which} fitted once: refits are not in the interval, which covers patients and trainings alone."
    ]


def _silent_runs(compared: ComparedRows) -> list[str]:
    """Runs of a binary task that never predict the positive class: their F1 is 0 and seems certain."""
    if compared.protocol.kind != "binary":
        return []
    positive, notes = compared.protocol.classes[1], []
    for name, scores in compared.scores.items():
        silent = int((~findings(compared.label, scores, 1).any(-1)).sum())
        if silent:
            notes.append(
                f"{name} predicts no {positive} at all in {silent} of {len(scores)} runs: F1 is 0 there, and "
                "its interval does not show how near the threshold the scores came."
            )
    return notes


def _learning_curve_notes(equivalents: Equivalents | None) -> list[str]:
    if equivalents is None:
        return []
    if equivalents.reason:
        return [f"There is no learning curve: {equivalents.reason}."]
    reasons = {row.primary.reason for row in equivalents.rows.values()} - {None}
    return [f"Real-image equivalents are unknown: {reason}." for reason in sorted(map(str, reasons))]


def _subgroup_notes(aligned: AlignedRows) -> list[str]:
    groups = aligned.splits["test"].groups
    fields = [f for f in aligned.protocol.subgroups if f not in groups or (groups[f] == NOT_RECORDED).all()]
    return [f"No image of split test has its {field} recorded: no subgroups by {field}." for field in fields]
