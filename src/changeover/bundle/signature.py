"""Sign bundles and check signatures, with ``ssh-keygen -Y``."""

from __future__ import annotations

import subprocess
import tempfile
from typing import TYPE_CHECKING, BinaryIO

from changeover.errors import CheckRed, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAMESPACE = "changeover-bundle"
PRINCIPAL = "release"
SECONDS = 30


class SigningFailed(InvalidInput):
    """The signing key is not there, or cannot sign."""


class SignatureUnknown(CheckRed):
    """A bundle is not signed by a key that the environment trusts."""


def sign(file: Path, key: Path) -> bytes:
    """Return the signature of a file by a private key, in SSH's text form.

    Raises:
        SigningFailed: The key is not usable; the cause is what ssh-keygen says.
    """
    if not key.is_file():
        raise SigningFailed(
            f"the signing key {key} is not there",
            hint="set changeover_signing_key to the private key that signs bundles",
        )
    with file.open("rb") as content:
        done = _ssh_keygen("sign", "-f", str(key), "-n", NAMESPACE, content=content)
    if done.returncode != 0:
        raise SigningFailed(
            f"the key {key} cannot sign",
            hint="use a key without a passphrase, readable by its owner only (chmod 600)",
            cause=done.stderr.decode(errors="replace").strip(),
        )
    return done.stdout


def public_key(key: Path) -> str:
    """Return the public half of a private key.

    Raises:
        SigningFailed: It cannot be told.
    """
    beside = key.with_name(f"{key.name}.pub")
    if beside.is_file():
        return beside.read_text(encoding="utf-8").strip()
    done = subprocess.run(
        ["ssh-keygen", "-y", "-P", "", "-f", str(key)],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise SigningFailed(
            f"{key} is not a private key that can be read",
            hint="set changeover_signing_key to the private key that signs bundles",
            cause=done.stderr.decode(errors="replace").strip(),
        )
    return done.stdout.decode().strip()


def is_signed_by(file: Path, signature: Path, signers: Sequence[str]) -> bool:
    """Tell whether one of these public keys signed the file."""
    with tempfile.NamedTemporaryFile("w", prefix="changeover-signers-") as allowed:
        for signer in signers:
            allowed.write(f'{PRINCIPAL} namespaces="{NAMESPACE}" {signer.strip()}\n')
        allowed.flush()
        with file.open("rb") as content:
            options = ["-f", allowed.name, "-I", PRINCIPAL, "-n", NAMESPACE, "-s", str(signature)]
            return _ssh_keygen("verify", *options, content=content).returncode == 0


def is_signed(file: Path, signature: Path) -> bool:
    """Tell whether the signature belongs to the file, whoever made it."""
    with file.open("rb") as content:
        options = ["-n", NAMESPACE, "-s", str(signature)]
        return _ssh_keygen("check-novalidate", *options, content=content).returncode == 0


def _ssh_keygen(
    operation: str, *options: str, content: BinaryIO
) -> subprocess.CompletedProcess[bytes]:
    # in a session of its own it finds no terminal to ask for a passphrase on
    return subprocess.run(
        ["ssh-keygen", "-Y", operation, *options],
        stdin=content,
        capture_output=True,
        start_new_session=True,
        timeout=SECONDS,
        check=False,
    )
