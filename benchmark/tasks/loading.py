"""Load task files by name or path."""

import sys
from pathlib import Path
from typing import Any

from benchmark.errors import TaskError, unknown_name
from benchmark.tasks.parsing import parse, read_yaml
from benchmark.tasks.requests import FromFile, RequestRule
from benchmark.tasks.schema import Task


def task_folder() -> Path:
    """The folder of the task files: ``tasks/`` of the checkout, or that of the installed package."""
    checkout = Path(__file__).resolve().parent.parent.parent / "tasks"
    return checkout if checkout.is_dir() else Path(sys.prefix) / "share" / "synththorax" / "tasks"


def task_names() -> list[str]:
    """The names of the packaged tasks."""
    return sorted(p.stem for p in task_folder().glob("*.yaml"))


def load_task(name: str) -> Task:
    """Load a task by name, or from the path of a YAML file; its relative files lie beside it.

    Raises:
        TaskError: the file is missing or wrong; names the field.
    """
    is_path = name.endswith((".yaml", ".yml"))
    path = Path(name) if is_path else task_folder() / f"{name}.yaml"
    if not path.is_file():
        if is_path:
            raise TaskError(name, "no such task file", "Give a path, or one of: " + ", ".join(task_names()))
        raise unknown_name("task", name, task_names())
    task: Task = parse(Task, read_yaml(path), str(path))
    if task.name != path.stem:
        raise TaskError(f"{path}: name", f"is '{task.name}', expected '{path.stem}', the file's name")
    return _with_paths(task, path.parent)


def _with_paths(task: Task, folder: Path) -> Task:
    """Return the task with the paths in it, of conditions and of initial weights, relative to its folder."""
    rules: dict[Any, RequestRule] = {
        name: FromFile(file=folder / rule.file) if isinstance(rule, FromFile) else rule
        for name, rule in task.requests.items()
    }
    task = task.model_copy(update={"requests": rules})
    for name, profile in task.profiles.items():
        task = task.with_classifiers(name, tuple(c.in_folder(folder) for c in profile.classifiers))
    return task
