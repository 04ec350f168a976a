"""Verbs of the command line: a line of help, the request, and the function that answers it.

Functions are named, not imported, so that ``--help`` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.cli import requests
from benchmark.experiments.request import SweepRequest, TuneRequest
from benchmark.planning.request import StageRequest
from benchmark.submissions.request import ExportRequest, SubmitRequest
from benchmark.verification.request import VerifyBundleRequest


@dataclass(frozen=True)
class Verb:
    """One verb.

    Attributes:
        about: line of help.
        request: type of the options.
        function: ``module:name`` of the function from a request to the exit status.
        arguments: what the function takes after the request.
    """

    about: str
    request: type
    function: str
    arguments: tuple[str, ...] = ()


def _stage(name: str, about: str) -> Verb:
    return Verb(about, StageRequest, "benchmark.cli.stages:run_stages", (name,))


VERBS = {
    "run": _stage("run", "run the whole benchmark: data, generate, measure, classify, compare, leaderboard"),
    "data": _stage("data", "load the data of a task, prove that its splits are disjoint, and show a grid"),
    "data build": Verb(
        "convert a source into a folder of Parquet shards that is read by memory map",
        requests.BuildRequest,
        "benchmark.cli.data:build",
    ),
    "data show": Verb(
        "describe a source or a built folder, and write a grid of its images",
        requests.ShowRequest,
        "benchmark.cli.data:show",
    ),
    "data verify": Verb(
        "check hashes, images, copies and patients of a source or a built folder",
        requests.CheckRequest,
        "benchmark.cli.data_checks:verify",
    ),
    "data export": Verb(
        "write the images that a generator of a task may learn from as files",
        ExportRequest,
        "benchmark.submissions.export:export",
    ),
    "generate": _stage("generate", "fit the generators and sample from them"),
    "measure": _stage("measure", "generate, then measure fidelity, diversity and memorization"),
    "classify": _stage("classify", "generate, then train the classifiers and store their predictions"),
    "sweep": Verb(
        "run a task for every value of a choice, then write tables over all runs",
        SweepRequest,
        "benchmark.experiments.sweep:run_sweep",
    ),
    "tune": Verb(
        "search the parameters of a generator by its images' FID to the val split",
        TuneRequest,
        "benchmark.cli.stages:run_tuning",
    ),
    "tasks": Verb("list the tasks, or show one", requests.TasksRequest, "benchmark.cli.tasks:show_tasks"),
    "compare": Verb(
        "compare bundles by intervals, tests and ranks, as JSON",
        requests.CompareRequest,
        "benchmark.cli.leaderboards:compare_bundles",
    ),
    "tables": Verb(
        "write tables and figures in the papers' shapes as CSV, Markdown, LaTeX, PNG and SVG",
        requests.TablesRequest,
        "benchmark.cli.leaderboards:write_tables",
    ),
    "stats": Verb(
        "compare runs, predictions or reader scores from a CSV file, or from bundles",
        requests.StatsRequest,
        "benchmark.cli.stats:stats",
    ),
    "leaderboard": Verb(
        "make, check or extend the pages of all leaderboards, or render the bundles of one run",
        requests.LeaderboardRequest,
        "benchmark.cli.leaderboards:render_leaderboards",
    ),
    "submit": Verb(
        "make a bundle to hand in from a generator, from samples, or from an existing bundle",
        SubmitRequest,
        "benchmark.submissions.submit:submit",
    ),
    "verify": Verb(
        "check a bundle: safety, protocol, data, metrics, copies, signature; --deep trains seeds again",
        VerifyBundleRequest,
        "benchmark.verification.verify:run_verify",
    ),
    "extractor": Verb(
        "train the embedded feature extractor again",
        requests.ExtractorRequest,
        "benchmark.cli.extractor:train_extractor",
    ),
}
