"""SSH keys of tests, and their signatures, written after PROTOCOL.sshsig without OpenSSH and the suite."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

BUNDLE, RECORD = "synththorax-bundle", "synththorax-record"


def text(value: bytes) -> bytes:
    """Return a string as SSH writes it."""
    return len(value).to_bytes(4, "big") + value


@dataclass(frozen=True)
class Key:
    """An ed25519 key made from the name of its owner."""

    owner: str

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(self.owner.encode()).digest())

    @property
    def blob(self) -> bytes:
        return text(b"ssh-ed25519") + text(self.private.public_key().public_bytes_raw())

    @property
    def fingerprint(self) -> str:
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    def line(self, *namespaces: str) -> str:
        """Return the line of the key in a list of known keys."""
        options = f'namespaces="{",".join(namespaces)}" ' if namespaces else ""
        return f"{self.owner} {options}ssh-ed25519 {base64.b64encode(self.blob).decode()} comment\n"

    def signature(self, message: bytes, namespace: str = BUNDLE, of_hash: str = "sha512") -> bytes:
        """Return the armored signature of a message."""
        head = text(namespace.encode()) + text(b"") + text(of_hash.encode())
        signed = self.private.sign(b"SSHSIG" + head + text(hashlib.new(of_hash, message).digest()))
        blob = b"SSHSIG" + (1).to_bytes(4, "big") + text(self.blob) + head
        return armored(blob + text(text(b"ssh-ed25519") + text(signed)))

    def sign(self, file: Path, namespace: str = BUNDLE) -> Path:
        """Write the signature beside a file."""
        target = file.with_name(file.name + ".sig")
        target.write_bytes(self.signature(file.read_bytes(), namespace))
        return target


def armored(blob: bytes) -> bytes:
    """Return a blob between the two lines, 70 characters a line."""
    middle = base64.b64encode(blob).decode()
    lines = [middle[i : i + 70] for i in range(0, len(middle), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]).encode()


AUTHOR, MAINTAINER, STRANGER = Key("ann@example.org"), Key("max@example.org"), Key("eve@example.org")
