"""The parameters with which the repository's boards are made."""

import re
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "examples" / "boards"
FILES = sorted(p for p in FOLDER.glob("*.yaml") if "--generators" in p.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_parameters_are_of_generators_that_the_command_runs(path):
    """The command at the head of each file names the file and every generator in it."""
    text = path.read_text(encoding="utf-8")
    command = re.search(r"--task (\S+) --generators (\S+) --params (\S+)", text)
    assert command is not None
    assert command[1] == path.stem
    assert command[3] == f"examples/boards/{path.name}"
    assert set(yaml.safe_load(text)["generators"]) <= set(command[2].split(","))
