"""From the bundles of one or several runs to tables and figures in the papers' shapes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.bundles.io import read_bundles
from benchmark.comparison.breakdown import breakdown
from benchmark.errors import StoreError
from benchmark.reporting import figures, tables
from benchmark.reporting.figures.draw import Drawn, save
from benchmark.reporting.leaderboards.compare import compare_folder
from benchmark.reporting.leaderboards.words import markdown
from benchmark.reporting.tables import as_csv, as_latex, as_markdown
from benchmark.reporting.tables.record import LeftOut, Table
from benchmark.reporting.tables.run import Run
from benchmark.reporting.tables.variants import variants

KINDS = {"csv": as_csv.text, "md": as_markdown.text, "tex": as_latex.text}
INDEX = "README.md"
LONGEST = 100  # characters of a variant's folder


def write_tables(folders: Sequence[Path], out: Path) -> list[Path]:
    """Write every table and figure that the data admit, and a page that shows them.

    Tables over all runs lie in ``out``; those of one run too, or in a folder of the variant's name where
    there are several. The same bundles give the same bytes.

    Args:
        folders: of each run the folder of its bundles, or the output folder that holds ``bundles``. Several
            are variants of one task.
        out: made if it is not there.
    Returns:
        The files written, ``README.md`` first; it says what was left out, and why.
    Raises:
        SubmissionError: a bundle is refused, the runs are of two tasks or do not differ.
        StoreError: ``out`` cannot be written.
    """
    runs = read_runs(folders)
    parts: dict[str, list[Table | Drawn | LeftOut]] = {"": [*tables.of_runs(runs), *figures.of_runs(runs)]}
    names = folder_names([run.label for run in runs]) if len(runs) > 1 else [""]
    for folder, run in zip(names, runs, strict=True):
        parts.setdefault(folder, []).extend([*tables.of_run(run), *figures.of_run(run)])
    try:
        written = [p for folder, found in parts.items() for p in _write(found, out / folder)]
        _replace(out / INDEX, _index(runs, parts))
    except OSError as error:
        raise StoreError(f"--out {out}", str(error.strerror), "Give a folder that can be written.") from error
    return [out / INDEX, *written]


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """The runs in the order given, each with what tells it from the others.

    Raises:
        SubmissionError: as ``write_tables``.
    """
    holders = [f / "bundles" if (f / "bundles").is_dir() else f for f in folders]
    each = [read_bundles(holder) for holder in holders]
    found = variants([bundles[0].manifest for bundles in each])
    return [
        Run(
            manifests={b.manifest.row.name: b.manifest for b in bundles},
            comparison=compare_folder(holder),
            breakdown=breakdown((b.manifest.record(), b.predictions) for b in bundles),
            variant=variant,
        )
        for holder, bundles, variant in zip(holders, each, found, strict=True)
    ]


def _write(found: Iterable[Table | Drawn | LeftOut], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for item in found:
        if isinstance(item, Table):
            for kind, text in KINDS.items():
                _replace(folder / f"{item.name}.{kind}", text(item))
                written.append(folder / f"{item.name}.{kind}")
        elif isinstance(item, Drawn):
            written += save(item, folder)
    return written


def _index(runs: Sequence[Run], parts: dict[str, list[Table | Drawn | LeftOut]]) -> str:
    """One page with all tables and figures, and what was left out."""
    head = runs[0].head
    lines = [f"# Tables of {markdown(head.task)} · {markdown(head.profile)}"]
    left_out = []
    for folder, found in parts.items():
        if folder:
            lines.append(f"# {markdown(folder)}")
        for item in found:
            if isinstance(item, Table):
                lines.append(as_markdown.text(item).rstrip("\n"))
            elif isinstance(item, Drawn):
                path = f"{folder}/{item.name}.png" if folder else f"{item.name}.png"
                lines += [f"![{item.name}]({path})", markdown(item.caption)]
            else:
                left_out.append(f"- {markdown(' '.join(filter(None, (folder, item.name))))}: {item.reason}")
    if left_out:
        lines += ["# Left out", "\n".join(dict.fromkeys(left_out))]
    return "\n\n".join(lines) + "\n"


def folder_names(labels: Sequence[str]) -> list[str]:
    """Of each variant a folder: its label in plain characters, cut to length, numbered where alike."""
    plain = [re.sub(r"[^0-9A-Za-z_.=]+", "_", label)[:LONGEST].strip("_.") for label in labels]
    same = {name for name in plain if plain.count(name) > 1}
    return [f"{name}-{i}" if name in same else name for i, name in enumerate(plain, 1)]


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="\n")
    os.replace(part, path)
