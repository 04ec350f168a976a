"""``new``: write a plug-in or a task that runs at once, with its test."""

from pathlib import Path
from string import Template

from benchmark.cli.requests import NewRequest
from benchmark.errors import StoreError
from benchmark.plugins.registry import available
from benchmark.tasks.loading import task_names
from benchmark.utils.commands import command
from benchmark.utils.files import disk_errors, write_text
from benchmark.utils.naming import check_name
from benchmark.utils.outputs import ELSEWHERE

TEMPLATES = Path(__file__).parent / "templates"
SUFFIX = {"task": "yaml"}  # the others are Python


def new(request: NewRequest) -> int:
    """Write the file and its test, and print how to run both."""
    kind, name = request.kind, request.name
    check_name(name, f"new {kind}")
    _refuse_taken(kind, name)
    suffix = SUFFIX.get(kind, "py")
    path, test = request.out / f"{name}.{suffix}", request.out / f"test_{name}.py"
    for file in (path, test):
        if file.exists():
            raise StoreError(str(file), "is there already", ELSEWHERE)
    title = name.replace("_", " ").capitalize()
    with disk_errors(request.out):
        request.out.mkdir(parents=True, exist_ok=True)
        for file, template in ((path, f"{kind}.{suffix}"), (test, f"test_{kind}.py")):
            text = (TEMPLATES / f"{template}.jinja").read_text(encoding="utf-8")
            write_text(file, Template(text).substitute(name=name, title=title, test=test))
    print(f"{path}\n{test}\nnext:")
    print(f"  test it: python -m pytest {test}")
    print(f"  run it: {command(*_words(kind, path))}")
    return 0


def _refuse_taken(kind: str, name: str) -> None:
    """Refuse the name of a plug-in or task of the suite.

    Raises:
        StoreError: the name is taken.
    """
    plural = {"generator": "generators", "metric": "metrics", "dataset": "sources"}
    known = task_names() if kind == "task" else list(available(plural[kind]))  # type: ignore[arg-type]
    if name in known:
        raise StoreError(f"new {kind}", f"the name '{name}' is taken by the suite", "Choose another name.")


def _words(kind: str, path: Path) -> list[object]:
    """Return the words of a first command with the file."""
    return {
        "generator": ["generate", "--generators", path],
        "metric": ["measure", "--only", "duplicate_real", "--metrics", path],
        "dataset": ["data", "show", path, "--root", "FOLDER", "--classes", "healthy,ill"],
        "task": ["run", path],
    }[kind]
