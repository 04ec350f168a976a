"""Options of the verbs that no other folder reads; the other requests lie in the folders that read them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from benchmark.planning.request import (
    STRICT,
    Cluster,
    Count,
    ExecutorName,
    Names,
    Option,
    Paths,
    Root,
    RunRequest,
    Share,
    Workers,
)

Remote = Annotated[str, Option("folder or URL that fsspec reads", "s3://bucket/folder", positional=True)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TasksRequest:
    """List the tasks, or show one."""

    task: Annotated[str | None, Option("task to show; default: all", positional=True)] = None
    pages: Annotated[Path | None, Option("write one page per task into this folder")] = None
    json: Annotated[bool, Option("print the list as JSON")] = False


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ReadRequest:
    """Settings for reading a data source."""

    task: Annotated[str | None, Option("task to take classes and parameters from")] = None
    root: Root = None
    set: Annotated[tuple[str, ...], Option("parameters of the source: fit=pad or {name: value, ...}")] = ()
    classes: Annotated[Names | None, Option("separated by commas; default: the task's or the source's")] = (
        None
    )
    size: Annotated[Count, Option("side of the images in pixels")] = 64
    reserve: Annotated[int, Option("images per class held out for the control oracle")] = 0
    seed: Annotated[int, Option("seed of sources that draw their images")] = 0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class BuildRequest(ReadRequest):
    """Convert a source into a folder of Parquet shards that is read by memory map."""

    source: Annotated[str | None, Option("data source; default: the task's", "phantom.chest")] = None
    out: Annotated[Path, Option("folder of the built dataset", "outputs/dataset")]
    workers: Workers = None
    shard_size: Annotated[Count, Option("images per shard")] = 2048
    format: Annotated[
        Literal["shards", "datasets"],
        Option("shards of raw pixels, or datasets: PNG with a card"),
    ] = "shards"
    limit: Annotated[Count | None, Option("number of images, spread over the source; default: all")] = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TargetRequest(ReadRequest):
    """A source, or a folder that ``data build`` made."""

    target: Annotated[str, Option("built folder, or data source", "phantom.chest", positional=True)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ShowRequest(TargetRequest):
    """Describe a source or a built folder, and write a grid of its images."""

    columns: Annotated[Count, Option("images per class in the grid")] = 10
    out: Annotated[Path | None, Option("PNG file of the grid; default: outputs/<name>.png")] = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CheckRequest(TargetRequest):
    """Check hashes, images, copies and patients of a source or a built folder."""

    out: Annotated[Path | None, Option("JSON file of the result")] = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CompareRequest:
    """Compare bundles by intervals, tests and ranks, as JSON."""

    bundles: Annotated[Path, Option("folder of bundles", "outputs/cxr_pneumonia-demo/bundles")]
    out: Annotated[Path | None, Option("default: beside the bundles")] = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LeaderboardRequest:
    """Make, check or extend the pages of all leaderboards, or render the bundles of one run."""

    bundles: Annotated[Path | None, Option("bundles of one run; default: all leaderboards")] = None
    out: Annotated[Path | None, Option("with --bundles: where to; default: beside the bundles")] = None
    root: Annotated[Path, Option("folder of the leaderboards' pages")] = Path("leaderboards")
    check: Annotated[bool, Option("write nothing; exit with 1 if a page is stale, missing or surplus")] = (
        False
    )
    add: Annotated[Paths, Option("bundles, ZIP files of bundles or folders of runs to add")] = ()
    board: Annotated[str | None, Option("of the added or signed rows; default: that of their protocol")] = (
        None
    )
    replace: Annotated[bool, Option("replace rows that have the name of an added row")] = False
    task: Annotated[
        Path | None, Option("with --add, --verify: task file, for a task that is not in the suite")
    ] = None
    source: Annotated[Path | None, Option("with --add, --verify: file of a source that is not installed")] = (
        None
    )
    data: Annotated[Path | None, Option("with --add, --verify: folder of the real data to compare with")] = (
        None
    )
    verify: Annotated[bool, Option("run every check of verify on the rows of the boards, too")] = False
    since: Annotated[
        str | None, Option("with --verify: rows changed since a commit, and one board in turn; default: all")
    ] = None
    sign: Annotated[
        Path | None, Option("with --board: a maintainer's SSH key that signs the rows that the project ran")
    ] = None
    workers: Workers = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OpenSeasonRequest:
    """Begin a season: draw the seed of its sealed test, and publish a commitment to it."""

    name: Annotated[str, Option("of the season", "2027", positional=True)]
    secret: Annotated[Path, Option("new file for the seed, outside of any repository", "/secure/2027.json")]
    root: Annotated[Path, Option("folder of the leaderboards")] = Path("leaderboards")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CloseSeasonRequest:
    """End a season: publish the seed of its sealed test."""

    secret: Annotated[Path, Option("file that `season open` wrote", "/secure/2027.json")]
    root: Annotated[Path, Option("folder of the leaderboards")] = Path("leaderboards")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TablesRequest:
    """Write tables and figures in the papers' shapes as CSV, Markdown, LaTeX, PNG and SVG."""

    bundles: Annotated[
        Paths, Option("folders of runs, one per variant of a task", "outputs/cxr_pneumonia-demo")
    ]
    out: Annotated[Path, Option("folder of the tables and figures", "outputs/tables")]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class StatsRequest:
    """Compare runs, predictions or reader scores from a CSV file, or from bundles; see docs/comparing.md."""

    kind: Annotated[str, Option("runs, predictions, power, association or readers", "runs", positional=True)]
    csv: Annotated[Path | None, Option("table of the kind")] = None
    bundles: Annotated[Path | None, Option("folder of bundles, instead of a table")] = None
    out: Annotated[Path | None, Option("JSON file of all results")] = None
    alpha: Annotated[Share | None, Option("significance level; default: 0.05, or the task's")] = None
    correction: Annotated[str | None, Option("holm, bonferroni, fdr_bh or none")] = None
    direction: Annotated[str | None, Option("maximize or minimize the value of a run")] = None
    metric: Annotated[str | None, Option("default: balanced_accuracy, or the task's")] = None
    baseline: Annotated[str | None, Option("model that the others are compared with")] = None
    positive: Annotated[str | None, Option("positive class of two; default: the last")] = None
    margin: Annotated[Share | None, Option("smallest relevant difference, such as 0.02")] = None
    images: Annotated[Count | None, Option("number of test images")] = None
    discordant: Annotated[Share | None, Option("share of images that only one of two models has right")] = (
        None
    )
    difference: Annotated[Share | None, Option("difference to detect, such as 0.02")] = None
    power: Annotated[Share | None, Option("probability to detect it; default: 0.8 and 0.95")] = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FittedRequest:
    """A fitted generator of a run."""

    run: Annotated[Path, Option("output folder of a run", "outputs/cxr_pneumonia-demo")]
    row: Annotated[str, Option("row of the run", "ddpm")]
    fit_seed: Annotated[int | None, Option("which of several fits; default: the first")] = None
    fold: Annotated[int, Option("which fold of a cross-validation")] = 0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SampleRequest(FittedRequest):
    """Draw images from a fitted generator of a run."""

    count: Annotated[Count, Option("images of each label", "10")]
    out: Annotated[Path, Option("empty folder for PNG files and samples.csv", "outputs/samples")]
    label: Annotated[Names, Option("labels, separated by commas; default: every label that was fitted")] = ()
    labels: Annotated[Names, Option("all labels of a multi-label image; for generators that take them")] = ()
    mask: Annotated[Path | None, Option("picture of a mask, or a folder of them, taken in turn")] = None
    prompt: Annotated[str | None, Option("text, for generators that take prompts")] = None
    lesion: Annotated[
        tuple[str, ...],
        Option("lesions that every image shows, such as finding=nodule,side=left,zone=upper,size=0.01"),
    ] = ()
    condition: Annotated[tuple[str, ...], Option("further conditions, such as view=lateral age=60")] = ()
    seed: Annotated[int | None, Option("of the noise; default: the run's, which draws the run's images")] = (
        None
    )
    device: Annotated[str | None, Option("cpu or cuda; default: the run's")] = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ExportRequest(FittedRequest):
    """Write a fitted generator of a run as a model that other software loads."""

    format: Annotated[Literal["diffusers", "peft", "mlflow"], Option("software that loads it", "mlflow")]
    out: Annotated[Path, Option("empty folder of the model", "outputs/model")]
    label: Annotated[str | None, Option("class whose fit to copy, of a generator with one fit per class")] = (
        None
    )
    register: Annotated[str | None, Option("with mlflow: name in the model registry")] = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class StoreRequest:
    """Hash every stored result of a stage, and name the damaged ones; runs compare sizes alone."""

    workers: Workers = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RepairRequest:
    """Find the artifacts of MLflow again after its database and its folder were moved together."""

    artifacts: Annotated[Path | None, Option("folder of artifacts; default: mlruns beside the database")] = (
        None
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class UsageRequest:
    """Show how much space each stage takes in the store."""

    stages: Annotated[Names, Option("stages to show, separated by commas; default: all")] = ()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CleanRequest:
    """Remove results from the store by age and run; what a later run needs, it computes again."""

    older_than: Annotated[float | None, Field(ge=0), Option("days since a result was computed")] = None
    run: Annotated[Paths, Option("output folders of runs: remove their results alone")] = ()
    keep: Annotated[Paths, Option("output folders of runs whose results stay")] = ()
    dry_run: Annotated[bool, Option("remove nothing; list what would go")] = False


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PushRequest:
    """Send results of the store to a shared place that lacks them."""

    remote: Remote
    run: Annotated[Path | None, Option("output folder of a run: send its results alone")] = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PullRequest(RunRequest):
    """Fetch the results that a run needs from a shared place, by their keys."""

    task: Annotated[str, Option("name of a task, or path of a task file")] = (
        "cxr_pneumonia"  # not bare, beside remote
    )
    remote: Remote
    executor: ExecutorName = None
    cluster: Cluster = None
    everything: Annotated[bool, Option("fetch all results, not those of one run")] = False


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ExtractorRequest:
    """Train the embedded feature extractor again."""

    out: Annotated[Path, Option("folder of the weights and their model card", "outputs/extractor")]
    steps: Annotated[Count | None, Option("training steps; default: the full training")] = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DoctorRequest:
    """Check environment, device, disk, weights and sandbox; a remedy for whatever is missing."""

    json: Annotated[bool, Option("print the checks as JSON")] = False


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CompletionRequest:
    """Print the script that completes verbs and options in a shell."""

    shell: Annotated[Literal["bash"], Option("bash; zsh reads it after bashcompinit", positional=True)] = (
        "bash"
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class JudgeRequest:
    """Judge synthetic images against real ones by two folders alone: fidelity, coverage, copies, tint."""

    real: Annotated[Path, Option("folder of real images, which the generator may have learned from", "real")]
    synthetic: Annotated[Path, Option("folder of synthetic images", "synthetic")]
    unseen: Annotated[
        Path | None, Option("folder of real images of other patients, for the search for faint copies")
    ] = None
    patient_separator: Annotated[
        str | None, Option("a patient's id is a real file's name up to it; default: a patient per file")
    ] = None
    patients: Annotated[
        Path | None, Option("CSV file with image, its path in the folder, and patient_id, of the real images")
    ] = None
    extractor: Annotated[str, Option("auto, phantom_cxr_v1 or inception")] = "auto"
    size: Annotated[Count, Option("side in pixels at which images are compared")] = 256
    out: Annotated[Path, Option("folder of judgement.html and judgement.json")] = Path("outputs/judgement")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NewRequest:
    """Write a generator, metric, dataset or task that runs at once, with its test."""

    kind: Annotated[
        Literal["generator", "metric", "dataset", "task"],
        Option("generator, metric, dataset or task", "generator", positional=True),
    ]
    name: Annotated[str, Option("of the file: a-z, 0-9 and _", "mine", positional=True)]
    out: Annotated[Path, Option("folder of the file and of its test")] = Path()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ReadersExportRequest:
    """Write a reader study of a run's images as one page for a browser."""

    run: Annotated[Path, Option("output folder of a run", "outputs/cxr_pneumonia-demo")]
    protocol: Annotated[
        Literal["scores", "grids", "pairs", "fake", "turing"],
        Option("scores, grids, pairs, fake or turing, see docs/readers.md"),
    ] = "scores"
    per_class: Annotated[
        Count | None, Option("images of each class and row; default: as many as in the protocol's paper")
    ] = None
    rows: Annotated[Names, Option("rows to show, separated by commas; default: every generator")] = ()
    seed: Annotated[int, Option("of the choice and of the order")] = 0
    out: Annotated[Path | None, Option("HTML file; default: readers_<protocol>.html in the run's folder")] = (
        None
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ReadersFigureRequest:
    """Draw the scores of a reader study by model and class, as PNG and SVG."""

    csv: Annotated[Path, Option("answers of all readers in one table", "examples/comparing/readers.csv")]
    out: Annotated[Path, Option("folder of the figures", "outputs/readers")]
