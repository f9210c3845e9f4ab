"""Make the lab's keys: SSH, release signing, the private CA, the backup's age identity."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from changeover.lab.state import write_private

if TYPE_CHECKING:
    from pathlib import Path

AUTHORITY_DAYS = 825
SSH_KEYS = ("admin", "deploy", "release")


def make_ssh_key(file: Path, comment: str) -> str:
    """Make an Ed25519 key unless the file has one; return its public line."""
    public = file.with_name(f"{file.name}.pub")
    if file.is_file() and public.is_file():
        return public.read_text().strip()
    key = Ed25519PrivateKey.generate()
    openssh = serialization.Encoding.OpenSSH
    line = key.public_key().public_bytes(openssh, serialization.PublicFormat.OpenSSH).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    write_private(file, private.decode())
    write_private(public, f"{line} {comment}\n")
    return f"{line} {comment}"


def make_authority(directory: Path, lab: str) -> None:
    """Make a private certificate authority (``ca.pem``, ``ca.key``) unless there is one."""
    certificate_file, key_file = directory / "ca.pem", directory / "ca.key"
    if certificate_file.is_file() and key_file.is_file():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"changeover lab {lab}")])
    now = dt.datetime.now(dt.UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_authority_usage(), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(key_file, private.decode())
    write_private(certificate_file, certificate.public_bytes(serialization.Encoding.PEM).decode())


def make_age_identity(file: Path) -> str:
    """Make an age identity unless the file has one; return its recipient."""
    import pyrage  # noqa: PLC0415 - needed by this function alone

    if not file.is_file():
        write_private(file, f"{pyrage.x25519.Identity.generate()}\n")
    identity = pyrage.x25519.Identity.from_str(file.read_text().strip())
    return str(identity.to_public())


def make_vault_password(file: Path) -> None:
    """Make the vault's password file unless there is one."""
    if not file.is_file():
        write_private(file, f"{secrets.token_hex(32)}\n")


def _authority_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
