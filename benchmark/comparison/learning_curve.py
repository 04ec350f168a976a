"""How many real images a generator is worth, read off the learning curve of ``real_only``.

``real_only`` is trained on nested subsets of the training patients. Through its values runs an inverse power
law, f(n) = a - b n^-c. A row that differs from ``real_only`` by d is worth the n at which the law has risen,
from its value at all n_real training images, by d. So a row that equals ``real_only`` is worth nothing more,
whether the law fits or not, and the difference keeps the precision of its pairing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.comparison import rows
from benchmark.comparison.rows import Row, SplitImages, Study
from benchmark.errors import SubmissionError
from benchmark.statistics import bootstrap, intervals
from benchmark.statistics.bootstrap import Pooled, Replicates, Resamples
from benchmark.statistics.quality import Reading, columns

if TYPE_CHECKING:
    import pandas as pd

BASELINE = "real_only"
FARTHEST = 2.0  # times n_real, to which the law is trusted
EXPONENTS = (0.05, 3.0)
FEWEST_SIZES = 3  # for three parameters
GRID, STEPS = 40, 60  # of the search for the exponent
GOLDEN = (math.sqrt(5) - 1) / 2
BEST = 1.0  # of every primary metric


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """B laws f(n) = a - b (n / scale)^-c, each parameter (B,); b >= 0, a <= 1."""

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    scale: float

    def at(self, images: float) -> np.ndarray:
        """(B,) the values at a number of images."""
        return np.asarray(self.a - self.b * (images / self.scale) ** -self.c)

    def images(self, value: np.ndarray) -> np.ndarray:
        """(B,) the number of images at which the laws reach a value; infinite where they never do."""
        missing = self.a - value
        reached = (missing > 0) & (self.b > 0)
        share = np.where(reached, self.b, 1.0) / np.where(reached, missing, 1.0)
        with np.errstate(over="ignore"):
            found = self.scale * share ** (1 / self.c)
        return np.where(reached, found, np.where(missing > 0, 0.0, np.inf))


def fit(sizes: np.ndarray, values: np.ndarray) -> PowerLaw:
    """Inverse power laws by least squares, with 0.05 <= c <= 3, b >= 0 and a <= 1.

    For a given exponent the law is linear in a and b, so only the exponent is searched for: on a grid, then
    by golden section between the neighbors of the best.

    Args:
        sizes: (S,) numbers of images, at least three, the largest last.
        values: (B, S).
    Source: the form is that of Figueroa et al. 2012; variable projection after Golub and Pereyra 1973.
    """
    scale = float(sizes[-1])
    logs = np.log(np.asarray(sizes) / scale)
    grid = np.geomspace(*EXPONENTS, GRID)
    errors = np.stack([_linear(np.full(len(values), c), logs, values)[2] for c in grid], axis=1)
    best = errors.argmin(1)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, GRID - 1)]
    for _ in range(STEPS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        nearer = _linear(left, logs, values)[2] <= _linear(right, logs, values)[2]
        low, high = np.where(nearer, low, left), np.where(nearer, right, high)
    c = (low + high) / 2
    a, b, _ = _linear(c, logs, values)
    return PowerLaw(a, b, c, scale)


def _linear(c: np.ndarray, logs: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(B,) the best a and b for given exponents, and the sum of squares that they leave."""
    x = np.exp(-c[:, None] * logs)
    dx, dy = x - x.mean(1, keepdims=True), values - values.mean(1, keepdims=True)
    b = np.maximum(-(dx * dy).sum(1) / (dx**2).sum(1), 0)
    a = values.mean(1) + b * x.mean(1)
    bounded = np.maximum((x * (BEST - values)).sum(1) / (x**2).sum(1), 0)
    a, b = np.minimum(a, BEST), np.where(a > BEST, bounded, b)
    return a, b, ((values - a[:, None] + b[:, None] * x) ** 2).sum(1)


@dataclass(frozen=True, eq=False)
class Curve:
    """The learning curve of ``real_only``, with draws over patients and trainings.

    Attributes:
        sizes: (S,) numbers of training images, ascending; the last is n_real.
        values: (S,) mean over runs.
        draws: (B, S).
    """

    sizes: np.ndarray
    values: np.ndarray
    draws: np.ndarray

    @property
    def reason(self) -> str | None:
        """Why no number of images can be read off it, or None."""
        if len(self.sizes) < FEWEST_SIZES:
            return f"the learning curve has {len(self.sizes)} sizes, three are needed"
        return None


