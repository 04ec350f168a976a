"""A page of Markdown per task, written from the task file alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmark.tasks.classifier import ClassifierConfig
from benchmark.tasks.rules import ON_TRAIN, Mix, Rule
from benchmark.tasks.schema import PROFILES, Profile, Task, load_task, task_names

METRICS = {
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "f1": "F1 of the positive class",
    "auroc": "area under the ROC curve, mean over the classes",
}
MIXES = {"add": "added to the real training images", "synthetic": "trained on alone, without any real image"}
UNITS = {
    "class": "synthetic images per class",
    "real_image": "synthetic images per real training image of the class",
    "still_image": "synthetic images per real still image of the class (no frame of a clip)",
}


def write_pages(folder: Path) -> list[Path]:
    """Write ``<task>.md`` for every packaged task, and an index; returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [load_task(name) for name in task_names()]
    pages = {f"{task.name}.md": page(task) for task in tasks} | {"README.md": index(tasks)}
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in pages]


def index(tasks: Sequence[Task]) -> str:
    """The table of all tasks."""
    rows = [(f"[{t.name}]({t.name}.md)", t.question, METRICS[t.primary_metric.name]) for t in tasks]
    return f"# Tasks\n\n{_generated()}\n\n{_table(('task', 'question', 'ranked by'), rows)}\n"


