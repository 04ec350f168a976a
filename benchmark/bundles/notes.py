"""Notes of a bundle on how its synthetic images came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.stages.records import FilterRate
from benchmark.stages.samples import added_shares
from benchmark.stages.select import SelectResult


def selection_notes(folds: Sequence[SelectResult]) -> list[str]:
    """Return a note per fold on the training images that generators learn from."""
    notes = []
    for k, fold in enumerate(folds):
        shares = ", ".join(f"{c} {n} of {fold.training_images[c]}" for c, n in fold.chosen.items())
        of_fold = f" of fold {k}" if len(folds) > 1 else ""
        notes.append(
            f"Generators learn from the training images{of_fold} that real_only misclassifies near its "
            f"boundary: {shares}"
        )
    return notes


def filter_notes(row: str, rates: Mapping[str, FilterRate]) -> list[str]:
    """Return a note where the quality filter leaves fewer images than the largest bracket requests."""
    few = [f"{name} {r.retained} of {r.requested}" for name, r in rates.items() if r.retained < r.requested]
    left = (
        f"{row}: of the images that the largest bracket requests the quality filter leaves {', '.join(few)}"
    )
    return [left] if few else []


def share_notes(row: str, cards: Sequence[Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Return a note on each share that a generator reports, with the share of each class.

    Args:
        cards: by class, of every fit and fold.
    """
    by_class = {
        name: added_shares([card[name] for card in cards if name in card])
        for name in dict.fromkeys(name for card in cards for name in card)
    }
    notes = []
    for share, (n, of) in added_shares([{"shares": shares} for shares in by_class.values()]).items():
        parts = [(name, shares[share]) for name, shares in by_class.items() if share in shares]
        each = ", ".join(f"{name} {a} of {b}" for name, (a, b) in parts)
        notes.append(f"{row}: {share}: {n} of {of}; by class: {each}")
    return notes
