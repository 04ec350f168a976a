"""Signatures by SSH keys, made and checked with keys of the test's own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from benchmark.errors import SubmissionError
from benchmark.intake import signature as signatures
from benchmark.intake.signature import NAMESPACE, check, sign

needs_tool = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


def new_key(path: Path) -> Path:
    """A key without a passphrase."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def allowed(path: Path, **keys: Path) -> Path:
    """A list of known authors."""
    lines = [f'{who}@example.org namespaces="{NAMESPACE}" {k.with_suffix(".pub").read_text()}' for who, k in keys.items()]  # fmt: skip  # noqa: E501
    path.write_text("".join(lines))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file to sign."""
    path = tmp_path / "bundle.json"
    path.write_bytes(b'{"schema": 5}\n')
    return path


@needs_tool
def test_a_signature_is_of_its_file_and_key(tmp_path: Path, file: Path):
    """The fingerprint is that which ssh-keygen itself gives for the key."""
    key = new_key(tmp_path / "key")
    command = sign(file, key)
    assert command.name == "bundle.json.sig"
    result = check(file, command)
    output = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(key) + ".pub"], capture_output=True, text=True, check=True
    )
    assert result.good is True
    assert result.principal is None
    assert result.key == output.stdout.split()[1]


@needs_tool
def test_a_changed_file_does_not_have_its_signature(tmp_path: Path, file: Path):
    """One byte is enough."""
    command = sign(file, new_key(tmp_path / "key"))
    file.write_bytes(file.read_bytes().replace(b"5", b"6"))
    result = check(file, command)
    assert result.good is False
    assert "does not match this bundle.json" in result.detail


@needs_tool
def test_a_known_author_is_named(tmp_path: Path, file: Path):
    """The list of known authors says whose key it is; a key that is not on it is nobody's."""
    ann, eve = new_key(tmp_path / "ann"), new_key(tmp_path / "eve")
    known = allowed(tmp_path / "allowed_signers", ann=ann)
    assert check(file, sign(file, ann), known).principal == "ann@example.org"
    unknown = check(file, sign(file, eve), known)
    assert unknown.good is True
    assert unknown.principal is None
    assert "an unknown author" in unknown.detail


@needs_tool
def test_a_signature_for_another_purpose_does_not_count(tmp_path: Path, file: Path):
    """The signature covers the namespace: a signed commit or mail is not a signed bundle."""
    key, other = new_key(tmp_path / "key"), tmp_path / "bundle.json.sig"
    with file.open("rb") as source:
        completed = subprocess.run(
            ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", "git"], stdin=source, capture_output=True,
            check=True,
        )  # fmt: skip
    other.write_bytes(completed.stdout)
    assert check(file, other).good is False


@needs_tool
@pytest.mark.parametrize(
    "content", [b"", b"hello", b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"]
)
def test_what_is_no_signature_is_not_good(tmp_path: Path, file: Path, content: bytes):
    """Empty, text, or an armor around nothing."""
    bad = tmp_path / "bundle.json.sig"
    bad.write_bytes(content)
    assert check(file, bad).good is False


def test_without_a_signature_that_is_said(file: Path):
    """Unsigned is neither good nor bad."""
    result = check(file, file.with_name("bundle.json.sig"))
    assert result.good is None
    assert "unsigned" in result.detail


def test_without_ssh_keygen_nothing_is_passed(file: Path, monkeypatch: pytest.MonkeyPatch):
    """It cannot be checked, and says so; signing is refused."""
    file.with_name("bundle.json.sig").write_bytes(b"x")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    result = check(file, file.with_name("bundle.json.sig"))
    assert result.good is None
    assert result.detail.startswith("signed")
    assert "cannot be checked" in result.detail
    with pytest.raises(SubmissionError, match="not installed"):
        sign(file, file)


def test_a_signature_that_is_a_link_or_too_large_is_refused(tmp_path: Path, file: Path):
    """It is read by another program, so it is looked at first."""
    link, large = tmp_path / "link.sig", tmp_path / "large.sig"
    link.symlink_to("/etc/passwd")
    large.write_bytes(bytes(signatures.MAX_BYTES + 1))
    for path, problem in ((link, "plain file"), (large, "at most 10000 are allowed")):
        with pytest.raises(SubmissionError, match=problem):
            check(file, path)


@needs_tool
def test_a_key_that_is_none_is_refused(tmp_path: Path, file: Path):
    """The error quotes ssh-keygen; nothing is written."""
    (tmp_path / "key").write_text("no key")
    with pytest.raises(SubmissionError, match="ssh-keygen:"):
        sign(file, tmp_path / "key")
    with pytest.raises(SubmissionError, match="is not a file"):
        sign(file, tmp_path / "absent")
    assert not file.with_name("bundle.json.sig").exists()
