"""The metrics in groups of patients: by sex, age, view or site."""

import numpy as np

from benchmark.comparison.aligned_rows import AlignedRows, SplitImages
from benchmark.comparison.compared_rows import ComparedRows
from benchmark.comparison.figures import BASELINE
from benchmark.comparison.figures_of_merit import FiguresOfMerit
from benchmark.comparison.row_records import OverallQuality, Subgroup
from benchmark.statistics.metrics import members

FEWEST_PATIENTS = 10
MOST_VALUES, OTHERS = 10, "all others"  # of a field, by patients


def subgroups(aligned: AlignedRows, split: str = "test") -> dict[str, dict[str, dict[str, Subgroup]]]:
    """Return ``[row][field][value]`` with the metrics at the primary bracket.

    A group of fewer than ten patients, or one that lacks a class, has no figures.
    """
    images, bracket = aligned.splits[split], aligned.protocol.primary_bracket
    records: dict[str, dict[str, dict[str, Subgroup]]] = {}
    for field, every in images.groups.items():
        values = _largest(every, images.patient)
        for value in np.unique(values):
            inside = values == value
            reason = _too_small(images, inside, aligned.protocol.classes)
            for name, record in _by_row(ComparedRows(aligned, split, bracket, inside), reason).items():
                records.setdefault(name, {}).setdefault(field, {})[str(value)] = record
    return records


def _largest(values: np.ndarray, patient: np.ndarray) -> np.ndarray:
    """Return the values, those beyond the ten with most patients joined to one group."""
    names, code = np.unique(values, return_inverse=True)
    if len(names) <= MOST_VALUES:
        return values
    patients = np.bincount(np.unique(np.stack([code, patient]), axis=1)[0])
    largest = np.argsort(-patients, kind="stable")[: MOST_VALUES - 1]
    return np.where(np.isin(code, largest), values, OTHERS)


def _by_row(compared: ComparedRows, too_small: str | None) -> dict[str, Subgroup]:
    size = {"images": len(compared.label), "patients": len(np.unique(compared.patient))}
    if too_small:
        return {name: Subgroup(**size, too_small=too_small) for name in compared.rows}
    quality = FiguresOfMerit(compared, per_class=False).records()
    return {
        name: Subgroup(
            **compared.primary.mean(name),
            too_small=None,
            versus_real_only=(d := compared.primary.versus(name, BASELINE)) and d.record(),
            quality=OverallQuality(**{k: quality[name][k] for k in ("overall", "versus_real_only")}),
        )
        for name in compared.rows
    }


def _too_small(images: SplitImages, inside: np.ndarray, classes: tuple[str, ...]) -> str | None:
    """Return the reason why a group has no figures, or None."""
    if len(np.unique(images.patient[inside])) < FEWEST_PATIENTS:
        return f"fewer than {FEWEST_PATIENTS} patients"
    for k, name in enumerate(classes):
        present = members(images.label[inside], k)
        if present.all() or not present.any():
            return f"{'only images' if present.all() else 'no image'} of {name}"
    return None
