"""Commands and files of docs/cluster.md: every one is parsed."""

import re
import shlex

import yaml

from benchmark.cli.parser import read_request
from benchmark.engine.resources import ClusterFile, placement
from support.samples import ROOT

PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")


def test_every_command_of_the_page_is_parsed(monkeypatch):
    """Options exist and values have their types; executors count as installed."""
    monkeypatch.setattr("benchmark.engine.resources.find_spec", lambda name: name)
    lines = re.findall(r"^\s*(?:python -m benchmark|synththorax) (.*)$", PAGE, re.MULTILINE)
    assert len(lines) >= 15
    for line in lines:
        _, request = read_request(shlex.split(line, comments=True))
        if file := getattr(request, "cluster", None):
            placement(getattr(request, "executor", None), ROOT / file)


def test_the_files_of_clusters_are_valid():
    """The page's example, and those in deploy/."""
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert ClusterFile.model_validate(yaml.safe_load(example)).slurm.array == 50
    for name in ("slurm", "ray"):
        content = yaml.safe_load((ROOT / "deploy" / f"cluster_{name}.yaml").read_text())
        assert ClusterFile.model_validate(content).executor == name
