"""Predictions of several models on the same images, from a plain CSV in wide or long form."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.errors import SubmissionError
from benchmark.statistics.metrics import THRESHOLD, Kind
from benchmark.utils.csv_file import read_csv
from benchmark.utils.csv_table import SUBMITTED, CsvTable

KEYS = ("image_id", "patient_id", "label")
SCORE = "score_"
MOST_MODELS = 100
HIGHEST = "the class with the highest score"
FORMS = (
    "Give a column <model>:<class> per model and class, or the columns model, score_<class> and, for "
    "several trainings, run."
)
Columns = dict[str, dict[str, str]]  # by model, the column of each class


@dataclass(frozen=True, eq=False)
class Predictions:
    """Scores of several models on the same images."""

    kind: Kind  # ``binary``, ``multiclass`` or ``multilabel``
    classes: tuple[str, ...]  # in the order of the scores; of a binary task, the last is the positive one
    label: np.ndarray  # (n,) class index, or (n, K) 0 or 1 for ``multilabel``
    patient: np.ndarray  # (n,) labels
    scores: Mapping[str, np.ndarray]  # (R, n, K) by model, in order of appearance; the same R runs for all
    # how a class is predicted, in words; None for scores whose order alone has a meaning
    decision: str | None = HIGHEST


def read_predictions(path: Path, positive: str | None = None, *, order_only: bool = False) -> Predictions:
    """Read single-label predictions.

    Columns ``image_id``, ``patient_id`` (the images of a patient are not independent), ``label`` (the true
    class), and scores. Wide form: a column ``<model>:<class>`` per model and class, one line per image. Long
    form: columns ``model``, ``score_<class>`` and, if a model was trained several times, ``run``. Of two
    classes every model may omit one; the other is then the positive one, and its score a probability.

    Args:
        positive: the positive class of two; by default the last.
        order_only: accept scores outside 0 to 1 where one of two classes has none: their order counts.
    Raises:
        SubmissionError: see ``csv_file.read_csv``; a label without scores; fewer than two classes or
            patients; an image that a model or a run lacks, has twice, or has with another label or patient;
            a score that is not a finite number.
    """
    table = read_csv(path, KEYS, None, SUBMITTED)
    long = "model" in table.names
    columns = _long_columns(table) if long else _wide_columns(table)
    trainings = _trainings(table) if long else {m: {"": np.arange(len(table))} for m in columns}
    if len(trainings) > MOST_MODELS:
        raise SubmissionError(str(path), f"has {len(trainings)} models, at most {MOST_MODELS} are compared")
    classes = _classes(table, columns, positive)
    _same_images(table, trainings, long)
    ids = table.identifiers("image_id")
    order = {
        (m, r): lines[np.argsort(ids[lines])] for m, own in trainings.items() for r, lines in own.items()
    }
    first = next(iter(order.values()))
    patients, patient = np.unique(table.identifiers("patient_id")[first], return_inverse=True)
    if len(patients) < 2:
        raise SubmissionError(f"{path}: patient_id", "has one patient, expected at least two")
    scores = {m: _scores(table, columns[m], classes, order_only) for m in trainings}
    return Predictions(
        kind="binary" if len(classes) == 2 else "multiclass",
        classes=classes,
        label=np.array([classes.index(v) for v in table.filled("label")[first]]),
        patient=patient,
        scores={m: np.stack([scores[m][order[m, r]] for r in own]) for m, own in trainings.items()},
        decision=_decision(columns, scores, classes),
    )


def _wide_columns(table: CsvTable) -> Columns:
    columns: Columns = {}
    for name in table.names:
        if name in KEYS:
            continue
        model, colon, label = (part.strip() for part in name.rpartition(":"))
        if not (model and colon and label):
            raise SubmissionError(f"{table.path}: line 1", f"column '{name}' is not <model>:<class>", FORMS)
        columns.setdefault(model, {})[label] = name
    if not columns:
        raise SubmissionError(f"{table.path}: line 1", "has no scores", FORMS)
    table.unique("image_id")
    return columns


def _long_columns(table: CsvTable) -> Columns:
    columns = {n.removeprefix(SCORE): n for n in table.names if n.startswith(SCORE) and n != SCORE}
    odd = [n for n in table.names if n not in (*KEYS, "model", "run", *columns.values())]
    if odd or not columns:
        problem = f"unknown column '{odd[0]}'" if odd else "has no scores"
        raise SubmissionError(f"{table.path}: line 1", problem, FORMS)
    for column in ("label", "patient_id"):
        table.constant("image_id", column)
    return dict.fromkeys(table.filled("model"), columns)


def _trainings(table: CsvTable) -> dict[str, dict[str, np.ndarray]]:
    """Return the records of the table by model and run, in the order of the runs' names."""
    run = table.filled("run") if "run" in table else table.text("run")
    model = table.filled("model")
    table.unique(*(["model", "run"] if "run" in table.names else ["model"]), "image_id")
    return {
        m: {r: np.flatnonzero((model == m) & (run == r)) for r in sorted(set(run[model == m]))}
        for m in dict.fromkeys(model)
    }


