"""``run.json``: which results in the store are the fits of a run, so that images can be drawn later."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from benchmark.bundles.assemble import RunResults, row_card
from benchmark.engine.node import Graph, Node
from benchmark.engine.outcome import Outcome
from benchmark.engine.runner import input_keys
from benchmark.engine.store import store_root
from benchmark.errors import StoreError
from benchmark.planning.plan import Plan, Row
from benchmark.stages.job import GENERATOR
from benchmark.stages.sample import SampleConfig
from benchmark.utils.files import write_json
from benchmark.utils.outputs import refuse_foreign_files

RECORD, MARK = "run.json", '"synththorax_run":'


class Part(BaseModel, extra="forbid", frozen=True):
    """Base of the parts of the record."""


class Drawing(Part):
    """The drawing of a class from its fits, as the run did it or would have done it.

    Attributes:
        config: of the stage ``sample``, with the paths that are part of no cache key.
        inputs: stage and cache key of each input, by role.
    """

    fold: int
    fit_seed: int
    config: dict[str, Any]
    inputs: dict[str, tuple[tuple[str, str], ...]]

    def node(self, row: str) -> Node:
        """Return the node that draws."""
        config = SampleConfig.model_validate(self.config)
        return Node("sample", config, seed=self.fit_seed, fold=self.fold, fit=self.fit_seed, row=row)


class RowRecord(Part):
    """A row: its card, why it failed, and the drawing of each class; none without images.

    Attributes:
        formats: in which its fits are saved, of ``plugins.generator.FORMATS``.
    """

    card: dict[str, Any]
    formats: tuple[str, ...] = ()
    error: str | None = None
    drawings: tuple[Drawing, ...] = ()


class RunRecord(Part):
    """A run: what it computed, and the fits of its rows.

    Attributes:
        store: absolute path of the store that it used.
        mlflow_run: id of its run in MLflow.
        results: stage and cache key of every result; empty in records of earlier versions.
    """

    synththorax_run: Literal[1] = 1
    verb: str
    task: str
    profile: str
    source: str
    data_kind: Literal["phantom", "real"]
    protocol_hash: str
    store: str
    mlflow_run: str = Field(pattern=r"^\w+$")
    rows: dict[str, RowRecord]
    results: tuple[tuple[str, str], ...] = ()


def check_record(out: Path) -> None:
    """Refuse an output folder whose ``run.json`` is not the suite's own.

    Raises:
        StoreError: names it.
    """
    refuse_foreign_files([out / RECORD], out / RECORD, MARK)


def write_record(plan: Plan, verb: str, graph: Graph, outcome: Outcome, mlflow_run: str, out: Path) -> None:
    """Write ``run.json`` into the output folder of a run."""
    run = RunResults(graph, outcome)
    record = RunRecord(
        verb=verb, task=plan.task.name, profile=plan.profile_name, source=plan.source,
        data_kind=plan.data_kind, protocol_hash=plan.protocol_hash, store=str(store_root().resolve()),
        mlflow_run=mlflow_run,
        rows={
            row.name: RowRecord(
                card=row_card(row, plan.profile), error=run.failure(row), formats=row.formats,
                drawings=tuple(_drawing(graph, node, row) for node in graph.find("sample", row.name)),
            )
            for row in plan.rows
        },
        results=tuple((graph[name].stage, graph.keys[name]) for name in outcome.results),
    )  # fmt: skip
    write_json(out / RECORD, record.model_dump(mode="json"))


def _drawing(graph: Graph, node: Node, row: Row) -> Drawing:
    config = node.config.model_dump(mode="json")
    config["plugin"]["target"] = row.target
    for asset, about in zip(row.assets, config["assets"], strict=True):
        about["folder"] = str(asset.folder)
    return Drawing(fold=node.fold, fit_seed=node.fit, config=config, inputs=input_keys(graph, node))


def read_record(run: Path) -> RunRecord:
    """Read ``run.json`` of an output folder.

    Raises:
        StoreError: it is missing or of another form.
    """
    path = run / RECORD
    remedy = "Give the folder of a run; run the same command again if it is of an earlier version."
    try:
        return RunRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError:
        raise StoreError(f"--run {run}", f"has no {RECORD}", remedy) from None
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise StoreError(f"{path}: {place}", str(fault["msg"]), remedy) from None


def result_folders(record: RunRecord, inputs: Mapping[str, Any]) -> dict[str, tuple[Path, ...]]:
    """Return the folders of a drawing's inputs in the store, by role.

    Raises:
        StoreError: one is not there, or is damaged.
    """
    from benchmark.engine.store import Store

    root = store_root() if store_root().is_dir() else Path(record.store)
    if not (root / "results").is_dir():
        remedy = f"Set SYNTHTHORAX_STORE to the store of the run, which was {record.store}."
        raise StoreError(f"store {root}", "holds no results", remedy)
    store, folders = Store(root), {}
    for role, keys in sorted(inputs.items(), key=lambda item: item[0] != GENERATOR):
        results = [store.get(stage, key) for stage, key in keys]
        if None in results:
            noun = "fit" if role == GENERATOR else role
            problem = f"does not hold the {noun} of the row"
            remedy = f"Set SYNTHTHORAX_STORE to {record.store}, or run the same command again."
            raise StoreError(f"store {root}", problem, remedy)
        folders[role] = tuple(result.folder for result in results if result is not None)
    return folders
