"""All attacks on the trust in a board, as the table of docs/trust.md.

    python -m perf.trust [MUTATIONS]

Prints Markdown. Takes about two hours of CPU; 2,000 mutations unless told otherwise.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from perf.trust import cost, detect, door, isolate, near, select
from perf.trust.rows import Row


def rows(mutations: int) -> Iterator[tuple[str, Row]]:
    """Yield every row with the part of the suite that it attacks."""
    packs = Path(os.environ["SYNTHTHORAX_PACKS"]) if "SYNTHTHORAX_PACKS" in os.environ else None
    yield from (("copies", row) for row in detect.measure(select.BOARDS, packs))
    yield from (("nearness", row) for row in near.measure(packs))
    yield from (("cost", row) for row in cost.measure())
    yield from (("isolation", row) for row in isolate.measure())
    yield from (("door", row) for row in door.measured(mutations))
    yield from (("selection", row) for row in select.measure())


def main() -> int:
    """Print the table; return 1 if an attack succeeded."""
    print("| part | attack | must | measured | held |\n|---|---|---|---|---|")
    held = True
    for part, row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else door.MUTATIONS):
        held &= row.held
        cells = (part, row.attack, row.must, row.measured, "yes" if row.held else "**no**")
        print("| " + " | ".join(cells) + " |", flush=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
