"""Write tables and figures in the papers' shapes, from the bundles of one or several runs."""

import re
from collections.abc import Sequence
from pathlib import Path

from benchmark.bundles.io import read_bundles
from benchmark.comparison.breakdown import breakdown
from benchmark.reporting import tables
from benchmark.reporting.figures import shapes as figures
from benchmark.reporting.figures.draw import FORMATS, Drawn, save
from benchmark.reporting.formats import TABLES, escape_markdown
from benchmark.reporting.leaderboards.publish import compare_bundles
from benchmark.reporting.tables.record import LeftOut, Table
from benchmark.reporting.tables.run import Run
from benchmark.reporting.tables.variants import variants
from benchmark.reporting.tables.writers import latex, markdown, tidy_csv
from benchmark.utils.files import disk_errors, write_text
from benchmark.utils.outputs import refuse_foreign_files

Item = Table | Drawn | LeftOut
KINDS = {"csv": tidy_csv, "md": markdown, "tex": latex}
INDEX = "README.md"
LONGEST = 100  # characters of a variant's folder


def write_tables(folders: Sequence[Path], out: Path) -> list[Path]:
    """Write every table and figure that the data admit, and a page that shows them.

    Tables over all runs go to ``out``; those of one run too, or to a folder of the variant's name where
    there are several runs. The same bundles give the same bytes.

    Args:
        folders: for each run, the folder of its bundles or the output folder that holds ``bundles``. Several
            runs are variants of one task.
        out: created if it does not exist.
    Returns:
        The files written, ``README.md`` first, which lists what was left out and why.
    Raises:
        SubmissionError: a bundle is refused, the runs are of two tasks or do not differ.
        StoreError: ``out`` cannot be written, or holds files of somebody else.
    """
    runs = read_runs(folders)
    parts: dict[str, list[Item]] = {"": [*tables.of_runs(runs), *figures.of_runs(runs)]}
    names = folder_names([run.label for run in runs]) if len(runs) > 1 else [""]
    for folder, run in zip(names, runs, strict=True):
        parts.setdefault(folder, []).extend([*tables.of_run(run), *figures.of_run(run)])
    items = [(out / folder, item) for folder, own in parts.items() for item in own]
    paths = [out / INDEX, *(path for place, item in items for path in _paths(item, place))]
    refuse_foreign_files(paths, out / INDEX, TABLES)
    with disk_errors(f"--out {out}"):
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / INDEX, _index(runs, parts))  # the mark of the others
        for place, item in items:
            _write(item, place)
    return paths


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read the runs in the given order, each with its variant.

    Raises:
        SubmissionError: as ``write_tables``.
    """
    holders = [f / "bundles" if (f / "bundles").is_dir() else f for f in folders]
    each = [read_bundles(holder) for holder in holders]
    varied = variants([bundles[0].manifest for bundles in each])
    return [
        Run(
            manifests={b.manifest.row.name: b.manifest for b in bundles},
            comparison=compare_bundles(bundles),
            breakdown=breakdown((b.manifest.record(), b.predictions) for b in bundles),
            variant=variant,
            training={b.manifest.row.name: b.training for b in bundles if b.training},
        )
        for bundles, variant in zip(each, varied, strict=True)
    ]


def _paths(item: Item, folder: Path) -> list[Path]:
    """Return the files of a table or a figure."""
    if isinstance(item, LeftOut):
        return []
    kinds = KINDS if isinstance(item, Table) else FORMATS
    return [folder / f"{item.name}.{kind}" for kind in kinds]


def _write(item: Item, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(item, Table):
        for kind, text in KINDS.items():
            write_text(folder / f"{item.name}.{kind}", text(item))
    elif isinstance(item, Drawn):
        save(item, folder)


def _index(runs: Sequence[Run], parts: dict[str, list[Item]]) -> str:
    """Return one page with all tables and figures, and what was left out."""
    head = runs[0].head
    lines = [f"{TABLES}{escape_markdown(head.task)} · {escape_markdown(head.profile)}"]
    left_out = []
    for folder, items in parts.items():
        if folder:
            lines.append(f"# {escape_markdown(folder)}")
        for item in items:
            if isinstance(item, Table):
                lines.append(markdown(item).rstrip("\n"))
            elif isinstance(item, Drawn):
                path = f"{folder}/{item.name}.png" if folder else f"{item.name}.png"
                lines += [f"![{item.name}]({path})", escape_markdown(item.caption)]
            else:
                name = " ".join(filter(None, (folder, item.name)))
                left_out.append(f"- {escape_markdown(name)}: {item.reason}")
    if left_out:
        lines += ["# Left out", "\n".join(dict.fromkeys(left_out))]
    return "\n\n".join(lines) + "\n"


def folder_names(labels: Sequence[str]) -> list[str]:
    """Return a folder for each variant: its label in plain characters, cut and numbered where necessary."""
    plain = [re.sub(r"[^0-9A-Za-z_.=]+", "_", label)[:LONGEST].strip("_.") for label in labels]
    same = {name for name in plain if plain.count(name) > 1}
    return [f"{name}-{i}" if name in same else name for i, name in enumerate(plain, 1)]
