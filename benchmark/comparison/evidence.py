"""What stands beside a difference: McNemar, DeLong, equivalence, and what could have been seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.comparison.panel import Panel
from benchmark.statistics.adjust import adjust
from benchmark.statistics.delong import delong
from benchmark.statistics.equivalence import equivalence
from benchmark.statistics.intervals import Interval
from benchmark.statistics.paired import discordance, mcnemar, mcnemar_clustered
from benchmark.statistics.power import detectable_mcnemar, needed, smallest_detectable

POWERS = (0.8, 0.95)
SMALLEST = 0.001  # a tenth of a point; nobody needs the patients that would show less


def difference_record(difference: Interval, margin: float, alpha: float) -> dict[str, Any]:
    """A paired difference as JSON values, with its test of equivalence."""
    same = equivalence(difference.estimate, difference.se, difference.df, margin, alpha)
    kept = {name: same[name] for name in ("margin", "p", "equivalent", "rope")}
    return {**difference.record(), "equivalence": kept}


def mcnemar_by_row(panel: Panel, baseline: str) -> dict[str, dict[str, Any]]:
    """McNemar's test of every other row against the baseline, of images and clustered by patient.

    Both are adjusted for the number of rows, each by itself.
    """
    found = {}
    for name in (n for n in panel.scores if n != baseline):
        gained, lost = discordance(panel.label, panel.scores[name], panel.scores[baseline], panel.patient)
        plain, clustered = mcnemar(int(gained.sum()), int(lost.sum())), mcnemar_clustered(gained, lost)
        found[name] = {**plain, "clustered": clustered}
    _adjust(list(found.values()), panel.protocol.correction)
    _adjust([record["clustered"] for record in found.values()], panel.protocol.correction)
    return found


def delong_by_row(panel: Panel, baseline: str) -> dict[str, dict[str, Any]]:
    """DeLong's test of the positive class's scores, averaged over runs, clustered by patient."""
    actual = panel.label == 1
    score = {name: scores[:, :, 1].mean(0) for name, scores in panel.scores.items()}
    others = [name for name in score if name != baseline]
    alpha = panel.protocol.alpha
    found = {n: delong(actual, score[n], score[baseline], panel.patient, alpha) for n in others}
    _adjust([r for r in found.values() if r["p"] is not None], panel.protocol.correction)
    return {name: {"p_adjusted": None, **record} for name, record in found.items()}


def can_delong(panel: Panel) -> bool:
    """Whether there are two classes, and two patients with each."""
    if panel.protocol.kind != "binary":
        return False
    return min(len(np.unique(panel.patient[panel.label == k])) for k in (0, 1)) >= 2


def _adjust(records: list[dict[str, Any]], correction: str) -> None:
    for record, p in zip(records, adjust([r["p"] for r in records], correction), strict=True):
        record["p_adjusted"] = p


def power(panel: Panel, baseline: str) -> dict[str, Any]:
    """What differences to the baseline could have been seen, and what it would take to see those found.

    Returns:
        ``levels``; ``rows[row]``: the smallest detectable difference by level; ``needed[row]``: of
        ``power.needed`` for the row's own estimate at the task's power, or for a tenth of a point where it
        is smaller than that; ``mcnemar[row]``: by level, the smallest difference in accuracy that McNemar's
        test would find with the row's discordant images and their clustering by patient, None where no
        difference of so few would be found, and {} where an image may have several labels.
    """
    protocol, rows, takes = panel.protocol, {}, {}
    for name in (n for n in panel.rows if n != baseline and baseline in panel.rows):
        found = panel.primary.difference(name, baseline)
        rows[name] = {
            str(level): smallest_detectable(found.se, found.df, protocol.alpha, level) for level in POWERS
        }
        wanted = max(abs(found.estimate), SMALLEST)
        takes[name] = needed(found.parts, wanted, protocol.alpha, protocol.power)
    discordant = _discordant_power(panel, baseline) if protocol.kind != "multilabel" else {}
    return {"levels": list(POWERS), "rows": rows, "needed": takes, "mcnemar": discordant}


def _discordant_power(panel: Panel, baseline: str) -> dict[str, dict[str, float | None]]:
    found = {}
    for name in (n for n in panel.rows if n != baseline and baseline in panel.rows):
        gained, lost = discordance(panel.label, panel.scores[name], panel.scores[baseline], panel.patient)
        share = float(gained.sum() + lost.sum()) / len(panel.label)
        if not share:
            continue
        effect = mcnemar_clustered(gained, lost)["design_effect"] or 1.0
        found[name] = {
            str(level): detectable_mcnemar(len(panel.label), share, panel.protocol.alpha, level, effect)
            for level in POWERS
        }
    return found


def letters_of(ranked: Mapping[str, float], pairs: list[dict[str, Any]], alpha: float) -> dict[str, str]:
    """The letters of the ranked rows, from their pairwise comparisons; ``a`` goes to a group of the best."""
    from benchmark.statistics.letters import letters

    best_first = sorted(ranked, key=lambda name: (-ranked[name], name))
    different = [(pair["a"], pair["b"]) for pair in pairs if pair["p_adjusted"] < alpha]
    return letters(best_first, different)
