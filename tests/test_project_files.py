"""Files that install and describe the project agree with each other."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import tomllib

import pytest
import yaml

from support.samples import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_conda_has_the_pins_of_pyproject():
    """conda.yaml installs exactly the dependencies of pyproject.toml."""
    conda = yaml.safe_load((ROOT / "conda.yaml").read_text())
    pip = next(d["pip"] for d in conda["dependencies"] if isinstance(d, dict))
    assert sorted(pip) == sorted(PROJECT["dependencies"])


def test_version_is_the_same_everywhere():
    """pyproject.toml, the package, the changelog and the citation name one version."""
    import benchmark

    version = PROJECT["version"]
    assert benchmark.__version__ == version
    assert f"[{version}]" in (ROOT / "CHANGELOG.md").read_text()
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version


def test_readme_opens_with_the_two_commands():
    """`make demo` and `make test` come first, and the README shows the plain commands of the Makefile."""
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    commands = re.search(r"```(?:sh|bash)\n(.*?)```", readme, re.DOTALL).group(1)
    assert [line.split("#")[0].strip() for line in commands.strip().splitlines()] == [
        "make demo",
        "make test",
    ]
    for plain in ("mlflow run . --env-manager local", "python -m pytest"):
        assert plain in readme
        assert plain in makefile


def test_container_is_built_by_the_makefile():
    """The image installs by the target of `make demo`, with the project's lowest Python; what git ignores and
    its history stay outside."""
    steps = (ROOT / "Dockerfile").read_text().splitlines()
    assert steps[-2:] == ["RUN make .venv/.installed", 'CMD ["make", "demo"]']
    assert steps.index("COPY . .") < steps.index("RUN make .venv/.installed")
    plan = subprocess.run(
        ["make", "--dry-run", "--always-make", ".venv/.installed"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "-m venv .venv" in plan
    assert "pip install --quiet --disable-pip-version-check -e '.[dev]'" in plan
    version = next(
        re.search(r"^FROM python:(\d+\.\d+)-slim$", step) for step in steps if step.startswith("FROM")
    )
    assert version is not None
    assert PROJECT["requires-python"] == f">={version.group(1)}"
    assert f"python={version.group(1)}" in yaml.safe_load((ROOT / "conda.yaml").read_text())["dependencies"]
    ignored = {line for line in (ROOT / ".gitignore").read_text().split() if line.endswith("/")}
    outside = {line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text().split()}
    assert {*ignored, ".git/"} <= outside


def test_no_file_of_the_packs_is_in_the_repository():
    """No real image is tracked: every tracked image is in docs/images or leaderboards."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    pictures = [
        f for f in tracked.splitlines() if f.lower().endswith((".png", ".jpg", ".jpeg", ".mp4", ".gif"))
    ]
    assert all(f.startswith(("docs/images/", "leaderboards/")) for f in pictures)


@pytest.mark.parametrize(
    "path", sorted(p for d in ("perf", "examples") for p in (ROOT / d).rglob("*.py")), ids=lambda p: p.stem
)
def test_scripts_import_names_that_exist(path):
    """Every name that a script of perf/ or examples/ imports from the package is there."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("benchmark"):
            module = importlib.import_module(node.module)
            for name in node.names:
                if not hasattr(module, name.name):
                    importlib.import_module(f"{node.module}.{name.name}")
