"""From bundles to aligned arrays: the same images, in the same order, for the same runs, in every row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.errors import SubmissionError

if TYPE_CHECKING:
    import pandas as pd

SHARED = (
    "task",
    "profile",
    "protocol_hash",
    "source",
    "data_kind",
    "classes",
    "image_size",
    "primary_bracket",
    "brackets",
    "seeds",
    "classifiers",
    "statistics",
)
Run = tuple[str, int]


@dataclass(frozen=True, eq=False)
class SplitImages:
    """The images that every row was tested on.

    Attributes:
        image_id: (n,) str, sorted.
        label: (n,) int index into the classes.
        patient: (n,) int code of the patient.
    """

    image_id: np.ndarray
    label: np.ndarray
    patient: np.ndarray

    @property
    def patients(self) -> int:
        """Number of patients."""
        return len(np.unique(self.patient))


@dataclass(frozen=True, eq=False)
class Row:
    """One row of the leaderboard.

    Attributes:
        name: of the generator or control.
        role: ``generator`` or ``control``.
        error: why it failed, or None.
        memorization: the record of the gate, or None.
        scores: (runs, n, classes) float64 by split and bracket; empty for a failed row.
    """

    name: str
    role: str
    error: str | None
    memorization: Mapping[str, Any] | None
    scores: Mapping[tuple[str, int], np.ndarray]

    def brackets(self, split: str) -> list[int]:
        """The brackets that it has on a split; [0] for a row without added images."""
        return sorted(b for s, b in self.scores if s == split)

    def at(self, split: str, bracket: int) -> int | None:
        """Its own bracket that stands beside the others at a bracket, or None."""
        own = self.brackets(split)
        if bracket in own:
            return bracket
        return 0 if own == [0] else None


@dataclass(frozen=True, eq=False)
class Study:
    """All rows of one leaderboard, aligned."""

    classes: tuple[str, ...]
    primary_bracket: int
    brackets: tuple[int, ...]
    alpha: float
    correction: str
    power: float
    runs: tuple[Run, ...]
    splits: Mapping[str, SplitImages]
    rows: tuple[Row, ...]

    def complete(self) -> list[Row]:
        """The rows that did not fail."""
        return [r for r in self.rows if r.error is None]

    def beside(self, split: str, bracket: int) -> list[tuple[Row, int]]:
        """The rows that are compared at a bracket, each with its own bracket."""
        pairs = [(row, row.at(split, bracket)) for row in self.complete()]
        return [(row, own) for row, own in pairs if own is not None]


def align(bundles: Iterable[tuple[Mapping[str, Any], pd.DataFrame | None]]) -> Study:
    """Align the predictions of several bundles.

    Args:
        bundles: for each row, what ``bundle.json`` says and its predictions (None for a failed row).
    Raises:
        SubmissionError: no finished row, two rows of one name, or rows that differ in protocol, images,
            labels, patients or runs; names the row and the field.
    """
    given = sorted(bundles, key=lambda b: str(b[0]["row"]["name"]))
    if not given:
        raise SubmissionError("bundles", "there are none", "Run at least one row first.")
    _same_protocol([manifest for manifest, _ in given])
    first = given[0][0]
    if all(manifest["status"] != "complete" for manifest, _ in given):
        raise SubmissionError(
            "bundles", f"no row finished; '{first['row']['name']}' failed: {first['error']}"
        )
    runs = tuple(sorted((str(c), int(s)) for c in first["classifiers"] for s in first["seeds"]))
    classes = tuple(first["classes"])
    splits: dict[str, SplitImages] = {}
    rows = []
    for manifest, predictions in given:
        name = manifest["row"]["name"]
        scores = {}
        if predictions is not None:
            own = {str(s): part for s, part in predictions.groupby("split")}
            if splits and own.keys() != splits.keys():
                raise SubmissionError(
                    f"bundle '{name}': predictions.parquet: split",
                    f"has {sorted(own)}, the other rows have {sorted(splits)}",
                )
            for split, part in own.items():
                splits.setdefault(split, _split_of(part))
                for bracket, rest in part.groupby("bracket"):
                    where = f"bundle '{name}': predictions.parquet: split {split}, bracket {bracket}"
                    scores[split, int(str(bracket))] = _scores(rest, splits[split], runs, classes, where)
        error = None if manifest["status"] == "complete" else str(manifest["error"])
        rows.append(Row(name, manifest["row"]["role"], error, manifest["memorization"], scores))
    if "test" not in splits:
        raise SubmissionError("predictions", f"have the splits {sorted(splits)}, expected 'test' among them")
    for split, images in splits.items():
        absent = [c for i, c in enumerate(classes) if not (images.label == i).any()]
        if absent:
            raise SubmissionError(
                f"split {split}", f"has no image of '{absent[0]}'", "Balanced accuracy needs every class."
            )
    statistics = first["statistics"]
    return Study(
        classes,
        int(first["primary_bracket"]),
        tuple(first["brackets"]),
        statistics["alpha"],
        statistics["correction"],
        statistics["power"],
        runs,
        splits,
        tuple(rows),
    )


def _same_protocol(manifests: Sequence[Mapping[str, Any]]) -> None:
    names = [m["row"]["name"] for m in manifests]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise SubmissionError("bundles", f"two of them are of row '{twice[0]}'", "Keep one.")
    first = manifests[0]
    for other in manifests[1:]:
        for field in SHARED:
            if other[field] != first[field]:
                raise SubmissionError(
                    f"bundle '{other['row']['name']}': {field}",
                    f"is {other[field]!r}, '{names[0]}' has {first[field]!r}",
                    "A leaderboard never mixes two protocols: run the row again under this one.",
                )
        if other["data"]["fingerprint"] != first["data"]["fingerprint"]:
            raise SubmissionError(
                f"bundle '{other['row']['name']}': data.fingerprint",
                f"differs from that of '{names[0]}'",
                "Run the row on the same data.",
            )


def _split_of(part: pd.DataFrame) -> SplitImages:
    once = part.drop_duplicates("image_id").sort_values("image_id")
    patient = np.unique(once["patient_id"].to_numpy(dtype=object).astype(str), return_inverse=True)[1]
    ids = once["image_id"].to_numpy(dtype=object).astype(str)
    return SplitImages(ids, once["label"].to_numpy(dtype=np.int64), patient)


def _scores(
    part: pd.DataFrame, split: SplitImages, runs: tuple[Run, ...], classes: tuple[str, ...], where: str
) -> np.ndarray:
    """(runs, n, classes) scores; refuses whatever is not one prediction per run and image."""
    part = part.sort_values(["classifier", "seed", "image_id"])
    have = sorted({(str(c), int(s)) for c, s in zip(part["classifier"], part["seed"], strict=True)})
    if tuple(have) != runs:
        raise SubmissionError(f"{where}: classifier, seed", f"has runs {have}, expected {list(runs)}")
    n = len(split.image_id)
    ids = part["image_id"].to_numpy(dtype=object).astype(str)
    if len(part) != n * len(runs) or not (ids.reshape(len(runs), n) == split.image_id).all():
        raise SubmissionError(
            f"{where}: image_id",
            f"the images are not those of the other rows and runs ({n} images, {len(runs)} runs)",
            "Give one prediction per image and run.",
        )
    label = part["label"].to_numpy(dtype=np.int64).reshape(len(runs), n)
    patients = part["patient_id"].to_numpy(dtype=object).astype(str).reshape(len(runs), n)
    codes = np.unique(patients, return_inverse=True)[1].reshape(patients.shape)
    for field, same in (("label", label == split.label), ("patient_id", codes == split.patient)):
        if not same.all():
            image = split.image_id[np.argwhere(~same)[0][1]]
            raise SubmissionError(f"{where}: {field}", f"of image '{image}' differs from that of other rows")
    columns = [f"score_{k}" for k in range(len(classes))]
    return part[columns].to_numpy(dtype=np.float64).reshape(len(runs), n, len(classes))
