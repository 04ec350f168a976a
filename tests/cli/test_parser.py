"""The command line: fast help, typed requests and clear errors."""

from __future__ import annotations

import inspect
import pkgutil
import shlex
import subprocess
import sys
import typing
import warnings
from pathlib import Path

import pytest

from benchmark.cli import parser
from benchmark.cli.parser import VERBS, main, read_request


def test_help_imports_nothing_heavy():
    """``--help`` does not import torch, MLflow, pandas, Optuna or numpy."""
    code = (
        "import sys\nfrom benchmark.cli.parser import main\n"
        "try:\n    main(['run', '--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'mlflow', 'pandas', 'numpy', 'optuna', 'jinja2', 'yaml'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--profile" in done.stdout


def test_overview_lists_every_verb(capsys):
    """The status is 2 without a verb and 0 with ``--help``; both print every verb."""
    assert main([]) == 2
    without = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == without
    assert all(f"  {verb} " in without for verb in VERBS)


@pytest.mark.parametrize("name", VERBS)
def test_every_function_takes_the_request_of_its_verb(name):
    """The named function exists, and its first parameter has the type of the request."""
    verb = VERBS[name]
    function = pkgutil.resolve_name(verb.function)
    first = next(iter(inspect.signature(function).parameters))
    assert typing.get_type_hints(function)[first] is verb.request


def test_an_empty_value_counts_as_omitted():
    """MLflow passes an empty string for an omitted parameter."""
    words = ["run", "--task", "", "--workers", "", "--generators", "", "--root", "", "--out", ""]
    assert read_request(words)[1] == read_request(["run"])[1]
    assert read_request(["leaderboard", "--check", "", "--add", ""])[1] == read_request(["leaderboard"])[1]


def test_values_are_typed():
    """Commas and spaces separate values, switches accept a text, and numbers are numbers."""
    _, run = read_request(["run", "--generators", "ddpm, a.py", "--workers", "2", "--root", "x"])
    assert (run.generators, run.workers, run.root) == (("ddpm", "a.py"), 2, Path("x"))
    _, leaderboard = read_request(["leaderboard", "--add", "a,b", "c", "--check", "--replace", "false"])
    assert leaderboard.add == (Path("a"), Path("b"), Path("c"))
    assert (leaderboard.check, leaderboard.replace) == (True, False)
    _, sweep = read_request(["sweep", "--over", "a.b", "--over", "c.d", "--values", "1,2"])
    assert (sweep.over, sweep.values) == (("a.b", "c.d"), ("1,2",))


def test_the_task_is_an_argument_or_an_option():
    """Both give the same request; so do seeds and rows with commas and with spaces."""
    assert read_request(["run", "lus_limited"])[1] == read_request(["run", "--task", "lus_limited"])[1]
    _, run = read_request(["run", "x", "--seeds", "0,1", "2", "--only", "a, b"])
    assert (run.task, run.seeds, run.only) == ("x", (0, 1, 2), ("a", "b"))


EXAMPLES = [(name, example) for name, verb in VERBS.items() for example in verb.examples]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_every_example_of_the_help_parses(name, example):
    """An example of a verb is a command line of this verb."""
    assert read_request(shlex.split(example))[0] is VERBS[name]


def test_help_shows_groups_defaults_and_examples(capsys, monkeypatch):
    """The help of ``run`` has titled groups, the default of the profile, and command lines."""
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    shown = capsys.readouterr().out
    for text in ("task and data:", "rows and seeds:", "(default: demo)", "examples:\n  synththorax run "):
        assert text in shown


def test_the_first_line_comes_before_the_libraries():
    """A command tells that it has begun before its function, and what that imports, is loaded."""
    code = (
        "import sys\nfrom benchmark.cli import parser\n"
        "def name(function):\n"
        "    heavy = {'torch', 'mlflow', 'pandas', 'numpy', 'scipy'} & set(sys.modules)\n"
        "    print('heavy:', heavy or None, file=sys.stderr)\n"
        "    return lambda *_: 0\n"
        "parser.resolve_name = name\nsys.argv = ['synththorax', 'run']\nparser.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "run: loading the libraries ...\nheavy: None\n"


def test_a_reader_that_ends_is_no_traceback():
    """``| head -1`` ends the command without a word on stderr, by the status of SIGPIPE."""
    command = f"{sys.executable} -m benchmark tasks cxr_pneumonia"
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("{\n141\n", "")


def test_warnings_of_dependencies_are_not_shown(monkeypatch, capsys):
    """A warning within a verb is silent; the filters are as before afterwards."""
    before = list(warnings.filters)

    def warn(request):
        warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(sys, "warnoptions", [])
    monkeypatch.setattr(parser, "resolve_name", lambda _: warn)
    assert main(["tasks"]) == 0
    assert capsys.readouterr().err == ""
    assert warnings.filters == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "Did you mean 'run'"),
        (["run", "--tsak", "x"], "Did you mean '--task'"),
        (["run", "--tsak=x"], "unknown option '--tsak'"),
        (["run", "a", "b"], "unexpected argument 'b'"),
        (["run", "a", "--task", "b"], "'a' and --task are given"),
        (["run", "--seeds", "0,x"], "--seeds: Input should be a valid integer"),
        (["run", "--workers", "none"], "--workers: Input should be a valid integer"),
        (["run", "--workers", "0"], "should be greater than or equal to 1, got '0'"),
        (["stats", "runs", "--alpha", "5"], "--alpha: Input should be less than 1"),
        (["stats", ""], "kind: Field required"),
        (["data", "biuld"], "Did you mean 'build'"),
        (["store"], "no action is given"),
        (["store", "verfy"], "Did you mean 'verify'"),
        (["data", "build", "--source", "phantom.chest"], "--out"),
        (["tune"], "--generator"),
    ],
)
def test_wrong_command_is_one_line_and_exit_2(arguments, message, capsys):
    """A misspelled verb or option, or a value of the wrong type, never shows a traceback."""
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
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
        (["run", "--generators", "+ddpm"], "named twice"),
        (["run", "--only", "dpdm"], "Did you mean 'ddpm'"),
        (["run", "--seeds", "1,1"], "names a seed twice"),
        (["run", "--device", "gpu"], "Known: auto, cpu, cuda"),
        (["run", "--precision", "float8"], "Known: auto, bfloat16, float16, float32"),
        (["run", "--extractor", "inceptoin"], "inception"),
        (["tune", "--generator", "noise"], "has no search_space"),
        (["leaderboard", "--bundles", "/not/there"], "/not/there"),
    ],
)
def test_wrong_name_is_refused_before_anything_is_computed(arguments, message, capsys, tmp_path, monkeypatch):
    """Unknown names and missing folders give status 1 and one line, without store, output or tracking."""
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / ".store").exists()
    assert not (tmp_path / "mlflow.db").exists()


def test_params_file_is_checked(tmp_path, capsys, monkeypatch):
    """Parameters of an unknown generator, and unknown parameters, are refused with a suggestion."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "p.yaml"
    path.write_text("generators: {ddpm: {learning_rat: 0.1}}")
    assert main(["run", "--generators", "ddpm", "--params", str(path)]) == 1
    assert "Did you mean 'learning_rate'" in capsys.readouterr().err
    path.write_text("generators: {dppm: {}}")
    assert main(["run", "--generators", "ddpm", "--params", str(path)]) == 1
    assert "Did you mean 'ddpm'" in capsys.readouterr().err


def test_tasks_lists_and_shows(capsys):
    """``tasks`` lists the packaged task and its question; with a name it prints the whole protocol."""
    assert main(["tasks"]) == 0
    assert "cxr_pneumonia" in capsys.readouterr().out
    assert main(["tasks", "cxr_pneumonia"]) == 0
    assert '"brackets"' in capsys.readouterr().out
