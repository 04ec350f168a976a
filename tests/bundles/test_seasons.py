"""Seasons: a commitment before, the seed after, and no secret where it would be published."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest
import yaml

from benchmark.bundles.seasons import SEASONS, close_season, open_season, read_seasons, read_secret
from benchmark.cli.parser import main
from benchmark.errors import BenchmarkError, SubmissionError


def opened(folder: Path, name: str = "2027") -> Path:
    """Open a season, and return the file of its secret."""
    path = folder / "secret" / f"{name}.json"
    open_season(folder / "boards", name, path)
    return path


def test_the_commitment_is_the_hash_of_season_salt_and_seed(tmp_path: Path):
    """Anybody can recompute it from the revealed values; before, the file has neither seed nor salt."""
    secret = json.loads(opened(tmp_path).read_text())
    text = (tmp_path / "boards" / SEASONS).read_text()
    (season,) = read_seasons(tmp_path / "boards")
    own = f"{secret['season']}:{secret['salt']}:{secret['seed']}".encode()
    assert season.commitment == hashlib.sha256(own).hexdigest()
    assert str(secret["seed"]) not in text
    assert secret["salt"] not in text
    assert (season.closed, season.seed, season.salt) == (None, None, None)


def test_a_secret_is_for_its_owner_alone(tmp_path: Path):
    """Nobody else may read the file, and two seasons have two seeds."""
    one, other = opened(tmp_path), opened(tmp_path, "2028")
    assert stat.S_IMODE(one.stat().st_mode) == 0o600
    assert read_secret(one).seed != read_secret(other).seed
    assert [s.season for s in read_seasons(tmp_path / "boards")] == ["2027", "2028"]


def test_closing_reveals_the_seed(tmp_path: Path):
    """The file then has salt and seed, and they match the commitment."""
    path = opened(tmp_path)
    close_season(tmp_path / "boards", path)
    (season,) = read_seasons(tmp_path / "boards")
    assert (season.seed, season.salt) == (read_secret(path).seed, read_secret(path).salt)
    with pytest.raises(SubmissionError, match="closed already"):
        close_season(tmp_path / "boards", path)


@pytest.mark.parametrize("field", ["seed", "salt", "commitment"])
def test_a_changed_seed_does_not_match(field: str, tmp_path: Path):
    """Neither maintainers nor others can choose another seed afterwards; the check names the season."""
    close_season(tmp_path / "boards", opened(tmp_path))
    path = tmp_path / "boards" / SEASONS
    content = yaml.safe_load(path.read_text())
    content["seasons"][0][field] = 5 if field == "seed" else "0" * 64
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(BenchmarkError, match="do not match the commitment"):
        read_seasons(tmp_path / "boards")


def test_a_secret_of_another_season_is_refused(tmp_path: Path):
    """A secret without a commitment closes nothing."""
    path = opened(tmp_path)
    secret = json.loads(path.read_text())
    path.write_text(json.dumps({**secret, "seed": 1}))
    with pytest.raises(SubmissionError, match="is of no season"):
        close_season(tmp_path / "boards", path)


def test_a_damaged_secret_is_refused_without_showing_it(tmp_path: Path):
    """No message repeats the values of the file."""
    path = opened(tmp_path)
    secret = json.loads(path.read_text())
    path.write_text(json.dumps({**secret, "salt": secret["salt"][:-1]}))
    with pytest.raises(SubmissionError) as fault:
        read_secret(path)
    assert secret["salt"][:8] not in str(fault.value)
    path.write_text("[]")
    with pytest.raises(SubmissionError, match="is not a mapping"):
        read_secret(path)


@pytest.mark.parametrize("where", ["repository/secret.json", "repository/a/b.json", "boards/secret.json"])
def test_a_secret_stays_out_of_repositories(where: str, tmp_path: Path):
    """A file in a repository, or beside the boards, would be published; nothing is written."""
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    with pytest.raises(SubmissionError, match="would be published"):
        open_season(tmp_path / "boards", "2027", tmp_path / where)
    assert not (tmp_path / where).exists()
    assert not (tmp_path / "boards" / SEASONS).exists()


def test_nothing_is_overwritten(tmp_path: Path):
    """A season, and a file, are made once."""
    path = opened(tmp_path)
    with pytest.raises(SubmissionError, match="exists already"):
        open_season(tmp_path / "boards", "2028", path)
    with pytest.raises(SubmissionError, match="exists already"):
        open_season(tmp_path / "boards", "2027", tmp_path / "other.json")


def test_the_verbs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """``season open`` shows the commitment and not the seed; ``season close`` shows the seed."""
    root, path = tmp_path / "boards", tmp_path / "s.json"
    assert main(["season", "open", "2027", "--secret", str(path), "--root", str(root)]) == 0
    shown, seed = capsys.readouterr().out, str(read_secret(path).seed)
    assert read_secret(path).commitment in shown
    assert seed not in shown
    assert main(["season", "close", "--secret", str(path), "--root", str(root)]) == 0
    assert seed in capsys.readouterr().out
    inside = Path(__file__).parent / "secret.json"
    assert main(["season", "open", "2028", "--secret", str(inside), "--root", str(root)]) == 1
