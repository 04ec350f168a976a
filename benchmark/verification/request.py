"""Options of ``verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from benchmark.planning.request import POSITIONAL, STRICT, Count


@dataclass(frozen=True, kw_only=True, config=STRICT)
class VerifyRequest:
    """What a verifier has at hand, and how thorough the verification is."""

    task: Path | None = Field(default=None, description="task file, for a task that is not in the suite")
    root: Path | None = Field(default=None, description="folder of a real dataset, for sources that read one")
    allowed_signers: Path | None = Field(
        default=None, description="known authors and their keys in the format of ssh-keygen(1)"
    )
    deep: bool = Field(default=False, description="train a random share of the seeds again")
    seeds: Count | None = Field(default=None, description="with --deep: number of seeds; default: a third")
    seed: Count | None = Field(
        default=None,
        description="with --deep: seed of the choice of seeds; default: random",
    )
    generator: Path | None = Field(default=None, description="with --deep: Python file of a submitted row")
    samples: Path | None = Field(default=None, description="with --deep: images of a submitted row")
    board: Path | None = Field(
        default=None,
        description="with --deep: bundles of the same protocol, to estimate the spread",
    )
    workers: Count | None = Field(default=None, description="with --deep: stages at once")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class VerifyBundleRequest(VerifyRequest):
    """A bundle to verify, and where the result goes."""

    bundle: Annotated[Path, POSITIONAL] = Field(
        description="folder or ZIP of a bundle", examples=["outputs/cxr_pneumonia-demo/bundles/ddpm"]
    )
    record: bool = Field(default=False, description="with --deep: write verified.json into the bundle")
    out: Path | None = Field(default=None, description="JSON file of every check")
