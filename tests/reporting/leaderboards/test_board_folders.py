"""Boards are read strictly, and every row has the standing of the records beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.bundles.standing import fingerprint, read_standing
from benchmark.errors import SubmissionError
from benchmark.reporting.leaderboards.board_folders import (
    board_folders,
    one_board_per_protocol,
    read_board,
    read_rows,
)
from support.board_folders import BOARD, KEY, SIGNED, SIGNED_FOR_FILES, edit, make_board_folder, verify


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a board of three rows."""
    return make_board_folder(tmp_path)


def test_a_board_is_its_rows_with_their_standings(tmp_path, folder):
    """A board has a name, task, profile, rows by name, and each row's standing and hash of bundle.json."""
    assert board_folders(tmp_path) == [folder]
    board = read_board(folder)
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
    one = read_board(folder)
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


def test_verified_means_this_very_bundle(folder):
    """A record of a passed verification is valid until a byte of bundle.json changes."""
    row = folder / "ddpm"
    assert read_standing(row).status == "self-reported"
    verify(row)
    standing = read_standing(row)
    assert (standing.status, standing.signature, standing.signer) == ("verified", "unsigned", "")
    assert standing.detail == (
        "Verified on 2026-11-21 with version 0.2.0: 1 check passed; training repeated with seed 1; "
        "could not be checked: signature."
    )
    with open(row / "bundle.json", "a") as handle:
        handle.write("\n")
    assert read_standing(row).status == "changed"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"checks": [{"name": "metrics", "passed": False}]}, "checks: 'metrics' did not pass"),
        ({"checks": []}, "checks"),
        ({"plausible": False}, "plausible: the reported runs are not plausible"),
        ({"plausible": None, "seeds": []}, "plausible: no training was repeated"),
        ({"schema": 2}, "schema"),
        ({"date": "<b>"}, "date"),
        ({"bundle_sha256": "abc"}, "bundle_sha256"),
    ],
)
def test_a_verification_that_did_not_pass_is_no_standing(folder, fields, named):
    """A failed verification and an unreadable record are refused; the error names the field."""
    verify(folder / "ddpm", **fields)
    with pytest.raises(SubmissionError, match=named):
        read_standing(folder / "ddpm")


@pytest.mark.parametrize("content", ["", "[]", "{", "NaN", '{"schema": 1}', "[" * 100_000])
def test_other_content_than_a_record_is_refused(folder, content):
    """The error names the file, without a traceback."""
    (folder / "ddpm" / "verified.json").write_text(content)
    with pytest.raises(SubmissionError, match=r"verified\.json"):
        read_standing(folder / "ddpm")


def test_a_signature_names_its_key(folder):
    """The fingerprint is the one that ``ssh-keygen -l`` prints for the signing key."""
    (folder / "ddpm" / "bundle.json.sig").write_text(SIGNED)
    standing = read_standing(folder / "ddpm")
    assert (standing.status, standing.signature, standing.signer) == ("self-reported", "signed", KEY)


@pytest.mark.parametrize(
    ("signer", "phrase"),
    [
        ({"key": KEY, "principal": "a@example.org"}, "; signature valid, by a@example.org;"),
        ({"key": KEY, "principal": None}, "; signature valid, by an unknown key;"),
        ({"key": "SHA256:another", "principal": "a@example.org"}, "training repeated with seed 1; could"),
        (None, "training repeated with seed 1; could"),
    ],
)
def test_a_verified_signature_is_that_of_the_key_that_signed(folder, signer, phrase):
    """The verification's record of a signature applies only to the key that it checked."""
    (folder / "ddpm" / "bundle.json.sig").write_text(SIGNED)
    verify(folder / "ddpm", signer=signer)
    assert phrase in read_standing(folder / "ddpm").detail


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SIGNED_FOR_FILES, "namespace"),
        ("", "expected the lines"),
        (SIGNED.replace("U1NI", "U1N!"), "base64"),
        (SIGNED.replace("U1NIU0lH", "U1NIU0lI"), "SSHSIG"),
        (SIGNED[:110] + SIGNED[-30:], "truncated"),
        ("\udcff", "is not a signature"),
    ],
)
def test_an_invalid_signature_is_refused(folder, content, message):
    """A signature with another purpose or armor, or a truncated one, is refused."""
    (folder / "ddpm" / "bundle.json.sig").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(SubmissionError, match=message):
        read_standing(folder / "ddpm")


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading_of_a_signature(blob):
    """Any text between the two lines gives a fingerprint or a ValueError."""
    import base64

    middle = base64.b64encode(b"SSHSIG\0\0\0\1" + blob).decode()
    try:
        standing = fingerprint(f"-----BEGIN SSH SIGNATURE-----\n{middle}\n-----END SSH SIGNATURE-----")
    except ValueError:
        return
    assert standing.startswith("SHA256:")


def test_links_beside_a_bundle_are_not_followed(folder, tmp_path):
    """A record that is a link is refused."""
    verify(folder / "ddpm")
    elsewhere = (folder / "ddpm" / "verified.json").rename(tmp_path / "v.json")
    (folder / "ddpm" / "verified.json").symlink_to(elsewhere)
    with pytest.raises(SubmissionError, match="plain file"):
        read_standing(folder / "ddpm")
    assert json.loads(elsewhere.read_text())["schema"] == 1
