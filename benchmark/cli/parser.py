"""The command line: parse, call one function, print errors; heavy modules come in when a verb needs them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark import __version__
from benchmark.errors import BenchmarkError, unknown_name

STAGE_VERBS = {
    "data": "build the data of a task, prove that its splits are disjoint, show a grid",
    "run": "the whole benchmark: data, generate, measure, classify, compare, leaderboard",
    "generate": "fit generators and sample from them",
    "measure": "also measure fidelity, diversity and memorization of the samples",
    "classify": "also train the downstream classifiers and store their predictions",
}
DATA_VERBS = {
    "build": "convert a source once into a folder of Parquet shards that is read by memory map",
    "show": "print what a source or a built folder holds, and write a grid of its images",
    "verify": "check hashes, pictures, copies and patients of a source or a built folder",
    "export": "write the images that a generator of a task may learn from as files",
}
OTHER_VERBS = {
    "tasks": "list the tasks, or show one",
    "compare": "compare bundles: intervals, tests, ranks, as JSON",
    "tables": "write tables and figures in the papers' shapes as CSV, Markdown, LaTeX, PNG and SVG",
    "stats": "compare runs, predictions or reader scores from a plain CSV, or from bundles",
    "leaderboard": "make, check or add to the pages of all boards, or render the bundles of one run",
    "submit": "make the bundle of a generator, of samples, or of a bundle made elsewhere, to be handed in",
    "verify": "check a bundle: safety, protocol, data, metrics, copies, signature; --deep trains seeds again",
    "sweep": "run the task for every value of a choice, then write tables over all of them",
    "tune": "search the parameters of a generator, judged on val",
    "extractor": "train the embedded feature extractor again",
}


class Parser(argparse.ArgumentParser):
    """An argument parser that answers an unknown verb or option with a "did you mean"."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Print one line and exit with 2."""
        raise BenchmarkError("command line", message, f"See {self.prog} --help.")


def _text(value: str) -> str | None:
    """MLflow hands on an empty text where a parameter was left out."""
    return value or None


def _path(value: str) -> Path | None:
    return Path(value) if value else None


def _paths(value: str) -> list[Path]:
    """MLflow hands on several folders as one text, with commas."""
    return [Path(part.strip()) for part in value.split(",") if part.strip()]


def _switch(value: str) -> bool:
    """MLflow hands on a text where the command line has a switch."""
    known = {"": False, "false": False, "no": False, "true": True, "yes": True}
    if value.lower() not in known:
        raise argparse.ArgumentTypeError(f"expected true or false, got '{value}'")
    return known[value.lower()]


def _count(value: str) -> int | None:
    if not value:
        return None
    try:
        number = int(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got '{value}'") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {number}")
    return number


SWITCH: dict[str, Any] = {"type": _switch, "nargs": "?", "const": True, "default": False}


def _share(value: str) -> float | None:
    if not value:
        return None
    try:
        number = float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number such as 0.05, got '{value}'") from None
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, got {value}")
    return number


