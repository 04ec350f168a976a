"""``verify``: run every check of a bundle in order, print the outcomes and record them."""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmark import __version__
from benchmark.bundles.io import MANIFEST, RECORD_SIGNATURE, SIGNATURE, VERIFIED, Bundle, read_bundle
from benchmark.bundles.sealed import SealedResult
from benchmark.bundles.seasons import read_secret, season_of
from benchmark.bundles.standing import SCHEMA
from benchmark.comparison.reported import TOLERANCE, differences, results
from benchmark.errors import SubmissionError
from benchmark.intake import signature
from benchmark.intake.archive import bundle_folder
from benchmark.utils.environment import commit
from benchmark.utils.files import disk_errors, write_json
from benchmark.utils.hashing import sha256_file
from benchmark.utils.outputs import refuse_foreign_files
from benchmark.verification.check import (
    NOT_CHECKED,
    PASSED,
    Check,
    checks_of,
    errors_as_check,
    unverified_claims,
)
from benchmark.verification.data import DataCache, check_data
from benchmark.verification.deep import RetrainingRecord, check_retraining, default_repeats
from benchmark.verification.predictions import check_images, check_scores
from benchmark.verification.protocol import Protocol, check_protocol, claimed_protocol
from benchmark.verification.request import VerifyBundleRequest, VerifyRequest
from benchmark.verification.retrain import draw_seeds, retrain, retraining_plan
from benchmark.verification.row import SUITE, check_costs, check_row
from benchmark.verification.samples import check_samples
from benchmark.verification.sealed import check_sealed, check_source

NOT_RETRAINED: dict[str, Any] = {"seeds": [], "retrained": [], "p": None, "plausible": None}


@dataclass
class VerificationResult:
    """The outcomes of all checks, and of retraining with ``--deep``."""

    checks: list[Check] = field(default_factory=list)
    signer: signature.Signature | None = None
    protocol_hash: str = ""
    bundle_sha256: str = ""
    retraining: RetrainingRecord | None = None
    sealed: SealedResult | None = None

    @property
    def failed(self) -> list[Check]:
        """The checks that failed."""
        return [c for c in self.checks if c.passed is False]

    def summary(self) -> str:
        """Return the verdict and the number of checks by outcome."""
        failed, unknown = len(self.failed), sum(c.passed is None for c in self.checks)
        verdict = "NOT VERIFIED" if failed else "no check failed"
        return (
            f"{verdict}: {failed} failed, {len(self.checks) - failed - unknown} passed, {unknown} not checked"
        )


def record_of(result: VerificationResult, request: VerifyRequest) -> dict[str, Any]:
    """Return the content of ``verified.json``: the bundle, the suite, the command, and every outcome."""
    signer = result.signer if result.signer is not None and result.signer.good else None
    return {
        "schema": SCHEMA,
        "bundle_sha256": result.bundle_sha256,
        "suite_version": __version__,
        "suite_commit": commit(),
        "protocol_hash": result.protocol_hash,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": _command(request),
        "checks": [asdict(c) for c in result.checks],
        "signer": None if signer is None else {"key": signer.key, "principal": signer.principal},
        **(NOT_RETRAINED if result.retraining is None else asdict(result.retraining)),
        **({} if result.sealed is None else {"sealed": result.sealed.model_dump(mode="json")}),
    }


def _command(request: VerifyRequest) -> dict[str, Any]:
    """Return the options that were given; files by name and SHA-256, folders by name."""
    given = {f.name: getattr(request, f.name) for f in fields(VerifyRequest) if getattr(request, f.name)}
    return {name: _named(value) if isinstance(value, Path) else value for name, value in given.items()}


def _named(path: Path) -> str:
    return f"{path.name} (SHA-256 {sha256_file(path)})" if path.is_file() else path.name


def verify(source: Path, request: VerifyRequest, cache: DataCache | None = None) -> VerificationResult:
    """Check a bundle, a folder or a ZIP of one; writes nothing, and runs no code of it.

    With ``request.deep`` its generator runs, if it is given or in the suite.

    Args:
        cache: shared by the bundles of one command, so that their data are computed once.
    """
    result, cache = VerificationResult(), cache or DataCache(request.root)
    known = None if request.allowed_signers is None else signature.read_keys(request.allowed_signers)
    checks = result.checks
    with errors_as_check(checks, "safety"), bundle_folder(source) as folder:
        checks.append(Check("safety", PASSED, "only the files of a bundle, none too large"))
        with errors_as_check(checks, "schema"):
            _verify(folder, request, known, cache, result)
    return result


def require_no_fault(folder: Path, request: VerifyRequest, cache: DataCache) -> None:
    """Verify a bundle before it becomes a row of a leaderboard.

    Raises:
        SubmissionError: names the first check that fails.
    """
    for check in verify(folder, request, cache).failed:
        where = f"{folder}: {check.field or check.name}"
        remedy = f"See every check: python -m benchmark verify {folder}."
        raise SubmissionError(where, f"{check.name}: {check.detail}", remedy)


