"""How much of the spread of the runs comes from seed, classifier, bracket, fold and generator?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics.permutation import finite

RESIDUAL = "residual"
METHOD = "restricted maximum likelihood, crossed random effects"
LARGEST = 1e6  # variance of an effect over that of the residual
SMALLEST = 1e-12  # squares left over those of the values
FLAT = 1e-3  # slope of -2 log likelihood at its minimum


def components(values: Sequence[float], factors: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Split the variance of run values among crossed factors.

    value = mean + one normal effect of each factor + residual. What two factors do only together, such as
    a generator that suits one classifier, is part of the residual.

    Args:
        values: (N,) a metric, one value for each row, bracket, classifier, seed and fold.
        factors: level of each value, by factor, (N,) each.
    Returns:
        ``components``: ``{source, variance, share, sd, levels}`` of each factor in the given order and of
        ``residual``; variance in the metric squared, ``sd`` in the metric, ``share`` of their sum from 0 to
        1. A factor of few levels has a variance that is known poorly. ``total``: the sum, the variance of
        a new run of new levels; ``n`` values; ``method``; ``left_out``: why, by factor; ``reason`` why
        there are no components, else None.
    Raises:
        MetricError: a factor has another number of values, or a value is not finite.
    Source: restricted maximum likelihood, Patterson and Thompson 1971, with variances bounded at zero as
        in lme4 (Bates et al. 2015, J. Stat. Softw. 67(1)). Our own, since MixedLM of statsmodels, the
        reference of the tests, fails with a singular matrix where the estimate of a variance is zero.
    """
    y = finite({"values": values})["values"]
    kept, left_out = _usable(_levels(factors, len(y)))
    known = {"n": len(y), "method": METHOD, "left_out": left_out}
    reason = _impossible(y, kept)
    if reason:
        return {"components": [], "total": None, **known, "reason": reason}
    likelihood = _Likelihood(y, kept)
    ratios = _ratios(likelihood)
    if ratios is None:
        reason = "the fit did not converge, as where the factors leave no residual"
        return {"components": [], "total": None, **known, "reason": reason}
    variances = likelihood.residual_variance(ratios) * np.append(ratios, 1.0)
    counts = [int(level.max()) + 1 for level in kept.values()]
    return {
        "components": _records([*kept, RESIDUAL], variances, [*counts, len(y)]),
        "total": float(variances.sum()),
        **known,
        "reason": None,
    }


def _levels(factors: Mapping[str, Sequence[str]], n: int) -> dict[str, np.ndarray]:
    """(n,) level of each value by factor, numbered by first appearance, so that names do not matter."""
    found = {}
    for name, own in factors.items():
        if len(own) != n:
            raise MetricError(name, f"{len(own)} levels for {n} values", "Give one level for every value.")
        number: dict[str, int] = {}
        found[name] = np.array([number.setdefault(level, len(number)) for level in own], dtype=int)
    return found


def _usable(levels: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The factors whose variance the design can tell, and why not those of the others."""
    kept: dict[str, np.ndarray] = {}
    left_out: dict[str, str] = {}
    for name, own in levels.items():
        count = len(np.unique(own))
        same = [other for other, levels_of in kept.items() if np.array_equal(levels_of, own)]
        if count < 2:
            left_out[name] = "one level"
        elif count == len(own):
            left_out[name] = "a level of its own for every value: part of the residual"
        elif same:
            left_out[name] = f"changes only with {same[0]}: part of it"
        else:
            kept[name] = own
    return kept, left_out


def _impossible(y: np.ndarray, levels: Mapping[str, np.ndarray]) -> str | None:
    if not levels:
        return "no factor with two levels or more"
    if np.ptp(y) == 0:
        return "all values are the same"
    effects = 1 + sum(len(np.unique(own)) - 1 for own in levels.values())
    if len(y) <= effects:
        return f"{len(y)} values are too few for {effects} effects"
    return None


class _Likelihood:
    """Restricted likelihood of variance ratios, from cross products of Z, one column a level.

    With D = diag(sqrt(ratios)) and A = I + D Z'Z D, the covariance over the residual variance is
    V = I + Z D D Z', log|V| = log|A|, and Z'V^-1 x = Z'x - Z'Z D A^-1 D Z'x: the work does not grow with
    the number of values.
    """

    def __init__(self, y: np.ndarray, levels: Mapping[str, np.ndarray]) -> None:
        dummies = [np.eye(int(own.max()) + 1)[own] for own in levels.values()]
        self.factor = np.repeat(np.arange(len(dummies)), [z.shape[1] for z in dummies])
        design = np.concatenate(dummies, axis=1)
        outer = np.column_stack([np.ones(len(y)), (y - y.mean()) / y.std()])
        self.among, self.outside = design.T @ design, design.T @ outer
        self.products = outer.T @ outer
        self.freedom = len(y) - 1
        self.scale = float(y.var())

    def deviance(self, ratios: np.ndarray) -> tuple[float, np.ndarray]:
        """-2 log likelihood but for a constant, mean and residual variance at their best; its gradient."""
        through, products, log_determinant = self._through(ratios)
        mean, left = _mean_and_squares_left(products)
        value = log_determinant + np.log(products[0, 0]) + self.freedom * np.log(left)
        of_ones, of_y = through[:, -2], through[:, -1]
        trace = np.diag(through) - of_ones**2 / products[0, 0]
        slope = trace - self.freedom * (of_y - mean * of_ones) ** 2 / left
        return float(value), np.bincount(self.factor, slope)

    def residual_variance(self, ratios: np.ndarray) -> float:
        return self.scale * _mean_and_squares_left(self._through(ratios)[1])[1] / self.freedom

    def _through(self, ratios: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Z'V^-1 [Z, 1, y], the (2, 2) products [1, y]'V^-1 [1, y], and log|V|."""
        own = np.sqrt(ratios)[self.factor][:, None]
        plain = np.column_stack([self.among, self.outside])
        a = np.eye(len(own)) + own * self.among * own.T
        solved = own * np.linalg.solve(a, own * plain)
        products = self.products - self.outside.T @ solved[:, -2:]
        return plain - self.among @ solved, products, float(np.linalg.slogdet(a)[1])


def _mean_and_squares_left(products: np.ndarray) -> tuple[float, float]:
    """Generalized least squares; the squares are kept above zero where the factors explain all."""
    mean = float(products[0, 1] / products[0, 0])
    return mean, max(float(products[1, 1] - mean * products[0, 1]), SMALLEST)


def _ratios(likelihood: _Likelihood) -> np.ndarray | None:
    """Variance of each factor's effects over the residual's; None where the search finds no maximum."""
    from scipy.optimize import minimize

    count = int(likelihood.factor.max()) + 1
    found = minimize(
        likelihood.deviance, np.ones(count), jac=True, method="L-BFGS-B", bounds=[(0, LARGEST)] * count,
        options={"ftol": 1e-13, "gtol": 1e-7, "maxiter": 1000},
    )  # fmt: skip
    slope = likelihood.deviance(found.x)[1]
    # By logarithm of the ratio, and at zero uphill only: the solver gives up where rounding hides progress.
    flat = np.abs(found.x * slope) < FLAT
    if found.x.max() > 0.99 * LARGEST or not (flat & ((found.x > 0) | (slope > -FLAT))).all():
        return None
    return np.asarray(found.x)


def _records(sources: Sequence[str], variances: np.ndarray, levels: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {"source": s, "variance": float(v), "share": float(v / variances.sum()), "sd": float(np.sqrt(v)),
         "levels": n}
        for s, v, n in zip(sources, variances, levels, strict=True)
    ]  # fmt: skip
