"""The TLS endpoint itself: what it accepts, what it refuses, and how long its certificate lasts."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import urllib.parse
import warnings
from typing import TYPE_CHECKING

from cryptography import x509

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.checks.records import Tls
    from changeover.executors.smoke.values import Target

SECONDS = 10.0
_OLDER = {
    "TLSv1.2": (ssl.TLSVersion.TLSv1_1,),
    "TLSv1.3": (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2),
}
_FLOOR = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_EXPIRED, _NOT_YET, _NAMES = 10, 9, {62, 64}


def trusting(target: Target) -> ssl.SSLContext:
    """Return a client context that trusts the environment's authority alone."""
    authority = target.ca_certificate
    return ssl.create_default_context(cafile=None if authority is None else str(authority))


def certificate_fault(error: BaseException) -> str | None:
    """Return what is wrong with the certificate or the handshake, if that is what failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _EXPIRED:
            return "the certificate has expired"
        if error.verify_code == _NOT_YET:
            return "the certificate is not valid yet"
        if error.verify_code in _NAMES:
            return "the certificate is not made out to this name"
        return f"the certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"the TLS handshake failed: {error.reason.lower().replace('_', ' ')}"
    return None


def _connected(target: Target) -> socket.socket:
    parts = urllib.parse.urlsplit(target.public_url)
    address = target.addresses.get(target.host, target.host)
    return socket.create_connection((address, parts.port or 443), SECONDS)


def problems(tls: Tls, target: Target) -> Iterator[str]:
    """Yield in what way the public endpoint's handshake is not as expected."""
    context = trusting(target)
    context.minimum_version = _FLOOR[tls.minimum]
    try:
        with (
            _connected(target) as raw,
            context.wrap_socket(raw, server_hostname=target.host) as secure,
        ):
            der = secure.getpeercert(binary_form=True) or b""
    except OSError as error:
        yield certificate_fault(error) or f"no handshake: {error.strerror or error}"
        return
    left = x509.load_der_x509_certificate(der).not_valid_after_utc - dt.datetime.now(dt.UTC)
    if left < dt.timedelta(days=tls.days):
        yield f"the certificate lasts {left.days} more days, expected at least {tls.days}"
    for version in _OLDER[tls.minimum]:
        fault = _accepts(target, version)
        if fault:
            yield fault


def _accepts(target: Target, version: ssl.TLSVersion) -> str | None:
    """Return a problem when a handshake that offers nothing newer than ``version`` succeeds."""
    name = version.name.replace("_", ".")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        # Old protocols are deprecated for use; here they are offered to see them refused.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = version
        context.maximum_version = version
    with contextlib.suppress(ssl.SSLError):
        context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        with (
            _connected(target) as raw,
            context.wrap_socket(raw, server_hostname=target.host),
        ):
            return f"{name} is accepted"
    except ssl.SSLError as error:
        if error.reason == "NO_PROTOCOLS_AVAILABLE":
            return f"{name} cannot be tried: this machine's OpenSSL does not speak it"
        return None
    except ConnectionError:
        return None
    except OSError as error:
        return f"{name} could not be tried: {error.strerror or error}"
