"""Certificates of a lab's own authority, for the days that a test needs."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path


def signed(authority: Path, name: str, *, since_days: int, until_days: int) -> tuple[bytes, bytes]:
    """Return a certificate of an authority, and its key.

    Args:
        authority: The authority's certificate; its key lies beside it.
        name: The one name that the certificate is for.
        since_days: When it begins, in days from now.
        until_days: When it ends, in days from now.
    """
    signer = x509.load_pem_x509_certificate(authority.read_bytes())
    key_file = authority.with_name("ca.key").read_bytes()
    signing = serialization.load_pem_private_key(key_file, password=None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(signer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=since_days))
        .not_valid_after(now + dt.timedelta(days=until_days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(signing, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return made.public_bytes(serialization.Encoding.PEM), private
