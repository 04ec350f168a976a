"""Tasks that extend another."""

from __future__ import annotations

import pytest
import yaml

from benchmark.errors import TaskError
from benchmark.planning.protocol_hash import protocol_hash
from benchmark.tasks.loading import load_task, task_names

OWN = {"question": "Does it help?", "citation": "none"}


def write(folder, name, **fields):
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"name": name, **fields}))
    return str(path)


def test_fields_are_inherited_and_merged_but_no_claim(tmp_path):
    """One changed field of a profile leaves the others; question and citation must be given anew."""
    path = write(tmp_path, "own", extends="cxr_pneumonia", **OWN, profiles={"demo": {"seeds": [7]}})
    own, base = load_task(path), load_task("cxr_pneumonia")
    assert own.profiles["demo"] == base.profiles["demo"].model_copy(update={"seeds": (7,)})
    assert own.profiles["paper"] == base.profiles["paper"]
    assert (own.classes, own.controls) == (base.classes, base.controls)
    assert (own.question, own.citation, own.title, own.published) == ("Does it help?", "none", "", ())
    with pytest.raises(TaskError) as fault:
        load_task(write(tmp_path, "bare", extends="cxr_pneumonia"))
    assert "question" in str(fault.value)
    assert "citation" in str(fault.value)


def test_a_profile_alone_and_a_removed_field(tmp_path):
    """Null removes the other two profiles."""
    path = write(tmp_path, "own", extends="lus_limited", **OWN, profiles={"lite": None, "paper": None})
    assert list(load_task(path).profiles) == ["demo"]
    with pytest.raises(TaskError, match="profile 'lite'"):
        load_task(path).profile("lite")


def test_a_task_beside_it_is_extended_by_its_path(tmp_path):
    """Two levels; a circle is refused."""
    write(tmp_path, "first", extends="cxr_pneumonia", **OWN, controls=["real_only"])
    (tmp_path / "deep").mkdir()
    second = write(tmp_path / "deep", "second", extends="../first.yaml", **OWN)
    assert load_task(second).controls == ("real_only",)
    circle = write(tmp_path, "circle", extends="circle.yaml", **OWN)
    with pytest.raises(TaskError, match="circle"):
        load_task(circle)
    with pytest.raises(TaskError, match="Did you mean 'cxr_pneumonia'"):
        load_task(write(tmp_path, "odd", extends="cxr_pneumona", **OWN))


def test_all_faults_are_listed_at_once(tmp_path):
    """A misspelled field comes first, with what was meant; the others follow, each with its place."""
    fields = {"extends": "cxr_pneumonia", **OWN, "clases": ["a"], "controls": 3, "labels": "many"}
    with pytest.raises(TaskError) as fault:
        load_task(write(tmp_path, "wrong", **fields))
    first, *others = str(fault.value).splitlines()
    assert first.endswith("unknown field 'clases'")
    assert "Did you mean 'classes'" in others[0]
    assert {"controls", "labels"} <= {line.split(": ")[1].split(":")[0] for line in others[1:]}


def test_no_protocol_of_the_suite_extends_another():
    """Its tasks stand alone, so that their hashes do not depend on one another."""
    for name in task_names():
        task = load_task(name)
        assert protocol_hash(task, "demo", task.default_source, "phantom_cxr_v1")
