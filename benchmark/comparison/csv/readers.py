"""Reader studies: answers of people about real and synthetic images, from a CSV file.

docs/readers.md shows the columns, the results and the method of each figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.comparison.csv.choices import PAIR, acceptance, forced_choices, wrong_pair
from benchmark.comparison.csv.realism import REAL, image_means, realism
from benchmark.comparison.significance_tests import letters_of
from benchmark.errors import SubmissionError
from benchmark.statistics import agreement
from benchmark.statistics.between_runs import dunn, kruskal_wallis
from benchmark.statistics.bootstrap import REPLICATES
from benchmark.statistics.crossed import mean_interval, variance
from benchmark.utils.csv_file import read_csv
from benchmark.utils.csv_table import SUBMITTED, CsvTable

if TYPE_CHECKING:
    import pandas as pd

ANSWERS = ("real", "fake")
SCALES = {
    "quality": (1, 5), "plausibility": (1, 3),  # Schaudt et al. 2023, section 4.2
    "confidence": (1, 5), "acceptability": (1, 5),  # Papadopoulos and Georgiou 2024
}  # fmt: skip
QUESTIONS = (*SCALES, "real_or_fake")
Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class ReaderStudy:
    """The answers of a reader study."""

    # one record per reader and image. Columns ``reader``, ``image``, ``model`` (``real`` for an image of a
    # patient), ``class`` and ``pair`` (empty if not given), str; and a column for each question with answers,
    # float, NaN if not answered: one of ``SCALES``, or ``real_or_fake``, 0 for real and 1 for fake.
    answers: pd.DataFrame

    @property
    def questions(self) -> list[str]:
        """Questions with answers."""
        return [q for q in QUESTIONS if q in self.answers]

    @property
    def models(self) -> list[str]:
        """Sorted, real images first."""
        return sorted(self.answers["model"].unique(), key=lambda m: (m != REAL, m))

    def answered(self, question: str) -> pd.DataFrame:
        """Records with an answer to the question."""
        return self.answers.dropna(subset=[question])


def read_study(path: Path) -> ReaderStudy:
    """Read a reader study.

    Columns: ``reader``, ``image``, ``model`` (``real`` for an image of a patient), and at least one of
    ``SCALES``, and ``real_or_fake`` (the reader's answer). Optional: ``class``, ``pair`` of the two images
    between which a reader chose, and ``truth`` (``real`` or ``fake``), with which ``model`` may name the
    source of a real image.

    Raises:
        SubmissionError: see ``csv_file.read_csv``; a score off its scale, two records of a reader for one
            image, a line without any score, or an image of two models, classes or truths.
    """
    import pandas as pd

    table = read_csv(path, ("reader", "image", "model"), ("class", "truth", PAIR, *QUESTIONS), SUBMITTED)
    questions = [q for q in QUESTIONS if q in table.names]
    if not questions:
        raise SubmissionError(f"{path}: line 1", f"has no scores, expected one of {', '.join(QUESTIONS)}")
    table.unique("reader", "image")
    for column in ("model", "class", "truth"):
        if column in table.names:
            table.constant("image", column)
    scores = pd.DataFrame(
        {q: table.ratings(q, *SCALES[q]) if q in SCALES else table.choices(q, ANSWERS) for q in questions}
    )
    for i in np.flatnonzero(scores.isna().all(axis=1)):
        raise table.fault(int(i), questions[0], "no score at all in this line", "Leave the line out.")
    label = table.text("class") if "class" in table.names else ""
    names = {"reader": table.filled("reader"), "image": table.filled("image"), "model": _model(table)}
    names[PAIR] = table.text(PAIR)
    answers = pd.DataFrame(names, index=scores.index).assign(**{"class": label})
    answers = answers.join(scores.dropna(axis=1, how="all"))
    if fault := wrong_pair(answers):
        raise table.fault(
            fault[0], PAIR, fault[1], "Give both images of a pair, and one answer of each kind."
        )
    return ReaderStudy(answers)


def _model(table: CsvTable) -> np.ndarray:
    """Model of each image, ``real`` if the truth is real."""
    model = table.filled("model")
    if "truth" not in table.names:
        return model
    truth = table.choices("truth", ANSWERS)
    for i, value in enumerate(truth):
        if np.isnan(value):
            raise table.fault(i, "truth", "is empty, expected real or fake", "Give the truth of every image.")
        if value and model[i] == REAL:
            raise table.fault(i, "truth", "is fake, but the model is real", "Name the generator as model.")
    return np.where(truth == 0, REAL, model)


def analyze(study: ReaderStudy, *, alpha: float = 0.05, correction: str = "bonferroni") -> Record:
    """Analyze all questions of a reader study.

    Args:
        alpha: of all tests and intervals.
        correction: of Dunn's test; the papers use ``bonferroni``.
    Returns:
        JSON values: ``settings``; ``study`` (readers, images by model, answers given and missing by
        question); ``scores[question]`` for quality and plausibility, see ``scores_of``; ``realism``, see
        ``realism.realism``, or None without answers; ``pairs`` and ``acceptance``, see ``choices``;
        ``agreement[question]``; ``notes``.
    Raises:
        SubmissionError: a model with one image for a question.
    """
    _require_two_images(study)
    real_or_fake = None
    if "real_or_fake" in study.questions:
        given = study.answered("real_or_fake")
        given = given[given[PAIR] == ""]
    if "real_or_fake" in study.questions and len(given):
        columns = (given[name].to_numpy() for name in ("real_or_fake", "model", "reader", "image"))
        real_or_fake = realism(*columns, alpha=alpha, correction=correction)
    return {
        "schema": 1,
        "settings": {"alpha": alpha, "correction": correction, "replicates": REPLICATES},
        "study": _describe(study),
        "scores": {q: scores_of(study, q, alpha, correction) for q in study.questions if q in SCALES},
        "realism": real_or_fake,
        "pairs": forced_choices(study.answers, alpha) if "real_or_fake" in study.questions else None,
        "acceptance": acceptance(study.answers) if "acceptability" in study.questions else None,
        "agreement": {q: _agreement(study, q, alpha) for q in study.questions},
        "notes": _notes(study),
    }


def _require_two_images(study: ReaderStudy) -> None:
    for question in study.questions:
        images = study.answered(question).groupby("model")["image"].nunique()
        for name in images.index[images == 1]:
            raise SubmissionError(
                f"{question} of model '{name}'", "is there for 1 image, expected none or at least 2",
                "Leave the model out, or have more of its images read.",
            )  # fmt: skip


def scores_of(study: ReaderStudy, question: str, alpha: float, correction: str) -> Record:
    """Means, intervals and tests of one score over models, with real images as one of the models.

    The tests are on images: an image with several readers counts once, with the mean of its scores, since
    these are not independent. With one reader that is the analysis of Schaudt et al.

    Returns:
        ``models[model]`` with ``mean``, ``sd`` over answers, ``median``, ``images``, ``low`` and ``high``
        over new readers and images; ``kruskal_wallis``; ``dunn`` pairs; ``letters`` (models that share one
        do not differ significantly, None without a test); ``by_class[class][model]`` means.
    Source: Schaudt et al. 2023, section 4.2 and Table 6.
    """
    given = study.answered(question)
    models, per_image = {}, {}
    for name in (m for m in study.models if m in set(given["model"])):
        of_model = given[given["model"] == name]
        values, reader, image = (of_model[c].to_numpy() for c in (question, "reader", "image"))
        models[name] = _score(values, reader, image, SCALES[question], alpha)
        per_image[name] = image_means(values, image)
    overall = kruskal_wallis(per_image)
    pairs = dunn(per_image, correction) if overall["p"] is not None else []
    labeled = given[given["class"] != ""].groupby("class")
    by_class = {str(label): own.groupby("model")[question].mean().to_dict() for label, own in labeled}
    return {
        "models": models,
        "kruskal_wallis": overall,
        "dunn": pairs,
        "letters": letters_of({n: r["mean"] for n, r in models.items()}, pairs, alpha) if pairs else None,
        "by_class": by_class,
    }


def _score(
    values: np.ndarray, reader: np.ndarray, image: np.ndarray, scale: tuple[int, int], alpha: float
) -> Record:
    mean = float(values.mean())
    interval = mean_interval(mean, variance((values - mean) / len(values), reader, image), alpha, *scale)
    return {
        "mean": mean, "sd": float(values.std(ddof=1)), "median": float(np.median(values)),
        "low": interval.low, "high": interval.high, "readers": interval.readers, "images": interval.images,
    }  # fmt: skip


def _agreement(study: ReaderStudy, question: str, alpha: float) -> Record:
    """Kappa and Krippendorff's alpha over all images, for the level of measurement of the question."""
    ratings = study.answers.pivot(index="reader", columns="image", values=question).to_numpy()
    if question not in SCALES:
        both = (ratings, (0.0, 1.0), "nominal")
        return {
            "kappa": agreement.weighted_kappa(*both, alpha=alpha),
            "alpha_nominal": agreement.krippendorff_alpha(*both, alpha=alpha),
        }
    low, high = SCALES[question]
    scale = tuple(float(v) for v in range(low, high + 1))
    kappas = {
        f"kappa_{w}": agreement.weighted_kappa(ratings, scale, w, alpha=alpha)
        for w in ("linear", "quadratic")
    }
    return {**kappas, "alpha_ordinal": agreement.krippendorff_alpha(ratings, scale, "ordinal", alpha=alpha)}


def _describe(study: ReaderStudy) -> Record:
    images = study.answers.groupby("model")["image"].nunique()
    given = study.answers[study.questions].notna().sum()
    return {
        "readers": sorted(study.answers["reader"].unique()),
        "models": {m: int(images[m]) for m in study.models},
        "answers": {q: {"given": int(n), "missing": int(len(study.answers) - n)} for q, n in given.items()},
    }


def _notes(study: ReaderStudy) -> list[str]:
    answers, notes = study.answers, []
    readers = answers["reader"].nunique()
    if readers == 1:
        notes.append("One reader: the intervals do not cover the answers of other readers.")
    elif len(answers) < readers * answers["image"].nunique():
        notes.append(
            "Not every reader saw every image: if readers differ in severity, models that different readers "
            "saw may seem to differ."
        )
    if 1 < readers < 4:
        notes.append(f"{readers} readers: the variance between readers is imprecise; the intervals are wide.")
    for question in study.questions:
        if missing := int(answers[question].isna().sum()):
            notes.append(f"{missing} of {len(answers)} lines have no answer for {question}.")
    if "real_or_fake" in study.questions and REAL not in study.models:
        notes.append(
            "No real image in the study: a reader who always answers fake detects every synthetic image, so "
            "a high detection rate alone does not show that the images differ from real ones."
        )
    return notes
