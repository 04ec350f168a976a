"""``submit``: from a generator, a folder of samples or a foreign bundle to a bundle that can be handed in."""

from __future__ import annotations

import argparse
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark import arrow, report
from benchmark.application import folder_name, make_folder, run, weights_part, wish_of
from benchmark.errors import SubmissionError, unknown_name
from benchmark.exporting import Prepared, prepare, wanted
from benchmark.intake import samples as intake
from benchmark.intake.card import SubmissionCard, read_card
from benchmark.pipeline import Plan, Row
from benchmark.planning import WITHOUT_IMAGES, generator_row, make_plan, tuned_params
from benchmark.publish.bundle import read_bundle, read_bundles
from benchmark.registry import Plugin, available, find
from benchmark.store import store_root
from benchmark.task import GeneratorEntry, load_task

WAYS = ("generator", "samples", "bundle")
SUBMITTED = Plugin("generators", "submitted", "builtin", "benchmark.generators._submitted")
DATE = (1980, 1, 1, 0, 0, 0)  # the oldest that a zip can hold: the same files, the same archive


def submit(options: argparse.Namespace) -> int:
    """Make the bundle of a submission; 1 when its row failed."""
    way = _way(options)
    card = read_card(options.card)
    _check_name(card, options.task, f"{options.card}: name")
    out = options.out or Path("outputs") / "submissions" / card.name
    make_folder(out)
    if way == "bundle":
        folder = taken_over(options.bundle, card, out)
    else:
        plan, row = planned(options, card, way)
        finished = run(plan, "run", out, options.workers, only=None if options.with_controls else row.name)
        if row.name in {n.split("/")[1] for n in finished.outcome.failures if "/" in n}:
            _tell_failures(finished.outcome.failures)
            return 1
        folder = _own(out, row.name, with_controls=options.with_controls)
    read_bundle(folder)
    if options.sign:
        from benchmark.intake.signature import sign

        print(f"signature: {sign(folder / 'bundle.json', options.sign)}")
    archive = zipped(folder, out / f"{card.name}.zip")
    print(f"bundle: {folder}\narchive: {archive}")
    board = board_name(options)
    if options.board:
        _compare(options.board / "results" / board, folder, out)
    _next(archive, board, signed=bool(options.sign))
    return 0
