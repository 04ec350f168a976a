"""Correlation of fidelity with utility over models, from a plain CSV file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.errors import SubmissionError
from benchmark.statistics.association import spearman
from benchmark.utils.csv_file import read_csv
from benchmark.utils.csv_table import SUBMITTED

Figures = Mapping[str, float]  # by model


def read_figures(path: Path) -> tuple[Figures, Mapping[str, Figures]]:
    """Read ``model``, ``utility`` and one or more columns of fidelity, such as ``fid``.

    Returns:
        Utility by model, and fidelity by measure and model.
    Raises:
        SubmissionError: see ``csv_file.read_csv``; no column of fidelity, a duplicate model, or no number.
    """
    table = read_csv(path, ("model", "utility"), None, SUBMITTED)
    measures = [n for n in table.names if n not in ("model", "utility")]
    if not measures:
        raise SubmissionError(f"{path}: line 1", "has no column of fidelity", "Add one, such as fid.")
    table.unique("model")
    models = table.filled("model").tolist()
    columns = {n: dict(zip(models, table.numbers(n).tolist(), strict=True)) for n in ("utility", *measures)}
    return columns.pop("utility"), columns


def associate(utility: Figures, fidelity: Mapping[str, Figures], *, alpha: float = 0.05) -> dict[str, Any]:
    """Spearman's correlation of each measure of fidelity with utility, over the models that have both.

    Returns:
        ``settings``, ``measures[name]`` as ``association.spearman``, ``notes``. Schaudt et al. 2023
        (section 5) report a negative correlation of quality with utility; for a measure such as FID, for
        which lower is better, the sign is reversed.
    """
    measures = {}
    for name, values in fidelity.items():
        models = sorted(m for m in values if m in utility)
        measures[name] = spearman([values[m] for m in models], [utility[m] for m in models], alpha)
    notes = [] if measures else ["No row has a measure of fidelity."]
    return {"schema": 1, "settings": {"alpha": alpha}, "measures": measures, "notes": notes}