def _verify(
    folder: Path,
    request: VerifyRequest,
    known: Sequence[signature.KnownKey] | None,
    cache: DataCache,
    result: VerificationResult,
) -> None:
    if (folder / MANIFEST).is_file():
        result.bundle_sha256 = sha256_file(folder / MANIFEST)
    bundle = read_bundle(folder)
    manifest, checks = bundle.manifest, result.checks
    result.protocol_hash = manifest.protocol_hash
    result.signer = signed = signature.check(folder / MANIFEST, folder / SIGNATURE, known)
    # a forged signature fails; an unknown author or no signature is not a fault
    unknown = known is not None and signed.principal is None
    outcome = None if signed.good and unknown else signed.good
    checks += [
        Check("schema", PASSED, f"schema {manifest.schema_}, every field valid"),
        Check("files", PASSED, f"{len(manifest.files)} with the hashes in bundle.json"),
        Check("signature", outcome, signed.detail, SIGNATURE if signed.good is False else ""),
    ]
    if (folder / VERIFIED).exists():
        why = "is not read here: it counts on a board, where a maintainer's signature is checked"
        checks.append(Check("record", NOT_CHECKED, why, VERIFIED))
    protocol = data = None
    with errors_as_check(checks, "protocol"):
        protocol = claimed_protocol(manifest, request.task, request.source)
        checks += check_protocol(manifest, protocol)
    checks += [*_check_results(bundle), *check_scores(bundle), *check_costs(manifest)]
    if protocol is None:
        checks.append(Check("data", NOT_CHECKED, "no task to compare with"))
        return
    checks += check_row(bundle, protocol)
    with errors_as_check(checks, "data", NOT_CHECKED):  # unavailable data are not the bundle's fault
        data = cache.of(protocol)
    if data is not None:
        checks += [*check_data(manifest, data), *check_images(bundle, data)]
    checks += check_samples(bundle, folder, protocol, data)
    checks.append(unverified_claims(manifest.submission_type != SUITE))
    if request.deep or request.sealed:
        _verify_deep(bundle, protocol, request, result)


def _check_results(bundle: Bundle) -> list[Check]:
    """Recompute every reported metric from the stored predictions."""
    if bundle.predictions is None:
        return [Check("results", NOT_CHECKED, "the row failed, and has none")]
    record, checks = bundle.manifest.record(), list[Check]()
    with errors_as_check(checks, "results"):
        faults = differences(record["results"], results(record, bundle.predictions))
        checks += checks_of("results", faults, f"every metric follows from the predictions, to {TOLERANCE:g}")
    return checks


def _verify_deep(
    bundle: Bundle, protocol: Protocol, request: VerifyRequest, result: VerificationResult
) -> None:
    """Retrain some seeds in a temporary store."""
    if bundle.predictions is None:
        result.checks.append(Check("retrained", NOT_CHECKED, "the row failed, and has no runs"))
        return
    manifest = bundle.manifest
    drawn = "drawn at random" if request.seed is None else f"drawn by --seed {request.seed}"
    with (
        errors_as_check(result.checks, "retrained", NOT_CHECKED),
        tempfile.TemporaryDirectory(prefix="synththorax-deep-", ignore_cleanup_errors=True) as scratch,
    ):
        count = request.seeds or default_repeats(bundle, request.board)
        seeds = draw_seeds(manifest.seeds, count, request.seed)
        plan = retraining_plan(manifest, protocol, request, Path(scratch))
        secret = read_secret(request.sealed) if request.sealed else None
        if secret:
            check_source(plan)
            season_of(secret, request.leaderboards)
        retrained = retrain(plan, manifest.row.name, seeds, Path(scratch) / "store", request.workers, secret)
        checks, result.retraining = check_retraining(bundle, retrained, plan, request.board)
        done = f"seeds {', '.join(map(str, seeds))} of {len(manifest.seeds)}, {drawn}"
        result.checks += [Check("retrained", PASSED, done), *checks]
        if secret and retrained.sealed:
            check, result.sealed = check_sealed(manifest, retrained.sealed, secret, seeds)
            result.checks.append(check)


def run_verify(options: VerifyBundleRequest) -> int:
    """Verify a bundle and print every check; return 1 if one failed."""
    if options.out:
        refuse_foreign_files([options.out], options.out, '"checks":')
    if options.sign and not options.record:
        raise SubmissionError("--sign", "signs the record", "Give --deep --record, too.")
    result = verify(options.bundle, options)
    for check in result.checks:
        print(check.line())
    print(f"\n{result.summary()}")
    if options.out:
        with disk_errors(options.out):
            options.out.parent.mkdir(parents=True, exist_ok=True)
            write_json(options.out, record_of(result, options))
        print(options.out)
    if options.record:
        print(write_record(options.bundle, options, result))
        if options.sign:
            print(signature.sign(options.bundle / VERIFIED, options.sign, signature.RECORD_NAMESPACE))
        else:
            print("note: no board counts the record until a maintainer signs it: --sign KEY")
    return 1 if result.failed else 0


def write_record(folder: Path, request: VerifyRequest, result: VerificationResult) -> Path:
    """Write ``verified.json`` into a bundle's folder after a successful ``--deep`` verification.

    A signature of an earlier record is removed.

    Raises:
        SubmissionError: a ZIP, no ``--deep``, a failed check, or nothing was retrained.
    """
    if not folder.is_dir():
        raise SubmissionError("--record", "needs a bundle's folder", "Unpack the ZIP.")
    if (
        not (request.deep or request.sealed)
        or result.failed
        or result.retraining is None
        or not result.retraining.plausible
    ):
        problem = "nothing is recorded: retraining did not verify the bundle"
        raise SubmissionError("--record", problem, "Give --deep, and fix the failed checks.")
    (folder / RECORD_SIGNATURE).unlink(missing_ok=True)
    write_json(folder / VERIFIED, record_of(result, request))
    return folder / VERIFIED