def equivalent(curve: Curve, difference: float, draws: np.ndarray, alpha: float) -> dict[str, Any]:
    """What a difference to ``real_only`` is worth in real images.

    Args:
        difference: of the row to ``real_only``.
        draws: (B,) of it, over the same resamples as the curve's.
    Returns:
        ``difference``; ``total``, the number of real images that would do as well alone; ``images``, how many
        that is more than n_real, with ``low`` and ``high``. Where the law would have to be trusted beyond
        twice n_real, or below the smallest size measured, the number stands at that limit and ``bounds``
        says ``more than`` or ``at most`` (by ``images``, ``low``, ``high``; else None). All are None, with
        a ``reason``, where the curve does not rise for sure.
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
    real = curve.sizes[-1]
    own = float(law.images(law.at(real) + difference)[0])
    many = laws.images(laws.at(real) + draws)
    low, high = np.quantile(many, [alpha / 2, 1 - alpha / 2], method="closest_observation")
    least, most = float(curve.sizes[0]), FARTHEST * float(real)
    numbers = {"images": own, "low": min(float(low), own), "high": max(float(high), own)}
    limited = {k: min(max(v, least), most) for k, v in numbers.items()}
    bounds = {k: "at most" if v < least else "more than" if v > most else None for k, v in numbers.items()}
    return {
        "difference": difference,
        "total": limited["images"],
        **{k: v - float(real) for k, v in limited.items()},
        "bounds": bounds,
        "reason": None,
    }


def real_image_equivalent(curve: pd.DataFrame, study: Study, images: int) -> dict[str, Any]:
    """What every row is worth in real images, by the primary metric on ``test``.

    Args:
        curve: predictions of ``real_only`` trained on subsets: the columns of ``predictions.parquet``, and
            ``share`` (of the training patients) and ``images`` (real training images); the same runs for
            every share, all of them or some of those that the rows have.
        study: the rows, ``real_only`` among them.
        images: real training images of the whole.
    Returns:
        ``curve``: ``metric``, ``runs``, ``points`` (``images``, ``estimate``, ``low``, ``high``), ``law``
        (``a``, ``b``, ``c``, so that f(n) = a - b n^-c, and ``residual``, the root mean square distance of
        the points), or None; ``rows[row]``: ``primary`` (see ``equivalent``, with its ``bracket``) and
        ``best``, the same at the bracket of the highest value, chosen by its result on the test patients and
        so too good on average; None where that is the primary one. ``reason``: None; or, where a class has
        too few test patients for the bootstrap (fewer than three), why ``curve`` is None and no row has any.
    Raises:
        SubmissionError: the curve does not fit the rows.
    """
    reader = _Reader(study, curve, images)
    try:
        measured = reader.curve()
    except _TooFewPatients as error:
        return {"curve": None, "rows": {}, "reason": str(error)}
    found = {}
    for row, own in study.beside("test", study.protocol.primary_bracket):
        if row.name == BASELINE:
            continue
        best = reader.best(row)
        found[row.name] = {
            "primary": reader.worth(row, own, measured),
            "best": None if best == own else {**reader.worth(row, best, measured), "chosen_by_result": True},
        }
    return {"curve": reader.record(measured), "rows": found, "reason": None}


class _TooFewPatients(Exception):
    """The bootstrap cannot say how sure the curve is."""


class _Reader:
    """The primary metric of rows and of the curve, over the runs that the curve has."""

    def __init__(self, study: Study, curve: pd.DataFrame, images: int) -> None:
        self.study, self.protocol = study, study.protocol
        self.images = images
        given = {row.name: row for row in study.complete()}
        if BASELINE not in given:
            raise SubmissionError("curve", "there is no finished row 'real_only'", "Run it first.")
        whole = study.splits["test"]
        self.chosen = _runs_of(curve, whole)
        self.split = replace(whole, runs=tuple(whole.runs[i] for i in self.chosen))
        self.name = self.protocol.primary.name
        every = columns(self.protocol.kind, len(self.protocol.classes))
        self._column = np.array([every.index((self.name, None))])
        self.resamples = Resamples(whole.patient)
        self.baseline = given[BASELINE]
        self.subsets = _subsets(curve, self.split, study, images)
        self._known: dict[tuple[str, int], Replicates] = {}
        self._widened = np.array([bootstrap.widening(whole.patients, self.protocol.alpha)])

    def _read(self, scores: np.ndarray) -> Replicates:
        """The primary metric alone, of (R, n, K) scores."""
        readings = [Reading(self.protocol.kind, self.split.label, s) for s in scores]
        return bootstrap.replicate(readings, self.resamples).only(self._column)

    def _replicates(self, row: Row, bracket: int) -> Replicates:
        if (row.name, bracket) not in self._known:
            self._known[row.name, bracket] = self._read(row.scores["test", bracket][self.chosen])
        return self._known[row.name, bracket]

    def _run_values(self, row: Row, bracket: int) -> np.ndarray:
        values = row.scores["test", bracket][self.chosen]
        return np.asarray(self.protocol.primary.values(self.split.label, values).mean(-1))

    def best(self, row: Row) -> int:
        """The bracket with the highest mean over the runs of the curve, the smallest of equals."""
        return max(row.brackets("test"), key=lambda b: (float(self._run_values(row, b).mean()), -b))

    def _draws(self, found: Replicates, pooled: Pooled | None, stream: int) -> np.ndarray:
        drawn = bootstrap.draws(found, self.resamples, pooled, widened=self._widened, stream=stream)
        if len(drawn) < (1 - bootstrap.MOST_EMPTY) * self.resamples.replicates:
            raise _TooFewPatients(f"too many resamples of the test patients lack a class for {self.name}")
        return drawn[:, 0]

    def curve(self) -> Curve:
        """The values of ``real_only`` by number of training images."""
        every = [*(self._read(s) for s in self.subsets.values()), self._replicates(self.baseline, 0)]
        by_run = np.array([p.estimate for p in every])
        pooled = Pooled.of(by_run, intervals.pooled_mean)
        draws = [self._draws(p, pooled, stream) for stream, p in enumerate(every)]
        return Curve(np.array([*self.subsets, self.images]), by_run.mean((1, 2)), np.stack(draws, axis=1))

    def worth(self, row: Row, bracket: int, curve: Curve) -> dict[str, Any]:
        """What a row is worth at one of its brackets."""
        difference = self._replicates(row, bracket) - self._replicates(self.baseline, 0)
        beside = self.study.beside("test", bracket) if bracket else [(row, 0), (self.baseline, 0)]
        by_run = np.array([self._run_values(r, b) for r, b in beside])[..., None]
        pooled = Pooled.of(by_run, intervals.pooled_difference)
        draws = self._draws(difference, pooled, stream=len(curve.sizes))
        mean = float(difference.estimate.mean())
        return {"bracket": bracket, **equivalent(curve, mean, draws, self.protocol.alpha)}

    def record(self, curve: Curve) -> dict[str, Any]:
        """The curve as JSON values."""
        low, high = np.quantile(curve.draws, [self.protocol.alpha / 2, 1 - self.protocol.alpha / 2], axis=0)
        points = [
            {"images": float(n), "estimate": float(v), "low": float(lo), "high": float(hi)}
            for n, v, lo, hi in zip(curve.sizes, curve.values, low, high, strict=True)
        ]
        law = None
        if curve.reason is None:
            found = fit(curve.sizes, curve.values[None])
            residual = np.array([found.at(n)[0] for n in curve.sizes]) - curve.values
            a, b, c = (float(p[0]) for p in (found.a, found.b, found.c))
            law = {
                "a": a,
                "b": b * found.scale**c,
                "c": c,
                "residual": float(np.sqrt((residual**2).mean())),
            }
        return {
            "metric": self.name,
            "runs": len(self.chosen),
            "points": points,
            "law": law,
            "images": self.images,
            "farthest": FARTHEST * self.images,
        }


def _runs_of(curve: pd.DataFrame, split: SplitImages) -> list[int]:
    """Which of the rows' runs the curve has."""
    key = ["classifier", "seed"] + ([] if split.runs[0][2] is None else ["fold"])
    have = {tuple(k) for k in curve[key].drop_duplicates().itertuples(index=False)}
    known = [run[: len(key)] for run in split.runs]
    odd = have - set(known)
    if odd or not have:
        raise SubmissionError(
            f"curve.parquet: {', '.join(key)}", f"has runs {sorted(odd)}, the rows have {known}"
        )
    return [i for i, run in enumerate(known) if run in have]


def _subsets(
    curve: pd.DataFrame, split: SplitImages, study: Study, images: int
) -> Mapping[float, np.ndarray]:
    """(R, n, K) scores by number of training images, mean over runs, ascending."""
    found: dict[float, np.ndarray] = {}
    for share, part in curve[curve["split"] == "test"].groupby("share"):
        where = f"curve.parquet: share {share}"
        scores = rows.scores_of(part, split, study.protocol, where)
        size = float(part["images"].mean())
        if not 0 < size < images:
            raise SubmissionError(
                f"{where}: images", f"are {size:g} on average, expected fewer than the whole of {images}"
            )
        if size in found:
            raise SubmissionError(
                f"{where}: images", f"are {size:g} on average, as many as for another share", "Leave one out."
            )
        found[size] = scores
    return dict(sorted(found.items()))


def notes(record: Mapping[str, Any] | None) -> Sequence[str]:
    """What the readings off the learning curve leave out."""
    if record is None:
        return []
    if record["reason"]:
        return [f"There is no learning curve: {record['reason']}."]
    reasons = {r["primary"]["reason"] for r in record["rows"].values()} - {None}
    return [f"What rows are worth in real images cannot be said: {reason}." for reason in sorted(reasons)]
