"""The verbs: their options, their functions, and examples."""

from dataclasses import dataclass

from benchmark.cli import requests
from benchmark.experiments.request import SweepRequest, SyncRequest, TuneRequest
from benchmark.planning.request import PlanRequest, RunVerbRequest
from benchmark.submissions.request import ExportRequest, SubmitRequest
from benchmark.verification.request import VerifyBundleRequest

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
        examples: command lines without the program's name.
        first: line to show before the libraries are loaded; empty for a verb that answers at once.
    """

    request: type
    function: str
    help: str = ""
    arguments: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    first: str = "loading the libraries"

    @property
    def about(self) -> str:
        """Line of help."""
        return self.help or str(self.request.__doc__)


GROUPS: dict[str, dict[str, Verb]] = {
    "run a benchmark": {
        "run": Verb(
            RunVerbRequest, STAGES, arguments=("run",),
            examples=(
                "run cxr_pneumonia",
                "run cxr_pneumonia --generators +examples/my_generator.py",
                "run cxr_pneumonia --source covid_chestxray --root path/to/covid-chestxray",
                "run lus_limited --only sinddm,duplicate_real --seeds 0,1 --dry-run",
            ),
        ),
        "plan": Verb(
            PlanRequest, "benchmark.cli.plan:plan",
            examples=(
                "plan cxr_pneumonia --profile paper",
                "plan cxr_pneumonia --cluster cluster.yaml --json",
            ),
        ),
        "generate": Verb(
            RunVerbRequest, STAGES, "Fit the generators and sample from them.", ("generate",),
            ("generate cxr_pneumonia --generators examples/my_generator.py",),
        ),
        "measure": Verb(
            RunVerbRequest, STAGES, "Generate, then measure fidelity, diversity and memorization.",
            ("measure",), ("measure cxr_pneumonia --only ddpm",),
        ),
        "classify": Verb(
            RunVerbRequest, STAGES, "Generate, then train and test the classifiers.", ("classify",),
            ("classify cxr_pneumonia --only real_only --seeds 0",),
        ),
        "sweep": Verb(
            SweepRequest, "benchmark.cli.stages:run_sweeping",
            examples=("sweep lus_limited --over scarce.keep",),
        ),
        "tune": Verb(
            TuneRequest, "benchmark.cli.stages:run_tuning",
            examples=("tune cxr_pneumonia --generator ddpm --trials 8",),
        ),
    },
    "tasks and data": {
        "tasks": Verb(
            requests.TasksRequest, "benchmark.cli.tasks:show_tasks", first="",
            examples=("tasks", "tasks cxr_pneumonia"),
        ),
        "data": Verb(
            RunVerbRequest, STAGES, "Load the data of a task and prove that its splits are disjoint.",
            ("data",), ("data --task cxr_pneumonia",),
        ),
        "data build": Verb(
            requests.BuildRequest, "benchmark.cli.data:build",
            examples=("data build --source phantom.chexpert --size 64 --out datasets/chexpert64",),
        ),
        "data show": Verb(
            requests.ShowRequest, "benchmark.cli.data:show",
            examples=("data show chexpert --root path/to/CheXpert-v1.0-small --out grid.png",),
        ),
        "data verify": Verb(
            requests.CheckRequest, "benchmark.cli.data_checks:verify",
            examples=("data verify chexpert --root path/to/CheXpert-v1.0-small",),
        ),
        "data export": Verb(
            ExportRequest, "benchmark.submissions.export:export",
            examples=("data export cxr_pneumonia --out training",),
        ),
    },
    "add your own": {
        "new": Verb(
            requests.NewRequest,
            "benchmark.cli.new:new",
            first="",
            examples=("new generator mine", "new task mine --out tasks"),
        ),
    },
    "fitted generators": {
        "sample": Verb(
            requests.SampleRequest, "benchmark.cli.models:sample",
            examples=("sample --run outputs/cxr_pneumonia-demo --row ddpm --count 10 --out samples",),
        ),
        "export": Verb(
            requests.ExportRequest, "benchmark.cli.models:export",
            examples=("export --run outputs/cxr_pneumonia-demo --row ddpm --format mlflow --out model",),
        ),
    },
    "results": {
        "judge": Verb(
            requests.JudgeRequest,
            "benchmark.cli.judge:judge",
            examples=("judge --real path/to/real --synthetic path/to/synthetic --out outputs/judgement",),
        ),
        "leaderboard": Verb(
            requests.LeaderboardRequest, "benchmark.cli.leaderboards:render_leaderboards",
            examples=(
                "leaderboard --bundles outputs/cxr_pneumonia-demo/bundles",
                "leaderboard --add outputs/submissions/mine/mine",
            ),
        ),
        "tables": Verb(
            requests.TablesRequest, "benchmark.cli.leaderboards:write_tables",
            examples=("tables --bundles outputs/cxr_pneumonia-demo --out tables",),
        ),
        "compare": Verb(
            requests.CompareRequest, "benchmark.cli.leaderboards:compare_bundles",
            examples=("compare --bundles outputs/cxr_pneumonia-demo/bundles",),
        ),
        "stats": Verb(
            requests.StatsRequest, "benchmark.cli.stats:stats",
            examples=("stats predictions --csv examples/comparing/predictions.csv --baseline ddpm",),
        ),
    },
    "reader studies": {
        "readers export": Verb(
            requests.ReadersExportRequest,
            "benchmark.cli.readers:export",
            examples=("readers export --run outputs/cxr_pneumonia-demo --protocol scores --per-class 25",),
        ),
        "readers figure": Verb(
            requests.ReadersFigureRequest,
            "benchmark.cli.readers:figure",
            examples=("readers figure --csv examples/comparing/readers.csv --out outputs/readers",),
        ),
    },
    "hand in and check": {
        "submit": Verb(
            SubmitRequest, "benchmark.cli.submissions:submit",
            examples=("submit cxr_pneumonia --generator my_generator.py --card submission.yaml",),
        ),
        "verify": Verb(
            VerifyBundleRequest, "benchmark.verification.verify:run_verify",
            examples=("verify outputs/submissions/mine/mine.zip",),
        ),
        "season open": Verb(requests.OpenSeasonRequest, "benchmark.cli.seasons:open_"),
        "season close": Verb(requests.CloseSeasonRequest, "benchmark.cli.seasons:close"),
    },
    "this machine": {
        "doctor": Verb(
            requests.DoctorRequest, "benchmark.cli.doctor:doctor", examples=("doctor", "doctor --json")
        ),
        "store verify": Verb(requests.StoreRequest, "benchmark.cli.store:verify"),
        "store du": Verb(requests.UsageRequest, "benchmark.cli.store:usage"),
        "store gc": Verb(
            requests.CleanRequest, "benchmark.cli.store:clean",
            examples=("store gc --older-than 30 --dry-run",),
        ),
        "store push": Verb(requests.PushRequest, "benchmark.cli.store:push"),
        "store pull": Verb(requests.PullRequest, "benchmark.cli.store:pull"),
        "track sync": Verb(SyncRequest, "benchmark.experiments.mlflow_sync:sync"),
        "track repair": Verb(
            requests.RepairRequest,
            "benchmark.cli.tracking:repair_store",
            examples=("track repair", "track repair --artifacts moved/mlruns"),
        ),
        "completion": Verb(
            requests.CompletionRequest, "benchmark.cli.completion:completion", first="",
            examples=("completion bash",),
        ),
        "extractor": Verb(requests.ExtractorRequest, "benchmark.cli.extractor:train_extractor"),
    },
}  # fmt: skip
VERBS = {name: verb for group in GROUPS.values() for name, verb in group.items()}
