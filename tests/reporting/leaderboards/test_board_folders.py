"""Boards are read strictly, and every row has the standing of the records beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.bundles.standing import Standing, read_keyring, read_standing
from benchmark.errors import SubmissionError
from benchmark.reporting.leaderboards.board_folders import (
    BoardFolder,
    board_folders,
    one_board_per_protocol,
    read_board,
    read_rows,
)
from support.board_folders import BOARD, edit, make_board_folder, verify
from support.keys import AUTHOR, BUNDLE, MAINTAINER, RECORD, STRANGER


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a board of three rows."""
    return make_board_folder(tmp_path)


def test_a_board_is_its_rows_with_their_standings(tmp_path, folder):
    """A board has a name, task, profile, rows by name, and each row's standing and hash of bundle.json."""
    assert board_folders(tmp_path) == [folder]
    board = read_board(BoardFolder.at(folder))
    assert (board.name, board.task, board.head.profile) == (BOARD, "cxr_pneumonia", "demo")
    assert [b.manifest.row.name for b in board.bundles] == ["ddpm", "duplicate_real", "real_only"]
    assert {s.status for s in board.standings.values()} == {"self-reported"}
    assert set(board.hashes["ddpm"]) == {"bundle.json"}


@pytest.mark.parametrize(
    "name", ["cxr_pneumonia", "lus_limited-demo", "cxr_pneumonia-demos", "cxr_pneumonia-demo-a b", "demo"]
)
def test_a_board_is_named_by_task_and_profile(tmp_path, name):
    """Any other name is refused; the error states the expected one."""
    folder = make_board_folder(tmp_path, name)
    with pytest.raises(
        SubmissionError, match=r"(?s)task 'cxr_pneumonia', profile 'demo'.*'cxr_pneumonia-demo'"
    ):
        read_rows(folder)


def test_the_name_may_end_with_the_choices(tmp_path):
    """The end of the name states a scenario, weights or a source."""
    assert read_rows(make_board_folder(tmp_path, f"{BOARD}-scarce.keep=0.5-weights=imagenet"))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"task": "lus_limited"}, "task"),
        ({"profile": "lite"}, "profile"),
        ({"protocol_hash": "0" * 64}, "protocol_hash"),
        ({"data": {"fingerprint": "0" * 60}}, "data.fingerprint"),
    ],
)
def test_a_board_never_mixes(folder, fields, named):
    """Rows of two tasks, profiles, protocols or datasets are refused; the error names row and field."""
    edit(folder / "real_only", **fields)
    with pytest.raises(SubmissionError, match=f"row 'real_only': {named}"):
        read_rows(folder)


def test_two_boards_of_one_protocol_are_one(tmp_path, folder):
    """Two names for one protocol and data are refused; another name for other data is not."""
    one = read_board(BoardFolder.at(folder))
    one_board_per_protocol([one])
    with pytest.raises(SubmissionError, match=f"{BOARD}-b: has the protocol and the data of board '{BOARD}'"):
        one_board_per_protocol([one, replace(one, name=f"{BOARD}-b")])


@pytest.mark.parametrize("place", ["results", f"results/{BOARD}", f"results/{BOARD}/ddpm"])
def test_stray_files_are_refused(tmp_path, folder, place):
    """Files that no page would show are refused among boards, rows and bundle files."""
    (tmp_path / place / "notes.txt").write_text("x")
    with pytest.raises(SubmissionError, match=r"notes\.txt"):
        [read_rows(f) for f in board_folders(tmp_path)]


def test_no_board_is_an_error(tmp_path):
    """The error states how to add a board."""
    with pytest.raises(SubmissionError, match=r"(?s)holds no board.*--add"):
        board_folders(tmp_path)


def standing(folder: Path, row: str = "ddpm") -> Standing:
    """Return the standing of a row of a board, with the keys beside the pages."""
    return read_standing(folder / row, read_keyring(folder.parent.parent))


def test_verified_means_this_very_bundle(folder):
    """A record of a passed verification is valid until a byte of bundle.json changes."""
    row = folder / "ddpm"
    assert standing(folder).status == "self-reported"
    verify(row)
    now = standing(folder)
    assert (now.status, now.signature, now.signer) == ("verified", "unsigned", "")
    assert now.detail == (
        "Verified on 2026-11-21 with version 0.2.0, signed by max@example.org: 1 check passed; training "
        "repeated with seed 1; an inflation of 4.3 points would be seen in 80 %; could not be checked: "
        "signature."
    )
    with open(row / "bundle.json", "a") as handle:
        handle.write("\n")
    assert standing(folder).status == "changed"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"checks": [{"name": "metrics", "passed": False}]}, "checks: 'metrics' did not pass"),
        ({"checks": []}, "checks"),
        ({"plausible": False}, "plausible: the reported runs are not plausible"),
        ({"plausible": None, "seeds": []}, "plausible: no training was repeated"),
        ({"schema": 1}, "schema"),
        ({"date": "<b>"}, "date"),
        ({"bundle_sha256": "abc"}, "bundle_sha256"),
    ],
)
def test_a_verification_that_did_not_pass_is_no_standing(folder, fields, named):
    """A signed record that failed or is unreadable is refused; the error names the field."""
    verify(folder / "ddpm", **fields)
    with pytest.raises(SubmissionError, match=named):
        standing(folder)


