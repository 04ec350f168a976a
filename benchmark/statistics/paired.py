"""McNemar's tests: do two classifiers err on different images, plain and clustered by patient?

Which of the forms is taken rests on their exact false positives and on simulation, see
docs/statistics_predictions.md.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics.metrics import predicted

Method = Literal["auto", "exact", "mid-p", "asymptotic", "corrected"]
MID_P_UP_TO = 50  # discordant images, or patients; above, chi-squared keeps the level as well

WORDS = {
    "exact": "exact binomial",
    "mid-p": "mid-p binomial",
    "asymptotic": "chi-squared",
    "corrected": "chi-squared with continuity correction",
}
CLUSTERED_WORDS = {
    "exact": "exact sign flips of patients",
    "mid-p": "mid-p sign flips of patients",
    "asymptotic": "chi-squared clustered by patient",
}
NOTHING = "no discordant images"


def mcnemar(gained: int, lost: int, method: Method = "auto") -> dict[str, Any]:
    """Are as many images gained as lost? Images count as independent.

    Args:
        gained: images that only the row has right.
        lost: images that only the baseline has right.
        method: ``exact`` conditional test; ``mid-p``, which counts half the chance of what was observed;
            ``asymptotic`` (gained - lost)^2 / (gained + lost) on one degree of freedom; ``corrected`` for
            continuity. ``auto`` takes mid-p up to 50 discordant images and asymptotic above.
    Returns:
        ``gained``, ``lost``, ``discordant``, ``method`` in words, ``statistic`` (chi-squared; None where
        the method has none), and ``p``, two-sided; 1 without discordant images.
    Raises:
        MetricError: a negative count, or an unknown method.
    Source: McNemar 1947; Fagerland, Lydersen and Laake 2013 (BMC Med Res Methodol 13:91), who advise
        against the exact and the corrected form.
    """
    if min(gained, lost) < 0:
        raise MetricError("mcnemar", f"{gained} gained and {lost} lost images", "Counts are at least 0.")
    discordant = gained + lost
    chosen = _chosen(method, discordant, WORDS)
    found = {"gained": int(gained), "lost": int(lost), "discordant": int(discordant)}
    if discordant == 0:
        return {**found, "method": NOTHING, "statistic": None, "p": 1.0}
    if chosen in ("exact", "mid-p"):
        statistic, p = None, _binomial(min(gained, lost), discordant, half=chosen == "mid-p")
    else:
        gap = max(abs(gained - lost) - (chosen == "corrected"), 0)
        statistic, p = _chi_squared(gap, discordant)
    return {**found, "method": WORDS[chosen], "statistic": statistic, "p": p}


def mcnemar_clustered(gained: np.ndarray, lost: np.ndarray, method: Method = "auto") -> dict[str, Any]:
    """Are as many images gained as lost, where the images of a patient go together?

    Rests on d = gained - lost of each patient, which is as likely positive as negative where the two
    classifiers are equally good. ``asymptotic`` is (sum of d)^2 / (sum of d^2) on one degree of freedom;
    ``exact`` and ``mid-p`` are from the distribution of the sum of d over all flips of the patients' signs,
    computed without drawing. With one image per patient these are the tests of ``mcnemar``.

    Args:
        gained, lost: (P,) images of each patient that only the row, or only the baseline, has right.
        method: ``auto`` takes mid-p up to 50 patients whose d is not 0, and asymptotic above.
    Returns:
        ``statistic``, ``p`` (two-sided), ``method`` in words, ``patients`` (P), ``discordant_patients``
        (with d not 0), and ``design_effect`` = (sum of d^2) / (gained + lost), by which the clustering
        multiplies the variance, None without discordant images.
    Raises:
        MetricError: arrays of different shape, a negative count, or an unknown method.
    Source: the statistic of Obuchowski 1998 (Stat Med 17:1495) in the form of Yang, Sun and Hardin 2010
        (Biometrical J 52:638) without their factor (P - 1) / P.
    """
    gained, lost = np.asarray(gained), np.asarray(lost)
    if gained.shape != lost.shape or gained.ndim != 1 or (gained < 0).any() or (lost < 0).any():
        raise MetricError(
            "mcnemar", "counts by patient do not fit", "Give two arrays (P,) of counts of at least 0."
        )
    d = gained.astype(np.int64) - lost
    moved, discordant = int(np.count_nonzero(d)), int(gained.sum() + lost.sum())
    found = {
        "patients": len(d),
        "discordant_patients": moved,
        "design_effect": float((d**2).sum() / discordant) if discordant else None,
    }
    chosen = _chosen(method, moved, CLUSTERED_WORDS)
    if moved == 0:
        return {"statistic": None, "p": 1.0, "method": NOTHING, **found}
    if chosen in ("exact", "mid-p"):
        statistic, p = None, _sign_flips(d, half=chosen == "mid-p")
    else:
        statistic, p = _chi_squared(int(d.sum()), int((d**2).sum()))
    return {"statistic": statistic, "p": p, "method": CLUSTERED_WORDS[chosen], **found}


def discordance(
    label: np.ndarray, scores_a: np.ndarray, scores_b: np.ndarray, patient: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Images of each patient that only A, and that only B, has right.

    The prediction is the class of the highest score averaged over runs.

    Args:
        label: (n,) class index.
        scores_a, scores_b: (R, n, K); the numbers of runs may differ.
        patient: (n,) labels.
    Returns:
        ``gained`` and ``lost``, each (P,), patients in sorted order.
    Raises:
        MetricError: several labels an image, so that it is neither right nor wrong.
    """
    if np.ndim(label) != 1:
        raise MetricError("mcnemar", "images have several labels", "Compare their AUROC, with delong.")
    a, b = (predicted(s.mean(0)) == label for s in (scores_a, scores_b))
    names, code = np.unique(patient, return_inverse=True)
    count = len(names)
    return np.bincount(code[a & ~b], minlength=count), np.bincount(code[b & ~a], minlength=count)


def _chosen(method: Method, discordant: int, known: dict[str, str]) -> str:
    if method == "auto":
        return "mid-p" if discordant <= MID_P_UP_TO else "asymptotic"
    if method not in known:
        raise MetricError("mcnemar", f"unknown method '{method}'", f"Known: auto, {', '.join(known)}.")
    return method


def _chi_squared(gap: int, variance: int) -> tuple[float, float]:
    from scipy.stats import chi2

    statistic = gap**2 / variance
    return statistic, float(chi2.sf(statistic, 1))


def _binomial(fewer: int, discordant: int, *, half: bool) -> float:
    """Two-sided p of at most ``fewer`` of so many fair coins, counting half of the chance of equality."""
    from scipy.stats import binom

    point = float(binom.pmf(fewer, discordant, 0.5))
    if 2 * fewer == discordant:
        return 1 - point / 2 if half else 1.0
    return float(2 * binom.cdf(fewer, discordant, 0.5)) - (point if half else 0.0)


def _sign_flips(d: np.ndarray, *, half: bool) -> float:
    """Two-sided p of sum(d) among all choices of signs, by convolution of the patients' two values."""
    sizes = np.abs(d[d != 0])
    reach = int(sizes.sum())
    chance = np.zeros(2 * reach + 1)
    chance[reach] = 1.0
    for size in sizes:
        chance = (np.roll(chance, size) + np.roll(chance, -size)) / 2
    at = abs(int(d.sum()))
    beyond, point = float(chance[reach + at + 1 :].sum()), float(chance[reach + at])
    if at == 0:
        return 1 - point / 2 if half else 1.0
    return 2 * beyond + (point if half else 2 * point)
