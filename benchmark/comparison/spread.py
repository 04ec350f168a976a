"""Where the spread of the primary metric comes from, and whether fidelity foretells utility."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmark.comparison.panel import Panel
from benchmark.comparison.rows import Run
from benchmark.statistics.association import spearman
from benchmark.statistics.variance import components


def variance(panels: Mapping[int, Panel], generators: Iterable[str]) -> dict[str, Any]:
    """Variance components of the primary metric over all runs of all generators.

    Args:
        panels: by bracket, of one split.
        generators: rows that are no controls; those that did not finish are left out.
    Returns:
        Of ``variance.components``, with the sources ``generator``, ``bracket``, ``classifier``, ``seed``,
        ``fold`` and ``residual``; a factor of one level is left out, which ``left_out`` says.
    """
    values: list[float] = []
    levels: dict[str, list[str]] = {
        name: [] for name in ("generator", "bracket", "classifier", "seed", "fold")
    }
    for bracket, panel in panels.items():
        runs: tuple[Run, ...] = panel.images.runs
        for name in (n for n in generators if n in panel.rows):
            for value, (classifier, seed, fold) in zip(panel.primary.run_values(name), runs, strict=True):
                values.append(value)
                for factor, level in zip(levels, (name, bracket, classifier, seed, fold), strict=True):
                    levels[factor].append(str(level))
    return components(values, levels)


def association(
    panel: Panel, manifests: Iterable[Mapping[str, Any]], baseline: str, alpha: float
) -> dict[str, dict[str, Any]]:
    """Spearman's correlation of every measure of the images with the difference to the baseline.

    Over the generators that finished; controls are extremes by design and would make the correlation.

    Returns:
        By measure: ``metric``, ``rows`` (names), ``expected_sign`` (-1 where a low value is good: so is the
        correlation's where fidelity foretells utility), and what ``association.spearman`` gives.
    """
    if baseline not in panel.rows:
        return {}
    measures = {
        m["row"]["name"]: m["measures"]
        for m in manifests
        if m["row"]["role"] == "generator" and m["row"]["name"] in panel.rows
    }
    found = {}
    for measure in sorted({name for own in measures.values() for name in own}):
        rows = sorted(row for row, own in measures.items() if measure in own)
        fidelity = [float(measures[row][measure]["value"]) for row in rows]
        utility = [panel.primary.difference(row, baseline).estimate for row in rows]
        sign = -1 if measures[rows[0]][measure]["direction"] == "minimize" else 1
        known = {"metric": panel.protocol.primary.name, "rows": rows, "expected_sign": sign}
        found[measure] = {**known, **spearman(fidelity, utility, alpha)}
    return found
