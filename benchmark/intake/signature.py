"""Signatures of bundles by the authors' SSH keys, made and checked by ``ssh-keygen``.

What is signed is ``bundle.json``, which holds the hash of every other file of the bundle.
Source: ssh-keygen(1), options -Y; the format is OpenSSH's PROTOCOL.sshsig.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import SubmissionError

NAMESPACE = "synththorax-bundle"
ENDING = ".sig"
LARGEST = 10_000  # bytes of a signature
PATIENCE = 60  # seconds; a key on a token, or with a passphrase, asks its owner
_KEY = re.compile(r"with (\S+) key (SHA256:[A-Za-z0-9+/]+)")


@dataclass(frozen=True)
class Signature:
    """What is known of a file's signature.

    Attributes:
        signed: whether there is one.
        good: whether it is of this file, by ``key``; None where there is none or nothing to check it with.
        key: fingerprint, such as ``SHA256:...``, or empty.
        principal: who the key belongs to by ``allowed_signers``, or None.
        detail: in words.
    """

    signed: bool
    good: bool | None
    key: str
    principal: str | None
    detail: str


def sign(file: Path, key: Path) -> Path:
    """Sign a file with an SSH key; returns the signature beside it, ``<file>.sig``.

    Args:
        file: what is signed, ``bundle.json``.
        key: a private key, or the public one of a key that the SSH agent holds.
    Raises:
        SubmissionError: no ``ssh-keygen``, no such key, or the key's owner did not let it sign.
    """
    tool = shutil.which("ssh-keygen")
    if tool is None:
        raise SubmissionError("--sign", "needs ssh-keygen, which is not installed", "Install OpenSSH.")
    if not key.is_file():
        raise SubmissionError(f"--sign {key}", "is no file", "Make a key with: ssh-keygen -t ed25519")
    done = _run([tool, "-Y", "sign", "-f", str(key), "-n", NAMESPACE], file)
    if done.returncode or not done.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        raise SubmissionError(f"--sign {key}", f"ssh-keygen: {_last(done)}", "Is it an SSH key of yours?")
    target, part = file.with_name(file.name + ENDING), file.with_name(file.name + ENDING + ".part")
    part.write_bytes(done.stdout)
    os.replace(part, target)
    return target


def check(file: Path, signature: Path, allowed_signers: Path | None = None) -> Signature:
    """Whether a signature is of a file, by which key, and who that key belongs to.

    Args:
        file: what was signed.
        signature: need not be there.
        allowed_signers: known authors and their keys, in the format of ssh-keygen(1).
    Raises:
        SubmissionError: ``allowed_signers`` is no file, or the signature is a link or too large.
    """
    if allowed_signers is not None and not allowed_signers.is_file():
        raise SubmissionError(f"--allowed-signers {allowed_signers}", "is no file", "Leave it out.")
    if not os.path.lexists(signature):
        return Signature(False, None, "", None, "unsigned: anybody may have written it")
    if signature.is_symlink() or not signature.is_file() or signature.stat().st_size > LARGEST:
        raise SubmissionError(str(signature), f"expected a plain file of at most {LARGEST} bytes")
    tool = shutil.which("ssh-keygen")
    if tool is None:
        return Signature(
            True, None, "", None, "signed, but ssh-keygen is not installed, so it cannot be checked"
        )
    given = ["-n", NAMESPACE, "-s", str(signature)]
    done = _run([tool, "-Y", "check-novalidate", *given], file)
    said = _KEY.search(_text(done))
    if done.returncode or said is None:
        return Signature(True, False, "", None, f"the signature is not of this {file.name}: {_last(done)}")
    key = said.group(2)
    principal = _principal(tool, file, signature, allowed_signers)
    whose = f"of {principal}" if principal else "of nobody known here"
    return Signature(True, True, key, principal, f"signed by key {key} {whose}")


def _principal(tool: str, file: Path, signature: Path, allowed_signers: Path | None) -> str | None:
    """Whom the list of known authors names for the key, where the key may sign bundles."""
    if allowed_signers is None:
        return None
    known = ["-f", str(allowed_signers)]
    found = _run([tool, "-Y", "find-principals", "-s", str(signature), *known], file)
    for name in found.stdout.decode("utf-8", "replace").splitlines() if not found.returncode else []:
        given = [*known, "-I", name, "-n", NAMESPACE, "-s", str(signature)]
        if not _run([tool, "-Y", "verify", *given], file).returncode:
            return name
    return None


def _run(command: list[str], file: Path) -> subprocess.CompletedProcess[bytes]:
    """One call of ``ssh-keygen`` with the file as its input; no shell, a limit on time."""
    try:
        with file.open("rb") as handle:
            return subprocess.run(command, stdin=handle, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise SubmissionError(
            "ssh-keygen", f"did not answer within {PATIENCE} seconds", "Try again."
        ) from None
    except OSError as error:
        raise SubmissionError(str(file), f"{error.strerror}", "Give a file that can be read.") from None


def _text(done: subprocess.CompletedProcess[bytes]) -> str:
    return (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace")


def _last(done: subprocess.CompletedProcess[bytes]) -> str:
    """The last thing that it said, in one line."""
    lines = [line.strip() for line in _text(done).splitlines() if line.strip()]
    return (lines or ["no answer"])[-1][:200]
