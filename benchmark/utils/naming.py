"""Names that become folders: of rows, and of the plug-ins behind them."""

import re

from benchmark.errors import TaskError

NAME = r"[a-z0-9_]{1,64}"
RULE = "A name has a-z, 0-9 and _ only, and at most 64 characters: folders are named after it."


def check_name(name: str, where: str, *, dotted: bool = False) -> None:
    """Refuse a name that cannot be that of a folder.

    Args:
        dotted: several names may be joined by dots.
    Raises:
        TaskError: states the rule.
    """
    if not re.fullmatch(rf"{NAME}(\.{NAME})*" if dotted else NAME, name):
        raise TaskError(where, f"'{name}' is not a valid name", RULE)
