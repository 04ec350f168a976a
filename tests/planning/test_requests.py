"""Conditions of generators are checked, and their files read, when a run is planned."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmark.errors import BenchmarkError, DataError, TaskError, UnknownNameError
from benchmark.planning.graph import build
from benchmark.planning.plan import Row
from benchmark.planning.request import RunRequest
from benchmark.planning.requests import check_conditions, with_read_files
from benchmark.planning.resolve import make_plan
from benchmark.tasks.loading import load_task
from benchmark.tasks.requests import FromFile, Template, Values
from benchmark.verification.protocol import Protocol
from support.samples import TINY

READS = Row("reads", "generator", {}, {"name": "reads", "origin": "builtin"})


def check(conditions, known=(), **requests):
    """Check a generator with these conditions against a source that knows some."""
    task = load_task(str(TINY)).model_copy(update={"requests": requests})
    row = Row(**{**READS.__dict__, "conditions": conditions})
    check_conditions(task, [row], "source", frozenset(known))


@pytest.mark.parametrize(
    ("conditions", "known", "requests"),
    [
        (("label", "source_id"), (), {}),
        (("mask", "view"), ("mask", "view"), {}),
        (("view",), (), {"view": Values(values=("PA",))}),
        (("prompt",), ("view",), {"prompt": Template(template="{class}, {view}")}),
        (("prompt",), (), {"prompt": Template(template="{class}"), "view": "empirical"}),
        (("severity",), (), {"severity": Values(values=("x",), by_class={"viral": ("y",)})}),
    ],
)
def test_conditions_that_can_be_drawn_pass(conditions, known, requests):
    """From the class, from what the source knows, from stated values, or from a template of these."""
    check(conditions, known, **requests)


SOME = dict.fromkeys(("healthy", "fungal", "covid19", "bacterial"), ("x",))


@pytest.mark.parametrize(
    ("conditions", "requests", "message"),
    [
        (
            ("mask",),
            {},
            "'reads': conditions: 'mask' is not known for the images of source 'source'",
        ),
        (("labels",), {}, "'labels' is not known"),
        (("prompt",), {"prompt": Template(template="{view}")}, "'view' is not known.*\n.*requests.view"),
        (("mask",), {"mask": Values(values=(1,))}, "task tiny: requests.mask: can only be empirical"),
        (("source_id",), {"source_id": Values(values=("x",))}, "requests.source_id: can only be empirical"),
        (("view",), {"view": Template(template="x")}, "requests.view: only a prompt has a template"),
        (
            ("severity",),
            {"severity": Values(by_class=SOME)},
            "requests.severity: has no value for class",
        ),
    ],
)
def test_conditions_that_cannot_be_drawn_are_refused(conditions, requests, message):
    """One line names the row or the task's field, and a remedy."""
    with pytest.raises(TaskError, match=message) as error:
        check(conditions, **requests)
    assert error.value.remedy


@pytest.mark.parametrize("name", ["views", "mask", "labels", "prompt", "0", "view.x"])
def test_unknown_placeholders_are_refused(name):
    """A typing error, a column that is no text, and the prompt itself are named, with what there is."""
    with pytest.raises(UnknownNameError, match=f"'{name}'.*\n.*(Did you mean 'view'|class, )"):
        check(("prompt",), ("view",), prompt=Template(template=f"{{class}} {{{name}}}"))


def test_an_unknown_condition_is_refused():
    """A typing error in a generator's ``conditions`` is named."""
    with pytest.raises(UnknownNameError, match="Did you mean 'prompt'"):
        check(("promt",))


@pytest.mark.parametrize("template", ["{", "{view", "{}", "a } b"])
def test_malformed_templates_are_refused(template):
    """An open brace and a placeholder without a name are errors of the task."""
    with pytest.raises(ValueError, match=r"has no name|expected '}'|Single '[{}]'"):
        Template(template=template)


