"""Options of ``verify``."""

from pathlib import Path
from typing import Annotated

from pydantic.dataclasses import dataclass

from benchmark.planning.request import STRICT, Count, Option, Root, Workers


@dataclass(frozen=True, kw_only=True, config=STRICT)
class VerifyRequest:
    """Inputs and thoroughness of a verification."""

    task: Annotated[Path | None, Option("task file, for a task that is not in the suite")] = None
    source: Annotated[Path | None, Option("Python file of a source that is not installed")] = None
    root: Root = None
    allowed_signers: Annotated[Path | None, Option("authors and their keys, see ssh-keygen(1)")] = None
    deep: Annotated[bool, Option("train randomly drawn seeds again")] = False
    seeds: Annotated[
        Count | None, Option("with --deep: number of seeds; default: as many as detect 5 points")
    ] = None
    seed: Annotated[Count | None, Option("with --deep: seed of the choice of seeds; default: random")] = None
    generator: Annotated[Path | None, Option("with --deep: Python file of a submitted row")] = None
    samples: Annotated[Path | None, Option("with --deep: images of a submitted row")] = None
    board: Annotated[Path | None, Option("with --deep: bundles that show the spread between runs")] = None
    sealed: Annotated[
        Path | None, Option("secret of a season: also test on its sealed phantom patients; implies --deep")
    ] = None
    leaderboards: Annotated[Path, Option("with --sealed: folder of the seasons' commitments")] = Path(
        "leaderboards"
    )
    workers: Workers = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class VerifyBundleRequest(VerifyRequest):
    """Check a bundle: safety, protocol, data, metrics, copies, signature; --deep trains seeds again."""

    bundle: Annotated[
        Path, Option("folder or ZIP of a bundle", "outputs/cxr_pneumonia-demo/bundles/ddpm", positional=True)
    ]
    record: Annotated[bool, Option("with --deep: write verified.json into the bundle")] = False
    sign: Annotated[Path | None, Option("with --record: a maintainer's SSH key that signs the record")] = None
    out: Annotated[Path | None, Option("JSON file of every check")] = None