def _same_images(table: CsvTable, trainings: Mapping[str, Mapping[str, np.ndarray]], long: bool) -> None:
    """Refuse models of other runs, or runs on other images, than the first."""
    ids = table.identifiers("image_id")
    head, runs = next(iter(trainings.items()))
    images = set(ids[next(iter(runs.values()))])
    for model, own in trainings.items():
        if list(own) != list(runs):
            raise SubmissionError(
                f"{table.path}: run",
                f"'{model}' has the runs {', '.join(own)}, '{head}' has {', '.join(runs)}",
                "Compare models in the same runs.",
            )  # fmt: skip
        for run, lines in own.items():
            if odd := sorted(images.symmetric_difference(ids[lines])):
                where = f"model '{model}'" + (f", run '{run}'" if run else "")
                what = "is missing" if odd[0] in images else f"is not among the images of '{head}'"
                raise SubmissionError(
                    f"{table.path}: {where}", f"image '{odd[0]}' {what}",
                    "Every model and run needs one prediction of every image.",
                )  # fmt: skip


def _classes(table: CsvTable, columns: Columns, positive: str | None) -> tuple[str, ...]:
    """Return the classes in the order of the scores, the positive one of two last."""
    label = table.filled("label")
    named = list(dict.fromkeys(c for own in columns.values() for c in own))
    for model, own in columns.items():
        if missing := [c for c in named if c not in own]:
            raise SubmissionError(
                f"{table.path}: line 1", f"model '{model}' has no score of '{missing[0]}'", FORMS
            )
    other = sorted(set(label) - set(named))
    if len(named) == 1 and len(other) == 1:
        named = [*other, *named]
    elif other:
        row = int(np.flatnonzero(label == other[0])[0])
        raise table.fault(row, "label", f"is '{other[0]}', expected one of {', '.join(named)}")
    for name in named:
        if name not in label:
            raise SubmissionError(f"{table.path}: label", f"no image is '{name}'", "Leave the class out.")
    if len(named) < 2:
        raise SubmissionError(f"{table.path}: label", f"every image is '{named[0]}', expected two classes")
    if positive is None:
        return tuple(named)
    if positive not in named or len(named) != 2:
        raise SubmissionError(
            "--positive", f"is '{positive}', expected one of two classes: {', '.join(named)}"
        )
    return (*(c for c in named if c != positive), positive)


def _decision(columns: Columns, scores: Mapping[str, np.ndarray], classes: tuple[str, ...]) -> str | None:
    """Return how a class is predicted, or None where the score of one class is no probability."""
    given = next(iter(columns.values()))
    if len(given) == len(classes):
        return HIGHEST
    if any((s < 0).any() for s in scores.values()):  # of either class, one being 1 minus the other
        return None
    (name,) = given
    return f"'{name}' {'above' if name == classes[-1] else 'from'} a score of {THRESHOLD:g}"


def _scores(
    table: CsvTable, columns: Mapping[str, str], classes: tuple[str, ...], order_only: bool
) -> np.ndarray:
    """Return (n, K) scores; of two classes one may be 1 minus the other."""
    scores = {c: table.numbers(column) for c, column in columns.items()}
    if len(scores) < len(classes):
        ((name, score),) = scores.items()
        for row in np.flatnonzero(~order_only & ((score < 0) | (score > 1))):
            raise table.fault(
                int(row), columns[name], f"is {score[row]:g}, expected a probability from 0 to 1",
                "Or give the scores of both classes, or --metric auroc, for which their order counts.",
            )  # fmt: skip
        scores |= {c: 1 - score for c in classes if c != name}
    return np.stack([scores[c] for c in classes], axis=1)
