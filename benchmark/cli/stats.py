"""What ``stats KIND`` does: the comparisons of ``benchmark.comparison`` for a plain CSV, or for bundles."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.bundles.io import Bundle, read_bundles
from benchmark.cli.stats_text import power, predictions, runs
from benchmark.cli.stats_text import readers as readers_text
from benchmark.comparison.csv import power as plain_power
from benchmark.comparison.csv import predictions as plain_predictions
from benchmark.comparison.csv import readers
from benchmark.comparison.csv import runs as plain_runs
from benchmark.comparison.csv.association import associate, read_figures
from benchmark.comparison.csv.predictions import Settings
from benchmark.comparison.csv.predictions_table import Predictions, read_predictions
from benchmark.comparison.panel import Panel
from benchmark.comparison.rows import Study, align
from benchmark.comparison.spread import association
from benchmark.errors import BenchmarkError, MetricError, SubmissionError, unknown_name
from benchmark.images.shards import build_errors
from benchmark.utils.files import write_json

Record = dict[str, Any]
OPTIONS = (
    "csv", "bundles", "alpha", "correction", "direction", "metric", "baseline", "positive", "margin",
    "images", "discordant", "difference", "power",
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """One kind of statistics.

    Attributes:
        compute: from the options to JSON values.
        show: these as lines.
        options: that apply to it.
    """

    compute: Callable[[argparse.Namespace], Record]
    show: Callable[[Record], list[str]]
    options: frozenset[str]


def stats(options: argparse.Namespace) -> int:
    """``stats``: compute, print, and write JSON where asked.

    Raises:
        SubmissionError, BenchmarkError: an input or an option that does not fit.
    """
    if options.kind not in KINDS:
        raise unknown_name("kind", options.kind, list(KINDS), "command line")
    kind = KINDS[options.kind]
    for name in OPTIONS:
        if getattr(options, name) is not None and name not in kind.options:
            raise BenchmarkError(
                "command line", f"--{name} does not apply to 'stats {options.kind}'",
                f"It takes: {', '.join(f'--{o}' for o in OPTIONS if o in kind.options)}.",
            )  # fmt: skip
    try:
        record = kind.compute(options)
    except MetricError as error:
        raise SubmissionError(error.where, error.problem, error.remedy) from None
    print("\n".join(kind.show(record)))
    if options.out:
        with build_errors(options.out.parent):
            options.out.parent.mkdir(parents=True, exist_ok=True)
            write_json(options.out, {"kind": options.kind, **record})
        print(f"\nrecord: {options.out}")
    return 0


def _source(options: argparse.Namespace) -> Path | None:
    """The CSV, or None for bundles."""
    if (options.csv is None) == (options.bundles is None):
        raise BenchmarkError(
            "command line",
            "expected one of --csv and --bundles",
            "docs/comparing.md shows what each CSV holds.",
        )
    found: Path | None = options.csv
    return found


def _given(options: argparse.Namespace, *names: str) -> Record:
    """The options that were given, so that defaults stay where they are written."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _study(folder: Path) -> tuple[list[Bundle], Study, Panel]:
    """The rows of a folder of bundles at the primary bracket of the test split."""
    bundles = read_bundles(folder)
    study = align((b.manifest.record(), b.predictions) for b in bundles)
    return bundles, study, Panel(study, "test", study.protocol.primary_bracket)


def _of_task(study: Study) -> Record:
    return {"alpha": study.protocol.alpha, "correction": study.protocol.correction}


def _runs(options: argparse.Namespace) -> Record:
    path, asked = _source(options), _given(options, "alpha", "correction", "direction")
    if path is not None:
        return plain_runs.compare_runs(plain_runs.read_runs(path), **asked)
    _, study, panel = _study(options.bundles)
    runs = panel.images.runs
    factors = {
        "classifier": [c for c, _, _ in runs], "seed": [str(s) for _, s, _ in runs],
        **({"fold": [str(f) for _, _, f in runs]} if runs[0][2] is not None else {}),
    }  # fmt: skip
    values = {name: panel.primary.run_values(name) for name in panel.rows}
    return plain_runs.compare_runs(plain_runs.runs_of_rows(values, factors), **{**_of_task(study), **asked})


def _predicted(options: argparse.Namespace) -> tuple[Predictions, Settings]:
    path, asked = _source(options), _given(options, "alpha", "correction", "metric", "baseline")
    margin = getattr(options, "margin", None)
    if path is not None:
        return read_predictions(path, options.positive), Settings(**asked, margin=margin)
    if options.positive is not None:
        raise BenchmarkError("command line", "--positive does not apply to bundles", "Their task says it.")
    _, study, panel = _study(options.bundles)
    protocol = study.protocol
    usual = {**_of_task(study), "metric": protocol.primary.name, "baseline": "real_only"}
    given = Predictions(protocol.kind, protocol.classes, panel.label, panel.patient, panel.scores)
    return given, Settings(**{**usual, **asked}, margin=margin)


def _predictions(options: argparse.Namespace) -> Record:
    return plain_predictions.compare_predictions(*_predicted(options))


def _power(options: argparse.Namespace) -> Record:
    levels = [options.power] if options.power is not None else None
    if options.csv is None and options.bundles is None:
        if options.images is None or options.discordant is None:
            raise BenchmarkError(
                "command line", "expected --images and --discordant, or --csv, or --bundles",
                "For example: stats power --images 217 --discordant 0.15 --difference 0.0052",
            )  # fmt: skip
        alpha = {"alpha": options.alpha} if options.alpha is not None else {}
        return plain_power.of_counts(
            options.images, options.discordant, difference=options.difference, levels=levels, **alpha
        )
    if options.images is not None or options.discordant is not None:
        raise BenchmarkError("command line", "--images and --discordant go without --csv and --bundles")
    return plain_power.of_predictions(
        *_predicted(options), difference=options.difference, level=options.power
    )


def _association(options: argparse.Namespace) -> Record:
    path, asked = _source(options), _given(options, "alpha")
    if path is not None:
        return associate(*read_figures(path), **asked)
    bundles, study, panel = _study(options.bundles)
    alpha = asked.get("alpha", study.protocol.alpha)
    found = association(panel, (b.manifest.record() for b in bundles), "real_only", alpha)
    notes = (
        [] if found else ["No finished generator has a measure of its images beside a finished 'real_only'."]
    )
    return {"schema": 1, "settings": {"alpha": alpha}, "measures": found, "notes": notes}


def _readers(options: argparse.Namespace) -> Record:
    if options.csv is None:
        raise BenchmarkError("command line", "--csv is missing", "docs/readers.md shows what it holds.")
    return readers.analyze(readers.read_study(options.csv), **_given(options, "alpha", "correction"))


SOURCES = {"csv", "bundles", "alpha"}
KINDS = {
    "runs": Kind(_runs, runs.runs, frozenset(SOURCES | {"correction", "direction"})),
    "predictions": Kind(
        _predictions, predictions.predictions,
        frozenset(SOURCES | {"correction", "metric", "baseline", "positive", "margin"}),
    ),
    "power": Kind(
        _power, power.power,
        frozenset(
            SOURCES | {"metric", "baseline", "positive", "images", "discordant", "difference", "power"}
        ),
    ),
    "association": Kind(_association, runs.figures, frozenset(SOURCES)),
    "readers": Kind(_readers, readers_text.readers, frozenset({"csv", "alpha", "correction"})),
}  # fmt: skip
