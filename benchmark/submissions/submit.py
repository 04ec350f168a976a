"""``submit``: make a bundle from a generator, from samples or from an external bundle."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.bundles.io import MANIFEST, Bundle, read_bundle, write_bundle
from benchmark.bundles.schema import SCHEMA
from benchmark.errors import StoreError, SubmissionError, unknown_name
from benchmark.experiments.run import UNTIL, check_outputs, make_folder, run
from benchmark.intake.archive import FOLDER, MAX_FILE_BYTES, bundle_folder
from benchmark.intake.card import SubmissionCard, read_card
from benchmark.planning.plan import Plan, Row
from benchmark.planning.resolve import make_plan
from benchmark.planning.rows import WITHOUT_IMAGES, generator_row, tuned_params
from benchmark.plugins.registry import available, find
from benchmark.reporting.leaderboards.board_folders import RESULTS, one_protocol, read_rows
from benchmark.reporting.leaderboards.publish import check_leaderboard, publish
from benchmark.reporting.summary import headline
from benchmark.submissions.accept import board_of
from benchmark.submissions.request import SubmitRequest
from benchmark.submissions.sample_row import sample_row
from benchmark.tasks.profile import GeneratorEntry
from benchmark.utils.commands import command
from benchmark.utils.files import atomic_folder, atomic_path
from benchmark.utils.outputs import ELSEWHERE

SUBMISSION_TYPES = ("generator", "samples", "bundle")
DATE = (1980, 1, 1, 0, 0, 0)  # the oldest that a ZIP can hold, so that equal files give equal archives


def submit(options: SubmitRequest, verify: Callable[[Path], None]) -> int:
    """Make the bundle of a submission; return 1 if its row failed.

    Args:
        verify: raises an error if a check of the bundle in a folder fails.
    """
    submission_type = _submission_type(options)
    assert options.card is not None
    card = read_card(options.card)
    _validate_name(card, f"{options.card}: name")
    out = options.out or Path("outputs") / "submissions" / card.name
    make_folder(out)
    _check_outputs(options, card, out)
    if options.bundle is not None:
        folder = import_bundle(options.bundle, card, out, verify)
    else:
        folder = evaluate(options, card, submission_type, out)
    bundle = read_bundle(folder)
    if bundle.manifest.error is not None:
        print(f"failed: {bundle.manifest.error}")
        return 1
    if options.sign:
        from benchmark.intake.signature import sign

        print(f"signature: {sign(folder / 'bundle.json', options.sign)}")
    archive = zip_bundle(folder, out / f"{card.name}.zip")
    print(f"bundle: {folder}\narchive: {archive}")
    if options.board:
        _compare_with_board(options.board, bundle, out)
    print("next:" + ("" if options.sign else "\n  sign it to prove its authorship: --sign KEY"))
    print(f"  verify it: {command('verify', archive, *_own_files(options, '--root'))}")
    print(f"  submit it: {command('leaderboard', '--add', folder, *_own_files(options, '--data'))},")
    print("    then open a pull request")
    return 0


def _own_files(options: SubmitRequest, data: str) -> list[str]:
    """Return the options by which the checks of a bundle read a task, a source and data from outside.

    Args:
        data: the option for the folder of the real data.
    """
    task = options.task if options.task.endswith((".yaml", ".yml")) else None
    source = options.source if options.source and options.source.endswith(".py") else None
    given = {"--task": task, "--source": source, data: options.root}
    return [word for name, value in given.items() if value for word in (name, str(value))]


def _submission_type(options: SubmitRequest) -> str:
    given = [name for name in SUBMISSION_TYPES if getattr(options, name)]
    if len(given) != 1:
        names = " and ".join(f"--{name}" for name in given) or "nothing"
        raise SubmissionError("submit", f"got {names}", "Give one of --generator, --samples and --bundle.")
    if options.card is None:
        raise SubmissionError("--card", "is missing", "Write submission.yaml: docs/submit.md shows one.")
    return given[0]


def _check_outputs(options: SubmitRequest, card: SubmissionCard, out: Path) -> None:
    """Refuse an output folder where the submission would replace what the suite did not write.

    Raises:
        StoreError: names it.
    """
    archive = out / f"{card.name}.zip"
    check_outputs(out, "run", only=card.name)
    if options.with_controls:
        check_outputs(out, "run")
    elif options.board:
        check_leaderboard(out)
    if os.path.lexists(archive) and not _is_bundle(archive, card.name):
        raise StoreError(str(archive), "is not the suite's own, and would be overwritten", ELSEWHERE)


def _is_bundle(archive: Path, row: str) -> bool:
    """Return whether a file is the ZIP of a row's bundle, by the names in it."""
    if not zipfile.is_zipfile(archive):
        return False
    with zipfile.ZipFile(archive) as packed:
        names = {name.removeprefix(f"{row}/") for name in packed.namelist()}
    return MANIFEST in names and names <= {*MAX_FILE_BYTES}


