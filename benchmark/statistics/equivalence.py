"""Test of equivalence by two one-sided tests (TOST), and the region of practical equivalence (ROPE).

``ttost_paired`` of statsmodels tests two samples; here an estimate has a standard error and degrees of
freedom that do not belong to one sample.
"""

from typing import Any

from benchmark.errors import MetricError


def equivalence(estimate: float, se: float, df: float, margin: float, alpha: float = 0.05) -> dict[str, Any]:
    """Test whether the true difference is smaller in size than the margin.

    Args:
        estimate: of the difference.
        se: its standard error, above 0.
        df: degrees of freedom of its t distribution; infinite for a normal one.
        margin: smallest difference that matters, above 0, in the unit of the estimate.
        alpha: level of each of the two one-sided tests.
    Returns:
        ``margin``; ``p``, the larger of the two one-sided ones; ``equivalent``: p < alpha, or equally the
        interval ``low`` to ``high`` of level 1 - 2 alpha lies inside the margins; and ``rope``, the
        posterior probabilities (flat prior) that the true difference is ``below`` -margin, ``within`` the
        margins, or ``above`` margin; they sum to 1.
    Raises:
        MetricError: the margin is not above 0, or the standard error is not above 0.
    Source: Schuirmann 1987 (J Pharmacokinet Biopharm 15:657), as in Lakens 2017 (Soc Psychol Personal Sci
        8:355); the region as in Kruschke 2018 (Adv Methods Pract Psychol Sci 1:270), with the posterior of
        a correlated t test (Benavoli et al. 2017, JMLR 18:77).
    """
    from scipy.stats import t

    if not margin > 0:
        raise MetricError(
            "equivalence", f"a margin of {margin:g}", "Give the smallest difference that matters."
        )
    if not se > 0:
        raise MetricError("equivalence", f"a standard error of {se:g}", "It is above 0.")
    below, above = (_tail(margin + side * estimate, se, df) for side in (1, -1))
    p = max(below, above)  # a flat prior's posterior tails are the p-values of the one-sided tests
    reach = float(t.ppf(1 - alpha, df)) * se
    return {
        "margin": float(margin),
        "p": p,
        "equivalent": p < alpha,
        "low": estimate - reach,
        "high": estimate + reach,
        "rope": {"below": below, "within": 1 - below - above, "above": above},
    }


def _tail(gap: float, se: float, df: float) -> float:
    """Probability of an error larger than the gap."""
    from scipy.stats import t

    return float(t.sf(gap / se, df))
