"""Hook of mkdocs: make links of the pages to other files of the repository work on the site.

A link to the page of the leaderboards leads to the copy that the site carries, in boards/, since
docs/leaderboards.md takes the name. Any other link out of docs/ becomes the name of the file.
"""

import os
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BOARDS = ROOT / "leaderboards"
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_page_markdown(markdown, page, config, **_):
    """Rewrite the links of a page that lead out of docs/."""
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def rewritten(match):
        text, target, anchor = match.groups()
        path = Path(os.path.normpath(folder / target))
        if "://" in target or path.is_relative_to(ROOT / "docs") or not path.exists():
            return match.group()  # mkdocs checks these itself
        if path == BOARDS / "index.html":
            return f'<a href="{"../" * page.url.count("/")}boards/index.html{anchor or ""}">{text}</a>'
        name = path.relative_to(ROOT).as_posix()
        return text if name in text or "`" in text else f"{text} (`{name}`)"

    return LINK.sub(rewritten, markdown)


def on_post_build(config, **_):
    """Copy the leaderboards' page and its images into the site."""
    copy = Path(config["site_dir"]) / "boards"
    shutil.copytree(BOARDS / "images", copy / "images", dirs_exist_ok=True)
    shutil.copy(BOARDS / "index.html", copy)