def _add_wish(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", default="cxr_pneumonia", help="name of a task, or path of a task file")
    parser.add_argument("--profile", default="demo", help="demo (minutes), lite (hours) or paper (GPUs)")
    parser.add_argument("--source", type=_text, help="data source; default: the task's packaged phantoms")
    parser.add_argument("--root", type=_path, help="folder of a real dataset, for sources that read one")
    parser.add_argument(
        "--scenario", type=_text, help="choices of the task, such as view.keep=frontal,mask.shape=joint"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16")
    parser.add_argument("--out", type=_path, help="results; default: outputs/<task>-<profile>")


def _add_rows(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--generators", type=_text, help="names, or paths of Python files, with commas; default: the task's"
    )
    _add_training(parser)


def _add_training(parser: argparse.ArgumentParser) -> None:
    """How rows are fitted, measured and trained on, whichever they are."""
    parser.add_argument("--workers", type=_count, help="stages at once; default: one per core")
    parser.add_argument("--params", type=_path, help="YAML of generator parameters, such as tune writes")
    parser.add_argument(
        "--extractor", type=_text, help="auto, phantom_cxr_v1 or inception; default: the task's"
    )
    parser.add_argument(
        "--weights", type=_text,
        help="initial weights of every classifier: none, imagenet, or a folder of <timm name>.safetensors; "
        "default: the task's",
    )  # fmt: skip


def parser() -> Parser:
    """The whole command line."""
    top = Parser(
        prog="python -m benchmark", description="Does adding synthetic images help on real patients?"
    )
    top.add_argument("--version", action="version", version=__version__)
    verbs = top.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser)
    for name, about in {**OTHER_VERBS, **STAGE_VERBS}.items():
        verb = verbs.add_parser(name, help=about, description=about)
        if name in STAGE_VERBS:
            _add_wish(verb)
            _add_rows(verb)
    verbs.choices["tasks"].add_argument("task", nargs="?", type=_text, help="show this one")
    verbs.choices["tasks"].add_argument("--pages", type=_path, help="write a page per task into this folder")
    for name in ("compare", "leaderboard"):
        one = name == "compare"
        verbs.choices[name].add_argument(
            "--bundles", type=Path if one else _path, required=one, help="folder of bundles"
        )
        verbs.choices[name].add_argument("--out", type=_path, help="default: beside the bundles")
    _add_leaderboard(verbs.choices["leaderboard"])
    tables = verbs.choices["tables"]
    tables.add_argument(
        "--bundles", type=_paths, nargs="+", required=True, help="folder of a run, one per variant of a task"
    )
    tables.add_argument("--out", type=Path, required=True, help="folder of the tables and figures")
    _add_data(verbs.choices["data"])
    _add_tune(verbs.choices["tune"])
    _add_sweep(verbs.choices["sweep"])
    _add_stats(verbs.choices["stats"])
    _add_submit(verbs.choices["submit"])
    _add_verify(verbs.choices["verify"])
    extractor = verbs.choices["extractor"]
    extractor.add_argument("--out", type=Path, required=True, help="folder for the weights and their card")
    extractor.add_argument("--steps", type=_count, help="fewer steps than the recipe's, to try it out")
    return top


def _add_leaderboard(verb: argparse.ArgumentParser) -> None:
    """All but ``--bundles`` and ``--out`` is about the boards under ``--root``."""
    verb.add_argument("--root", type=_path, help="folder of the boards' pages; default: leaderboards")
    verb.add_argument("--check", **SWITCH, help="write nothing; 1 where a page is stale, missing or surplus")
    verb.add_argument(
        "--add",
        type=_paths,
        nargs="+",
        default=[],
        help="bundles, ZIPs of them or folders of runs to put on a board",
    )
    verb.add_argument("--board", type=_text, help="of the added rows; default: that of their protocol")
    verb.add_argument("--replace", **SWITCH, help="whether an added row replaces one of its name")
    verb.add_argument("--workers", type=_count, help="boards at once; default: one per core")


def _add_data(verb: argparse.ArgumentParser) -> None:
    """The verbs of ``DATA_VERBS``; ``data`` alone is the stage of a task."""
    kinds = verb.add_subparsers(dest="action", metavar=f"{{{','.join(DATA_VERBS)}}}", parser_class=Parser)
    for name, about in DATA_VERBS.items():
        action = kinds.add_parser(name, help=about, description=about)
        if name == "export":
            _add_wish(action)
            action.add_argument("--workers", type=_count, help="folds at once; default: one per core")
            continue
        _add_source(action)
        if name == "build":
            action.add_argument("--source", type=_text, help="data source; default: the task's")
            action.add_argument("--out", type=Path, required=True, help="folder of the dataset")
            action.add_argument("--workers", type=_count, help="processes; default: one per core")
            action.add_argument("--shard-size", type=_count, default=2048, help="images per shard")
            action.add_argument("--limit", type=_count, help="so many images, spread over the source")
        else:
            action.add_argument("target", help="a built folder, or a data source")
            out = "PNG; default: outputs/<name>.png" if name == "show" else "JSON report"
            action.add_argument("--out", type=_path, help=out)
        if name == "show":
            action.add_argument("--columns", type=_count, default=10, help="images per class in the grid")


def _add_source(action: argparse.ArgumentParser) -> None:
    action.add_argument("--task", type=_text, help="take classes and the source's parameters from this task")
    action.add_argument("--root", type=_path, help="folder of a real dataset, for sources that read one")
    action.add_argument("--set", metavar="KEY=VALUE", nargs="+", default=[], help="parameters of the source")
    action.add_argument("--classes", type=_text, help="with commas; default: the task's, or the source's")
    action.add_argument("--size", type=_count, default=64, help="side of the images in pixels")
    action.add_argument("--reserve", type=int, default=0, help="images per class that oracle may learn from")
    action.add_argument("--seed", type=int, default=0, help="of sources that draw")


def _add_tune(verb: argparse.ArgumentParser) -> None:
    _add_wish(verb)
    verb.add_argument("--generator", required=True, help="name, or path of a Python file")
    verb.add_argument("--trials", type=_count, default=20, help="trials in all, finished ones included")
    verb.add_argument("--study", type=_path, help="SQLite file of the study; default: <out>/study.db")
    verb.add_argument("--seed", type=int, default=0, help="of the sampler")


def _add_sweep(verb: argparse.ArgumentParser) -> None:
    _add_wish(verb)
    _add_rows(verb)
    verb.add_argument(
        "--over", action="append", required=True, help="a choice of the task, step.field; again for a product"
    )
    verb.add_argument(
        "--values", action="append", type=_text, default=[], help="of it, with commas; default: all it offers"
    )


def _add_stats(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("kind", help="runs, predictions, power, association or readers; see docs/comparing.md")
    verb.add_argument("--csv", type=_path, help="table of the kind")
    verb.add_argument("--bundles", type=_path, help="folder of bundles, instead of a table")
    verb.add_argument("--out", type=_path, help="JSON of everything that was computed")
    verb.add_argument("--alpha", type=_share, help="of tests and intervals; default: 0.05, or the task's")
    verb.add_argument("--correction", type=_text, help="holm, bonferroni, fdr_bh or none")
    verb.add_argument("--direction", type=_text, help="maximize or minimize the value of a run")
    verb.add_argument(
        "--metric", type=_text, help="of predictions; default: balanced_accuracy, or the task's"
    )
    verb.add_argument("--baseline", type=_text, help="model that the others are compared with")
    verb.add_argument("--positive", type=_text, help="the positive class of two; default: the last")
    verb.add_argument(
        "--margin", type=_share, help="smallest difference that matters, of the metric, as 0.02"
    )
    verb.add_argument("--images", type=_count, help="test images")
    verb.add_argument("--discordant", type=_share, help="share of them that one model alone has right")
    verb.add_argument("--difference", type=_share, help="difference to be found, as 0.02")
    verb.add_argument("--power", type=_share, help="chance to find it; default: 0.8 and 0.95")


def _add_submit(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--generator", type=_text, help="Python file, or name of an installed generator")
    verb.add_argument("--samples", type=_path, help="folder with a folder per class, or a Parquet file")
    verb.add_argument("--bundle", type=_path, help="folder or ZIP of a bundle made with the same protocol")
    verb.add_argument("--card", type=_path, help="submission.yaml: name, title, authors, license, ...")
    _add_wish(verb)
    _add_training(verb)
    verb.add_argument("--with-controls", help="run the task's controls too, for a leaderboard", **SWITCH)
    verb.add_argument("--sign", type=_path, help="SSH key that signs the bundle")
    verb.add_argument("--board", type=_path, help="leaderboards folder whose rows to compare with")


def _add_verify(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("bundle", type=Path, help="folder of a bundle, or a ZIP of one")
    verb.add_argument("--task", type=_path, help="the task's file, where it is none of the suite's")
    verb.add_argument("--root", type=_path, help="folder of a real dataset, for sources that read one")
    verb.add_argument("--allowed-signers", type=_path, help="known authors and their keys, see ssh-keygen(1)")
    verb.add_argument("--out", type=_path, help="JSON of every check")
    verb.add_argument("--deep", help="train a random share of the seeds again", **SWITCH)
    verb.add_argument("--seeds", type=_count, help="of --deep: how many; default: a third")
    verb.add_argument("--seed", type=_count, help="of --deep: repeat a choice of seeds; default: random")
    verb.add_argument("--generator", type=_path, help="of --deep: the Python file that the row is made by")
    verb.add_argument("--samples", type=_path, help="of --deep: the images that the row is made from")
    verb.add_argument("--board", type=_path, help="of --deep: bundles of the same protocol, for the spread")
    verb.add_argument("--workers", type=_count, help="of --deep: stages at once; default: one per core")
    verb.add_argument("--record", help="of --deep: write verified.json into the folder", **SWITCH)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status: 0 all well, 1 something failed, 2 a wrong command."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        known = {**OTHER_VERBS, **STAGE_VERBS}
        if given and not given[0].startswith("-") and given[0] not in known:
            raise unknown_name("verb", given[0], list(known), "command line")
        options = parser().parse_args(given)
        if options.verb is None:
            parser().print_help()
            return 2
        return _dispatch(options)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if error.where == "command line" else 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it stopped", file=sys.stderr)
        return 130


def _dispatch(options: argparse.Namespace) -> int:
    if getattr(options, "action", None):
        from benchmark.cli import data as data_verbs

        if options.action == "export":
            from benchmark.submissions.export import export

            return export(options)
        actions = {"build": data_verbs.build, "show": data_verbs.show, "verify": data_verbs.verify}
        return actions[options.action](options)
    if options.verb in STAGE_VERBS:
        from benchmark.cli.experiments import run_stages

        return run_stages(options)
    if options.verb == "tune":
        from benchmark.cli.experiments import run_tuning

        return run_tuning(options)
    if options.verb == "sweep":
        from benchmark.experiments.sweep import run_sweep

        return run_sweep(options)
    if options.verb == "stats":
        from benchmark.cli.stats import stats

        return stats(options)
    if options.verb == "submit":
        from benchmark.submissions.submit import submit

        return submit(options)
    if options.verb == "verify":
        from benchmark.verification.verify import run_verify

        return run_verify(options)
    from benchmark.cli import experiments

    verbs = {
        "tasks": experiments.show_tasks,
        "compare": experiments.compare_bundles,
        "leaderboard": experiments.render_bundles,
        "tables": experiments.write_tables,
        "extractor": experiments.train_extractor,
    }
    return verbs[options.verb](options)
