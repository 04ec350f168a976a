"""Variance between fits of a generator: what refits add to the variance over patients and trainings.

A row of F fits and R runs is a crossed design: the images of every fit train with every classifier and seed.
Its values are averaged over the fits, and ``intervals`` covers patients and trainings of these averages. What
is left is the variance of the fits themselves, from the mean squares of the (F, R) table. docs/statistics.md
shows the simulations behind this choice.
"""

from collections.abc import Sequence

import numpy as np

from benchmark.statistics.intervals import sampling_variance
from benchmark.statistics.power import FitVariance


def between_fits(tables: Sequence[np.ndarray]) -> tuple[np.ndarray, int] | None:
    """Variance of one fit's mean around its row's, pooled over rows, with its degrees of freedom.

    Args:
        tables: (F, R, ...) values of fits and runs of each row; rows of one fit do not count.
    Returns:
        (...) variance; None where no row has two fits.
    """
    means = [table.mean(1) for table in tables if len(table) > 1]
    df = sum(len(m) - 1 for m in means)
    return (sum(((m - m.mean(0)) ** 2).sum(0) for m in means) / df, df) if df else None


def chance(
    table: np.ndarray, each: np.ndarray, of_fit: np.ndarray, of_run: np.ndarray, of_all: np.ndarray
) -> np.ndarray:
    """Part of the variance between the fits' means, divided by F, that patients and trainings cause.

    The interaction of fits and trainings is the residual mean square over F R. That of fits and patients
    follows from the variances over patients: averaging over fits leaves 1 / F of it, averaging over runs 1.

    Args:
        table: (F, R, ...) values of fits and runs; at least two fits.
        each, of_fit, of_run, of_all: (...) variance over patients of one value of the table, of one fit's
            mean over runs, of one run's mean over fits (means over all of them), and of the mean of all.
    """
    fits, runs = table.shape[:2]
    varying = (of_fit - of_all) / (fits - 1)  # of fits with patients, and 1 / R of that of all three
    if runs == 1:
        return np.maximum(varying, 0)
    residual = table - table.mean(0) - table.mean(1)[:, None] + table.mean((0, 1))
    trainings = (residual**2).sum((0, 1)) / ((fits - 1) * (runs - 1) * fits * runs)
    patients = (runs * varying - (each - of_run) / (fits - 1)) / (runs - 1)
    return np.asarray(trainings + np.maximum(patients, 0))


def added_by_fits(
    table: np.ndarray, pooled: np.ndarray, by_chance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Variance that new fits add to the mean of the (F, R, ...) table, and the same with chance.

    The variance between fits is the larger of the pooled one and that of this row.
    """
    total = np.maximum(table.mean(1).var(0, ddof=1), pooled) / len(table)
    return np.maximum(total - by_chance, 0), total


def fit_variance(values: np.ndarray, patient: np.ndarray, pooled: tuple[np.ndarray, int]) -> FitVariance:
    """Variance between fits of the mean over F fits and R runs of a metric.

    Args:
        values: (F, R, n) values per image, see ``metrics``; at least two fits.
        patient: (n,) labels.
        pooled: from ``between_fits``, this row among others.
    Source: expected mean squares of crossed random effects; Searle, Casella and McCulloch 1992, chapter 4.
    """
    table = values.mean(-1)
    every = (values, values.mean(1), values.mean(0), values.mean((0, 1)))
    by_chance = chance(table, *(np.mean(sampling_variance(v, patient)) for v in every))
    added, total = added_by_fits(table, pooled[0], by_chance)
    return FitVariance(float(added), float(total), pooled[1])
