"""Real-image equivalents of synthetic images, read off the learning curve of ``real_only``.

``real_only`` is trained on nested subsets of the training patients, and an inverse power law is fitted to its
values: f(n) = a - b n^-c. A row that differs from ``real_only`` by d is worth the n at which the law rises by
d from its value at all n_real training images. So a row that equals ``real_only`` is worth no more images
whether the law fits or not, and the difference keeps the precision of its pairing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.comparison.align import scores_of
from benchmark.comparison.aligned_rows import AlignedRows, Row, SplitImages
from benchmark.comparison.figures import BASELINE
from benchmark.comparison.power_law import fit
from benchmark.comparison.records import CurvePoint, ImageEquivalent, Law, LearningCurve, RowEquivalent
from benchmark.errors import SubmissionError
from benchmark.statistics import bootstrap, intervals
from benchmark.statistics.bootstrap import Pooled, Replicates, Resamples
from benchmark.statistics.quality import Reading, columns
from benchmark.statistics.sides import FEW, sides_of, too_few
from benchmark.utils.rounding import canonical_float

if TYPE_CHECKING:
    import pandas as pd

FARTHEST = 2.0  # times n_real, the limit of extrapolation
FEWEST_SIZES = 3  # for three parameters


@dataclass(frozen=True, eq=False)
class Curve:
    """The learning curve of ``real_only``, with draws over patients and trainings."""

    sizes: np.ndarray  # (S,) numbers of training images, ascending; the last is n_real
    values: np.ndarray  # (S,) mean over runs
    draws: np.ndarray  # (B, S)

    @property
    def reason(self) -> str | None:
        """The reason why the curve shows no number of images, or None."""
        if len(self.sizes) < FEWEST_SIZES:
            return f"the learning curve has {len(self.sizes)} sizes, three are needed"
        return None


@dataclass(frozen=True)
class Equivalents:
    """Real-image equivalents of all rows."""

    curve: LearningCurve | None  # None with a ``reason``: a class has too few test patients for the bootstrap
    rows: Mapping[str, RowEquivalent]  # by row; empty with a ``reason``
    reason: str | None


def equivalent(curve: Curve, difference: float, draws: np.ndarray, alpha: float) -> dict[str, Any]:
    """Return the real-image equivalent of a difference to ``real_only``.

    Args:
        draws: (B,) of the difference, over the same resamples as the curve's.
    Returns:
        The fields of ``records.ImageEquivalent`` except ``bracket``. A number beyond twice n_real, or below
        the smallest size measured, stands at that limit, as ``bounds`` notes. All are None, with a
        ``reason``, where the curve does not rise with certainty.
    """
    unknown = {"difference": difference, "total": None, "images": None, "low": None, "high": None}
    reason = curve.reason
    if reason is None:
        laws, law = fit(curve.sizes, curve.draws), fit(curve.sizes, curve.values[None])
        if float((laws.b <= 0).mean()) > alpha / 2 or law.b[0] <= 0:
            reason = (
                f"real_only does not get better for sure from {curve.sizes[0]:.0f} to "
                f"{curve.sizes[-1]:.0f} training images"
            )
    if reason is not None:
        return {**unknown, "bounds": {}, "reason": reason}
    real = float(curve.sizes[-1])
    own = float(law.images(law.at(real) + difference)[0])
    drawn = laws.images(laws.at(real) + draws)
    low, high = np.quantile(drawn, [alpha / 2, 1 - alpha / 2], method="closest_observation")
    least, most = float(curve.sizes[0]), FARTHEST * real
    numbers = {"images": own, "low": min(float(low), own), "high": max(float(high), own)}
    limited = {k: min(max(v, least), most) for k, v in numbers.items()}
    bounds = {k: "at most" if v < least else "more than" if v > most else None for k, v in numbers.items()}
    added = {k: v - real for k, v in limited.items()}
    return {"difference": difference, "total": limited["images"], **added, "bounds": bounds, "reason": None}


def real_image_equivalents(curve: pd.DataFrame, aligned: AlignedRows, images: int) -> Equivalents:
    """Return the real-image equivalents of every row, by the primary metric on ``test``.

    The best bracket of a row is chosen by its result on the test patients, so its figures are optimistic.

    Args:
        curve: predictions of ``real_only`` trained on subsets: the columns of ``predictions.parquet``, and
            ``share`` (of the training patients) and ``images`` (real training images); the same runs for
            every share, all or some of those of the rows.
        aligned: the rows, ``real_only`` among them.
        images: real training images of the whole.
    Raises:
        SubmissionError: the curve does not fit the rows.
    """
    reader = _CurveReader(aligned, curve, images)
    if reader.too_few:
        return Equivalents(None, {}, reader.too_few)
    try:
        measured = reader.curve()
    except _TooFewPatients as error:
        return Equivalents(None, {}, str(error))
    rows = {}
    for row, own in aligned.beside("test", aligned.protocol.primary_bracket):
        if row.name != BASELINE:
            best = reader.best(row)
            rows[row.name] = RowEquivalent(
                primary=reader.equivalent(row, own, measured),
                best=None if best == own else reader.equivalent(row, best, measured, chosen_by_result=True),
            )
    return Equivalents(reader.record(measured), rows, None)


class _TooFewPatients(Exception):
    """The bootstrap gives no interval of the curve."""


class _CurveReader:
    """The primary metric of rows and of the curve, over the runs of the curve."""

    def __init__(self, aligned: AlignedRows, curve: pd.DataFrame, images: int) -> None:
        self.aligned, self.protocol, self.images = aligned, aligned.protocol, images
        complete = {row.name: row for row in aligned.complete()}
        if BASELINE not in complete:
            raise SubmissionError("curve", "there is no finished row 'real_only'", "Run it first.")
        self.baseline = complete[BASELINE]
        test = aligned.splits["test"]
        self.chosen = _runs_of(curve, test)
        self.split = replace(test, runs=tuple(test.runs[i] for i in self.chosen))
        self.name = self.protocol.primary.name
        every = columns(self.protocol.kind, len(self.protocol.classes))
        self._column = np.array([every.index((self.name, None))])
        self.resamples = Resamples(test.patient)
        self.subsets = _subsets(curve, self.split, aligned, images)
        self._known: dict[tuple[str, int], Replicates] = {}
        sides = sides_of(self.name, test.label, test.patient, self.protocol.classes)
        support = min((side.patients for side in sides if side.patients < FEW), default=test.patients)
        self._widened = np.array([bootstrap.widening(support, self.protocol.alpha)])
        self.too_few = too_few(sides)

    def _read(self, scores: np.ndarray, fits: int = 1) -> Replicates:
        """Return replicates of the primary metric alone, of (F * R, n, K) scores."""
        readings = [Reading(self.protocol.kind, self.split.label, s) for s in scores]
        return bootstrap.replicate(readings, self.resamples, fits=fits).only(self._column)

    def _scores(self, row: Row, bracket: int) -> np.ndarray:
        """(F * R, n, K) scores of the curve's runs."""
        whole = row.scores["test", bracket]
        every = whole.reshape(len(row.fits), -1, *whole.shape[1:])[:, self.chosen]
        return every.reshape(-1, *whole.shape[1:])

    def _replicates(self, row: Row, bracket: int) -> Replicates:
        if (row.name, bracket) not in self._known:
            self._known[row.name, bracket] = self._read(self._scores(row, bracket), len(row.fits))
        return self._known[row.name, bracket]

    def _table(self, row: Row, bracket: int) -> np.ndarray:
        """(F, R) values of the primary metric."""
        values = self.protocol.primary.values(self.split.label, self._scores(row, bracket))
        return values.mean(-1).reshape(len(row.fits), -1)

    def _run_values(self, row: Row, bracket: int) -> np.ndarray:
        return self._table(row, bracket).mean(0)

    def best(self, row: Row) -> int:
        """Return the bracket with the highest mean over the runs of the curve, the smallest of equals."""
        means = {b: canonical_float(float(self._run_values(row, b).mean())) for b in row.brackets("test")}
        return max(means, key=lambda b: (means[b], -b))

    def _draws(
        self, own: Replicates, pooled: Pooled | None, stream: int, fits: Pooled | None = None
    ) -> np.ndarray:
        drawn = bootstrap.draws(own, self.resamples, pooled, widened=self._widened, stream=stream, fits=fits)
        if len(drawn) < (1 - bootstrap.MOST_EMPTY) * self.resamples.replicates:
            raise _TooFewPatients(f"too many resamples of the test patients lack a class for {self.name}")
        return drawn[:, 0]

    def curve(self) -> Curve:
        """Return the values of ``real_only`` by number of training images."""
        every = [*(self._read(s) for s in self.subsets.values()), self._replicates(self.baseline, 0)]
        by_run = np.array([p.estimate for p in every])
        pooled = Pooled.of(by_run, intervals.pooled_mean)
        draws = [self._draws(p, pooled, stream) for stream, p in enumerate(every)]
        return Curve(np.array([*self.subsets, self.images]), by_run.mean((1, 2)), np.stack(draws, axis=1))

    def equivalent(
        self, row: Row, bracket: int, curve: Curve, *, chosen_by_result: bool = False
    ) -> ImageEquivalent:
        """Return the equivalent of a row at one of its brackets."""
        difference = self._replicates(row, bracket) - self._replicates(self.baseline, 0)
        beside = self.aligned.beside("test", bracket) if bracket else [(row, 0), (self.baseline, 0)]
        by_run = np.array([self._run_values(r, b) for r, b in beside])[..., None]
        pooled = Pooled.of(by_run, intervals.pooled_difference)
        fits = Pooled.of_fits([self._table(r, b)[..., None] for r, b in beside if r.role == row.role])
        draws = self._draws(difference, pooled, len(curve.sizes), fits)
        record = equivalent(curve, float(difference.estimate.mean()), draws, self.protocol.alpha)
        return ImageEquivalent(bracket=bracket, chosen_by_result=chosen_by_result, **record)

    def record(self, curve: Curve) -> LearningCurve:
        alpha = self.protocol.alpha
        low, high = np.quantile(curve.draws, [alpha / 2, 1 - alpha / 2], axis=0)
        points = [
            CurvePoint(images=n, estimate=v, low=lo, high=hi)
            for n, v, lo, hi in zip(curve.sizes, curve.values, low, high, strict=True)
        ]
        return LearningCurve(
            metric=self.name,
            runs=len(self.chosen),
            points=points,
            law=None if curve.reason else _law(curve),
            images=self.images,
            farthest=FARTHEST * self.images,
        )


