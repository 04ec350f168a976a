"""Plans and summaries that ``run`` and ``tune`` show, and the commands that they print."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from benchmark.cli import run_summary, stages
from benchmark.cli.parser import main, read_request
from benchmark.comparison.compare import compare
from benchmark.experiments.run import Finished
from benchmark.planning.resolve import make_plan
from benchmark.reporting.leaderboards.board import Board
from support.by_hand import records, two_generators
from support.printed import commands
from support.samples import ROOT, TINY

GENERATOR = (ROOT / "examples" / "my_generator.py").read_text() + (
    "\n\ndef search_space(trial):\n    return {'components': trial.suggest_int('components', 2, 4)}\n"
)


def dry_run(capsys, *words: str) -> dict:
    """Return the JSON of ``run --dry-run`` on the tiny task."""
    assert main(["run", str(TINY), "--dry-run", "--json", "--workers", "1", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_dry_run_names_rows_and_stages_and_writes_nothing(capsys, tmp_path, monkeypatch):
    """84 stages of the tiny task; neither store, output nor tracking store is made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNTHTHORAX_STORE", raising=False)
    plan = dry_run(capsys)
    assert sum(plan["stages"].values()) == plan["all"] == 84
    assert plan["out"] == "outputs/tiny-demo"
    assert list(tmp_path.iterdir()) == []
    assert main(["run", str(TINY), "--dry-run"]) == 0
    assert "84 stages, 0 reused" in capsys.readouterr().out


def test_generators_replace_the_tasks_or_come_beside_them(capsys, tmp_path, monkeypatch):
    """A file alone replaces ``ddpm``; after a + it comes last; ``--only`` leaves the other rows out."""
    monkeypatch.chdir(tmp_path)
    file = str(ROOT / "examples" / "my_generator.py")
    controls = dry_run(capsys)["rows"][:-1]
    assert dry_run(capsys, "--generators", file)["rows"] == [*controls, "my_generator"]
    assert dry_run(capsys, "--generators", f"+{file}")["rows"] == [*controls, "ddpm", "my_generator"]
    only = dry_run(capsys, "--only", "ddpm,oracle")
    assert only["rows"] == ["real_only", "oracle", "ddpm"]
    assert only["out"] == "outputs/tiny-demo-only_ddpm_oracle".replace("only_", "only=")


def test_other_seeds_are_another_protocol_in_another_folder(capsys, tmp_path, monkeypatch):
    """One seed halves the trainings of two; the task's own seeds give the task's own hash."""
    monkeypatch.chdir(tmp_path)
    own, same, other = dry_run(capsys), dry_run(capsys, "--seeds", "0,1"), dry_run(capsys, "--seeds", "5")
    assert own["protocol_hash"] == same["protocol_hash"] != other["protocol_hash"]
    assert own["stages"]["classify"] == 2 * other["stages"]["classify"]
    assert other["out"] == "outputs/tiny-demo-seeds=5"


@pytest.fixture
def custom(tmp_path, monkeypatch) -> Path:
    """A folder with a space in its name, with a task file, whose row ``named`` is of plug-in ``ddpm``, and a
    generator with a search space."""
    folder = tmp_path / "my files"
    folder.mkdir()
    task = yaml.safe_load(TINY.read_text())
    size = task["profiles"]["demo"]
    size["generators"] = {"named": {"plugin": "ddpm", **size["generators"]["ddpm"]}}
    (folder / "own.yaml").write_text(yaml.safe_dump({**task, "name": "own", "profiles": {"demo": size}}))
    (folder / "mine.py").write_text(GENERATOR)
    monkeypatch.chdir(tmp_path)
    return Path("my files")


@pytest.mark.parametrize("generator", ["mine.py", "named", "ddpm"])
def test_the_command_that_tune_prints_plans_the_tuned_row(generator, custom, monkeypatch, capsys):
    """Of a custom task with settings, for a file, a row with another name, and a built-in generator."""
    best, given = custom / "best.yaml", str(custom / generator) if "." in generator else generator
    seen = []

    def tune(plan, plugin, settings):
        params = {"components": 3} if generator == "mine.py" else {"warmup": 2}
        best.write_text(yaml.safe_dump({"generators": {plan.rows[-1].name: params}}))
        seen.append(plan)
        return best

    monkeypatch.setattr(stages, "tune", tune)
    words = ["--task", str(custom / "own.yaml"), "--set", "split.val=0.25", "--device", "cpu"]
    assert main(["tune", *words, "--generator", given]) == 0
    (printed,) = commands(capsys.readouterr().out)
    _, request = read_request(printed)
    row = make_plan(request).rows[-1]
    assert row.name == seen[0].rows[-1].name == generator.removesuffix(".py")
    assert 3 in row.params.values() or row.params["warmup"] == 2
    assert make_plan(request).settings == seen[0].settings == {"split.val": 0.25}


@pytest.fixture
def finished(tmp_path) -> Finished:
    """A run of two generators that ended after 90 seconds."""
    bundles = two_generators()
    outcome = SimpleNamespace(results={}, computed=[], failures={}, report=list)
    board = Board(bundles, compare(records(bundles)))
    graph = SimpleNamespace(find=lambda _: [])
    return Finished(graph, outcome, tmp_path / "my out", [], 90.0, board)


def test_the_summary_ends_with_commands_that_parse(finished):
    """The first candidate is drawn from; every printed command is a command of the suite."""
    lines = "\n".join(run_summary.summary_lines(finished))
    assert "0 stages computed, 0 reused, in 1:30." in lines
    sample, tables = commands(lines)
    assert read_request(sample)[1].row == "one"
    assert read_request(tables)[1].bundles == (finished.out,)


def test_json_is_alone_on_stdout(finished, monkeypatch, capsys):
    """Progress goes to stderr, or nowhere with ``--quiet``; the JSON has verdict and rows."""

    def execute(request, verb):
        print("progress")
        return finished

    monkeypatch.setattr(stages, "execute", execute)
    assert main(["run", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "progress\n"
    result = json.loads(captured.out)
    assert [row["row"] for row in result["rows"]] == ["one", "two", "real_only"]
    assert result["verdict"] == finished.board.verdict.text
    assert main(["run", "--quiet"]) == 0
    assert "progress" not in "".join(capsys.readouterr())
