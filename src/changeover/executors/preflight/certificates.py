"""Hold certificates against the public name and the calendar."""

from __future__ import annotations

import datetime as dt
import ssl
from typing import TYPE_CHECKING

from cryptography import x509

from changeover import public_tls
from changeover.executors.preflight.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

DAYS_WARN = 14
RENEW = "changeover provision installs a new one where the environment has a private authority;"
BRING = f"{RENEW} else bring one (changeover_tls)"
LOOK = "changeover verify shows whether Nginx runs; correct changeover_public_address if that is it"


def in_file(
    host: str, path: str, text: str | None, name: str, *, needed: bool
) -> Iterator[Finding]:
    """Yield what is wrong with a host's certificate file.

    Args:
        host: The host's inventory name.
        path: Where the file is.
        text: Its content, PEM, the host's certificate first; ``None`` where there is none.
        name: The public name it has to be made out to.
        needed: Whether the release cannot do without.
    """
    if text is None:
        if needed:
            yield _red(host, f"there is no certificate at {path}")
        return
    try:
        certificate = x509.load_pem_x509_certificates(text.encode())[0]
    except ValueError as error:
        yield _red(host, f"{path} is not a certificate", str(error))
        return
    if fault := _fault(certificate, name):
        yield _red(host, f"the certificate {path} {fault}")
        return
    left = public_tls.days_left(certificate)
    ending = left < DAYS_WARN
    yield Finding(
        id="certificate",
        status="warn" if ending else "ok",
        host=host,
        message=f"the certificate lasts {left} more days",
        next=BRING if ending else "",
    )


def _fault(certificate: x509.Certificate, name: str) -> str | None:
    now = dt.datetime.now(dt.UTC)
    if certificate.not_valid_after_utc < now:
        return f"has expired on {certificate.not_valid_after_utc.date().isoformat()}"
    if certificate.not_valid_before_utc > now:
        return "is not valid yet"
    if not public_tls.is_for(certificate, name):
        return f"is not made out to {name}"
    return None


def _red(host: str | None, message: str, cause: str | None = None) -> Finding:
    return Finding(
        id="certificate", status="red", host=host, message=message, next=BRING, cause=cause
    )


def served(name: str, address: str, context: ssl.SSLContext, *, port: int = 443) -> Finding:
    """Return what users' connections find at the public address.

    Nobody answering there is a warning: before hosts are provisioned there is no Nginx.
    """
    place = f"{name} at {address}"
    try:
        public_tls.served(name, address, port, context)
    except (ConnectionRefusedError, TimeoutError) as error:
        return Finding(
            id="certificate",
            status="warn",
            host=None,
            message=f"{place}: nobody answers on port {port}",
            next=f"{LOOK}, unless users come another way",
            cause=str(error),
        )
    except ssl.SSLCertVerificationError as error:
        return _red(None, f"{place}: {public_tls.fault(error)}", error.verify_message)
    except OSError as error:
        fault = public_tls.fault(error) or "a TLS connection cannot be made"
        return Finding(
            id="certificate",
            status="red",
            host=None,
            message=f"{place}: {fault}",
            next=LOOK,
            cause=str(error),
        )
    return Finding(
        id="certificate",
        status="ok",
        host=None,
        message=f"{place} shows a certificate that clients trust",
    )
