"""A TLS endpoint seen by a client: whom it trusts, what is wrong, and which certificate it serves."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from typing import TYPE_CHECKING

from cryptography import x509

from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

CONNECT_SECONDS = 10.0
_NOT_YET, _EXPIRED, _OTHER_NAME = 9, 10, {62, 64}


class AuthorityUnreadable(InvalidInput):
    """The file of the authority that clients trust is not there, or holds no certificate."""


def trusting(ca_certificate: Path | None) -> ssl.SSLContext:
    """Return a client context that trusts one authority; the machine's own ones when ``None``.

    Raises:
        AuthorityUnreadable: The file is missing, or no certificate is in it.
    """
    if ca_certificate is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(ca_certificate))
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        fault = "is not there" if missing else "cannot be read as certificates"
        raise AuthorityUnreadable(
            f"the authority's file {ca_certificate} {fault}",
            hint=f"write the certificate that clients trust into {ca_certificate}, or name"
            " another file as ca_certificate in changeover_tls",
            cause=str(error),
        ) from error


def fault(error: BaseException) -> str | None:
    """Return what is wrong with the certificate or the handshake, if that is what failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _EXPIRED:
            return "the certificate has expired"
        if error.verify_code == _NOT_YET:
            return "the certificate is not valid yet"
        if error.verify_code in _OTHER_NAME:
            return "the certificate is not made out to this name"
        return f"the certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"the TLS handshake failed: {error.reason.lower().replace('_', ' ')}"
    return None


def served(name: str, address: str, port: int, context: ssl.SSLContext) -> x509.Certificate:
    """Shake hands with ``address`` under ``name`` and return the certificate it serves.

    Raises:
        OSError: Nobody listens, or the handshake fails; ``fault`` puts the latter into words.
    """
    with (
        socket.create_connection((address, port), CONNECT_SECONDS) as raw,
        context.wrap_socket(raw, server_hostname=name) as secure,
    ):
        return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")


def days_left(certificate: x509.Certificate, now: dt.datetime | None = None) -> int:
    """Return the whole days until the certificate ends; negative when it has ended."""
    return (certificate.not_valid_after_utc - (now or dt.datetime.now(dt.UTC))).days


def is_for(certificate: x509.Certificate, name: str) -> bool:
    """Return whether the certificate is made out to a DNS name, wildcards included."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return False
    wildcard = f"*.{name.partition('.')[2]}"
    names = {item.lower() for item in extension.value.get_values_for_type(x509.DNSName)}
    return bool({name.lower(), wildcard.lower()} & names)
