"""Significance tests of differences to a baseline: McNemar, DeLong, equivalence, and their power."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.comparison.compared_rows import ComparedRows
from benchmark.statistics.adjust import adjust
from benchmark.statistics.delong import delong
from benchmark.statistics.equivalence import equivalence
from benchmark.statistics.intervals import Interval
from benchmark.statistics.letters import letters
from benchmark.statistics.paired import discordance, mcnemar, mcnemar_clustered
from benchmark.statistics.power import detectable_mcnemar, needed, smallest_detectable
from benchmark.statistics.sides import too_few
from benchmark.utils.rounding import canonical_float

POWERS = (0.8, 0.95)
SMALLEST = 0.001  # a tenth of a point; nobody needs the patients that would show less


def below(p: float | None, alpha: float) -> bool:
    """Return whether there is a p, and it is significant."""
    return p is not None and p < alpha


def add_adjusted(records: Iterable[dict[str, Any]], correction: str) -> None:
    """Set ``p_adjusted`` of every record of one family; None where there is no p."""
    records = list(records)
    family = [r for r in records if r["p"] is not None]
    for record in records:
        record["p_adjusted"] = None
    for record, p in zip(family, adjust([r["p"] for r in family], correction), strict=True):
        record["p_adjusted"] = p


def difference_record(difference: Interval, margin: float, alpha: float) -> dict[str, Any]:
    """Return a paired difference as JSON values, with its test of equivalence."""
    if difference.se is None or difference.df is None:
        return {**difference.record(), "equivalence": None}
    test = equivalence(difference.estimate, difference.se, difference.df, margin, alpha)
    record = {name: test[name] for name in ("margin", "p", "rope")}
    equivalent = canonical_float(test["p"]) < alpha  # as a reader of the rounded p decides
    return {**difference.record(), "equivalence": {**record, "equivalent": equivalent}}


def mcnemar_by_row(compared: ComparedRows, baseline: str) -> dict[str, dict[str, Any]]:
    """Return McNemar's test of every other row against the baseline, of images and clustered by patient.

    Each of the two is adjusted for the number of rows. Multi-label tasks have none.
    """
    records = {}
    for name, gained, lost in _discordance(compared, baseline):
        plain, clustered = mcnemar(int(gained.sum()), int(lost.sum())), mcnemar_clustered(gained, lost)
        records[name] = {**plain, "clustered": clustered}
    add_adjusted(records.values(), compared.protocol.correction)
    add_adjusted([r["clustered"] for r in records.values()], compared.protocol.correction)
    return records


def delong_by_row(compared: ComparedRows, baseline: str) -> dict[str, dict[str, Any]]:
    """Return DeLong's test of the positive class's scores, averaged over runs, clustered by patient.

    None without the baseline, or where ``can_delong`` is False.
    """
    if baseline not in compared.rows or not can_delong(compared):
        return {}
    score = {name: scores[:, :, 1].mean(0) for name, scores in compared.scores.items()}
    actual, alpha = compared.label == 1, compared.protocol.alpha
    records = {
        name: delong(actual, own, score[baseline], compared.patient, alpha)
        for name, own in score.items()
        if name != baseline
    }
    add_adjusted(records.values(), compared.protocol.correction)
    return records


def can_delong(compared: ComparedRows) -> bool:
    """Return whether the task is binary with enough patients of each class."""
    return compared.protocol.kind == "binary" and too_few(compared.metric("auroc").sides) is None


def detectable(difference: Interval, alpha: float) -> dict[str, float] | None:
    """Return the smallest detectable true difference, by power; None without an interval."""
    if difference.se is None or difference.df is None:
        return None
    return {str(p): smallest_detectable(difference.se, difference.df, alpha, p) for p in POWERS}


def power(compared: ComparedRows, baseline: str) -> dict[str, Any]:
    """Return the fields of ``Power``: the detectable differences to the baseline, and what detects more.

    ``needed`` is for a row's own estimate at the task's power, or for ``SMALLEST`` if that is larger.
    """
    protocol, rows, required = compared.protocol, {}, {}
    for name in _others(compared, baseline):
        difference = compared.primary.difference(name, baseline)
        if (least := detectable(difference, protocol.alpha)) is None:
            continue
        rows[name] = least
        target = max(abs(difference.estimate), SMALLEST)
        required[name] = needed(difference.parts, target, protocol.alpha, protocol.power)
    discordant = _mcnemar_power(compared, baseline)
    return {"levels": list(POWERS), "rows": rows, "needed": required, "mcnemar": discordant}


def _mcnemar_power(compared: ComparedRows, baseline: str) -> dict[str, dict[str, float | None]]:
    images, alpha, records = len(compared.label), compared.protocol.alpha, {}
    for name, gained, lost in _discordance(compared, baseline):
        share = float(gained.sum() + lost.sum()) / images
        if share:
            effect = mcnemar_clustered(gained, lost)["design_effect"] or 1.0
            records[name] = {str(p): detectable_mcnemar(images, share, alpha, p, effect) for p in POWERS}
    return records


def _discordance(compared: ComparedRows, baseline: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield every other row with the images of each patient that only it, or only the baseline, has right.

    Images of multi-label tasks are neither right nor wrong, so such tasks yield nothing.
    """
    for name in _others(compared, baseline) if compared.protocol.kind != "multilabel" else ():
        scores = compared.scores
        yield name, *discordance(compared.label, scores[name], scores[baseline], compared.patient)


def _others(compared: ComparedRows, baseline: str) -> list[str]:
    return [name for name in compared.rows if name != baseline] if baseline in compared.rows else []


def letters_of(
    means: Mapping[str, float], pairs: Sequence[Mapping[str, Any]], alpha: float
) -> dict[str, str]:
    """Return the letters of ranked rows, from their pairwise comparisons; ``a`` marks a group of the best."""
    best_first = sorted(means, key=lambda name: (-means[name], name))
    return letters(best_first, [(p["a"], p["b"]) for p in pairs if below(p["p_adjusted"], alpha)])
