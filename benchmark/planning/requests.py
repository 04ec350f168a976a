"""Check that every condition of a generator can be drawn, and read the files that conditions come from."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmark.errors import TaskError, unknown_name
from benchmark.planning.plan import Row
from benchmark.plugins.generator import CONDITIONS
from benchmark.stages.requests import placeholders
from benchmark.tasks.requests import FromFile, RequestRule, Template, Values
from benchmark.tasks.schema import Task
from benchmark.utils.csv_file import read_csv

NOT_FROM_VALUES = ("mask", "source_id")  # only images of train have these
NOT_IN_TEMPLATES = ("label", "labels", "prompt", "mask")  # no text or number of one image, or the result


def with_read_files(task: Task) -> Task:
    """Return the task with the content of every file of conditions in place of its path.

    Raises:
        DataError: a file is missing, or lacks the column.
    """
    rules: dict[Any, RequestRule] = {
        name: _read(name, rule.file) if isinstance(rule, FromFile) else rule
        for name, rule in task.requests.items()
    }
    return task.model_copy(update={"requests": rules})


def _read(name: str, path: Path) -> Values:
    table = read_csv(path, [name], ["class"])
    texts: list[Any] = (table.numbers(name) if name == "age" else table.filled(name)).tolist()
    if "class" not in table:
        return Values(values=tuple(texts))
    by_class: dict[str, list[Any]] = {}
    for kind, text in zip(table.filled("class").tolist(), texts, strict=True):
        by_class.setdefault(kind, []).append(text)
    return Values(by_class={kind: tuple(values) for kind, values in by_class.items()})


def check_conditions(task: Task, rows: Iterable[Row], source: str, known: frozenset[str]) -> None:
    """Refuse a generator whose conditions cannot be drawn.

    Args:
        known: conditions that the images of the source carry.
    Raises:
        TaskError: names the row, the condition and the remedy.
    """
    known |= {"label", "source_id"} | ({"labels"} if task.labels == "multilabel" else set())
    for row in rows:
        where = f"generator '{row.name}': conditions"
        if odd := sorted(set(row.conditions) - set(CONDITIONS)):
            raise unknown_name("condition", odd[0], list(CONDITIONS), where)
        for name in _drawn(task, row):
            rule = _rule(task, name)
            _check_rule(task, name, rule)
            if rule == "empirical" and name not in known:
                raise TaskError(
                    where,
                    f"'{name}' is not known for the images of source '{source}'",
                    f"Choose another source, or say in the task how it is drawn: requests.{name}.",
                )


def _rule(task: Task, name: str) -> RequestRule:
    return task.requests.get(name, "empirical")  # type: ignore[call-overload]


def _drawn(task: Task, row: Row) -> list[str]:
    """Return the conditions of a row, and then those that a template of theirs refers to."""
    more = {named for name in row.conditions for named in placeholders(_rule(task, name))}
    return [*row.conditions, *sorted(more - {"class", *row.conditions})]


def _check_rule(task: Task, name: str, rule: RequestRule) -> None:
    at = f"task {task.name}: requests.{name}"
    if name in NOT_FROM_VALUES and rule != "empirical":
        raise TaskError(at, "can only be empirical", "Leave it out.")
    if isinstance(rule, Template):
        if name != "prompt":
            raise TaskError(at, "only a prompt has a template", "Give values, or a file.")
        names = ["class", *(c for c in CONDITIONS if c not in NOT_IN_TEMPLATES)]
        if odd := sorted(placeholders(rule) - {*names}):
            raise unknown_name("placeholder", odd[0], names, at)
    if isinstance(rule, Values) and (without := [c for c in task.classes if not rule.of_class(c)]):
        raise TaskError(at, f"has no value for class '{without[0]}'", "Add one, or leave out by_class.")
