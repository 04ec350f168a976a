"""Seasons of the boards: a commitment to the seed of the sealed test, and the seed once a season is over.

The commitment is published before the season, so that nobody can choose the seed afterwards, and the secret
stays with those who verify rows, so that nobody can fit a row to the sealed test.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, model_validator

from benchmark.bundles.schema import Part, Sha256
from benchmark.errors import SubmissionError, TaskError
from benchmark.tasks.parsing import parse, read_yaml
from benchmark.utils.files import disk_errors, write_text

SEASONS = "seasons.yaml"  # beside the boards' pages
HEAD = "# Commitments to the seeds of the sealed tests, by `season open` and `season close`: docs/verify.md\n"
SEEDS = 2**63  # the phantoms' random numbers take 64 bits
SALT_BYTES = 32
Name = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.-]{0,31}$")]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Salt = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{2 * SALT_BYTES}}}$")]
Seed = Annotated[int, Field(ge=0, lt=SEEDS, strict=True)]


class Secret(Part):
    """The seed of a season's sealed test, and the salt that keeps it from being guessed."""

    season: Name
    seed: Seed
    salt: Salt

    @property
    def commitment(self) -> str:
        """SHA-256 of season, salt and seed."""
        return hashlib.sha256(f"{self.season}:{self.salt}:{self.seed}".encode()).hexdigest()


class Season(Part):
    """One season; salt and seed are there once it is closed."""

    season: Name
    opened: Day
    commitment: Sha256
    closed: Day | None = None
    seed: Seed | None = None
    salt: Salt | None = None

    @model_validator(mode="after")
    def _revealed(self) -> Season:
        """Require a closed season's seed, and that it is the one that was committed to."""
        known = [value is not None for value in (self.closed, self.seed, self.salt)]
        if any(known) != all(known):
            raise ValueError("closed, seed and salt belong together")
        if self.seed is not None and self.salt is not None:
            secret = Secret(season=self.season, seed=self.seed, salt=self.salt)
            if secret.commitment != self.commitment:
                raise ValueError("the revealed seed and salt do not match the commitment")
        return self


class Seasons(Part):
    """All seasons, the newest last."""

    seasons: tuple[Season, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Seasons:
        names = [each.season for each in self.seasons]
        if len(set(names)) < len(names):
            raise ValueError("a season is named twice")
        return self


def read_seasons(root: Path) -> tuple[Season, ...]:
    """Read the seasons of the boards in a folder; none without the file.

    Raises:
        TaskError: a malformed season, or a revealed seed that does not match its commitment.
    """
    path = root / SEASONS
    if not path.exists():
        return ()
    seasons: Seasons = parse(Seasons, read_yaml(path), str(path))
    return seasons.seasons


def read_secret(path: Path) -> Secret:
    """Read the secret of a season.

    Raises:
        SubmissionError: the file is missing or malformed.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("is not a mapping")
        secret: Secret = parse(Secret, content, str(path))
    except (OSError, ValueError) as error:
        raise SubmissionError(str(path), f"is not the secret of a season: {error}") from None
    except TaskError as error:  # without its value: no message shows a secret
        raise SubmissionError(error.where, "is not a field of a season's secret") from None
    return secret


def season_of(secret: Secret, root: Path) -> Season:
    """Return the season that committed to a secret.

    Raises:
        SubmissionError: none did.
    """
    for season in read_seasons(root):
        if season.season == secret.season and season.commitment == secret.commitment:
            return season
    problem = f"is of no season in {root / SEASONS}"
    raise SubmissionError(f"season {secret.season}", problem, "Give the file that `season open` wrote.")


def open_season(root: Path, name: str, path: Path) -> Season:
    """Draw a secret, write it to ``path``, and its commitment to the seasons of the boards in ``root``.

    Raises:
        SubmissionError: ``path`` lies in a repository or is there already, or the season exists.
        StoreError: a file cannot be written.
    """
    _refuse_public(path, root)
    seasons = read_seasons(root)
    if name in [each.season for each in seasons]:
        raise SubmissionError(f"season {name}", "exists already", "Choose another name.")
    drawn = {"season": name, "seed": secrets.randbelow(SEEDS), "salt": secrets.token_hex(SALT_BYTES)}
    secret: Secret = parse(Secret, drawn, "season")
    season = Season(season=name, opened=_today(), commitment=secret.commitment)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(secret.model_dump_json() + "\n")
    _write(root, (*seasons, season))
    return season


def close_season(root: Path, path: Path) -> Season:
    """Reveal the secret in ``path`` among the seasons of the boards in ``root``.

    Raises:
        SubmissionError: no open season committed to it.
    """
    secret = read_secret(path)
    season = season_of(secret, root)
    if season.closed is not None:
        raise SubmissionError(f"season {season.season}", "is closed already")
    closed = season.model_copy(update={"closed": _today(), "seed": secret.seed, "salt": secret.salt})
    _write(root, tuple(closed if each == season else each for each in read_seasons(root)))
    return closed


def _refuse_public(path: Path, root: Path) -> None:
    """Refuse a place for a secret that lies in a repository, or that has a file."""
    place = path.resolve()
    inside = next((p for p in place.parents if (p / ".git").exists()), None)
    if inside is not None or place.is_relative_to(root.resolve()):
        problem = f"lies in {inside or root}, from where it would be published"
        raise SubmissionError(f"--secret {path}", problem, "Choose a place outside of any repository.")
    if os.path.lexists(path):
        raise SubmissionError(f"--secret {path}", "exists already", "Choose a new file.")


def _write(root: Path, seasons: tuple[Season, ...]) -> None:
    records: list[dict[str, Any]] = [each.model_dump(mode="json", exclude_none=True) for each in seasons]
    text = HEAD + yaml.safe_dump({"seasons": records}, sort_keys=False, width=120)
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        write_text(root / SEASONS, text)


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
