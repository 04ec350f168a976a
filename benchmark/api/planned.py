"""A run before it starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from benchmark.api.runs import Run
from benchmark.engine.resources import placement
from benchmark.errors import TaskError, unknown_name
from benchmark.planning.plan import Plan
from benchmark.planning.request import StageRequest

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Planned:
    """A run with every choice validated, before anything is computed.

    Attributes:
        request: the options.
        plan: the resolved choices.
    """

    request: StageRequest
    plan: Plan

    def rows(self) -> pd.DataFrame:
        """Return a table of the generators and controls, by name."""
        import pandas as pd

        records = {
            row.name: {"role": row.role, "title": row.card.get("title", ""), "params": dict(row.params)}
            for row in self.plan.rows
        }
        return pd.DataFrame.from_dict(records, orient="index").rename_axis("row")

    def stages(self) -> pd.DataFrame:
        """Return a table of the stages, with the seconds that each is expected to take before any has run."""
        import pandas as pd

        from benchmark.planning.graph import build

        nodes = build(self.plan)
        records = [
            {"id": n.id, "stage": n.stage, "row": n.row, "fold": n.fold, "seconds": n.expected_seconds}
            for n in nodes
        ]
        return pd.DataFrame(records).set_index("id")

    def run(self, out: Path | str | None = None) -> Run:
        """Run it, and return the results."""
        from benchmark.cli.stages import execute

        request = replace(self.request, out=self.request.out if out is None else Path(out))
        return Run(execute(request, "run").out)


def plan(task: str = "cxr_pneumonia", profile: str = "demo", **options: Any) -> Planned:
    """Validate every choice of a run.

    Raises:
        BenchmarkError: the first fault, with the remedy.
    """
    from benchmark.experiments.run import UNTIL
    from benchmark.planning.resolve import make_plan

    known = [name for name in StageRequest.__dataclass_fields__ if name not in ("task", "profile", "out")]
    if odd := [name for name in options if name not in known]:
        raise unknown_name("option", odd[0], known, "api")
    try:
        request = StageRequest(task=str(task), profile=profile, **options)
    except ValidationError as error:
        fault = error.errors()[0]
        raise TaskError(f"api: {fault['loc'][0]}", f"{fault['msg']}, got {fault['input']!r}") from None
    where = placement(request.executor, request.cluster)
    made = make_plan(request, stages=UNTIL["run"], placement=where if where.elsewhere else None)
    return Planned(request, made)
