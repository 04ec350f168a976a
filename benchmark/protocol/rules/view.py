"""Select the images of one kind of view. Lan 2023, Table 10."""

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np

from benchmark.errors import DataError
from benchmark.images.image_set import ImageSet
from benchmark.tasks.rules import View

# "AP Supine" and "AP semi erect" of covid-chestxray, "LL" and "RL" of CheXpert, "L" of covid-chestxray.
KINDS = {"frontal": r"(pa|ap|frontal)\b.*", "lateral": r"(lateral|lat|l|ll|rl)\b.*"}


def kind_of(view: str) -> str:
    """Return ``frontal``, ``lateral``, or empty if the view is unknown.

    >>> kind_of("AP Supine"), kind_of("LATERAL"), kind_of("")
    ('frontal', 'lateral', '')
    """
    text = view.strip().lower()
    return next((kind for kind, pattern in KINDS.items() if re.fullmatch(pattern, text)), "")


def kinds(images: ImageSet) -> np.ndarray:
    """Return (N,) str, the kind of every image's view, empty if unknown."""
    if images.view is None:
        return np.full(len(images), "")
    names, place = np.unique(images.view.astype(str), return_inverse=True)
    return np.array([kind_of(name) for name in names.tolist()])[place]


def apply(images: ImageSet, rule: View, *, where: str = "view") -> ImageSet:
    """Return the images of the kind that the rule keeps; ``both`` keeps all, known or not.

    Raises:
        DataError: an image of unknown view, or no image of the kind.
    """
    if rule.keep == "both":
        return images
    kind = kinds(images)
    unknown = int((kind == "").sum())
    if unknown:
        texts = ["none"] * unknown if images.view is None else images.view[kind == ""].tolist()
        raise DataError(
            where,
            f"{unknown} of {len(images)} images have no known view ({_counted(t or 'none' for t in texts)})",
            "Fill in PA, AP or LATERAL, or name the step in sources.<source>.skip_steps.",
        )
    mask = kind == rule.keep
    why = f"not {rule.keep} ({_counted(images.view[~mask].tolist())})"  # type: ignore[index]
    if not mask.any():
        raise DataError(where, f"leaves no image: all {len(images)} left out, {why}", "Change the step.")
    if mask.all():
        return images
    chosen = images.select(np.flatnonzero(mask))
    return chosen.noted(f"{where}: {len(images) - len(chosen)} of {len(images)} images left out, {why}")


def _counted(values: Iterable[str]) -> str:
    """Return the number of each value, most frequent first."""
    return ", ".join(f"{value} {n}" for value, n in Counter(values).most_common())
