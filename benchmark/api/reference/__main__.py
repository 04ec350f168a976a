"""Write the reference pages into docs/, or into the folder that is given."""

import sys
from pathlib import Path

from benchmark.api.reference.pages import PAGES

if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    for file, write in PAGES.items():
        (folder / file).write_text(write(), encoding="utf-8")
