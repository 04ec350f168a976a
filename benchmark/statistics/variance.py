"""Variance components of run values: seed, classifier, bracket, fold and generator."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics.permutation import finite

RESIDUAL = "residual"
METHOD = "restricted maximum likelihood, crossed random effects"
LARGEST = 1e6  # ratio of the variance of an effect to that of the residual
SMALLEST = 1e-12  # ratio of the residual squares to those of the values
FLAT = 1e-3  # slope of -2 log likelihood at its minimum


def components(values: Sequence[float], factors: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Split the variance of run values among crossed factors.

    value = mean + one normal effect of each factor + residual. An interaction, such as of a generator that
    suits one classifier, is part of the residual.

    Args:
        values: (N,) a metric, one value for each row, bracket, classifier, seed and fold.
        factors: level of each value, by factor, (N,) each.
    Returns:
        ``components``: ``{source, variance, share, sd, levels}`` of each factor in the given order and of
        ``residual``; variance in the metric squared, ``sd`` in the metric, ``share`` of their sum from 0 to
        1. The variance of a factor of few levels is imprecise. ``total``: the sum, the variance of a new run
        of new levels; ``n`` values; ``method``; ``left_out``: why, by factor; ``reason`` why there are no
        components, else None.
    Raises:
        MetricError: a factor has another number of values, or a value is not finite.
    Source: restricted maximum likelihood, Patterson and Thompson 1971, with variances bounded at zero as
        in lme4 (Bates et al. 2015, J. Stat. Softw. 67(1)). MixedLM of statsmodels, the reference of the
        tests, fails with a singular matrix if the estimate of a variance is zero.
    """
    y = finite({"values": values})["values"]
    usable, left_out = _usable(_levels(factors, len(y)))
    known = {"n": len(y), "method": METHOD, "left_out": left_out}
    likelihood = ratios = None
    reason = _not_estimable(y, usable)
    if reason is None:
        likelihood = _Likelihood(y, usable)
        ratios = _ratios(likelihood)
    if likelihood is None or ratios is None:
        reason = reason or "the fit did not converge, as where the factors leave no residual"
        return {"components": [], "total": None, **known, "reason": reason}
    variances = likelihood.residual_variance(ratios) * np.append(ratios, 1.0)
    counts = [int(level.max()) + 1 for level in usable.values()] + [len(y)]
    records = [
        {"source": s, "variance": float(v), "share": float(v / variances.sum()), "sd": float(np.sqrt(v)),
         "levels": n}
        for s, v, n in zip([*usable, RESIDUAL], variances, counts, strict=True)
    ]  # fmt: skip
    return {"components": records, "total": float(variances.sum()), **known, "reason": None}


def _levels(factors: Mapping[str, Sequence[str]], n: int) -> dict[str, np.ndarray]:
    """(n,) level of each value by factor, numbered by first appearance, so that names do not matter."""
    levels = {}
    for name, factor in factors.items():
        if len(factor) != n:
            raise MetricError(name, f"{len(factor)} levels for {n} values", "Give one level for every value.")
        number = {level: i for i, level in enumerate(dict.fromkeys(factor))}
        levels[name] = np.array([number[level] for level in factor], dtype=int)
    return levels


def _usable(levels: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The factors whose variance the design identifies, and by name why the others are left out."""
    usable: dict[str, np.ndarray] = {}
    left_out: dict[str, str] = {}
    for name, factor in levels.items():
        count = len(np.unique(factor))
        same = [other for other in usable if np.array_equal(usable[other], factor)]
        if count < 2:
            left_out[name] = "one level"
        elif count == len(factor):
            left_out[name] = "a separate level for every value: part of the residual"
        elif same:
            left_out[name] = f"changes only with {same[0]}: part of it"
        else:
            usable[name] = factor
    return usable, left_out


def _not_estimable(y: np.ndarray, levels: Mapping[str, np.ndarray]) -> str | None:
    if not levels:
        return "no factor with two levels or more"
    if np.ptp(y) == 0:
        return "all values are the same"
    effects = 1 + sum(len(np.unique(factor)) - 1 for factor in levels.values())
    return f"{len(y)} values are too few for {effects} effects" if len(y) <= effects else None


class _Likelihood:
    """Restricted likelihood of variance ratios, from cross products of Z, one column per level.

    With D = diag(sqrt(ratios)) and A = I + D Z'Z D, the covariance over the residual variance is
    V = I + Z D D Z', log|V| = log|A|, and Z'V^-1 x = Z'x - Z'Z D A^-1 D Z'x: the cost does not depend on
    the number of values.
    """

    def __init__(self, y: np.ndarray, levels: Mapping[str, np.ndarray]) -> None:
        dummies = [np.eye(int(factor.max()) + 1)[factor] for factor in levels.values()]
        self.factor = np.repeat(np.arange(len(dummies)), [z.shape[1] for z in dummies])
        design = np.concatenate(dummies, axis=1)
        outer = np.column_stack([np.ones(len(y)), (y - y.mean()) / y.std()])
        self.among, self.outside = design.T @ design, design.T @ outer
        self.products = outer.T @ outer
        self.freedom = len(y) - 1
        self.scale = float(y.var())

    def deviance(self, ratios: np.ndarray) -> tuple[float, np.ndarray]:
        """-2 log likelihood up to a constant, profiled over mean and residual variance; its gradient."""
        through, products, log_determinant = self._through(ratios)
        mean, residual = _fit_mean(products)
        value = log_determinant + np.log(products[0, 0]) + self.freedom * np.log(residual)
        of_ones, of_y = through[:, -2], through[:, -1]
        trace = np.diag(through) - of_ones**2 / products[0, 0]
        slope = trace - self.freedom * (of_y - mean * of_ones) ** 2 / residual
        return float(value), np.bincount(self.factor, slope)

    def residual_variance(self, ratios: np.ndarray) -> float:
        return self.scale * _fit_mean(self._through(ratios)[1])[1] / self.freedom

    def _through(self, ratios: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Z'V^-1 [Z, 1, y], the (2, 2) products [1, y]'V^-1 [1, y], and log|V|."""
        d = np.sqrt(ratios)[self.factor][:, None]
        plain = np.column_stack([self.among, self.outside])
        a = np.eye(len(d)) + d * self.among * d.T
        solved = d * np.linalg.solve(a, d * plain)
        products = self.products - self.outside.T @ solved[:, -2:]
        return plain - self.among @ solved, products, float(np.linalg.slogdet(a)[1])


def _fit_mean(products: np.ndarray) -> tuple[float, float]:
    """Generalized least squares: mean and residual squares, which stay above zero."""
    mean = float(products[0, 1] / products[0, 0])
    return mean, max(float(products[1, 1] - mean * products[0, 1]), SMALLEST)


def _ratios(likelihood: _Likelihood) -> np.ndarray | None:
    """Ratio of each factor's variance to the residual's; None if the search does not reach a maximum."""
    from scipy.optimize import minimize

    count = int(likelihood.factor.max()) + 1
    result = minimize(
        likelihood.deviance, np.ones(count), jac=True, method="L-BFGS-B", bounds=[(0, LARGEST)] * count,
        options={"ftol": 1e-13, "gtol": 1e-7, "maxiter": 1000},
    )  # fmt: skip
    slope = likelihood.deviance(result.x)[1]
    # By logarithm of the ratio, and at zero only uphill: the solver stops where rounding hides progress.
    flat = np.abs(result.x * slope) < FLAT
    if result.x.max() > 0.99 * LARGEST or not (flat & ((result.x > 0) | (slope > -FLAT))).all():
        return None
    return np.asarray(result.x)
