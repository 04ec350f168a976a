"""McNemar's test of two classifiers on the same images: of independent images, or clustered by patient.

statsmodels has the exact, the asymptotic and the corrected test of independent images. The mid-p form and the
clustered tests are our own. ``python tests/statistics/test_paired.py`` prints the
false-positive rates behind ``auto``.
"""

from typing import Any, Literal

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics.metrics import predicted

Method = Literal["auto", "exact", "mid-p", "asymptotic", "corrected"]
MID_P_UP_TO = 50  # discordant images, or patients; above, chi-squared controls the error rate as well

NAMES = {
    "exact": "exact binomial",
    "mid-p": "mid-p binomial",
    "asymptotic": "chi-squared",
    "corrected": "chi-squared with continuity correction",
}
CLUSTERED_NAMES = {
    "exact": "exact sign flips of patients",
    "mid-p": "mid-p sign flips of patients",
    "asymptotic": "chi-squared clustered by patient",
}
NO_DISCORDANT = "no discordant images"


def mcnemar(gained: int, lost: int, method: Method = "auto") -> dict[str, Any]:
    """McNemar's test of independent images.

    Args:
        gained: number of images that only the row classifies correctly.
        lost: number of images that only the baseline classifies correctly.
        method: ``exact`` conditional test; ``mid-p``, which counts half the probability of the observed
            outcome; ``asymptotic``: (gained - lost)^2 / (gained + lost) on one degree of freedom;
            ``corrected`` for continuity. ``auto`` is mid-p up to 50 discordant images, then asymptotic.
    Returns:
        ``gained``, ``lost``, ``discordant``, the full name of the ``method``, ``statistic`` (chi-squared;
        None for ``exact`` and ``mid-p``), and ``p``, two-sided; None without discordant images.
    Raises:
        MetricError: a negative count, or an unknown method.
    Source: McNemar 1947; Fagerland, Lydersen and Laake 2013 (BMC Med Res Methodol 13:91), who advise
        against the exact and the corrected form.
    """
    if min(gained, lost) < 0:
        raise MetricError("mcnemar", f"{gained} gained and {lost} lost images", "Counts are at least 0.")
    discordant = gained + lost
    chosen = _resolve(method, discordant, NAMES)
    counts = {"gained": int(gained), "lost": int(lost), "discordant": int(discordant)}
    if discordant == 0:
        return {**counts, "method": NO_DISCORDANT, "statistic": None, "p": None}
    statistic, p = _independent(int(gained), int(lost), chosen)
    return {**counts, "method": NAMES[chosen], "statistic": statistic, "p": p}


def _independent(gained: int, lost: int, method: str) -> tuple[float | None, float]:
    """Statistic and p of at least one discordant image."""
    from scipy.stats import binom
    from statsmodels.stats.contingency_tables import mcnemar as reference

    table = [[0, gained], [lost, 0]]
    if method in ("exact", "mid-p"):
        p = min(float(reference(table, exact=True).pvalue), 1.0)
        point = float(binom.pmf(gained, gained + lost, 0.5)) if method == "mid-p" else 0.0
        return None, _mid_p(p, point, gained == lost)
    # Equal counts differ by nothing; the correction would make (0 - 1)^2 of them.
    result = reference(table, exact=False, correction=method == "corrected" and gained != lost)
    return float(result.statistic), float(result.pvalue)


