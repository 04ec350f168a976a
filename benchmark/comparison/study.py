"""The whole comparison of a leaderboard, as one JSON record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.comparison import evidence, learning_curve, merits, spread, subgroups
from benchmark.comparison.controls import COPIES, behaved
from benchmark.comparison.learning_curve import real_image_equivalent
from benchmark.comparison.panel import Measured, Panel
from benchmark.comparison.ranks import ranks
from benchmark.comparison.records import Comparison
from benchmark.comparison.rows import Protocol, SplitImages, Study, align
from benchmark.statistics import bootstrap
from benchmark.statistics.adjust import adjust
from benchmark.statistics.between_runs import dunn, kruskal_wallis
from benchmark.statistics.friedman import friedman
from benchmark.statistics.metrics import findings, members
from benchmark.utils.rounding import canonical

if TYPE_CHECKING:
    import pandas as pd

BASELINES = ("real_only", COPIES)
FEW_PATIENTS = 10
NO_MCNEMAR = (
    "McNemar's test is left out: it compares images that are right with images that are wrong, and an image "
    "with several labels is neither."
)
FOLDS = {
    True: "Each image of split {split} is tested in one of {folds} folds, which are joined into one run. The "
    "folds' models share most of their training patients, so their errors are related in a way that no "
    "interval can show.",
    False: "Each image of split {split} is read by the models of all {folds} folds. They share most of their "
    "training patients, so they vary less than models trained on fresh patients would.",
}


def compare(
    bundles: Iterable[tuple[Mapping[str, Any], pd.DataFrame | None]], curve: pd.DataFrame | None = None
) -> Comparison:
    """Compare the rows of one leaderboard.

    Args:
        bundles: for each row, the content of ``bundle.json`` and the predictions, None for a failed row.
        curve: predictions of ``real_only`` trained on subsets of the training patients, see
            ``learning_curve.real_image_equivalent``.
    Returns:
        JSON values, numbers canonical; docs/statistics.md explains each:
        ``settings``; ``splits``; ``figures[split][bracket][row]`` with ``own_bracket``, each metric of
        ``settings.metrics`` (interval and run values), ``per_class``, ``versus[baseline][metric]`` and
        ``mcnemar``; ``quality[row]`` with ``overall[figure]``, ``per_class[class][figure]``,
        ``versus_real_only[figure]`` and ``calibration`` at the primary bracket of ``test``, each figure of
        ``settings.quality_metrics`` with its bootstrap interval; ``quality_of[split][row]`` of other splits
        likewise; ``learning_curve`` and ``equivalent[row]``, None and empty without a ``curve``;
        ``subgroups[row][field][value]``; ``ranking``; ``kruskal_wallis``, ``dunn`` and ``friedman`` over the
        run values; ``variance``, ``association`` and ``power`` of the primary metric; ``controls``,
        ``can_measure``, ``failed``, ``notes``.
    Raises:
        SubmissionError: the rows cannot be compared.
    """
    given = list(bundles)
    study = align(given)
    protocol = study.protocol
    failed = {row.name: row.error for row in study.rows if row.error is not None}
    panels = {
        (split, bracket): Panel(study, split, bracket)
        for split in sorted(study.splits)
        for bracket in protocol.brackets
    }
    figures: dict[str, dict[str, Any]] = {split: {} for split in sorted(study.splits)}
    for (split, bracket), panel in panels.items():
        figures[split][str(bracket)] = _figures(panel)
    head = panels["test", protocol.primary_bracket]
    primary = figures["test"][str(protocol.primary_bracket)]
    gates = {row.name: row.memorization for row in study.complete()}
    run_values = {name: f[protocol.primary.name]["run_values"] for name, f in primary.items()}
    overall = kruskal_wallis(run_values)
    quality = {
        split: merits.merits(panels[split, protocol.primary_bracket]) for split in sorted(study.splits)
    }
    worth = None if curve is None else real_image_equivalent(curve, study, _training_images(given))
    settings, ranking = _settings(study), _ranking(study, head)
    controls = behaved(
        primary, gates, failed, settings["primary_metric"], protocol.yardstick, protocol.rebalances
    )
    return Comparison.from_json(
        {
            "schema": 3,
            "settings": settings,
            "splits": {name: _describe(study, split) for name, split in sorted(study.splits.items())},
            "figures": figures,
            "quality": quality["test"],
            "quality_of": {split: found for split, found in quality.items() if split != "test"},
            "subgroups": subgroups.subgroups(study),
            "learning_curve": worth["curve"] if worth else None,
            "equivalent": worth["rows"] if worth else {},
            "ranking": ranking,
            "kruskal_wallis": overall,
            "dunn": dunn(run_values, protocol.correction) if overall["p"] is not None else [],
            "friedman": friedman({n: run_values[n] for n in ranking["rows"]}, protocol.alpha),
            "variance": spread.variance(
                {bracket: panels["test", bracket] for bracket in protocol.brackets},
                [row.name for row in study.complete() if row.role == "generator"],
            ),
            "association": spread.association(head, (m for m, _ in given), BASELINES[0], protocol.alpha),
            "power": evidence.power(head, BASELINES[0]),
            "controls": controls,
            "can_measure": controls[0]["held"],
            "failed": failed,
            "notes": [
                *_notes(study),
                *_silent(head),
                *_unresampled(quality),
                *learning_curve.notes(worth),
                *subgroups.notes(study),
            ],
        }
    )


def _training_images(bundles: Iterable[tuple[Mapping[str, Any], Any]]) -> int:
    """Real training images of the whole; of the first fold in a cross-validation."""
    return int(next(manifest for manifest, _ in bundles)["data"]["splits"]["train"]["images"])


def baselines(protocol: Protocol) -> tuple[str, ...]:
    """The rows that every row is compared with."""
    noise = ("noise",) if protocol.rebalances else ()
    return tuple(dict.fromkeys((*BASELINES, protocol.yardstick, *noise)))


def _settings(study: Study) -> dict[str, Any]:
    protocol = study.protocol
    metrics = [m.record(protocol.classes[-1]) for m in protocol.metrics.values()]
    return {
        "alpha": protocol.alpha,
        "correction": protocol.correction,
        "power": protocol.power,
        "margin": protocol.margin,
        "classes": list(protocol.classes),
        "kind": protocol.kind,
        "metrics": metrics,
        "quality_metrics": merits.describe(protocol),
        "replicates": bootstrap.REPLICATES,
        "primary_metric": metrics[0],
        "folds": protocol.folds,
        "yardstick": protocol.yardstick,
        "primary_bracket": protocol.primary_bracket,
        "brackets": list(protocol.brackets),
    }


def _describe(study: Study, split: SplitImages) -> dict[str, Any]:
    counts = {c: int(members(split.label, k).sum()) for k, c in enumerate(study.protocol.classes)}
    runs = [{"classifier": c, "seed": s} | ({} if f is None else {"fold": f}) for c, s, f in split.runs]
    return {
        "images": len(split.label),
        "patients": split.patients,
        "counts": counts,
        "runs": runs,
        "joined_folds": split.joined,
    }


def _notes(study: Study) -> list[str]:
    protocol, notes = study.protocol, []
    for name, split in sorted(study.splits.items()):
        for k, label in enumerate(protocol.classes):
            patients = len(np.unique(split.patient[members(split.label, k)]))
            if patients < FEW_PATIENTS:
                notes.append(
                    f"Split {name} has {patients} patients of class {label}: too few to trust its intervals."
                )
        if protocol.folds > 1:
            notes.append(FOLDS[split.joined].format(split=name, folds=protocol.folds))
    if len(study.splits["test"].runs) == 1:
        notes.append("There is one run per row: intervals leave out the variation between trainings.")
    if protocol.kind == "multilabel":
        notes.append(NO_MCNEMAR)
    present = {row.name for row in study.complete()}
    notes += [
        f"Differences to {b} are missing: no such finished row."
        for b in baselines(protocol)
        if b not in present
    ]
    return notes


def _unresampled(quality: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [note for split, found in quality.items() for note in merits.without_interval(found, split)]


def _silent(panel: Panel) -> list[str]:
    """The runs of a binary task that never predict the positive class: their F1 is 0 and seems certain."""
    if panel.protocol.kind != "binary":
        return []
    positive, notes = panel.protocol.classes[1], []
    for name, scores in panel.scores.items():
        silent = int((~findings(panel.label, scores, 1).any(-1)).sum())
        if silent:
            notes.append(
                f"{name} predicts no {positive} at all in {silent} of {len(scores)} runs: F1 is 0 there, and "
                "its interval does not show how near the threshold the scores came."
            )
    return notes


def _figures(panel: Panel) -> dict[str, dict[str, Any]]:
    figures: dict[str, dict[str, Any]] = {name: _row_figures(panel, name) for name in panel.rows}
    for k, label in enumerate(panel.protocol.classes):
        for name, record in _class_figures(panel, k).items():
            figures[name]["per_class"][label] = record
    for base in baselines(panel.protocol):
        for metric in panel.protocol.metrics:
            others = [n for n in figures if n != base and base in figures]
            found = {
                n: evidence.difference_record(
                    panel.metric(metric).difference(n, base), panel.protocol.margin, panel.protocol.alpha
                )
                for n in others
            }
            adjusted = canonical(adjust([d["p"] for d in found.values()], panel.protocol.correction))
            for (name, record), p in zip(found.items(), adjusted, strict=True):
                figures[name]["versus"].setdefault(base, {})[metric] = {**record, "p_adjusted": p}
    if BASELINES[0] in figures and panel.protocol.kind != "multilabel":
        for name, record in evidence.mcnemar_by_row(panel, BASELINES[0]).items():
            figures[name]["mcnemar"] = record
    if BASELINES[0] in figures and evidence.can_delong(panel):
        for name, record in evidence.delong_by_row(panel, BASELINES[0]).items():
            figures[name]["delong"] = record
    return figures


def _row_figures(panel: Panel, name: str) -> dict[str, Any]:
    measured = {m: panel.metric(m) for m in panel.protocol.metrics}
    return {
        "own_bracket": panel.rows[name][1],
        "per_class": {},
        "versus": {},
        "mcnemar": None,
        "delong": None,
        **{m: {**found.mean(name), "run_values": found.run_values(name)} for m, found in measured.items()},
    }


def _class_figures(panel: Panel, k: int) -> dict[str, dict[str, Any]]:
    """Of class k by row: recall with its interval, or AUROC where an image may have several labels."""
    multilabel = panel.protocol.kind == "multilabel"
    key, measured = ("auroc", panel.class_auroc(k)) if multilabel else ("recall", panel.recall(k))
    return {
        name: {key: measured.mean(name), **rest, "versus_real_only": _class_difference(measured, name)}
        for name, rest in panel.per_class(k).items()
    }


def _class_difference(measured: Measured, name: str) -> dict[str, float] | None:
    """Paired, in the same figure; None for the baseline itself, or without one."""
    if name == "real_only" or "real_only" not in measured.values:
        return None
    return measured.difference(name, "real_only").record()


def _ranking(study: Study, panel: Panel) -> dict[str, Any]:
    """Tie groups at the primary bracket; without rows that copy patients (but for ``duplicate_real``)."""
    unranked = {row.name: "failed" for row in study.rows if row.error is not None}
    for name, (row, _) in panel.rows.items():
        if row.memorization and row.memorization["gated"] and name != COPIES:
            unranked[name] = "copies training images"
    names = [n for n in panel.rows if n not in unranked]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    found = [panel.primary.difference(a, b) for a, b in pairs]
    adjusted = canonical(adjust([d.p for d in found], study.protocol.correction))
    records, wins = [], {}
    for (a, b), difference, p in zip(pairs, found, adjusted, strict=True):
        estimate, low, high = difference.estimate, difference.low, difference.high
        records.append({"a": a, "b": b, "estimate": estimate, "low": low, "high": high, "p_adjusted": p})
        if p < study.protocol.alpha:
            wins[(a, b) if estimate > 0 else (b, a)] = True
    rank = ranks(names, wins)
    groups: dict[int, list[str]] = {}
    for name in names:
        groups.setdefault(rank[name], []).append(name)
    means = {n: panel.primary.mean(n)["estimate"] for n in names}
    letters = evidence.letters_of(means, records, study.protocol.alpha)
    rows = {
        n: {
            "rank": rank[n],
            "letters": letters[n],
            "tied_with": [m for m in groups[rank[n]] if m != n],
        }
        for n in names
    }
    return {"rows": rows, "unranked": unranked, "pairs": records, "compared": len(pairs)}
