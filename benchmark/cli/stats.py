"""Command ``stats KIND``: the statistics of ``benchmark.comparison`` for a plain CSV file, or for bundles."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.bundles.io import Bundle, read_bundles
from benchmark.cli.requests import StatsRequest
from benchmark.cli.stats_text import models, rows
from benchmark.comparison.align import align
from benchmark.comparison.aligned_rows import AlignedRows
from benchmark.comparison.compared_rows import ComparedRows
from benchmark.comparison.csv import power, predictions, readers, runs
from benchmark.comparison.csv.association import associate, read_figures
from benchmark.comparison.csv.predictions_table import Predictions, read_predictions
from benchmark.comparison.variance_and_association import association
from benchmark.errors import BenchmarkError, MetricError, SubmissionError, unknown_name
from benchmark.images.shards import build_errors
from benchmark.utils.files import write_json
from benchmark.utils.outputs import refuse_foreign_files

Record = dict[str, Any]
OPTIONS = tuple(name for name in StatsRequest.__dataclass_fields__ if name not in ("kind", "out"))


@dataclass(frozen=True)
class Analysis:
    """One kind of statistics.

    Attributes:
        compute: from the options to JSON values.
        show: these as lines of text.
        options: that apply to it.
    """

    compute: Callable[[StatsRequest], Record]
    show: Callable[[Record], list[str]]
    options: frozenset[str]


def stats(options: StatsRequest) -> int:
    """Run ``stats``: compute, print, and write JSON if requested.

    Raises:
        SubmissionError, BenchmarkError: an invalid input or option.
    """
    if options.kind not in ANALYSES:
        raise unknown_name("kind", options.kind, list(ANALYSES), "command line")
    analysis = ANALYSES[options.kind]
    for name in OPTIONS:
        if getattr(options, name) is not None and name not in analysis.options:
            raise BenchmarkError(
                "command line", f"--{name} does not apply to 'stats {options.kind}'",
                f"It takes: {', '.join(f'--{o}' for o in OPTIONS if o in analysis.options)}.",
            )  # fmt: skip
    if options.out:
        refuse_foreign_files([options.out], options.out, '"kind":')
    try:
        record = analysis.compute(options)
    except MetricError as error:
        raise SubmissionError(error.where, error.problem, error.remedy) from None
    print("\n".join(analysis.show(record)))
    if options.out:
        with build_errors(options.out.parent):
            options.out.parent.mkdir(parents=True, exist_ok=True)
            write_json(options.out, {"kind": options.kind, **record})
        print(f"\nrecord: {options.out}")
    return 0


def _csv_path(options: StatsRequest) -> Path | None:
    """Path of the CSV file, or None for bundles."""
    if (options.csv is None) == (options.bundles is None):
        raise BenchmarkError(
            "command line", "expected one of --csv and --bundles", "docs/comparing.md shows the columns."
        )
    path: Path | None = options.csv
    return path


def _given(options: StatsRequest, *names: str) -> Record:
    """Options that were given; the others keep the defaults of the functions that take them."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _rows(folder: Path | None) -> tuple[list[Bundle], AlignedRows, ComparedRows]:
    """Bundles of a folder, and their rows at the primary bracket of the test split."""
    assert folder is not None
    bundles = read_bundles(folder)
    study = align((b.manifest.record(), b.predictions) for b in bundles)
    return bundles, study, ComparedRows(study, "test", study.protocol.primary_bracket)


def _runs(options: StatsRequest) -> Record:
    path, given = _csv_path(options), _given(options, "alpha", "correction", "direction")
    if path is not None:
        return runs.compare_runs(runs.read_runs(path), **given)
    _, study, panel = _rows(options.bundles)
    classifier, seed, fold = zip(*panel.images.runs, strict=True)
    factors = {"classifier": classifier, "seed": list(map(str, seed))}
    if fold[0] is not None:
        factors["fold"] = list(map(str, fold))
    values = {name: panel.primary.run_values(name) for name in panel.rows}
    of_task = {"alpha": study.protocol.alpha, "correction": study.protocol.correction}
    return runs.compare_runs(runs.runs_of_rows(values, factors), **{**of_task, **given})


def _predicted(options: StatsRequest) -> tuple[Predictions, predictions.Settings]:
    path, given = _csv_path(options), _given(options, "alpha", "correction", "metric", "baseline")
    margin = getattr(options, "margin", None)
    if path is not None:
        ordered = given.get("metric") == "auroc"
        table = read_predictions(path, options.positive, order_only=ordered)
        return table, predictions.Settings(**given, margin=margin)
    if options.positive is not None:
        raise BenchmarkError(
            "command line", "--positive does not apply to bundles", "Their task sets the positive class."
        )
    _, study, panel = _rows(options.bundles)
    task = study.protocol
    usual = {"alpha": task.alpha, "correction": task.correction, "metric": task.primary.name,
             "baseline": "real_only"}  # fmt: skip
    table = Predictions(task.kind, task.classes, panel.label, panel.patient, panel.scores)
    return table, predictions.Settings(**{**usual, **given}, margin=margin)


def _power(options: StatsRequest) -> Record:
    if options.csv is None and options.bundles is None:
        if options.images is None or options.discordant is None:
            raise BenchmarkError(
                "command line", "expected --images and --discordant, or --csv, or --bundles",
                "For example: stats power --images 217 --discordant 0.15 --difference 0.0052",
            )  # fmt: skip
        levels = [options.power] if options.power is not None else None
        given = _given(options, "alpha", "difference")
        return power.of_counts(options.images, options.discordant, levels=levels, **given)
    if options.images is not None or options.discordant is not None:
        raise BenchmarkError("command line", "--images and --discordant go without --csv and --bundles")
    return power.of_predictions(*_predicted(options), difference=options.difference, level=options.power)


def _association(options: StatsRequest) -> Record:
    path, given = _csv_path(options), _given(options, "alpha")
    if path is not None:
        return associate(*read_figures(path), **given)
    bundles, study, panel = _rows(options.bundles)
    alpha = given.get("alpha", study.protocol.alpha)
    measures = association(panel, (b.manifest.record() for b in bundles), "real_only", alpha)
    note = "No finished generator has a measure of its images beside a finished 'real_only'."
    notes = [] if measures else [note]
    return {"schema": 1, "settings": {"alpha": alpha}, "measures": measures, "notes": notes}


def _readers(options: StatsRequest) -> Record:
    if options.csv is None:
        raise BenchmarkError("command line", "--csv is missing", "docs/readers.md shows its columns.")
    return readers.analyze(readers.read_study(options.csv), **_given(options, "alpha", "correction"))


SHARED = frozenset({"csv", "bundles", "alpha"})
ANALYSES = {
    "runs": Analysis(_runs, rows.runs, SHARED | {"correction", "direction"}),
    "predictions": Analysis(
        lambda options: predictions.compare_predictions(*_predicted(options)), models.predictions,
        SHARED | {"correction", "metric", "baseline", "positive", "margin"},
    ),
    "power": Analysis(
        _power, models.power,
        SHARED | {"metric", "baseline", "positive", "images", "discordant", "difference", "power"},
    ),
    "association": Analysis(_association, rows.figures, SHARED),
    "readers": Analysis(_readers, rows.readers, frozenset({"csv", "alpha", "correction"})),
}  # fmt: skip
