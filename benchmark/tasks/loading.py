"""Load task files by name or path."""

from pathlib import Path
from typing import Any

from benchmark.errors import TaskError
from benchmark.tasks.inheritance import task_folder as task_folder
from benchmark.tasks.inheritance import task_names as task_names
from benchmark.tasks.inheritance import task_path, with_base
from benchmark.tasks.parsing import parse, read_yaml
from benchmark.tasks.requests import FromFile, RequestRule
from benchmark.tasks.schema import Task


def load_task(name: str) -> Task:
    """Load a task by name, or from the path of a YAML file; its relative files lie beside it. A task may
    extend another, see ``inheritance``.

    Raises:
        TaskError: the file is missing or wrong; names the field.
    """
    path = task_path(name)
    task: Task = parse(Task, with_base(read_yaml(path), path), str(path))
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
