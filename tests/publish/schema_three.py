"""What schema 3 of the comparison adds, with values of known form, for a comparison that lacks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEVELS = (0.8, 0.95)
MARGIN = 0.02
CRITICAL = 1.5  # mean ranks


def completed(comparison: Mapping[str, Any]) -> dict[str, Any]:
    """The comparison with letters, Friedman's test, power, association, variance and equivalence."""
    if comparison["schema"] >= 3:
        return dict(comparison)
    figures = _primary(comparison)
    for own in figures.values():
        for versus in own["versus"].values():
            for difference in versus.values():
                difference["equivalence"] = _equivalence(difference)
        if own["mcnemar"]:
            own["mcnemar"]["clustered"] = {"statistic": 1.0, "p": 0.3, "p_adjusted": 0.6, "patients": 100}
    rows = comparison["ranking"]["rows"]
    for own in rows.values():
        own["letters"] = "abcdefghijkl"[own["rank"] - 1]
    return {
        **comparison,
        "schema": 3,
        "friedman": _friedman(list(rows)),
        "variance": {
            "components": [
                {"source": "generator", "variance": 9e-4, "share": 0.9, "sd": 0.03},
                {"source": "seed", "variance": 1e-4, "share": 0.1, "sd": 0.01},
            ],
            "total": 1e-3, "n": 27, "method": "mixed model", "reason": None,
        },
        "association": {
            "fid_phantom_cxr_v1": {
                "metric": "balanced_accuracy", "rho": -0.6, "low": -0.9, "high": 0.1, "p": 0.09, "n": 7,
                "expected_sign": -1, "reason": None,
            }
        },
        "power": _power(figures),
    }  # fmt: skip


def _primary(comparison: Mapping[str, Any]) -> dict[str, Any]:
    bracket = str(comparison["settings"]["primary_bracket"])
    found: dict[str, Any] = comparison["figures"]["test"][bracket]
    return found


def _equivalence(difference: Mapping[str, float]) -> dict[str, Any]:
    inside = difference["low"] > -MARGIN and difference["high"] < MARGIN
    return {"margin": MARGIN, "p": 0.01 if inside else 0.4, "equivalent": inside,
            "rope": {"below": 0.2, "within": 0.5, "above": 0.3}}  # fmt: skip


def _friedman(names: list[str]) -> dict[str, Any]:
    ranks = {name: 1.0 + 0.9 * i for i, name in enumerate(names)}
    cliques = [names[i : i + 2] for i in range(len(names) - 1)]
    return {"statistic": 17.5, "df": len(names) - 1, "p": 0.02, "kendall_w": 0.7, "blocks": 3,
            "mean_ranks": ranks, "critical_difference": CRITICAL, "alpha": 0.05, "cliques": cliques,
            "nemenyi": [], "reason": None}  # fmt: skip


def _power(figures: Mapping[str, Any]) -> dict[str, Any]:
    others = sorted(n for n, own in figures.items() if own["versus"].get("real_only"))
    rows = {n: {"0.8": 0.03 + 0.001 * i, "0.95": 0.04 + 0.001 * i} for i, n in enumerate(others)}
    needed = {n: {"difference": 0.01, "power": 0.8, "runs": None, "patients": 5000,
                  "reason": "no number of runs suffices"} for n in others}  # fmt: skip
    return {"levels": list(LEVELS), "rows": rows, "needed": needed}
