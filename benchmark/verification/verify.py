"""``verify``: every check of a bundle in its order, the record of it, and what is printed."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmark import __version__
from benchmark.bundles.io import MANIFEST, SIGNATURE, VERIFIED, Bundle, read_bundle
from benchmark.comparison.reported import TOLERANCE, differences, results
from benchmark.engine.store import store_root
from benchmark.errors import BenchmarkError, SubmissionError
from benchmark.intake import archive, signature
from benchmark.utils.files import write_json
from benchmark.utils.hashing import sha256_file
from benchmark.verification import deep, retrain
from benchmark.verification.check import Check, claims, judged, refused
from benchmark.verification.data import Truth, check_data, found_data
from benchmark.verification.predictions import check_images, check_scores
from benchmark.verification.protocol import Protocol, claimed
from benchmark.verification.row import SUITE, check_costs, check_row
from benchmark.verification.samples import check_samples

SCHEMA = 1


@dataclass(frozen=True)
class Asked:
    """What a verifier has at hand and wants.

    Attributes:
        task: its file, where it is none of the suite's.
        root: folder of a real dataset.
        allowed_signers: known authors and their keys.
        deep: train some seeds again.
        seeds: how many; None for a third.
        seed: of the choice of seeds, to repeat it; None for the system's randomness.
        generator, samples: what a row is made from that the suite does not have.
        board: folder of bundles of the same protocol, whose rows say how runs spread.
        workers: stages at once; None for one per core.
    """

    task: Path | None = None
    root: Path | None = None
    allowed_signers: Path | None = None
    deep: bool = False
    seeds: int | None = None
    seed: int | None = None
    generator: Path | None = None
    samples: Path | None = None
    board: Path | None = None
    workers: int | None = None


@dataclass
class Report:
    """What was found: every check, and what trainings done again have given."""

    checks: list[Check] = field(default_factory=list)
    signer: signature.Signature | None = None
    protocol_hash: str = ""
    bundle_sha256: str = ""
    again: dict[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> list[Check]:
        """The checks that failed."""
        return [c for c in self.checks if c.passed is False]

    def record(self) -> dict[str, Any]:
        """As JSON values, such as ``verified.json`` has them."""
        signer = self.signer
        return {
            "schema": SCHEMA,
            "bundle_sha256": self.bundle_sha256,
            "suite_version": __version__,
            "protocol_hash": self.protocol_hash,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "checks": [c.record() for c in self.checks],
            "signer": None if signer is None or not signer.good
            else {"key": signer.key, "principal": signer.principal},
            "seeds": [], "retrained": [], "p": None, "plausible": None,
            **self.again,
        }  # fmt: skip


@contextmanager
def opened(given: Path) -> Iterator[Path]:
    """The folder of a bundle: that which is given, or where a ZIP of it is unpacked for a while.

    Raises:
        SubmissionError: anything in it is not what a bundle has.
    """
    if given.is_dir():
        archive.look_over(given)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="synththorax-verify-") as scratch:
        yield archive.extract(given, Path(scratch) / archive.row_name(given))


def verify(given: Path, asked: Asked) -> Report:
    """Check a bundle, a folder or a ZIP of one; nothing is written, and no code of it is run.

    With ``asked.deep`` its generator is run, where one is given or the suite has it.
    """
    report = Report()
    try:
        with opened(given) as folder:
            report.checks.append(Check("safety", True, "nothing but the files of a bundle, none too large"))
            _verify(folder, asked, report)
    except BenchmarkError as error:
        report.checks.append(refused("schema" if report.checks else "safety", error))
    return report


def _verify(folder: Path, asked: Asked, report: Report) -> None:
    report.bundle_sha256 = sha256_file(folder / MANIFEST) if (folder / MANIFEST).is_file() else ""
    bundle = read_bundle(folder)
    manifest = bundle.manifest
    report.protocol_hash = manifest.protocol_hash
    report.checks += [
        Check("schema", True, f"schema {manifest.schema_}, every field as it should be"),
        Check("files", True, f"{len(manifest.files)} with the hashes that bundle.json names"),
        *_check_signature(folder, asked, report),
        *_check_record(folder),
    ]
    protocol, checks = claimed(manifest, asked.task)
    report.checks += checks
    report.checks += [*_check_results(bundle), *check_scores(bundle), *check_costs(manifest)]
    if protocol is None:
        report.checks.append(Check("data", None, "without a task there is nothing to hold them against"))
        return
    report.checks += check_row(bundle, protocol)
    truth, checks = found_data(protocol, asked.root, store_root())
    report.checks += checks if truth is None else _against(bundle, truth)
    report.checks += check_samples(bundle, folder, protocol, truth)
    report.checks.append(claims(manifest.submission_type != SUITE))
    if asked.deep:
        _deep(bundle, protocol, asked, report)


def _against(bundle: Bundle, truth: Truth) -> list[Check]:
    return [*check_data(bundle.manifest, truth), *check_images(bundle, truth)]


def _check_signature(folder: Path, asked: Asked, report: Report) -> list[Check]:
    """Good, forged, or none; that nobody is known by the key is no fault."""
    found = signature.check(folder / MANIFEST, folder / SIGNATURE, asked.allowed_signers)
    report.signer = found
    known = asked.allowed_signers is None or found.principal is not None
    passed = True if found.good and known else found.good and None
    return [Check("signature", passed, found.detail, SIGNATURE if found.good is False else "")]


def _check_record(folder: Path) -> list[Check]:
    """A record of an earlier verification proves nothing to those who did not write it."""
    if not (folder / VERIFIED).exists():
        return []
    why = "came with the bundle: whoever wrote it vouches for it, and it was not read"
    return [Check("record", None, why, VERIFIED)]


def _check_results(bundle: Bundle) -> list[Check]:
    """Every reported metric comes out again from the stored predictions."""
    manifest = bundle.manifest
    if bundle.predictions is None:
        return [Check("results", None, "the row failed, and has none")]
    try:
        true = results(manifest.record(), bundle.predictions)
    except BenchmarkError as error:
        return [refused("results", error)]
    faults = differences(manifest.record()["results"], true)
    return judged("results", faults, f"every metric comes out again from the predictions, to {TOLERANCE:g}")


def _deep(bundle: Bundle, protocol: Protocol, asked: Asked, report: Report) -> None:
    """Train some seeds again in a store of their own, which is gone afterwards."""
    if bundle.predictions is None:
        report.checks.append(Check("retrained", None, "the row failed, and has no runs"))
        return
    manifest = bundle.manifest
    scratch = Path(tempfile.mkdtemp(prefix="synththorax-deep-"))
    try:
        seeds = retrain.draw_seeds(manifest.seeds, asked.seeds, asked.seed)
        source = retrain.Given(asked.root, asked.generator, asked.samples)
        plan = retrain.plan_again(manifest, protocol, source, scratch)
        again = retrain.train_again(plan, manifest.row.name, seeds, scratch / "store", asked.workers)
        checks, report.again = deep.check_again(bundle, again, plan, asked.board)
        report.checks += [
            Check("retrained", True, _which(seeds, asked)),
            *checks,
        ]
    except BenchmarkError as error:
        why = f"{error.where}: {error.problem} {error.remedy}".strip()
        report.checks.append(Check("retrained", None, f"nothing was trained again: {why}"))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _which(seeds: tuple[int, ...], asked: Asked) -> str:
    how = "drawn at random" if asked.seed is None else f"drawn by --seed {asked.seed}"
    return f"seeds {', '.join(map(str, seeds))}, {how}"


def run_verify(options: argparse.Namespace) -> int:
    """The verb: print every check; 1 when one failed."""
    asked = Asked(
        **{name: getattr(options, name) for name in Asked.__dataclass_fields__ if hasattr(options, name)}
    )
    report = verify(options.bundle, asked)
    for check in report.checks:
        print(check.line())
    print(_summary(report))
    if options.out:
        write_json(options.out, report.record())
        print(options.out)
    if options.record:
        print(write_record(options.bundle, asked, report))
    return 1 if report.failed else 0


def _summary(report: Report) -> str:
    unknown = sum(c.passed is None for c in report.checks)
    passed = sum(c.passed is True for c in report.checks)
    said = f"{len(report.failed)} failed, {passed} passed, {unknown} could not be checked"
    return f"\n{'NOT VERIFIED' if report.failed else 'nothing speaks against it'}: {said}"


def write_record(folder: Path, asked: Asked, report: Report) -> Path:
    """Write ``verified.json`` into a bundle's folder: its seeds were trained again, and nothing failed.

    Raises:
        SubmissionError: a ZIP, no ``--deep``, a check that failed, or nothing that was trained again.
    """
    if not folder.is_dir():
        raise SubmissionError("--record", "needs a bundle's folder", "Unpack the ZIP.")
    if not asked.deep or report.failed or not report.again.get("plausible"):
        raise SubmissionError(
            "--record", "nothing is recorded: the bundle was not verified by trainings done again",
            "Give --deep, and mend what failed.",
        )  # fmt: skip
    write_json(folder / VERIFIED, report.record())
    return folder / VERIFIED