def test_a_record_counts_only_with_a_maintainers_signature(folder):
    """Unsigned, signed by another key, by a key for bundles alone, or for another purpose, it is a word."""
    row, keys = folder / "ddpm", folder.parent.parent / "maintainers"
    verify(row)
    (row / "verified.json.sig").unlink()
    assert standing(folder).status == "self-reported"
    assert "signed by nobody" in standing(folder).detail
    STRANGER.sign(row / "verified.json", RECORD)
    assert standing(folder).status == "self-reported"
    assert "not a maintainer's" in standing(folder).detail
    MAINTAINER.sign(row / "verified.json", RECORD)
    assert standing(folder).status == "verified"
    keys.write_text(MAINTAINER.line(BUNDLE))
    assert standing(folder).status == "self-reported"
    keys.unlink()
    assert standing(folder).status == "self-reported"
    MAINTAINER.sign(row / "verified.json", BUNDLE)
    with pytest.raises(SubmissionError, match="namespace"):
        standing(folder)


def test_a_forged_record_is_an_error(folder):
    """A record that was edited after its signature, and a signature without a record, are refused."""
    verify(folder / "ddpm")
    path = folder / "ddpm" / "verified.json"
    path.write_text(path.read_text().replace("0.2.0", "0.3.0"))
    with pytest.raises(SubmissionError, match="of other content"):
        standing(folder)
    path.unlink()
    with pytest.raises(SubmissionError, match=r"without verified\.json"):
        standing(folder)


def test_a_record_of_another_bundle_does_not_verify(folder):
    """A valid record that is copied to another row is of another bundle.json."""
    verify(folder / "real_only")
    for name in ("verified.json", "verified.json.sig"):
        (folder / "ddpm" / name).write_bytes((folder / "real_only" / name).read_bytes())
    assert standing(folder).status == "changed"


def test_run_by_the_project_is_what_a_maintainer_signed(folder):
    """The signature of bundle.json by a maintainer's key counts; anyone else's is a name, or unknown."""
    root, row = folder.parent.parent, folder / "ddpm"
    (root / "maintainers").write_text(MAINTAINER.line())
    (root / "allowed_signers").write_text(AUTHOR.line(BUNDLE))
    assert (
        read_board(BoardFolder.at(folder)).rows[0].origin
        == "the project, as the bundle says; the project did not sign it"
    )
    for key, owner, project in (
        (MAINTAINER, "max@example.org", True), (AUTHOR, "ann@example.org", False), (STRANGER, "", False)
    ):  # fmt: skip
        key.sign(row / "bundle.json")
        now = standing(folder)
        assert (now.signer, now.owner, now.project) == (key.fingerprint, owner, project)
    MAINTAINER.sign(row / "bundle.json")
    origins = {r.name: r.origin for r in read_board(BoardFolder.at(folder)).rows}
    assert origins["ddpm"] == "the project, signed by max@example.org"
    assert "did not sign" in origins["real_only"]
    edit(row, submission_type="suite", device="cuda")
    with pytest.raises(SubmissionError, match=r"bundle\.json\.sig.*of other content"):
        read_board(BoardFolder.at(folder))


@pytest.mark.parametrize("content", ["", "[]", "{", "NaN", '{"schema": 1}', "[" * 100_000])
def test_other_content_than_a_record_is_refused(folder, content):
    """The error names the file, without a traceback, even if a maintainer signed it."""
    verify(folder / "ddpm")
    (folder / "ddpm" / "verified.json").write_text(content)
    MAINTAINER.sign(folder / "ddpm" / "verified.json", RECORD)
    with pytest.raises(SubmissionError, match=r"verified\.json"):
        standing(folder)


def test_links_beside_a_bundle_are_not_followed(folder, tmp_path):
    """A record that is a link is refused."""
    verify(folder / "ddpm")
    elsewhere = (folder / "ddpm" / "verified.json").rename(tmp_path / "v.json")
    (folder / "ddpm" / "verified.json").symlink_to(elsewhere)
    with pytest.raises(SubmissionError, match="plain file"):
        standing(folder)
    assert json.loads(elsewhere.read_text())["schema"] == 2
