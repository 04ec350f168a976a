"""The command line: parse a verb and its options, call one function, print errors."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from benchmark import __version__
from benchmark.cli import requests
from benchmark.cli.options import PROGRAM, WHERE, parse
from benchmark.errors import BenchmarkError, unknown_name
from benchmark.experiments.request import SweepRequest, SyncRequest, TuneRequest
from benchmark.planning.request import StageRequest
from benchmark.submissions.request import ExportRequest, SubmitRequest
from benchmark.utils.signals import Interrupted, ended_by_signals
from benchmark.verification.request import VerifyBundleRequest

ABOUT = "Does adding synthetic images help on real patients?"
STAGES = "benchmark.cli.stages:run_stages"


@dataclass(frozen=True)
class Verb:
    """One verb.

    Attributes:
        request: type of its options.
        function: ``module:name`` of the function from a request to the exit status; named and not imported,
            so that ``--help`` answers at once.
        help: line of help, if it is not the docstring of the request.
        arguments: further arguments of the function.
    """

    request: type
    function: str
    help: str = ""
    arguments: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """Line of help."""
        return self.help or str(self.request.__doc__)


VERBS = {
    "run": Verb(StageRequest, STAGES, arguments=("run",)),
    "plan": Verb(
        StageRequest, "benchmark.cli.plan:show_plan", "Show the stages of a run and their expected costs."
    ),
    "data": Verb(
        StageRequest, STAGES, "Load the data of a task and prove that its splits are disjoint.", ("data",)
    ),
    "data build": Verb(requests.BuildRequest, "benchmark.cli.data:build"),
    "data show": Verb(requests.ShowRequest, "benchmark.cli.data:show"),
    "data verify": Verb(requests.CheckRequest, "benchmark.cli.data_checks:verify"),
    "data export": Verb(ExportRequest, "benchmark.submissions.export:export"),
    "generate": Verb(StageRequest, STAGES, "Fit the generators and sample from them.", ("generate",)),
    "measure": Verb(
        StageRequest, STAGES, "Generate, then measure fidelity, diversity and memorization.", ("measure",)
    ),
    "classify": Verb(StageRequest, STAGES, "Generate, then train and test the classifiers.", ("classify",)),
    "sweep": Verb(SweepRequest, "benchmark.cli.stages:run_sweeping"),
    "tune": Verb(TuneRequest, "benchmark.cli.stages:run_tuning"),
    "sample": Verb(requests.SampleRequest, "benchmark.cli.models:sample"),
    "export": Verb(requests.ExportRequest, "benchmark.cli.models:export"),
    "tasks": Verb(requests.TasksRequest, "benchmark.cli.tasks:show_tasks"),
    "compare": Verb(requests.CompareRequest, "benchmark.cli.leaderboards:compare_bundles"),
    "tables": Verb(requests.TablesRequest, "benchmark.cli.leaderboards:write_tables"),
    "stats": Verb(requests.StatsRequest, "benchmark.cli.stats:stats"),
    "leaderboard": Verb(requests.LeaderboardRequest, "benchmark.cli.leaderboards:render_leaderboards"),
    "submit": Verb(SubmitRequest, "benchmark.cli.submissions:submit"),
    "verify": Verb(VerifyBundleRequest, "benchmark.verification.verify:run_verify"),
    "season open": Verb(requests.OpenSeasonRequest, "benchmark.cli.seasons:open_"),
    "season close": Verb(requests.CloseSeasonRequest, "benchmark.cli.seasons:close"),
    "track sync": Verb(SyncRequest, "benchmark.experiments.mlflow_sync:sync"),
    "store verify": Verb(requests.StoreRequest, "benchmark.cli.store:verify"),
    "store du": Verb(requests.UsageRequest, "benchmark.cli.store:usage"),
    "store gc": Verb(requests.CleanRequest, "benchmark.cli.store:clean"),
    "store push": Verb(requests.PushRequest, "benchmark.cli.store:push"),
    "store pull": Verb(requests.PullRequest, "benchmark.cli.store:pull"),
    "extractor": Verb(requests.ExtractorRequest, "benchmark.cli.extractor:train_extractor"),
}


def overview() -> str:
    """The help text that lists the verbs."""
    verbs = [f"  {name:<13}{verb.about}" for name, verb in VERBS.items()]
    usage = f"usage: {PROGRAM} [--help] [--version] VERB [OPTIONS]"
    return "\n".join(
        [usage, "", ABOUT, "", "verbs:", *verbs, "", f"Options of a verb: {PROGRAM} VERB --help"]
    )


def read_request(words: Sequence[str]) -> tuple[Verb, Any]:
    """The verb and the typed request of a command line.

    Raises:
        BenchmarkError: an unknown verb or option, or a value of the wrong type.
    """
    verb, rest = words[0], list(words[1:])
    known = list(dict.fromkeys(name.split()[0] for name in VERBS))
    if verb not in known:
        raise unknown_name("verb", verb, known, WHERE)
    actions = [name.split()[1] for name in VERBS if name.startswith(f"{verb} ")]
    if verb not in VERBS and (not rest or rest[0].startswith("-")):
        raise BenchmarkError(WHERE, f"{verb}: no action is given", f"Known: {', '.join(actions)}.")
    if actions and rest and not rest[0].startswith("-"):
        if rest[0] not in actions:
            raise unknown_name("action", rest[0], actions, f"{WHERE}: {verb}")
        verb = f"{verb} {rest.pop(0)}"
    return VERBS[verb], parse(verb, VERBS[verb].about, VERBS[verb].request, rest)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        The exit status: 0 for success, 1 for a failure, 2 for a wrong command line, 130 for Ctrl-C, 143 for
        a SIGTERM.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "--version"):
        print(__version__ if words == ["--version"] else overview())
        return 0 if words else 2
    try:
        with ended_by_signals():
            verb, request = read_request(words)
            status: int = resolve_name(verb.function)(request, *verb.arguments)
        return status
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if error.where.startswith(WHERE) else 1
    except Interrupted as stop:
        print(f"stopped by {stop}; the same command continues where it stopped", file=sys.stderr)
        return stop.status