def _validate_name(card: SubmissionCard, where: str) -> None:
    """Refuse the name of a row of the suite: it stands for what the suite itself runs."""
    builtin = {name for name, plugin in available("generators").items() if plugin.origin == "builtin"}
    if card.name in builtin | set(WITHOUT_IMAGES):
        raise SubmissionError(where, f"'{card.name}' is a row of the suite", "Choose another name.")
    if card.name in ("bundles", FOLDER):
        raise SubmissionError(where, f"'{card.name}' is a folder of every run", "Choose another name.")


def evaluate(options: SubmitRequest, card: SubmissionCard, submission_type: str, out: Path) -> Path:
    """Run a generator or samples through the task like any row; return the bundle's folder."""
    plan = make_plan(options.run_request(generators=(), params=None), stages=UNTIL["run"])
    if submission_type == "generator":
        row = _generator_row(options, plan)
    else:
        assert options.samples is not None
        row, notes = sample_row(plan, options.samples, options.workers)
        for note in notes:
            print(f"note: {note}")
    row = replace(
        row,
        name=card.name,
        card=_row_card(card, row.card),
        submission_type=submission_type,
        submission=card.model_dump(mode="json"),
    )
    plan = replace(plan, rows=(*plan.rows, row))
    folder = out / row.name
    if not options.with_controls:
        run(plan, "run", out, options.workers, only=row.name)
        return folder
    run(plan, "run", out, options.workers)
    print(f"leaderboard: {out / 'leaderboard.md'}")
    with atomic_folder(folder) as part:
        shutil.copytree(out / "bundles" / row.name, part, dirs_exist_ok=True)
    return folder


def _row_card(card: SubmissionCard, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's card with title, citation and license of the submission card."""
    citation = card.paper or row.get("citation", "")
    return {**row, "title": card.title, "citation": citation, "license": card.license}


def _generator_row(options: SubmitRequest, plan: Plan) -> Row:
    """Return the row of a Python file or of an installed package."""
    assert options.generator is not None
    plugin = find("generators", [options.generator])[0]
    tuned = tuned_params(options.params)
    if odd := sorted(set(tuned) - {plugin.name}):
        raise unknown_name("generator", odd[0], [plugin.name], str(options.params))
    entry = plan.profile.generators.get(plugin.name, GeneratorEntry())
    row = generator_row(plugin, entry, tuned.get(plugin.name, {}))
    if row.role != "generator":
        remedy = "Submit a generator; only the suite has controls."
        raise SubmissionError(f"{plugin.target}: card", f"role is '{row.role}'", remedy)
    return row


def import_bundle(source: Path, card: SubmissionCard, out: Path, verify: Callable[[Path], None]) -> Path:
    """Validate a bundle that was made elsewhere with the same protocol, and add the submission card.

    Args:
        source: a folder, or a ZIP of one.
        verify: as for ``submit``, of the bundle with its card.
    Raises:
        SubmissionError: it is incomplete, holds anything but a bundle, is a failed row or a control, has
            another name than the card, or fails a check.
    """
    with bundle_folder(source) as given:
        bundle = read_bundle(given)
    row = bundle.manifest.row
    if row.name != card.name:
        problem = f"is '{row.name}', the card's name is '{card.name}'"
        raise SubmissionError(f"{source}: row.name", problem, "Give both the same name.")
    if row.role != "generator" or bundle.manifest.error is not None:
        raise SubmissionError(f"{source}: row", "is a control, or has failed", "Submit a complete row.")
    record = bundle.manifest.record()
    record |= {
        "schema": SCHEMA,
        "submission_type": "bundle",
        "submission": card.model_dump(mode="json"),
        "row": _row_card(card, record["row"]),
    }
    content = (record, bundle.predictions, bundle.grid, bundle.curve, bundle.previews, bundle.training)
    with tempfile.TemporaryDirectory(prefix="synththorax-bundle-") as scratch:
        write_bundle(Path(scratch) / card.name, *content)
        verify(Path(scratch) / card.name)
    write_bundle(out / card.name, *content)
    return out / card.name


def zip_bundle(folder: Path, archive: Path) -> Path:
    """Pack a bundle's folder as a ZIP: the same bytes for the same files."""
    with atomic_path(archive) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}", DATE)
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, so that the bytes do not depend on the system
            packed.writestr(entry, path.read_bytes())
    return archive


def _compare_with_board(root: Path, bundle: Bundle, out: Path) -> None:
    """Write a leaderboard of this row and a board's rows to ``out``."""
    board = root / RESULTS / board_of(bundle, root)
    if not board.is_dir():
        print(f"board: {board} has no rows yet; --with-controls makes a separate leaderboard")
        return
    others = [b for b in read_rows(board) if b.manifest.row.name != bundle.manifest.row.name]
    one_protocol(board.name, [*others, bundle])
    made = publish([*others, bundle], out)
    print(f"leaderboard: {out / 'leaderboard.md'}, with {len(others)} rows of {board}")
    print(headline(made))
