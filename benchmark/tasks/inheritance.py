"""Task files that extend another: ``extends: cxr_pneumonia``, or the path of a file beside it.

Mappings are merged field by field, anything else is replaced, and null removes a field, such as a profile.
What a task claims is never inherited: its question, title and citation, the paper's figures, and deviations.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.errors import TaskError, unknown_name
from benchmark.tasks.parsing import read_yaml

EXTENDS = "extends"
OWN = ("name", "title", "question", "citation", "published", "deviations")
DEEPEST = 5  # tasks that extend one another


def task_folder() -> Path:
    """The folder of the task files: ``tasks/`` of the checkout, or that of the installed package."""
    checkout = Path(__file__).resolve().parent.parent.parent / "tasks"
    return checkout if checkout.is_dir() else Path(sys.prefix) / "share" / "synththorax" / "tasks"


def task_names() -> list[str]:
    """The names of the packaged tasks."""
    return sorted(p.stem for p in task_folder().glob("*.yaml"))


def task_path(name: str, beside: Path = Path()) -> Path:
    """Return the file of a task, by its name, or by its path relative to ``beside``.

    Raises:
        TaskError: there is none.
    """
    is_path = name.endswith((".yaml", ".yml"))
    path = beside / name if is_path else task_folder() / f"{name}.yaml"
    if not path.is_file():
        if is_path:
            known = ", ".join(task_names())
            raise TaskError(str(path), "no such task file", f"Give a path, or one of: {known}")
        raise unknown_name("task", name, task_names())
    return path


def with_base(value: Mapping[str, Any], path: Path, depth: int = 0) -> dict[str, Any]:
    """Return the fields of a task file, with those of the task that it extends.

    Raises:
        TaskError: that task is not there, or tasks extend one another in a circle.
    """
    if EXTENDS not in value:
        return dict(value)
    where = f"{path}: {EXTENDS}"
    if depth == DEEPEST:
        raise TaskError(where, "is the end of a long chain, or of a circle", "Extend a task of the suite.")
    if not isinstance(value[EXTENDS], str):
        raise TaskError(where, "expected the name or the path of a task", "Such as: extends: cxr_pneumonia")
    below = task_path(value[EXTENDS], path.parent)
    base = with_base(read_yaml(below), below, depth + 1)
    inherited = {name: field for name, field in base.items() if name not in OWN}
    own = {name: field for name, field in value.items() if name != EXTENDS}
    return _merged(_with_folder(inherited, below.parent.resolve()), own)


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in own.items():
        before = merged.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[name] = _merged(before, value) if both else value  # type: ignore[arg-type]
        if value is None:
            del merged[name]
    return merged


def _with_folder(value: Any, folder: Path) -> Any:
    """Return the fields with relative paths, of conditions and of initial weights, below a folder."""
    if isinstance(value, Mapping):
        return {
            name: str(folder / field)
            if name in ("file", "path") and isinstance(field, str)
            else _with_folder(field, folder)
            for name, field in value.items()
        }
    return [_with_folder(each, folder) for each in value] if isinstance(value, list) else value