def task_with(folder: Path, requests, name="tiny") -> Path:
    """Write the tiny task with conditions."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(TINY.read_text()), "requests": requests}))
    return path


def test_a_file_is_read_at_planning_and_its_content_is_part_of_the_protocol(tmp_path):
    """A file elsewhere with the same content gives the same protocol and keys; another line another one."""
    made = []
    for folder, text in (("a", "view\nPA\nAP\n"), ("b", "view\nPA\nAP\n"), ("c", "view\nPA\nlateral\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "views.csv").write_text(text)
        task = task_with(tmp_path / folder, {"view": {"file": str(tmp_path / folder / "views.csv")}})
        made.append((task, make_plan(RunRequest(str(task), generators=("ddpm",)))))
    plans = [plan for _, plan in made]
    assert plans[0].task.requests == {"view": Values(values=("PA", "AP"))}
    assert plans[0].protocol_hash == plans[1].protocol_hash != plans[2].protocol_hash
    assert build(plans[0]).keys == build(plans[1]).keys
    values = task_with(tmp_path / "d", {"view": {"values": ["PA", "AP"]}})
    assert make_plan(RunRequest(str(values), generators=())).protocol_hash == plans[0].protocol_hash
    plain = make_plan(RunRequest(str(TINY), generators=()))
    assert plain.protocol_hash != plans[0].protocol_hash


def test_files_of_a_task_are_relative_to_it(tmp_path, monkeypatch):
    """Conditions and initial weights lie beside the task file, whatever the working directory."""
    (tmp_path / "views.csv").write_text("view\nPA\n")
    path = task_with(tmp_path, {"view": {"file": "views.csv"}})
    content = yaml.safe_load(path.read_text())
    for profile in content["profiles"].values():
        profile["classifiers"][0]["weights"] = {"kind": "file", "path": "w/net.safetensors"}
    path.write_text(yaml.safe_dump(content))
    (tmp_path / "elsewhere").mkdir()
    for folder, name in ((tmp_path / "elsewhere", "../tiny.yaml"), (tmp_path, "tiny.yaml")):
        monkeypatch.chdir(folder)
        task = with_read_files(load_task(name))
        assert task.requests == {"view": Values(values=("PA",))}
        weights = task.profile("demo").classifiers[0].weights.path
        assert weights.resolve() == tmp_path / "w" / "net.safetensors"


def test_values_of_a_file_may_be_of_a_class(tmp_path):
    """A column ``class`` divides the values; ages are numbers."""
    path = tmp_path / "ages.csv"
    path.write_text("class,age\nhealthy,30\nviral,60\nhealthy,40\n")
    task = load_task(str(TINY)).model_copy(update={"requests": {"age": FromFile(file=path)}})
    assert with_read_files(task).requests["age"] == Values(by_class={"healthy": (30, 40), "viral": (60,)})
    path.write_text("class,years\nhealthy,30\n")
    with pytest.raises(DataError, match=r"age.*column is missing"):
        with_read_files(task)
    path.unlink()
    with pytest.raises(BenchmarkError, match=r"ages\.csv"):
        with_read_files(task)


def test_the_plan_refuses_before_anything_is_computed(tmp_path):
    """A generator with a condition that the phantoms do not give ends the plan in one line."""
    text = "from pydantic import BaseModel\nversion = '1'\nclass Params(BaseModel): ...\n" + (
        "class Generator:\n    conditions = {'severity'}\n    fit = sample = save = load = lambda *a: None\n"
    )
    (tmp_path / "severe.py").write_text(text)
    with pytest.raises(TaskError, match="generator 'severe': conditions: 'severity' is not known"):
        make_plan(RunRequest(str(TINY), generators=(str(tmp_path / "severe.py"),)))


def test_a_verified_protocol_reads_the_files_too(tmp_path):
    """A bundle of a task with a file of conditions has the hash that verification computes."""
    (tmp_path / "views.csv").write_text("view\nPA\n")
    task = task_with(tmp_path, {"view": {"file": str(tmp_path / "views.csv")}})
    plan = make_plan(RunRequest(str(task), generators=()))
    read = Protocol(with_read_files(load_task(str(task))), str(task), "demo", plan.source, plan.extractor, "")
    assert read.hash(plan.extractor) == plan.protocol_hash
