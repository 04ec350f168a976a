"""Reader studies: what people said of real and synthetic images, from a CSV.

``read_study`` reads it, ``analyze`` computes everything; docs/readers.md shows both, and what each figure
rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.comparison.csv import realism
from benchmark.comparison.evidence import letters_of
from benchmark.errors import SubmissionError
from benchmark.statistics import agreement
from benchmark.statistics.between_runs import dunn, kruskal_wallis
from benchmark.statistics.bootstrap import REPLICATES
from benchmark.statistics.crossed import mean_interval, variance
from benchmark.utils.csv_file import read_csv
from benchmark.utils.csv_table import SUBMITTED, CsvTable

REAL = realism.REAL
ANSWERS = ("real", "fake")
SCALES = {"quality": (1, 5), "plausibility": (1, 3)}  # Schaudt et al. 2023, section 4.2
ASKED = (*SCALES, "real_or_fake")
NO_CLASS = ""
Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class ReaderStudy:
    """The answers of a reader study, one entry per reader and image.

    Attributes:
        reader, image, model, label: (n,) str; the model of a patient's image is ``real``; the label is its
            class, empty where none is given.
        scores: (n,) by question that was asked, NaN where not answered: ``quality`` 1 (worst) to 5,
            ``plausibility`` 1 (completely inappropriate) to 3 (characteristic), ``real_or_fake`` 0 for real
            and 1 for fake.
    """

    reader: np.ndarray
    image: np.ndarray
    model: np.ndarray
    label: np.ndarray
    scores: dict[str, np.ndarray]

    @property
    def models(self) -> list[str]:
        """Sorted, real images first."""
        return sorted(set(self.model), key=lambda m: (m != REAL, m))

    def answered(self, question: str) -> np.ndarray:
        """(n,) bool."""
        return ~np.isnan(self.scores[question])

    def table(self, question: str) -> np.ndarray:
        """(readers, images) the answers, NaN where there is none."""
        rows, r = np.unique(self.reader, return_inverse=True)
        columns, i = np.unique(self.image, return_inverse=True)
        found = np.full((len(rows), len(columns)), np.nan)
        found[r, i] = self.scores[question]
        return found


def read_study(path: Path) -> ReaderStudy:
    """Read a reader study.

    Columns: ``reader``, ``image``, ``model`` (``real`` for a patient's image), and at least one of
    ``quality`` (1 to 5), ``plausibility`` (1 to 3), ``real_or_fake`` (the reader's answer). Optional:
    ``class``, and ``truth`` (``real`` or ``fake``), where the source of a real image is its model.

    Raises:
        SubmissionError: see ``csv_file.read_csv``; a score off its scale, a reader who rated an image
            twice, a line without any score, or an image of two models, classes or truths.
    """
    table = read_csv(path, ("reader", "image", "model"), ("class", "truth", *ASKED), SUBMITTED)
    asked = [q for q in ASKED if q in table.names]
    if not asked:
        raise SubmissionError(f"{path}: line 1", f"has no scores, expected one of {', '.join(ASKED)}")
    table.unique("reader", "image")
    for column in ("model", "class", "truth"):
        if column in table.names:
            table.constant("image", column)
    scores = {q: table.ratings(q, *SCALES[q]) if q in SCALES else table.choices(q, ANSWERS) for q in asked}
    for i in np.flatnonzero(np.all([np.isnan(v) for v in scores.values()], axis=0)):
        raise table.fault(int(i), asked[0], "no score at all in this line", "Leave the line out.")
    scores = {q: found for q, found in scores.items() if not np.isnan(found).all()}
    return ReaderStudy(
        reader=table.filled("reader"),
        image=table.filled("image"),
        model=_model(table),
        label=table.text("class") if "class" in table else np.full(len(table), NO_CLASS),
        scores=scores,
    )


def _model(table: CsvTable) -> np.ndarray:
    """The model of each image, ``real`` for those that truly are."""
    model = table.filled("model")
    if "truth" not in table.names:
        return model
    truth = table.choices("truth", ANSWERS)
    for i, value in enumerate(truth):
        if np.isnan(value):
            raise table.fault(i, "truth", "is empty, expected real or fake", "Say it of every image.")
        if value and model[i] == REAL:
            raise table.fault(i, "truth", "is fake, but the model is real", "Name the generator as model.")
    return np.where(truth == 0, REAL, model)


def analyze(study: ReaderStudy, *, alpha: float = 0.05, correction: str = "bonferroni") -> Record:
    """Everything that can be said of a reader study, as JSON values.

    Args:
        study: of ``read_study``.
        alpha: of all tests and intervals.
        correction: of Dunn's test; the papers' is ``bonferroni``.
    Returns:
        ``settings``; ``study`` (readers, images by model, answers given and missing by question);
        ``scores[question]`` for quality and plausibility, see ``scores_of``; ``realism``, see
        ``realism.realism``, or None where it was not asked; ``agreement[question]``; ``notes``.
    Raises:
        SubmissionError: a model with one image for a question.
    """
    _enough_images(study)
    scores = {q: scores_of(study, q, alpha, correction) for q in SCALES if q in study.scores}
    real_or_fake = None
    if "real_or_fake" in study.scores:
        real_or_fake = realism.realism(*_answers(study), alpha=alpha, correction=correction)
    agreed = {q: _agreement(study, q, alpha) for q in study.scores}
    return {
        "schema": 1,
        "settings": {"alpha": alpha, "correction": correction, "replicates": REPLICATES},
        "study": _describe(study),
        "scores": scores,
        "realism": real_or_fake,
        "agreement": agreed,
        "notes": _notes(study),
    }


def _enough_images(study: ReaderStudy) -> None:
    for question in study.scores:
        given = study.answered(question)
        for name in study.models:
            images = len(set(study.image[given & (study.model == name)]))
            if images == 1:
                raise SubmissionError(
                    f"{question} of model '{name}'", "is there for 1 image, expected none or at least 2",
                    "Leave the model out, or have more of its images read.",
                )  # fmt: skip


def _answers(study: ReaderStudy) -> Sequence[np.ndarray]:
    """What ``realism`` takes, of the answers given: called fake, model, reader, image."""
    given = study.answered("real_or_fake")
    called = study.scores["real_or_fake"][given]
    return called, *(v[given] for v in (study.model, study.reader, study.image))


def scores_of(study: ReaderStudy, question: str, alpha: float, correction: str) -> Record:
    """Means, intervals and tests of one score over models, real images among them where they were rated.

    The tests are on images: an image of several readers counts once, with the mean of its scores, since
    these are not independent. With one reader that is the analysis of Schaudt et al.

    Returns:
        ``models[model]`` with ``mean``, ``sd`` over answers, ``median``, ``images``, ``low`` and ``high``
        over new readers and images; ``kruskal_wallis``; ``dunn`` pairs; ``letters`` (models that share one
        are not told apart, None without a test); ``by_class[class][model]`` means.
    Source: Schaudt et al. 2023, section 4.2 and Table 6.
    """
    given = study.answered(question)
    values, model = study.scores[question][given], study.model[given]
    reader, image, label = study.reader[given], study.image[given], study.label[given]
    models, per_image = {}, {}
    for name in (m for m in study.models if m in set(model)):
        own = model == name
        models[name] = _score(values[own], reader[own], image[own], SCALES[question], alpha)
        per_image[name] = realism.image_means(values[own], image[own])
    overall = kruskal_wallis(per_image)
    pairs = dunn(per_image, correction) if overall["p"] is not None else []
    return {
        "models": models,
        "kruskal_wallis": overall,
        "dunn": pairs,
        "letters": letters_of({n: r["mean"] for n, r in models.items()}, pairs, alpha) if pairs else None,
        "by_class": {
            c: {m: float(values[(label == c) & (model == m)].mean()) for m in sorted(set(model[label == c]))}
            for c in sorted(set(label) - {NO_CLASS})
        },
    }


def _score(
    values: np.ndarray, reader: np.ndarray, image: np.ndarray, scale: tuple[int, int], alpha: float
) -> Record:
    mean = float(values.mean())
    found = variance((values - mean) / len(values), reader, image)
    interval = mean_interval(mean, found, alpha, *scale)
    sd = float(values.std(ddof=1))
    return {
        "mean": mean, "sd": sd, "median": float(np.median(values)), "low": interval.low,
        "high": interval.high, "readers": interval.readers, "images": interval.images,
    }  # fmt: skip


def _agreement(study: ReaderStudy, question: str, alpha: float) -> Record:
    """Kappa and Krippendorff's alpha over all images, for the level of measurement of the question."""
    table = study.table(question)
    if question not in SCALES:
        both = (table, (0.0, 1.0), "nominal")
        return {
            "kappa": agreement.weighted_kappa(*both, alpha=alpha),
            "alpha_nominal": agreement.krippendorff_alpha(*both, alpha=alpha),
        }
    low, high = SCALES[question]
    scale = tuple(float(v) for v in range(low, high + 1))
    kappas = {
        f"kappa_{w}": agreement.weighted_kappa(table, scale, w, alpha=alpha) for w in ("linear", "quadratic")
    }
    return {**kappas, "alpha_ordinal": agreement.krippendorff_alpha(table, scale, "ordinal", alpha=alpha)}


def _describe(study: ReaderStudy) -> Record:
    return {
        "readers": sorted(set(study.reader)),
        "models": {m: len(set(study.image[study.model == m])) for m in study.models},
        "answers": {
            q: {"given": int(study.answered(q).sum()), "missing": int((~study.answered(q)).sum())}
            for q in study.scores
        },
    }


def _notes(study: ReaderStudy) -> list[str]:
    readers, notes = len(set(study.reader)), []
    if readers == 1:
        notes.append("One reader: the intervals say nothing of what another reader would have answered.")
    elif len(study.reader) < readers * len(set(study.image)):
        notes.append(
            "Not every reader saw every image: where readers differ in severity, so may models that were "
            "shown to different readers."
        )
    if 1 < readers < 4:
        notes.append(f"{readers} readers: how much readers differ is known roughly; the intervals are wide.")
    for question in study.scores:
        missing = int((~study.answered(question)).sum())
        if missing:
            notes.append(f"{missing} of {len(study.reader)} lines have no answer for {question}.")
    if "real_or_fake" in study.scores and REAL not in study.models:
        notes.append(
            "No real image in the study: a reader who always answers fake would detect every one, so a "
            "high detection rate alone does not show that the images can be told from real ones."
        )
    return notes
