"""From bundles to aligned arrays: the same images, in the same order, for the same runs, in every row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.errors import SubmissionError
from benchmark.statistics.metrics import Kind, Metric, kind_of, members, reported

if TYPE_CHECKING:
    import pandas as pd

SHARED = (
    "task",
    "profile",
    "protocol_hash",
    "source",
    "data_kind",
    "classes",
    "labels",
    "positive",
    "folds",
    "scenario",
    "mix",
    "subgroups",
    "image_size",
    "primary_metric",
    "primary_bracket",
    "brackets",
    "seeds",
    "classifiers",
    "statistics",
)
Run = tuple[str, int, int | None]  # classifier, seed, and fold where every fold's model reads all images
NOT_RECORDED = "not recorded"
AGES = ((0, "0 to 39"), (40, "40 to 59"), (60, "60 to 79"), (80, "80 and over"))  # years


@dataclass(frozen=True, eq=False)
class SplitImages:
    """The images that every row was tested on, and the runs that read them.

    Attributes:
        image_id: (n,) str, sorted.
        label: (n,) int index into the classes, or (n, K) 0 or 1 where an image may have several.
        patient: (n,) int code of the patient.
        runs: sorted.
        joined: whether the folds of a cross-validation, each with test images of its own, make up a run.
        groups: (n,) str by subgroup field that the predictions carry.
    """

    image_id: np.ndarray
    label: np.ndarray
    patient: np.ndarray
    runs: tuple[Run, ...]
    joined: bool
    groups: Mapping[str, np.ndarray]

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
class Protocol:
    """What all rows share.

    Attributes:
        kind: ``binary``, ``multiclass`` or ``multilabel``.
        metrics: those that are reported, the primary one first.
        folds: 1 where a part was held out, else the folds of the cross-validation.
        yardstick: the row that ``oracle`` must beat if the task can measure anything: ``real_only``, or
            ``noise`` where synthetic images are trained on alone and ``real_only`` is itself the ceiling.
        rebalances: synthetic images go to some classes, or to some more than to others. Then ``noise`` too
            changes how often a class is seen, and may help: what a generator brings must exceed that.
    """

    classes: tuple[str, ...]
    kind: Kind
    metrics: Mapping[str, Metric]
    folds: int
    subgroups: tuple[str, ...]
    primary_bracket: int
    brackets: tuple[int, ...]
    seeds: tuple[int, ...]
    classifiers: tuple[str, ...]
    alpha: float
    correction: str
    power: float
    margin: float = 0.02
    yardstick: str = "real_only"
    rebalances: bool = False

    @property
    def primary(self) -> Metric:
        """The metric that ranks."""
        return next(iter(self.metrics.values()))


@dataclass(frozen=True, eq=False)
class Study:
    """All rows of one leaderboard, aligned."""

    protocol: Protocol
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
        SubmissionError: no finished row, two rows of one name, a metric that the task does not have, a
            class without images, or rows that differ in protocol, images, labels, patients or runs; names
            the row and the field.
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
    protocol = _protocol(first)
    splits: dict[str, SplitImages] = {}
    rows = []
    for manifest, predictions in given:
        scores = {} if predictions is None else _row_scores(manifest, predictions, splits, protocol)
        error = None if manifest["status"] == "complete" else str(manifest["error"])
        row = manifest["row"]
        rows.append(Row(row["name"], row["role"], error, manifest["memorization"], scores))
    if "test" not in splits:
        raise SubmissionError("predictions", f"have the splits {sorted(splits)}, expected 'test' among them")
    for split, images in splits.items():
        _every_class(split, images.label, protocol.classes)
    return Study(protocol, splits, tuple(rows))


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


def _rebalances(mix: Mapping[str, Any]) -> bool:
    """Whether added images change how frequent the classes are by design."""
    return bool(mix.get("classes") or mix.get("factor") or mix.get("unit") == "deficit")


def _protocol(manifest: Mapping[str, Any]) -> Protocol:
    classes, statistics = tuple(manifest["classes"]), manifest["statistics"]
    kind = kind_of(manifest["labels"], len(classes))
    return Protocol(
        classes=classes,
        kind=kind,
        metrics=reported(kind, manifest["primary_metric"]["name"]),
        folds=int(manifest["folds"]),
        subgroups=tuple(manifest["subgroups"]),
        primary_bracket=int(manifest["primary_bracket"]),
        rebalances=_rebalances(manifest["mix"]),
        yardstick="noise" if manifest["mix"].get("training") == "synthetic" else "real_only",
        brackets=tuple(manifest["brackets"]),
        seeds=tuple(sorted(int(s) for s in manifest["seeds"])),
        classifiers=tuple(sorted(str(c) for c in manifest["classifiers"])),
        alpha=statistics["alpha"],
        correction=statistics["correction"],
        power=statistics["power"],
        margin=statistics["margin"],
    )


def _every_class(split: str, label: np.ndarray, classes: Sequence[str]) -> None:
    for k, name in enumerate(classes):
        inside = members(label, k)
        for absent, images in (("with", inside), ("without", ~inside)):
            if not images.any():
                raise SubmissionError(
                    f"split {split}",
                    f"has no image {absent} '{name}'",
                    "Every class needs images that have it and images that do not: leave the class out, or "
                    "divide the data otherwise.",
                )


def _row_scores(
    manifest: Mapping[str, Any],
    predictions: pd.DataFrame,
    splits: dict[str, SplitImages],
    protocol: Protocol,
) -> dict[tuple[str, int], np.ndarray]:
    """The scores of one row; the first row fills ``splits``, the others must agree with it."""
    name = manifest["row"]["name"]
    own = {str(s): part for s, part in predictions.groupby("split")}
    if splits and own.keys() != splits.keys():
        raise SubmissionError(
            f"bundle '{name}': predictions.parquet: split",
            f"has {sorted(own)}, the other rows have {sorted(splits)}",
        )
    scores = {}
    for split, part in own.items():
        if split not in splits:
            splits[split] = _split_of(part, protocol)
        for bracket, rest in part.groupby("bracket"):
            where = f"bundle '{name}': predictions.parquet: split {split}, bracket {bracket}"
            scores[split, int(str(bracket))] = scores_of(rest, splits[split], protocol, where)
    return scores


def _texts(part: pd.DataFrame, column: str) -> np.ndarray:
    return part[column].to_numpy(dtype=object).astype(str)


def _labels(part: pd.DataFrame, protocol: Protocol) -> np.ndarray:
    """(m,) class indices, or (m, K) 0 or 1."""
    if protocol.kind != "multilabel":
        return part["label"].to_numpy(dtype=np.int64)
    return part[[f"label_{k}" for k in range(len(protocol.classes))]].to_numpy(dtype=np.int64)


def _split_of(part: pd.DataFrame, protocol: Protocol) -> SplitImages:
    once = part.drop_duplicates("image_id").sort_values("image_id")
    patient = np.unique(_texts(once, "patient_id"), return_inverse=True)[1]
    joined = protocol.folds > 1 and not part.duplicated(["bracket", "classifier", "seed", "image_id"]).any()
    folds = [None] if joined or protocol.folds == 1 else list(range(protocol.folds))
    runs = tuple((c, s, f) for c in protocol.classifiers for s in protocol.seeds for f in folds)
    groups = {f: _group(once, f) for f in protocol.subgroups if f in once.columns}
    return SplitImages(
        _texts(once, "image_id"), _labels(once, protocol), patient, tuple(runs), joined, groups
    )


def _group(part: pd.DataFrame, field: str) -> np.ndarray:
    """(n,) str: the subgroup of each image; ages in bands of 20 years."""
    missing = part[field].isna().to_numpy()
    if field != "age":
        return np.where(missing, NOT_RECORDED, _texts(part, field))
    starts = [start for start, _ in AGES]
    band = np.searchsorted(starts, part[field].fillna(0).to_numpy(dtype=float), side="right") - 1
    return np.where(missing, NOT_RECORDED, np.array([name for _, name in AGES])[band])


def scores_of(part: pd.DataFrame, split: SplitImages, protocol: Protocol, where: str) -> np.ndarray:
    """(runs, n, classes) scores; refuses whatever is not one prediction per run and image."""
    each_fold = protocol.folds > 1 and not split.joined
    key = ["classifier", "seed", *(["fold"] if each_fold else [])]
    part = part.sort_values([*key, "image_id"])
    have = [tuple(k) for k in part[key].drop_duplicates().itertuples(index=False)]
    expected = [run if each_fold else run[:2] for run in split.runs]
    if have != expected:
        raise SubmissionError(f"{where}: {', '.join(key)}", f"has runs {have}, expected {expected}")
    n, runs = len(split.image_id), len(split.runs)
    ids = _texts(part, "image_id")
    if len(part) != n * runs or not (ids.reshape(runs, n) == split.image_id).all():
        raise SubmissionError(
            f"{where}: image_id",
            f"the images are not those of the other rows and runs ({n} images, {runs} runs)",
            "Give one prediction per image and run.",
        )
    label = _labels(part, protocol).reshape(runs, *split.label.shape)
    patients = _texts(part, "patient_id").reshape(runs, n)
    codes = np.unique(patients, return_inverse=True)[1].reshape(patients.shape)
    same_label = (label == split.label).reshape(runs, n, -1).all(-1)
    checks = {"label": same_label, "patient_id": codes == split.patient}
    for field, value in split.groups.items():
        if field not in part.columns:
            raise SubmissionError(f"{where}: {field}", "is missing; other rows have it")
        checks[field] = _group(part, field).reshape(runs, n) == value
    for field, same in checks.items():
        if not same.all():
            image = split.image_id[np.argwhere(~same)[0][1]]
            raise SubmissionError(f"{where}: {field}", f"of image '{image}' differs from that of other rows")
    if split.joined:
        _folds_by_patient(part["fold"].to_numpy(dtype=np.int64).reshape(runs, n), split, protocol, where)
    columns = [f"score_{k}" for k in range(len(protocol.classes))]
    return part[columns].to_numpy(dtype=np.float64).reshape(runs, n, len(columns))


def _folds_by_patient(fold: np.ndarray, split: SplitImages, protocol: Protocol, where: str) -> None:
    """In a cross-validation, all images of a patient are tested in the same fold."""
    for own in fold:
        pairs = np.unique(split.patient * protocol.folds + own)
        if len(pairs) != split.patients:
            patient = np.flatnonzero(np.bincount(pairs // protocol.folds) > 1)[0]
            image = split.image_id[split.patient == patient][0]
            raise SubmissionError(
                f"{where}: fold",
                f"the patient of image '{image}' is tested in several folds, so was trained on",
                "Divide the folds by patient.",
            )
