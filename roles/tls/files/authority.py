"""The controller's side of certificates: sign with the private authority, or check what was brought.

``sign CA_CERTIFICATE CA_KEY VALID_DAYS "NAME ..."``: the request on stdin, the chain on stdout.
``check CERTIFICATE KEY "NAME ..." [AUTHORITY]``: silent, or one sentence and exit 1. Clients trust the
authority, or else what this machine trusts.
"""

# ruff: noqa: INP001 - a program of the role, not part of a package
from __future__ import annotations

import datetime as dt
import fcntl
import itertools
import os
import ssl
import sys
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
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


def check(certificate: Path, key: Path, names: list[str], authority: Path | None) -> str | None:
    """Return what is wrong with a certificate that was brought, or None."""
    for path in (certificate, key):
        if not path.is_file():
            return f"{path} does not exist"
    try:
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    except (OSError, ValueError) as error:
        return f"{certificate} is no chain of certificates: {error}"
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        return f"{key} is no private key without a passphrase: {error}"
    if private.public_key() != chain[0].public_key():
        return f"{key} is not the key of {certificate}"
    wrong = next(filter(None, map(ended, chain)), None) or not_for(chain[0], names)
    wrong = wrong or incomplete(chain, authority)
    return f"{certificate} {wrong}" if wrong else None


def ended(one: x509.Certificate) -> str | None:
    """Return that a certificate does not hold now, if so."""
    begins, ends = one.not_valid_before_utc, one.not_valid_after_utc
    if begins <= now() <= ends:
        return None
    if ends < now():
        return f"has expired on {ends.date()} ({one.subject.rfc4514_string()})"
    return f"is not valid before {begins.date()} ({one.subject.rfc4514_string()})"


def not_for(first: x509.Certificate, names: list[str]) -> str | None:
    """Return which name a certificate is not made out to, if any."""
    try:
        extension = first.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        held = extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        held = []
    for name in names:
        if not any(covers(pattern, name) for pattern in held):
            return f"is not for {name}; it is for {', '.join(held) or 'no name'}"
    return None


def incomplete(chain: list[x509.Certificate], authority: Path | None) -> str | None:
    """Return which certificate is missing between the chain and whom clients trust, if one is."""
    for one, issuer in itertools.pairwise(chain):
        if not issued(one, issuer):
            wanted, found = one.issuer.rfc4514_string(), issuer.subject.rfc4514_string()
            return f"is out of order: {wanted} has to come next, and it is {found}"
    last, roots = chain[-1], trusted(authority)
    if last in roots or any(issued(last, root) for root in roots):
        return None
    by = "clients trust" if authority is None else f"{authority} vouches for"
    return f"lacks a certificate: {by} nobody who issued it ({last.issuer.rfc4514_string()})"


def issued(one: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether a certificate was signed by the holder of another."""
    try:
        one.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def trusted(authority: Path | None) -> list[x509.Certificate]:
    """Return the authorities that clients trust."""
    places = [authority] if authority else [ssl.get_default_verify_paths().cafile, BUNDLE]
    for place in filter(None, places):
        if Path(place).is_file():
            with warnings.catch_warnings():
                # old authorities with odd serial numbers are no concern of who brings a certificate
                warnings.simplefilter("ignore")
                return x509.load_pem_x509_certificates(Path(place).read_bytes())
    return []


def main(arguments: list[str]) -> None:
    """Do what the first argument says."""
    match arguments:
        case ["sign", certificate, key, days, names]:
            sys.stdout.write(sign(Path(certificate), Path(key), int(days), names.split()))
        case ["check", certificate, key, names, *rest]:
            authority = next((Path(path) for path in rest if Path(path).is_file()), None)
            wrong = check(Path(certificate), Path(key), names.split(), authority)
            if wrong is not None:
                sys.exit(wrong)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
