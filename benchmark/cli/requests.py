"""Options of the verbs that no other folder reads; the other requests lie in the folders that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from benchmark.planning.request import POSITIONAL, STRICT, Count, Names, Paths, Share


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TasksRequest:
    """Tasks to show."""

    task: Annotated[str | None, POSITIONAL] = Field(default=None, description="task to show; default: all")
    pages: Path | None = Field(default=None, description="write one page per task into this folder")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ReadRequest:
    """How a data source is read."""

    task: str | None = Field(default=None, description="task to take classes and parameters from")
    root: Path | None = Field(default=None, description="folder of a real dataset, for sources that read one")
    set: tuple[str, ...] = Field(
        default=(), description="parameters of the source, as key=value or {key: value, ...}"
    )
    classes: Names | None = Field(
        default=None, description="separated by commas; default: the task's classes, or the source's"
    )
    size: Count = Field(default=64, description="side of the images in pixels")
    reserve: int = Field(default=0, description="images per class held out for the control oracle")
    seed: int = Field(default=0, description="seed of sources that draw their images")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class BuildRequest(ReadRequest):
    """A source to convert into Parquet shards."""

    source: str | None = Field(
        default=None, description="data source; default: the task's source", examples=["phantom.chest"]
    )
    out: Path = Field(description="folder of the built dataset", examples=["outputs/dataset"])
    workers: Count | None = Field(default=None, description="processes; default: one per core")
    shard_size: Count = Field(default=2048, description="images per shard")
    limit: Count | None = Field(default=None, description="number of images; default: all")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TargetRequest(ReadRequest):
    """A source, or a folder that ``data build`` made."""

    target: Annotated[str, POSITIONAL] = Field(
        description="built folder, or data source", examples=["phantom.chest"]
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ShowRequest(TargetRequest):
    """Images to describe and draw."""

    columns: Count = Field(default=10, description="images per class in the grid")
    out: Path | None = Field(default=None, description="PNG file of the grid; default: outputs/<name>.png")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CheckRequest(TargetRequest):
    """Images to check."""

    out: Path | None = Field(default=None, description="JSON file of the result")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CompareRequest:
    """Bundles to compare."""

    bundles: Path = Field(description="folder of bundles", examples=["outputs/cxr_pneumonia-demo/bundles"])
    out: Path | None = Field(default=None, description="default: beside the bundles")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LeaderboardRequest:
    """The bundles of one run to render, or a folder of leaderboards whose pages to make."""

    bundles: Path | None = Field(default=None, description="bundles of one run; default: all leaderboards")
    out: Path | None = Field(
        default=None, description="with --bundles: folder of the pages; default: beside the bundles"
    )
    root: Path = Field(default=Path("leaderboards"), description="folder of the leaderboards' pages")
    check: bool = Field(
        default=False, description="write nothing; exit with 1 if a page is stale, missing or surplus"
    )
    add: Paths = Field(
        default=(), description="bundles, ZIP files of bundles or folders of runs to add to a leaderboard"
    )
    board: str | None = Field(
        default=None, description="leaderboard of the added rows; default: that of their protocol"
    )
    replace: bool = Field(default=False, description="replace rows that have the name of an added row")
    workers: Count | None = Field(default=None, description="leaderboards at once; default: one per core")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TablesRequest:
    """Runs to write tables and figures of."""

    bundles: Paths = Field(
        description="folders of runs, one per variant of a task", examples=["outputs/cxr_pneumonia-demo"]
    )
    out: Path = Field(description="folder of the tables and figures", examples=["outputs/tables"])


@dataclass(frozen=True, kw_only=True, config=STRICT)
class StatsRequest:
    """A statistical comparison; ``docs/comparing.md`` lists the options of each kind."""

    kind: Annotated[str, POSITIONAL] = Field(
        description="runs, predictions, power, association or readers; see docs/comparing.md",
        examples=["runs"],
    )
    csv: Path | None = Field(default=None, description="table of the kind")
    bundles: Path | None = Field(default=None, description="folder of bundles, instead of a table")
    out: Path | None = Field(default=None, description="JSON file of all results")
    alpha: Share | None = Field(
        default=None, description="significance level of tests and intervals; default: 0.05, or the task's"
    )
    correction: str | None = Field(default=None, description="holm, bonferroni, fdr_bh or none")
    direction: str | None = Field(default=None, description="maximize or minimize the value of a run")
    metric: str | None = Field(
        default=None, description="metric of predictions; default: balanced_accuracy, or the task's"
    )
    baseline: str | None = Field(default=None, description="model that the others are compared with")
    positive: str | None = Field(default=None, description="positive class of two; default: the last")
    margin: Share | None = Field(default=None, description="smallest relevant difference, such as 0.02")
    images: Count | None = Field(default=None, description="number of test images")
    discordant: Share | None = Field(
        default=None, description="share of images that exactly one of two models classifies correctly"
    )
    difference: Share | None = Field(default=None, description="difference to detect, such as 0.02")
    power: Share | None = Field(default=None, description="probability to detect it; default: 0.8 and 0.95")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ExtractorRequest:
    """A new training of the embedded feature extractor."""

    out: Path = Field(
        description="folder of the weights and their model card", examples=["outputs/extractor"]
    )
    steps: Count | None = Field(default=None, description="training steps; default: the full training")
