"""Sources of the primary metric's variance, and the association of fidelity with utility."""

from collections.abc import Iterable, Mapping
from typing import Any

from benchmark.comparison.compared_rows import ComparedRows
from benchmark.plugins.metric import enough_images
from benchmark.statistics.association import spearman
from benchmark.statistics.variance import components
from benchmark.utils.rounding import canonical_float

FACTORS = ("generator", "bracket", "classifier", "seed", "fold")
FIT = "fit"  # nested in the generator; a factor where some generator has several fits


def variance(compared: Mapping[int, ComparedRows], generators: Iterable[str]) -> dict[str, Any]:
    """Return the variance components of the primary metric over all trainings of all finished generators.

    The record is that of ``statistics.variance.components``, with the sources ``FACTORS``, ``FIT`` where a
    generator has several fits, and ``residual``;
    ``compared`` holds the rows of one split by bracket.
    """
    values: list[float] = []
    levels: list[tuple[str, ...]] = []
    refitted = False
    for bracket, rows in compared.items():
        for name in (n for n in generators if n in rows.rows):
            values += rows.primary.training_values(name)
            fits = rows.rows[name][0].fits
            refitted |= len(fits) > 1
            levels += [
                (*map(str, (name, bracket, *run)), f"{name}/{fit}")
                for fit in fits
                for run in rows.images.runs
            ]
    factors = (*FACTORS, FIT) if refitted else FACTORS
    return components(values, {factor: [own[i] for own in levels] for i, factor in enumerate(factors)})


def association(
    compared: ComparedRows, manifests: Iterable[Mapping[str, Any]], baseline: str, alpha: float
) -> dict[str, dict[str, Any]]:
    """Return the fields of ``Association`` by image measure: its rank correlation with the difference.

    Only finished generators count: controls are extremes by design and would cause the correlation.
    """
    if baseline not in compared.rows:
        return {}
    measures = {
        m["row"]["name"]: {k: v for k, v in m["measures"].items() if enough_images(k, v["n"])}
        for m in manifests
        if m["row"]["role"] == "generator" and m["row"]["name"] in compared.rows
    }
    utility = {row: canonical_float(compared.primary.difference(row, baseline).estimate) for row in measures}
    records = {}
    for measure in sorted({name for own in measures.values() for name in own}):
        rows = sorted(row for row, own in measures.items() if measure in own)
        fidelity = [float(measures[row][measure]["value"]) for row in rows]
        sign = -1 if measures[rows[0]][measure]["direction"] == "minimize" else 1
        known = {"metric": compared.protocol.primary.name, "rows": rows, "expected_sign": sign}
        records[measure] = {**known, **spearman(fidelity, [utility[row] for row in rows], alpha)}
    return records
