"""The generated `MLproject`, whose entry points MLflow can run."""

from __future__ import annotations

import dataclasses
import shlex

import pytest
import yaml

from benchmark.cli.mlproject import mlproject
from benchmark.cli.parser import VERBS, read_request
from support.samples import ROOT

POINTS = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]


def words(name: str, **given: str) -> list[str]:
    """Return the command line that MLflow makes of an entry point, its defaults and the given parameters."""
    point = POINTS[name]
    values = {p: about["default"] for p, about in point.get("parameters", {}).items()} | given
    command = point["command"].format(**{p: shlex.quote(v) for p, v in values.items()})
    return shlex.split(command)[3:]


def test_the_file_is_up_to_date():
    """The file in the repository equals the generator's output."""
    message = "Run: python -m benchmark.cli.mlproject"
    assert (ROOT / "MLproject").read_text(encoding="utf-8") == mlproject(), message


def test_every_verb_is_an_entry_point():
    """Each verb has an entry point, and ``main`` runs the whole benchmark."""
    assert set(POINTS) == {verb.replace(" ", "_") for verb in VERBS} | {"main"}
    assert POINTS["main"] == POINTS["run"]


@pytest.mark.parametrize("name", POINTS)
def test_every_option_is_a_parameter(name):
    """An entry point has all fields of its verb's request, and its command uses each once."""
    verb = VERBS["run" if name == "main" else name.replace("_", " ")]
    fields = {field.name for field in dataclasses.fields(verb.request)}
    assert set(POINTS[name].get("parameters", {})) == fields
    used = [word for word in POINTS[name]["command"].split() if word.startswith("{")]
    assert sorted(used) == sorted(f"{{{field}}}" for field in fields)


@pytest.mark.parametrize("name", POINTS)
def test_the_defaults_make_a_command_that_parses(name):
    """MLflow's command without parameters is a valid command line of the verb."""
    verb, request = read_request(words(name))
    assert verb is VERBS["run" if name == "main" else name.replace("_", " ")]
    assert isinstance(request, verb.request)


def test_optional_parameters_default_to_the_options_defaults():
    """Omitted parameters mean the same as omitted options."""
    for name in ("run", "tasks", "leaderboard"):
        assert read_request(words(name))[1] == read_request([name])[1]


def test_parameters_reach_the_request():
    """Spaces, commas and braces survive MLflow's command."""
    _, request = read_request(words("data_build", set="{a: 1, b: [x, y]}", classes="p q,r", out="my set"))
    assert request.set == ("{a: 1, b: [x, y]}",)
    assert request.classes == ("p q", "r")
    assert str(request.out) == "my set"


def test_paths_reach_the_request(tmp_path):
    """A path with a comma, a space and an umlaut survives, alone and beside another value."""
    path = tmp_path / "a, b" / "grö ße.py"
    path.parent.mkdir()
    path.write_text("")
    _, run = read_request(words("run", generators=f"ddpm,{path}, noise", metrics=str(path), root=str(path)))
    assert run.generators == ("ddpm", str(path), "noise")
    assert (run.metrics, run.root) == ((str(path),), path)
    _, tables = read_request(words("tables", bundles=f"{path.parent},{path.parent}"))
    assert tables.bundles == (path.parent, path.parent)
