"""The command line: quick to answer, clear about faults."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from benchmark.cli.parser import DATA_VERBS, OTHER_VERBS, STAGE_VERBS, main, parser
from support.samples import ROOT

VERBS = {**OTHER_VERBS, **STAGE_VERBS}


def test_help_imports_nothing_heavy():
    """``--help`` answers without torch, MLflow, pandas, pydantic or numpy."""
    code = (
        "import sys\nfrom benchmark.cli.parser import main\n"
        "try:\n    main(['run', '--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'mlflow', 'pandas', 'pydantic', 'numpy', 'optuna'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--profile" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rnu"], "Did you mean 'run'"),
        (["run", "--tsak", "x"], "--tsak"),
        (["run", "--workers", "none"], "expected a whole number, got 'none'"),
        (["run", "--workers", "0"], "expected at least 1"),
        (["data", "biuld"], "biuld"),
        (["data", "build", "--source", "phantom.chest"], "--out"),
        (["tune"], "--generator"),
    ],
)
def test_wrong_command_is_one_line_and_exit_2(arguments, told, capsys):
    """A misspelled verb or option, or a value of the wrong type, never shows a traceback."""
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "--task", "cxr_pnumonia"], "Did you mean 'cxr_pneumonia'"),
        (["run", "--profile", "dem"], "Did you mean 'demo'"),
        (["run", "--source", "covid_chestxrays"], "Did you mean 'covid_chestxray'"),
        (["run", "--source", "covid_chestxray"], "Give it with --root"),
        (["run", "--source", "covid_chestxray", "--root", "/not/there"], "/not/there"),
        (["run", "--root", "/tmp"], "reads no folder"),
        (["run", "--generators", "dpdm"], "Did you mean 'ddpm'"),
        (["run", "--generators", "absent.py"], "no such file"),
        (["run", "--generators", "ddpm,ddpm"], "named twice"),
        (["run", "--generators", "oracle"], "named twice, or is a control"),
        (["run", "--device", "gpu"], "Known: auto, cpu, cuda"),
        (["run", "--precision", "float16"], "Known: auto, bfloat16, float32"),
        (["run", "--extractor", "inceptoin"], "inception"),
        (["tune", "--generator", "noise"], "has no search_space"),
        (["leaderboard", "--bundles", "/not/there"], "/not/there"),
    ],
)
def test_wrong_name_is_told_before_anything_is_computed(arguments, told, capsys, tmp_path, monkeypatch):
    """Unknown names and missing folders end with status 1 and one line; no store, no output, no tracking."""
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / ".store").exists()
    assert not (tmp_path / "mlflow.db").exists()


def test_params_file_is_checked(tmp_path, capsys, monkeypatch):
    """Parameters of an unknown generator, or an unknown parameter, are told with a did you mean."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "p.yaml"
    path.write_text("generators: {ddpm: {learning_rat: 0.1}}")
    assert main(["run", "--generators", "ddpm", "--params", str(path)]) == 1
    assert "Did you mean 'learning_rate'" in capsys.readouterr().err
    path.write_text("generators: {dppm: {}}")
    assert main(["run", "--generators", "ddpm", "--params", str(path)]) == 1
    assert "Did you mean 'ddpm'" in capsys.readouterr().err


def test_every_verb_is_an_entry_point_with_the_same_options():
    """MLproject has each verb, its command names options that the verb has, and all of its parameters."""
    project = yaml.safe_load((ROOT / "MLproject").read_text())
    actions = {f"data_{action}" for action in DATA_VERBS}
    assert set(project["entry_points"]) == set(VERBS) | actions | {"main"}
    for name, point in project["entry_points"].items():
        command = point["command"].split()
        words = command[3:5] if name in actions else command[3:4]
        assert "_".join(words) == ("run" if name == "main" else name)
        verb = parser()
        for word in words:
            verb = next(a for a in verb._actions if a.dest in ("verb", "action")).choices[word]
        options = {o for a in verb._actions for o in a.option_strings}
        used = [w for w in command if w.startswith("--")]
        assert set(used) <= options
        assert {w.strip("{}") for w in command if w.startswith("{")} == set(point.get("parameters", {}))
        optional = {o for o in options if o.startswith("--")} - {"--help", "--version"}
        assert optional == set(used), name


def test_tasks_lists_and_shows(capsys):
    """``tasks`` names the packaged task and its question; with a name it prints the whole protocol."""
    assert main(["tasks"]) == 0
    assert "cxr_pneumonia" in capsys.readouterr().out
    assert main(["tasks", "cxr_pneumonia"]) == 0
    assert '"brackets"' in capsys.readouterr().out
