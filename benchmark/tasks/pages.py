"""Write a page of Markdown per task from the task file, and an index."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from benchmark.tasks.loading import load_task, task_names
from benchmark.tasks.profile import GeneratorEntry, Measures, Previews
from benchmark.tasks.rules import ON_TRAIN, Rule
from benchmark.tasks.schema import PROFILES, Task
from benchmark.utils.files import disk_errors, write_text
from benchmark.utils.outputs import refuse_foreign_files

METRICS = {
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "f1": "F1 of the positive class",
    "auroc": "area under the ROC curve, mean over the classes",
}


def write_pages(folder: Path) -> list[Path]:
    """Write ``<task>.md`` for every packaged task, and the index ``README.md``; return their paths.

    Raises:
        StoreError: the folder cannot be written, or has a page of somebody else.
    """
    tasks = [load_task(name) for name in task_names()]
    pages = {folder / "README.md": index(tasks)}  # first: the mark of the others
    pages |= {folder / f"{task.name}.md": page(task) for task in tasks}
    refuse_foreign_files(pages, folder / "README.md", "`python -m benchmark tasks --pages")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in pages.items():
            write_text(path, text)
    return list(pages)


def index(tasks: Sequence[Task]) -> str:
    """Render the table of all tasks."""
    return _template("index.md.jinja").render(tasks=tasks, metrics=METRICS)


def page(task: Task) -> str:
    """Render the protocol of a task: what a reader decides by; the task file has every setting."""
    profiles = {name: task.profile(name) for name in PROFILES}
    late = [name for name, rule in task.scenario.items() if isinstance(rule, ON_TRAIN)]
    text = _template("task.md.jinja").render(task=task, profiles=profiles, metrics=METRICS, late=late)
    return text.strip() + "\n"


@cache
def _template(name: str) -> Template:
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "plain": _plain, "cell": _cell, "fields": _fields, "fit": _fit, "checkpoint": _checkpoint,
    }  # fmt: skip
    return environment.get_template(name)


def _plain(value: Any) -> str:
    """A value in one line, as YAML without brackets."""
    if isinstance(value, dict):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "all" if value is None else str(value)


def _fields(rule: Rule) -> str:
    return "; ".join(f"{k} = {_plain(v)}" for k, v in rule.model_dump(exclude={"rule"}).items())


def _fit(entry: GeneratorEntry) -> str:
    """The unit of a fit."""
    if entry.fit == "per_image":
        return f"per_image, {entry.sources_per_class} of a class"
    return entry.fit or "as the plug-in"


def _checkpoint(previews: Previews, measures: Measures) -> str:
    """The rule that chooses the checkpoint of a fit."""
    if previews.count == 1:
        return "the last"
    images = previews.images or measures.preview_images
    of_class = previews.choice == "per_class"
    compared = "of a class against as many of train" if of_class else "against val"
    steps = f", {previews.sampler_steps} sampler steps" if previews.sampler_steps else ""
    return f"best of {previews.count}: FID of {images} images {compared}{steps}"


def _cell(value: object) -> str:
    """A value as a cell of a Markdown table."""
    return " ".join(str(value).split()).replace("|", "\\|")
