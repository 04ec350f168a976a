"""Command lines in the output of a verb."""

from __future__ import annotations

import re
import shlex

COMMAND = re.compile(r"(?:synththorax|python -m benchmark) ((?!\\.).*?),?$", re.MULTILINE)


def commands(text: str) -> list[list[str]]:
    """Return the words of every command of the suite, which ends a line of the text."""
    return [shlex.split(line) for line in COMMAND.findall(text)]
