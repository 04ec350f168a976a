"""``submit``: from a generator, a folder of samples or a foreign bundle to a bundle that can be handed in."""

from __future__ import annotations

import argparse
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.bundles.io import Bundle, read_bundle, write_bundle
from benchmark.errors import SubmissionError, unknown_name
from benchmark.experiments.run import UNTIL, make_folder, run
from benchmark.intake.archive import extract, look_over, row_name
from benchmark.intake.card import SubmissionCard, read_card
from benchmark.planning.plan import Plan, Row
from benchmark.planning.resolve import WITHOUT_IMAGES, generator_row, make_plan, request_of, tuned_params
from benchmark.plugins.registry import available, find
from benchmark.reporting.leaderboards.board_folders import RESULTS, one_protocol, read_rows
from benchmark.reporting.leaderboards.publish import headline, publish_bundles
from benchmark.submissions.accept import board_of
from benchmark.submissions.sample_row import sample_row
from benchmark.tasks.schema import GeneratorEntry

WAYS = ("generator", "samples", "bundle")
DATE = (1980, 1, 1, 0, 0, 0)  # the oldest that a zip can hold: the same files, the same archive


def submit(options: argparse.Namespace) -> int:
    """Make the bundle of a submission; 1 when its row failed."""
    submission_type = _way(options)
    card = read_card(options.card)
    _check_name(card, f"{options.card}: name")
    out = options.out or Path("outputs") / "submissions" / card.name
    make_folder(out)
    folder = (
        taken_over(options.bundle, card, out)
        if submission_type == "bundle"
        else judged(options, card, submission_type, out)
    )
    bundle = read_bundle(folder)
    if bundle.manifest.error is not None:
        print(f"failed: {bundle.manifest.error}")
        return 1
    if options.sign:
        from benchmark.intake.signature import sign

        print(f"signature: {sign(folder / 'bundle.json', options.sign)}")
    archive = zipped(folder, out / f"{card.name}.zip")
    print(f"bundle: {folder}\narchive: {archive}")
    if options.board:
        _beside(options.board, bundle, out)
    _next(archive, folder, signed=bool(options.sign))
    return 0


def _way(options: argparse.Namespace) -> str:
    given = [submission_type for submission_type in WAYS if getattr(options, submission_type)]
    if len(given) != 1:
        said = " and ".join(f"--{submission_type}" for submission_type in given) or "nothing"
        raise SubmissionError("submit", f"got {said}", "Give one of --generator, --samples and --bundle.")
    if options.card is None:
        raise SubmissionError("--card", "is missing", "Write submission.yaml: docs/submit.md shows one.")
    return given[0]


def _check_name(card: SubmissionCard, where: str) -> None:
    """The name of a row that the suite has itself stands for what the suite runs."""
    own = {name for name, plugin in available("generators").items() if plugin.origin == "builtin"}
    if card.name in own | set(WITHOUT_IMAGES):
        raise SubmissionError(where, f"'{card.name}' is a row of the suite", "Give yours a name of its own.")


def judged(options: argparse.Namespace, card: SubmissionCard, submission_type: str, out: Path) -> Path:
    """Run a generator or samples through the task as any row; the folder of the bundle."""
    plan = make_plan(replace(request_of(options), generators=(), params=None), stages=UNTIL["run"])
    if submission_type == "generator":
        row = _of_generator(options, plan)
    else:
        row, notes = sample_row(plan, options.samples, options.workers)
        for note in notes:
            print(f"note: {note}")
    row = replace(
        row,
        name=card.name,
        card=_said(card, row.card),
        submission_type=submission_type,
        submission=card.model_dump(mode="json"),
    )
    plan = replace(plan, rows=(*plan.rows, row))
    folder = out / row.name
    shutil.rmtree(folder, ignore_errors=True)
    if not options.with_controls:
        run(plan, "run", out, options.workers, only=row.name)
        return folder
    run(plan, "run", out, options.workers)
    print(f"leaderboard: {out / 'leaderboard.md'}")
    shutil.copytree(out / "bundles" / row.name, folder)
    return folder


def _said(card: SubmissionCard, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row's own card with what the submission's says instead."""
    citation = card.paper or row.get("citation", "")
    return {**row, "title": card.title, "citation": citation, "license": card.license}


def _of_generator(options: argparse.Namespace, plan: Plan) -> Row:
    """The row of a Python file, or of an installed package."""
    plugin = find("generators", [options.generator])[0]
    tuned = tuned_params(options.params)
    if odd := sorted(set(tuned) - {plugin.name}):
        raise unknown_name("generator", odd[0], [plugin.name], str(options.params))
    entry = plan.profile.generators.get(plugin.name, GeneratorEntry())
    row = generator_row(plugin, entry, tuned.get(plugin.name, {}))
    if row.role != "generator":
        raise SubmissionError(
            f"{plugin.target}: card",
            f"role is '{row.role}'",
            "A submission is a generator; controls are the suite's.",
        )
    return row


def taken_over(source: Path, card: SubmissionCard, out: Path) -> Path:
    """A bundle that was made elsewhere with the same protocol, looked over and given the submission's card.

    Args:
        source: a folder, or a ZIP of one.
    Raises:
        SubmissionError: it is not whole, holds anything but a bundle, is a failed row, or is of another name.
    """
    folder = out / card.name
    with tempfile.TemporaryDirectory(dir=out, prefix=".incoming-") as temporary:
        if not source.is_dir():
            source = extract(source, Path(temporary) / row_name(source))
        look_over(source)
        found = read_bundle(source)
        if found.manifest.row.name != card.name:
            raise SubmissionError(
                f"{source}: row.name", f"is '{found.manifest.row.name}', the card's name is '{card.name}'",
                "Give both the same name.",
            )  # fmt: skip
        if found.manifest.row.role != "generator" or found.manifest.error is not None:
            raise SubmissionError(
                f"{source}: row", "is a control, or has failed", "Hand in a generator's complete row."
            )
        said = found.manifest.record()
        changed = {
            "submission_type": "bundle",
            "submission": card.model_dump(mode="json"),
            "row": _said(card, said["row"]),
        }
        part = Path(temporary) / "made" / card.name
        part.mkdir(parents=True)
        write_bundle(part, {**said, **changed}, found.predictions, found.grid, found.curve, found.previews)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    return folder


def zipped(folder: Path, archive: Path) -> Path:
    """A ZIP of a bundle's folder, the same bytes for the same files."""
    part = archive.with_name(archive.name + ".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as made:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}", DATE)
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            entry.create_system = 3  # so that the bytes do not tell where it was packed
            made.writestr(entry, path.read_bytes())
    part.replace(archive)
    return archive


def _beside(root: Path, bundle: Bundle, out: Path) -> None:
    """A leaderboard of a board's rows and this one, in ``out``."""
    board = root / RESULTS / board_of(bundle, root)
    if not board.is_dir():
        print(f"board: {board} has no rows yet; --with-controls makes a leaderboard of your own")
        return
    others = [b for b in read_rows(board) if b.manifest.row.name != bundle.manifest.row.name]
    one_protocol(board.name, [*others, bundle])
    comparison = publish_bundles([*others, bundle], out)
    print(f"leaderboard: {out / 'leaderboard.md'}, beside {len(others)} rows of {board}")
    print(headline(comparison))


def _next(archive: Path, folder: Path, *, signed: bool) -> None:
    sign = "" if signed else "\n  sign it, so that it is known whose it is: --sign KEY"
    print(
        f"next:{sign}\n  check it: python -m benchmark verify {archive}\n"
        f"  hand it in: python -m benchmark leaderboard --add {folder}, and open a pull request"
    )
