"""Hook of mkdocs: make links of the pages to other files of the repository work on the site.

A link into leaderboards/ leads to the copy that the site carries. Any other link out of docs/ becomes the
name of the file, since the site does not carry it.
"""

import os
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s#]+)(#[^)\s]*)?\)")
CARRIED = ("leaderboards/index.html", "leaderboards/images")


def on_page_markdown(markdown, page, config, **_):
    """Rewrite the links of a page that lead out of docs/."""
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def rewritten(match):
        text, target, anchor = match.groups()
        path = Path(os.path.normpath(folder / target))
        if "://" in target or path.is_relative_to(ROOT / "docs") or not path.exists():
            return match.group()  # mkdocs checks these itself
        name = path.relative_to(ROOT).as_posix()
        if name == CARRIED[0]:
            return f'<a href="{"../" * page.url.count("/")}{name}{anchor or ""}">{text}</a>'
        return text if name in text or "`" in text else f"{text} (`{name}`)"

    return LINK.sub(rewritten, markdown)


def on_post_build(config, **_):
    """Copy the leaderboards' page and its images into the site."""
    site = Path(config["site_dir"])
    (site / "leaderboards").mkdir(exist_ok=True)
    shutil.copy(ROOT / CARRIED[0], site / CARRIED[0])
    shutil.copytree(ROOT / CARRIED[1], site / CARRIED[1], dirs_exist_ok=True)
