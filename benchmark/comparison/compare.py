"""Compare the rows of one leaderboard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from benchmark.comparison.align import align
from benchmark.comparison.aligned_rows import Protocol, SplitImages
from benchmark.comparison.compared_rows import ComparedRows
from benchmark.comparison.controls import judge_controls
from benchmark.comparison.figures import BASELINE, figures
from benchmark.comparison.figures_of_merit import figures_of_merit, quality_cards
from benchmark.comparison.learning_curve import real_image_equivalents
from benchmark.comparison.notes import notes
from benchmark.comparison.ranking import ranking
from benchmark.comparison.records import Comparison, Settings, SplitSummary
from benchmark.comparison.row_records import RowFigures
from benchmark.comparison.significance_tests import power
from benchmark.comparison.subgroups import subgroups
from benchmark.comparison.variance_and_association import association, variance
from benchmark.statistics import bootstrap
from benchmark.statistics.between_runs import dunn, kruskal_wallis
from benchmark.statistics.friedman import friedman
from benchmark.statistics.metrics import members

if TYPE_CHECKING:
    import pandas as pd


def compare(
    bundles: Iterable[tuple[Mapping[str, Any], pd.DataFrame | None]], curve: pd.DataFrame | None = None
) -> Comparison:
    """Compare the rows of one leaderboard.

    Args:
        bundles: for each row, the content of ``bundle.json`` and the predictions, None for a failed row.
        curve: predictions of ``real_only`` on subsets, see ``learning_curve.real_image_equivalents``.
    Raises:
        SubmissionError: the rows cannot be compared.
    """
    given = list(bundles)
    aligned = align(given)
    protocol, splits = aligned.protocol, sorted(aligned.splits)
    compared = {s: {b: ComparedRows(aligned, s, b) for b in protocol.brackets} for s in splits}
    by_bracket = {s: {b: figures(rows) for b, rows in each.items()} for s, each in compared.items()}
    head = compared["test"][protocol.primary_bracket]
    primary = by_bracket["test"][protocol.primary_bracket]
    quality = {s: figures_of_merit(compared[s][protocol.primary_bracket]) for s in splits}
    equivalents = None
    if curve is not None:
        train = given[0][0]["data"]["splits"]["train"]  # of the first fold in a cross-validation
        equivalents = real_image_equivalents(curve, aligned, int(train["images"]))
    ranked, controls = ranking(aligned, head, primary), judge_controls(aligned, primary)
    return Comparison(
        settings=_settings(protocol),
        splits={name: _summary(split, protocol) for name, split in sorted(aligned.splits.items())},
        figures=by_bracket,
        quality=quality["test"],
        quality_of={split: rows for split, rows in quality.items() if split != "test"},
        subgroups=subgroups(aligned),
        learning_curve=equivalents.curve if equivalents else None,
        equivalent=equivalents.rows if equivalents else {},
        ranking=ranked,
        attempt_se={
            n: head.primary.attempt_error(n) for n, (row, _) in head.rows.items() if row.memorization
        },
        **_rank_tests(primary, list(ranked.rows), protocol),
        variance=variance(compared["test"], aligned.generators()),
        association=association(head, (m for m, _ in given), BASELINE, protocol.alpha),
        power=power(head, BASELINE),
        controls=controls,
        can_measure=controls[0].held,
        failed=aligned.failed(),
        notes=notes(aligned, head, equivalents),
    )


def _rank_tests(figures: Mapping[str, RowFigures], ranked: list[str], protocol: Protocol) -> dict[str, Any]:
    """Tests on the ranks of the run values: of all rows, and of the ranked ones block by block."""
    values = {name: f.metrics[protocol.primary.name].run_values for name, f in figures.items()}
    overall = kruskal_wallis(values)
    return {
        "kruskal_wallis": overall,
        "dunn": dunn(values, protocol.correction) if overall["p"] is not None else [],
        "friedman": friedman({name: values[name] for name in ranked}, protocol.alpha),
    }


def _settings(protocol: Protocol) -> Settings:
    metrics = [m.record(protocol.classes[-1]) for m in protocol.metrics.values()]
    same = (
        "alpha", "correction", "power", "margin", "classes", "kind", "folds", "yardstick", "primary_bracket",
        "brackets",
    )  # fmt: skip
    return Settings(
        **{name: getattr(protocol, name) for name in same},
        metrics=metrics,
        primary_metric=metrics[0],
        quality_metrics=quality_cards(protocol),
        replicates=bootstrap.REPLICATES,
    )


def _summary(split: SplitImages, protocol: Protocol) -> SplitSummary:
    return SplitSummary(
        images=len(split.label),
        patients=split.patients,
        counts={c: int(members(split.label, k).sum()) for k, c in enumerate(protocol.classes)},
        runs=[{"classifier": c, "seed": s, "fold": f} for c, s, f in split.runs],
        joined_folds=split.joined,
    )
