"""Selection: the gain of the best of several attempts that differ in nothing but random numbers."""

from functools import cache

import numpy as np

MOST = 10_000_000  # attempts; more change no third digit of the maximum
REACH, STEPS = 12.0, 4801  # of the numerical integration, in standard deviations


@cache
def expected_maximum(attempts: int) -> float:
    """Return the expected maximum of independent standard normal values.

    The integral of 1 - F(x)^m over the positive half line less that of F(x)^m over the negative one, by the
    trapezoidal rule; 0 for one attempt, 0.564 for two, 1.867 for twenty.

    Source: David and Nagaraja 2003, Order Statistics, section 3.1.
    """
    from scipy.stats import norm

    x = np.linspace(0, REACH, STEPS)
    m = min(max(attempts, 1), MOST)
    above, below = -np.expm1(m * norm.logcdf(x)), np.exp(m * norm.logcdf(-x))
    return float(np.trapezoid(above - below, x))


def attempt_error(run_values: np.ndarray, fit_variance: float | None) -> float | None:
    """Return the standard error of a row's value between attempts: other fits, samples and trainings.

    Every attempt is tested on the same patients, and trained with the same seeds and folds. So what all rows
    share of a run does not vary: the variance of one run is the row-by-run interaction mean square.

    Args:
        run_values: (T, R) values of T rows in R runs.
        fit_variance: variance between the values of the row's mean over its fits, trainings included; None
            with one fit.
    Returns:
        None with one fit and one run, which show no variation.
    """
    if fit_variance is not None:
        return float(np.sqrt(fit_variance))
    rows, count = run_values.shape
    if count < 2:
        return None
    residual = run_values - run_values.mean(1, keepdims=True)
    df = rows * (count - 1)
    if rows > 1:
        residual = residual - run_values.mean(0) + run_values.mean()
        df = (rows - 1) * (count - 1)
    return float(np.sqrt((residual**2).sum() / df / count))
