"""The controller's side of certificates: sign with the private authority, or check what was brought.

``sign CA_CERTIFICATE CA_KEY VALID_DAYS "NAME ..."``: the request on stdin, the chain on stdout.
``check CERTIFICATE KEY "NAME ..."``: silent, or one sentence and exit 1.
"""

# ruff: noqa: INP001 - a program of the role, not part of a package
from __future__ import annotations

import datetime as dt
import fcntl
import os
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
BACKDATED = dt.timedelta(minutes=5)


def now() -> dt.datetime:
    """Return the time, in UTC."""
    return dt.datetime.now(dt.UTC)


def key_usage(*, authority: bool) -> x509.KeyUsage:
    """Return what a key of the authority, or of a host, may be used for."""
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def make_authority(certificate: Path, key: Path) -> None:
    """Make the private authority: an EC key that only its owner reads, and its certificate."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "changeover private authority")])
    public = private.public_key()
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - BACKDATED)
        .not_valid_after(now() + dt.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(private, hashes.SHA256())
    )
    key.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    certificate.parent.mkdir(parents=True, exist_ok=True)
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def load_authority(
    certificate: Path, key: Path
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Load the authority; make it first when neither of its files exists."""
    certificate.parent.mkdir(parents=True, exist_ok=True)
    # Several hosts ask at once; only one of them may make it.
    with (certificate.parent / f".{certificate.name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not certificate.exists() and not key.exists():
            make_authority(certificate, key)
    private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        sys.exit(f"{key} is no elliptic-curve key")
    return x509.load_pem_x509_certificate(certificate.read_bytes()), private


def sign(certificate: Path, key: Path, days: int, names: list[str]) -> str:
    """Sign the request on standard input for ``names``, whatever names it asks for itself."""
    authority, private = load_authority(certificate, key)
    request = x509.load_pem_x509_csr(sys.stdin.buffer.read())
    if not request.is_signature_valid:
        sys.exit("the request is not signed by the key it carries")
    public = request.public_key()
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
        .issuer_name(authority.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - BACKDATED)
        .not_valid_after(now() + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(private.public_key()), critical=False
        )
        .sign(private, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def covers(pattern: str, name: str) -> bool:
    """Tell whether a name of a certificate covers a host's name (one label for a wildcard)."""
    if pattern.startswith("*."):
        return name.partition(".")[2].lower() == pattern[2:].lower()
    return name.lower() == pattern.lower()


def check(certificate: Path, key: Path, names: list[str]) -> str | None:
    """Return what is wrong with a certificate that was brought, or None."""
    for path in (certificate, key):
        if not path.is_file():
            return f"{path} does not exist"
    try:
        first = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        return f"{certificate} or {key} cannot be read: {error}"
    if private.public_key() != first.public_key():
        return f"{key} is not the key of {certificate}"
    if not first.not_valid_before_utc <= now() <= first.not_valid_after_utc:
        return (
            f"{certificate} holds from {first.not_valid_before_utc} to {first.not_valid_after_utc}"
        )
    try:
        extension = first.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        held = extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        held = []
    for name in names:
        if not any(covers(pattern, name) for pattern in held):
            return f"{certificate} is not for {name}; it is for {', '.join(held) or 'no name'}"
    return None


def main(arguments: list[str]) -> None:
    """Do what the first argument says."""
    match arguments:
        case ["sign", certificate, key, days, names]:
            sys.stdout.write(sign(Path(certificate), Path(key), int(days), names.split()))
        case ["check", certificate, key, names]:
            wrong = check(Path(certificate), Path(key), names.split())
            if wrong is not None:
                sys.exit(wrong)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