def _law(curve: Curve) -> Law:
    law = fit(curve.sizes, curve.values[None])
    residual = np.array([law.at(n)[0] for n in curve.sizes]) - curve.values
    a, b, c = (float(parameter[0]) for parameter in (law.a, law.b, law.c))
    return Law(a=a, b=b * law.scale**c, c=c, residual=float(np.sqrt((residual**2).mean())))


def _runs_of(curve: pd.DataFrame, split: SplitImages) -> list[int]:
    """Return the indices of the rows' runs that the curve has."""
    key = ["classifier", "seed"] + ([] if split.runs[0][2] is None else ["fold"])
    present = {tuple(k) for k in curve[key].drop_duplicates().itertuples(index=False)}
    known = [run[: len(key)] for run in split.runs]
    unknown = present - set(known)
    if unknown or not present:
        raise SubmissionError(
            f"curve.parquet: {', '.join(key)}", f"has runs {sorted(unknown)}, the rows have {known}"
        )
    return [i for i, run in enumerate(known) if run in present]


def _subsets(
    curve: pd.DataFrame, split: SplitImages, aligned: AlignedRows, images: int
) -> Mapping[float, np.ndarray]:
    """Return (R, n, K) scores by number of training images (mean over runs), ascending."""
    subsets: dict[float, np.ndarray] = {}
    for share, part in curve[curve["split"] == "test"].groupby("share"):
        where = f"curve.parquet: share {share}"
        scores = scores_of(part, split, aligned.protocol, where)
        size = float(part["images"].mean())
        if not 0 < size < images:
            raise SubmissionError(
                f"{where}: images", f"are {size:g} on average, expected fewer than the whole of {images}"
            )
        if size in subsets:
            raise SubmissionError(
                f"{where}: images", f"are {size:g} on average, as many as for another share", "Leave one out."
            )
        subsets[size] = scores
    return dict(sorted(subsets.items()))
