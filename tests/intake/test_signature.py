"""SSH signatures: ours against those of ``ssh-keygen``, and against forgeries."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import SubmissionError
from benchmark.intake import signature as signatures
from benchmark.intake.signature import NAMESPACE, RECORD_NAMESPACE, check, read_keys, sign
from support.keys import AUTHOR, BUNDLE, RECORD, STRANGER, armored, text

needs_tool = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
CONTENT = b'{"schema": 5}\n'


def new_key(path: Path, kind: str = "ed25519") -> Path:
    """Generate a key without a passphrase."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file to sign."""
    path = tmp_path / "bundle.json"
    path.write_bytes(CONTENT)
    return path


@needs_tool
def test_a_signature_of_ssh_keygen_is_of_its_file_and_key(tmp_path: Path, file: Path):
    """The fingerprint is the one that ssh-keygen prints for the key; the list names its owner."""
    key = new_key(tmp_path / "key")
    path = sign(file, key)
    assert path.name == "bundle.json.sig"
    listed = subprocess.run(
        ["ssh-keygen", "-l", "-f", f"{key}.pub"], capture_output=True, text=True, check=True
    )
    known = tmp_path / "allowed_signers"
    known.write_text(
        f'# authors\n\nann@example.org namespaces="{NAMESPACE}" {Path(f"{key}.pub").read_text()}'
    )
    result = check(file, path, read_keys(known))
    assert (result.good, result.key, result.principal) == (True, listed.stdout.split()[1], "ann@example.org")


@needs_tool
def test_ssh_keygen_reads_what_the_tests_sign(tmp_path: Path, file: Path):
    """The tests' own signatures, which the other tests forge, are OpenSSH's."""
    for of_hash in ("sha512", "sha256"):
        (tmp_path / "s").write_bytes(AUTHOR.signature(CONTENT, of_hash=of_hash))
        (tmp_path / "known").write_text(AUTHOR.line(BUNDLE))
        command = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "known"), "-I", AUTHOR.owner]
        command += ["-n", BUNDLE, "-s", str(tmp_path / "s")]
        subprocess.run(command, input=CONTENT, check=True, capture_output=True)
        assert check(file, tmp_path / "s").key == AUTHOR.fingerprint


@needs_tool
def test_other_kinds_of_keys_are_refused_in_one_line(tmp_path: Path, file: Path):
    """An RSA key does not sign, and its signature, made by hand, does not count."""
    key = new_key(tmp_path / "key", "rsa")
    with pytest.raises(SubmissionError, match="only ssh-ed25519 is read"):
        sign(file, key)
    assert not file.with_name("bundle.json.sig").exists()
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(file)],
        check=True, capture_output=True,
    )  # fmt: skip
    result = check(file, file.with_name("bundle.json.sig"))
    assert result.good is False
    assert "only ssh-ed25519 is read" in result.detail


def test_namespaces_are_those_of_the_docs():
    """Signatures of bundles and of records cannot stand for each other."""
    assert (NAMESPACE, RECORD_NAMESPACE) == (BUNDLE, RECORD)


