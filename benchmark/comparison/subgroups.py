"""The metrics in groups of patients: by sex, age, view or site."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmark.comparison.merits import Merits
from benchmark.comparison.panel import Panel
from benchmark.comparison.rows import NOT_RECORDED, SplitImages, Study
from benchmark.statistics.metrics import members

FEWEST_PATIENTS = 10
MOST_VALUES, OTHERS = 10, "all others"  # of a field, by patients
BASELINE = "real_only"


def subgroups(study: Study, split: str = "test") -> dict[str, dict[str, dict[str, Any]]]:
    """``[row][field][value]`` with the metrics at the primary bracket.

    Returns:
        The interval of the primary metric with ``images`` and ``patients``, the difference to the baseline
        in ``versus_real_only`` (not adjusted), all figures of merit in ``quality`` (``overall`` and
        ``versus_real_only``, with bootstrap intervals), and ``too_small`` None; or, for a group of fewer
        than 10 patients or one that lacks a class, ``images``, ``patients`` and the reason in ``too_small``.
    """
    images = study.splits[split]
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for field, every in images.groups.items():
        values = _largest(every, images.patient)
        for value in np.unique(values):
            keep = values == value
            reason = _too_small(images, keep, study.protocol.classes)
            panel = Panel(study, split, study.protocol.primary_bracket, keep)
            figures = {} if reason else Merits(panel, per_class=False).records()
            for name in panel.rows:
                size = {"images": int(keep.sum()), "patients": len(np.unique(panel.patient))}
                record = size if reason else {**_record(panel, name), "quality": _overall(figures[name])}
                found.setdefault(name, {}).setdefault(field, {})[str(value)] = {**record, "too_small": reason}
    return found


def _largest(values: np.ndarray, patient: np.ndarray) -> np.ndarray:
    """The values, where those beyond the ten with most patients are one group."""
    names, code = np.unique(values, return_inverse=True)
    if len(names) <= MOST_VALUES:
        return values
    patients = np.bincount(np.unique(np.stack([code, patient]), axis=1)[0])
    kept = np.argsort(-patients, kind="stable")[: MOST_VALUES - 1]
    return np.where(np.isin(code, kept), values, OTHERS)


def _record(panel: Panel, name: str) -> dict[str, Any]:
    compared = name != BASELINE and BASELINE in panel.rows
    difference = panel.primary.difference(name, BASELINE).record() if compared else None
    return {**panel.primary.mean(name), "versus_real_only": difference}


def _overall(record: dict[str, Any]) -> dict[str, Any]:
    return {part: record[part] for part in ("overall", "versus_real_only")}


def _too_small(images: SplitImages, keep: np.ndarray, classes: tuple[str, ...]) -> str | None:
    patients = len(np.unique(images.patient[keep]))
    if patients < FEWEST_PATIENTS:
        return f"fewer than {FEWEST_PATIENTS} patients"
    for k, name in enumerate(classes):
        inside = members(images.label[keep], k)
        if inside.all() or not inside.any():
            return f"{'only images' if inside.all() else 'no image'} of {name}"
    return None


def notes(study: Study, split: str = "test") -> list[str]:
    """What the subgroups leave out."""
    groups = study.splits[split].groups
    missing = [f for f in study.protocol.subgroups if f not in groups or (groups[f] == NOT_RECORDED).all()]
    return [
        f"No image of split {split} has its {field} recorded: no subgroups by {field}." for field in missing
    ]