def mcnemar_clustered(gained: np.ndarray, lost: np.ndarray, method: Method = "auto") -> dict[str, Any]:
    """McNemar's test of images that are clustered by patient.

    Based on d = gained - lost of each patient, which is symmetric about 0 if the two classifiers are equally
    good. ``asymptotic`` is (sum of d)^2 / (sum of d^2) on one degree of freedom; ``exact`` and ``mid-p`` use
    the distribution of the sum of d over all sign flips of patients, computed without sampling. With one
    image per patient these are the tests of ``mcnemar``.

    Args:
        gained, lost: (P,) images of each patient that only the row, or only the baseline, classifies
            correctly.
        method: ``auto`` is mid-p up to 50 patients whose d is not 0, then asymptotic.
    Returns:
        ``statistic``, ``p`` (two-sided), both None where no patient is discordant, ``method``,
        ``patients`` (P), ``discordant_patients`` (with d not
        0), and ``design_effect`` = (sum of d^2) / (gained + lost), by which clustering multiplies the
        variance; None without discordant images.
    Raises:
        MetricError: arrays of different shape, a negative count, or an unknown method.
    Source: the statistic of Obuchowski 1998 (Stat Med 17:1495) in the form of Yang, Sun and Hardin 2010
        (Biometrical J 52:638) without their factor (P - 1) / P.
    """
    from scipy.stats import chi2

    gained, lost = np.asarray(gained), np.asarray(lost)
    if gained.shape != lost.shape or gained.ndim != 1 or (gained < 0).any() or (lost < 0).any():
        raise MetricError(
            "mcnemar", "counts by patient do not fit", "Give two arrays (P,) of counts of at least 0."
        )
    d = gained.astype(np.int64) - lost
    squares, discordant, images = int((d**2).sum()), int(np.count_nonzero(d)), int(gained.sum() + lost.sum())
    counts = {
        "patients": len(d),
        "discordant_patients": discordant,
        "design_effect": squares / images if images else None,
    }
    chosen = _resolve(method, discordant, CLUSTERED_NAMES)
    if discordant == 0:
        return {"statistic": None, "p": None, "method": NO_DISCORDANT, **counts}
    if chosen == "asymptotic":
        statistic = int(d.sum()) ** 2 / squares
        p = float(chi2.sf(statistic, 1))
    else:
        statistic, p = None, _sign_flips(d, mid=chosen == "mid-p")
    return {"statistic": statistic, "p": p, "method": CLUSTERED_NAMES[chosen], **counts}


def discordance(
    label: np.ndarray, scores_a: np.ndarray, scores_b: np.ndarray, patient: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Count the images of each patient that only A, and that only B, classifies correctly.

    The prediction is the class of the highest score averaged over runs.

    Args:
        label: (n,) class index.
        scores_a, scores_b: (R, n, K); the numbers of runs may differ.
        patient: (n,) labels.
    Returns:
        ``gained`` and ``lost``, each (P,), patients in sorted order.
    Raises:
        MetricError: multi-label images, which are neither correct nor wrong.
    """
    if np.ndim(label) != 1:
        raise MetricError("mcnemar", "images have several labels", "Compare their AUROC, with delong.")
    a, b = (predicted(s.mean(0)) == label for s in (scores_a, scores_b))
    names, code = np.unique(patient, return_inverse=True)
    gained, lost = (np.bincount(code[only], minlength=len(names)) for only in (a & ~b, b & ~a))
    return gained, lost


def _resolve(method: Method, discordant: int, known: dict[str, str]) -> str:
    if method == "auto":
        return "mid-p" if discordant <= MID_P_UP_TO else "asymptotic"
    if method not in known:
        raise MetricError("mcnemar", f"unknown method '{method}'", f"Known: auto, {', '.join(known)}.")
    return method


def _mid_p(p: float, point: float, balanced: bool) -> float:
    """Mid-p from the exact two-sided p and the probability of the observed outcome."""
    return p - (point / 2 if balanced else point)


def _sign_flips(d: np.ndarray, *, mid: bool) -> float:
    """Two-sided p of sum(d) among all choices of signs, by convolution of the patients' two values."""
    sizes = np.abs(d[d != 0])
    reach = int(sizes.sum())
    chance = np.zeros(2 * reach + 1)
    chance[reach] = 1.0
    for size in sizes:
        chance = (np.roll(chance, size) + np.roll(chance, -size)) / 2
    observed = abs(int(d.sum()))
    p = min(2 * float(chance[reach + observed :].sum()), 1.0)
    return _mid_p(p, float(chance[reach + observed]) if mid else 0.0, observed == 0)