def test_signatures_are_checked_without_openssh(file: Path, monkeypatch: pytest.MonkeyPatch):
    """Without ssh-keygen a signature is checked all the same; signing is refused."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert check(file, AUTHOR.sign(file)).good is True
    with pytest.raises(SubmissionError, match="not installed"):
        sign(file, file)


def test_an_owner_is_known_for_the_namespaces_of_its_key(tmp_path: Path, file: Path):
    """A key without namespaces may sign for all of them; one for records may not sign a bundle."""
    known, path = tmp_path / "known", AUTHOR.sign(file)
    for line, owner in (
        (AUTHOR.line(), AUTHOR.owner),
        (AUTHOR.line(RECORD, BUNDLE), AUTHOR.owner),
        (AUTHOR.line(RECORD), None),
        (STRANGER.line(), None),
        ("", None),
        (AUTHOR.line("synththorax-*"), AUTHOR.owner),
    ):
        known.write_text(line)
        result = check(file, path, read_keys(known))
        assert (result.good, result.principal) == (True, owner)


@pytest.mark.parametrize(
    "line",
    [
        "ann@example.org",
        "ann@example.org ssh-ed25519",
        "ann@example.org ssh-ed25519 AAAA",
        "<b> ssh-ed25519 x",
        "ann@example.org ssh-rsa AAAAB3NzaC1yc2E=",
        'ann@example.org valid-before="20260101" ssh-ed25519 KEY',
        'ann@example.org cert-authority,namespaces="a" ssh-ed25519 KEY',
        "ann@example.org ssh-ed25519 K!Y",
    ],
)
def test_other_lines_are_refused_by_their_number(tmp_path: Path, line: str):
    """A list that is not read as it is meant is refused: options, kinds of keys, damaged keys."""
    known = tmp_path / "known"
    known.write_text("# keys\n" + line.replace("KEY", AUTHOR.line().split()[2]) + "\n")
    with pytest.raises(SubmissionError, match="known: line 2"):
        read_keys(known)


def resigned(**parts: bytes) -> bytes:
    """Return a true signature with some parts of its blob replaced."""
    head = {"namespace": BUNDLE.encode(), "reserved": b"", "hash": b"sha512"}
    own = {k: parts.get(k, v) for k, v in head.items()}
    signed = AUTHOR.private.sign(
        b"SSHSIG" + b"".join(map(text, head.values())) + text(hashlib.sha512(CONTENT).digest())
    )
    raw = parts.get("signature", text(b"ssh-ed25519") + text(signed))
    blob = b"SSHSIG" + parts.get("version", b"\0\0\0\1") + text(parts.get("key", AUTHOR.blob))
    return armored(blob + b"".join(map(text, own.values())) + text(raw) + parts.get("rest", b""))


def test_forged_signatures_are_not_good(tmp_path: Path, file: Path):
    """Every part counts: another key, namespace, hash, version, reserved field or rest is not a signature."""
    path = tmp_path / "s"
    path.write_bytes(resigned())
    assert check(file, path).good is True
    zero = text(b"ssh-ed25519") + text(bytes(64))
    forgeries = [
        resigned(key=STRANGER.blob),
        resigned(namespace=RECORD.encode()),
        resigned(hash=b"sha256"),
        resigned(hash=b"md5"),
        resigned(version=b"\0\0\0\2"),
        resigned(reserved=b"x"),
        resigned(rest=text(b"x")),
        resigned(signature=zero),
        resigned(signature=b""),
        resigned(key=b""),
        resigned(key=text(b"ssh-ed25519")),
        resigned(key=text(b"ssh-rsa") + text(b"x")),
        AUTHOR.signature(CONTENT, RECORD),
        AUTHOR.signature(b"x"),
        b"",
        b"hello",
        armored(b""),
        resigned().replace(b"BEGIN", b"BEGUN"),
        resigned().replace(b"U1NI", b"U1N!"),
        "\udcff".encode("utf-8", "surrogateescape"),
    ]
    for forged in forgeries:
        path.write_bytes(forged)
        result = check(file, path)
        assert (result.good, result.key) == (False, "")
        assert "does not match this bundle.json" in result.detail


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading_of_a_signature(blob: bytes):
    """Any text between the two lines is refused with a reason."""
    for content in (armored(blob), armored(b"SSHSIG\0\0\0\1" + blob), blob):
        with pytest.raises(ValueError, match=r"\w"):
            signatures._verified(content, CONTENT, NAMESPACE)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_is_a_signature_of_another_key(at: int, by: int):
    """A changed byte of the armor makes it invalid, or leaves the same key and content."""
    content = bytearray(AUTHOR.signature(CONTENT))
    content[at % len(content)] ^= by
    try:
        assert signatures._verified(bytes(content), CONTENT, NAMESPACE) == AUTHOR.blob
    except ValueError:
        return


def test_a_missing_signature_is_reported(file: Path):
    """An unsigned bundle is neither good nor bad."""
    result = check(file, file.with_name("bundle.json.sig"))
    assert result.good is None
    assert "unsigned" in result.detail


def test_a_signature_that_is_a_link_or_too_large_is_refused(tmp_path: Path, file: Path):
    """The file is checked before it is read."""
    link, large = tmp_path / "link.sig", tmp_path / "large.sig"
    link.symlink_to("/etc/passwd")
    large.write_bytes(bytes(signatures.MAX_BYTES + 1))
    for path, problem in ((link, "plain file"), (large, "at most 10000 are allowed")):
        with pytest.raises(SubmissionError, match=problem):
            check(file, path)


@needs_tool
def test_an_invalid_key_is_refused(tmp_path: Path, file: Path):
    """The error quotes ssh-keygen; nothing is written."""
    (tmp_path / "key").write_text("no key")
    with pytest.raises(SubmissionError, match="ssh-keygen:"):
        sign(file, tmp_path / "key")
    with pytest.raises(SubmissionError, match="is not a file"):
        sign(file, tmp_path / "absent")
    assert not file.with_name("bundle.json.sig").exists()
