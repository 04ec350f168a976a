"""The suite as a library, for notebooks and scripts; see docs/library.md.

Options have the names and defaults of the command line: ``--fit-seed`` is ``fit_seed``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.api.comparing import compare
from benchmark.api.planned import Planned
from benchmark.api.planned import plan as plan
from benchmark.api.runs import FittedGenerator, Run
from benchmark.api.runs import open_run as open
from benchmark.experiments.lesions.lesion_request import LesionRequest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FittedGenerator", "LesionRequest", "Planned", "Run", "compare", "open", "plan", "run", "tasks"]


def tasks() -> pd.DataFrame:
    """Return a table of the packaged tasks: question, classes, sources and primary metric, by name."""
    import pandas as pd

    from benchmark.tasks.loading import load_task, task_names

    known = [load_task(name) for name in task_names()]
    records = {
        task.name: {
            "question": task.question, "classes": task.classes, "sources": tuple(task.sources),
            "primary_metric": task.primary_metric.name, "citation": task.citation,
        }
        for task in known
    }  # fmt: skip
    return pd.DataFrame.from_dict(records, orient="index").rename_axis("task")


def run(
    task: str = "cxr_pneumonia", profile: str = "demo", *, out: Path | str | None = None, **options: Any
) -> Run:
    """Run the benchmark and return its results; what the store holds is reused.

    Args:
        task: name, or path of a task file.
        out: folder of results; default: ``outputs/<task>-<profile>``.
        options: of ``synththorax run``, such as ``generators=["ddpm", "mine.py"]``, ``workers=2``.
    Raises:
        BenchmarkError: a wrong option, or data that cannot be had. A row that fails is in ``Run.failed``.
    """
    return plan(task, profile, **options).run(out)
