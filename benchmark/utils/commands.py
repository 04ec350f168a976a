"""Commands of this suite that messages show, so that a user can paste them into a shell."""

import shlex
import sys
from pathlib import Path

MODULE = "python -m benchmark"  # works where the package is not installed, as under ``mlflow run``
SCRIPT = "synththorax"


def program() -> str:
    """Return the command by which this process was started, or that of an installed package."""
    return MODULE if Path(sys.argv[0]).parts[-2:] == ("benchmark", "__main__.py") else SCRIPT


def command(*words: object) -> str:
    """Return a command line of the suite, quoted for a shell."""
    return f"{program()} {shlex.join(map(str, words))}"
