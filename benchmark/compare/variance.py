"""How much of the spread of the runs comes from seed, classifier, bracket, fold and generator?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.compare.permutation import finite
from benchmark.errors import MetricError

RESIDUAL = "residual"
METHOD = "restricted maximum likelihood, crossed random effects"
LARGEST = 1e3  # standard deviation of an effect over that of the residual
NOTHING = 1e-3  # below, a component is zero for every purpose: a millionth of the residual variance


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
    if ratios is None or ratios.max() >= 0.99 * LARGEST:
        reason = "the fit did not converge, as where the factors leave no residual"
        return {"components": [], "total": None, **known, "reason": reason}
    variances = likelihood.residual_variance(ratios) * np.append(ratios**2, 1.0)
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
    """Restricted likelihood of standard deviation ratios, from cross products of one column per level.

    With W = Z diag(ratios) and A = I + W'W, the covariance over the residual variance is V = I + WW',
    log|V| = log|A| and x' V^-1 y = x'y - (W'x)' A^-1 (W'y): work does not grow with the number of values.
    """

    def __init__(self, y: np.ndarray, levels: Mapping[str, np.ndarray]) -> None:
        dummies = [np.eye(int(own.max()) + 1)[own] for own in levels.values()]
        self.factor = np.repeat(np.arange(len(dummies)), [z.shape[1] for z in dummies])
        design = np.concatenate(dummies, axis=1)
        outer = np.column_stack([np.ones(len(y)), (y - y.mean()) / y.std()])
        self.among, self.between, self.within = design.T @ design, design.T @ outer, outer.T @ outer
        self.freedom = len(y) - 1
        self.scale = y.var()

    def _solved(self, ratios: np.ndarray) -> tuple[np.ndarray, float]:
        """(2, 2) products of the ones and the values through V^-1, and log|V|."""
        from scipy.linalg import cholesky, solve_triangular

        own = ratios[self.factor]
        root = cholesky(np.eye(len(own)) + own[:, None] * self.among * own, lower=True)
        half = solve_triangular(root, own[:, None] * self.between, lower=True)
        return self.within - half.T @ half, float(2 * np.log(np.diag(root)).sum())

    def deviance(self, ratios: np.ndarray) -> float:
        """-2 log likelihood but for a constant, the mean and the residual variance at their best."""
        products, log_determinant = self._solved(ratios)
        return float(
            log_determinant + np.log(products[0, 0]) + self.freedom * np.log(_squares_left(products))
        )

    def residual_variance(self, ratios: np.ndarray) -> float:
        return float(self.scale * _squares_left(self._solved(ratios)[0]) / self.freedom)


def _squares_left(products: np.ndarray) -> float:
    """Generalized sum of squares about the mean; kept above zero where the factors explain all."""
    return max(float(products[1, 1] - products[0, 1] ** 2 / products[0, 0]), np.finfo(float).tiny)


def _ratios(likelihood: _Likelihood) -> np.ndarray | None:
    """Standard deviation of each factor's effects over the residual's; None where the search fails."""
    from scipy.optimize import minimize

    count = int(likelihood.factor.max()) + 1
    found = minimize(
        likelihood.deviance, np.ones(count), method="L-BFGS-B", bounds=[(0, LARGEST)] * count,
        options={"ftol": 1e-13, "gtol": 1e-6, "maxiter": 1000},
    )  # fmt: skip
    if not found.success or not np.isfinite(found.fun):
        return None
    return np.where(found.x < NOTHING, 0.0, found.x)


def _records(sources: Sequence[str], variances: np.ndarray, levels: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {"source": s, "variance": float(v), "share": float(v / variances.sum()), "sd": float(np.sqrt(v)),
         "levels": n}
        for s, v, n in zip(sources, variances, levels, strict=True)
    ]  # fmt: skip