def page(task: Task) -> str:
    """The whole protocol of a task, for people."""
    parts = [
        f"# {task.name}",
        _generated(),
        f"**{task.question}**",
        task.citation,
        _summary(task),
        _scenario(task),
        _mix(task.mix, task),
        _sources(task),
        _profiles(task),
        _classifier_cards(task),
        _generators(task),
        _published(task),
        _deviations(task),
        _commands(task),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _generated() -> str:
    return "Generated from the task file by `python -m benchmark tasks --pages docs/tasks`; do not edit."


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(c) for c in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _said(value: Any) -> str:
    """A value as YAML would write it on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{k} {_said(v)}" for k, v in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_said, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "all" if value is None else str(value)


def _summary(task: Task) -> str:
    metric = METRICS[task.primary_metric.name]
    kind = "an image may have several" if task.labels == "multilabel" else "one per image"
    statistics = task.statistics
    return _table(
        ("", ""),
        [
            ("classes", f"{_said(task.classes)} ({kind})"),
            ("ranked by", metric),
            ("also broken down by", _said(task.subgroups)),
            (
                "statistics",
                f"alpha {statistics.alpha}, correction {statistics.correction}, power {statistics.power}",
            ),
            ("controls", _said(task.controls)),
        ],
    )


def _scenario(task: Task) -> str:
    if not task.scenario:
        return ""
    rows = [(name, rule.rule, _fields(rule), _where(rule)) for name, rule in task.scenario.items()]
    text = "## Scenario\n\n" + _table(("step", "rule", "set to", "applies to"), rows)
    if task.choices:
        offered = [(f"`{path}`", _said(values)) for path, values in task.choices.items()]
        text += (
            "\n\nEach of these may be chosen with `--scenario step.field=value,...`; each combination is a "
            "protocol and a leaderboard of its own.\n\n" + _table(("choice", "values"), offered)
        )
    return text + "\n\n[Scenarios](../scenarios.md) says what each rule does and where it is from."


def _fields(rule: Rule) -> str:
    return "; ".join(f"{k} = {_said(v)}" for k, v in rule.model_dump().items() if k != "rule")


def _where(rule: Rule) -> str:
    return (
        "training images, after the division"
        if isinstance(rule, ON_TRAIN)
        else "all images, before the division"
    )


def _mix(mix: Mix, task: Task) -> str:
    factors = f" Factors: {_said(mix.factor)}." if mix.factor else ""
    return (
        "## Synthetic images\n\n"
        f"They are {MIXES[mix.training]}. A bracket counts {UNITS[mix.unit]}, for "
        f"{'every class' if mix.classes is None else _said(mix.classes)}.{factors}"
    )


def _sources(task: Task) -> str:
    rows = []
    for name, source in task.sources.items():
        split = source.split
        divided = f"{split.folds} folds by patient; " if split.folds else "by patient; "
        shares = f"test {split.test}, " if not split.folds else ""
        rows.append(
            (
                f"`{name}`" + (" (default)" if name == task.default_source else ""),
                f"{divided}{shares}val {split.val}, reserve {split.reserve} where the source gives none",
                split.too_few,
                _said(source.params) if source.params else "",
                _said(source.without) if source.without else "",
            )
        )
    head = ("source", "division", "class with too few patients", "parameters", "steps left out")
    return "## Data\n\n" + _table(head, rows)


def _profiles(task: Task) -> str:
    def row(name: str, say: Any) -> tuple[str, ...]:
        return (name, *(say(task.profile(p)) for p in PROFILES))

    def budget(p: Profile) -> str:
        b = p.budget
        early = f", ended after {b.patience} without gain" if b.patience else ""
        return f"{b.length} {b.unit} of {b.batch_size}, val read {b.evaluations} times{early}"

    rows = [
        row("image size", lambda p: f"{p.image_size} px"),
        row("data", lambda p: "; ".join(f"{k}: {_said(v)}" for k, v in p.data.items()) or "as above"),
        row("scenario", lambda p: "; ".join(f"{k}: {_said(v)}" for k, v in p.scenario.items()) or "as above"),
        row("brackets", lambda p: _said(p.brackets)),
        row("ranked at", lambda p: f"+{p.primary_bracket}"),
        row("classifiers", lambda p: _said([c.name for c in p.classifiers])),
        row("seeds", lambda p: len(p.seeds)),
        row("training", budget),
        row("learning curve", lambda p: _said(p.curve) if p.curve else "none"),
        row("generators", lambda p: _said(list(p.generators))),
        row("extractor", lambda p: p.measures.extractor),
    ]
    return "## Profiles\n\n" + _table(("", *PROFILES), rows)


def _classifier_cards(task: Task) -> str:
    rows = [
        (
            name,
            classifier.name,
            _network(classifier),
            " ".join(filter(None, (classifier.weights.kind, classifier.weights.tag))),
            f"{classifier.learning_rate:g}, {classifier.schedule}",
            str(classifier.batch_size or task.profile(name).budget.batch_size),
            f"{classifier.weight_decay:g}",
            f"{classifier.dropout:g}",
            classifier.augmentation,
        )
        for name in PROFILES
        for classifier in task.profile(name).classifiers
    ]
    head = ["profile", "classifier", "timm", "weights", "rate", "batch", "decay", "dropout", "augmentation"]
    return "### Classifiers\n\n" + _table(head, rows)


def _network(classifier: ClassifierConfig) -> str:
    said = [_said(classifier.timm_kwargs)] if classifier.timm_kwargs else []
    said += [f"head {classifier.head}"] if classifier.head != "linear" else []
    said += [f"last {classifier.trained} layers trained"] if classifier.trained != "all" else []
    return classifier.timm + (f" ({'; '.join(said)})" if said else "")


def _generators(task: Task) -> str:
    rows = [
        (
            name,
            row,
            entry.plugin or row,
            entry.fit,
            _said(entry.params) if entry.params else "the plug-in's own",
        )
        for name in PROFILES
        for row, entry in task.profile(name).generators.items()
    ]
    return "### Generators\n\n" + _table(("profile", "row", "plug-in", "fitted", "parameters"), rows)


def _published(task: Task) -> str:
    if not task.published:
        return ""
    rows = [(p.what, p.value, p.where) for p in task.published]
    return "## Figures of the paper\n\n" + _table(("what", "value", "where"), rows)


def _deviations(task: Task) -> str:
    if not task.deviations:
        return ""
    return "## Where this protocol leaves the paper's\n\n" + "\n".join(f"- {d}" for d in task.deviations)


def _commands(task: Task) -> str:
    real = next((name for name in task.sources if not name.startswith("phantom.")), None)
    lines = [f"mlflow run . -e run -P task={task.name} --env-manager local"]
    lines += [f"python -m benchmark run --task {task.name} --profile lite"]
    if real:
        lines += [f"python -m benchmark run --task {task.name} --source {real} --root /path/to/the/data"]
    if task.choices:
        path, values = next(iter(task.choices.items()))
        lines += [f"python -m benchmark run --task {task.name} --scenario {path}={values[0]}"]
    return "## Run it\n\n```sh\n" + "\n".join(lines) + "\n```"
