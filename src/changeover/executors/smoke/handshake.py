"""The TLS endpoint itself: what it accepts, what it refuses, and how long its certificate lasts."""

from __future__ import annotations

import contextlib
import ssl
import urllib.parse
import warnings
from typing import TYPE_CHECKING

from changeover import public_tls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.checks.records import Tls
    from changeover.executors.smoke.values import Target

_OLDER = {
    "TLSv1.2": (ssl.TLSVersion.TLSv1_1,),
    "TLSv1.3": (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2),
}
_FLOOR = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


def _endpoint(target: Target) -> tuple[str, int]:
    parts = urllib.parse.urlsplit(target.public_url)
    return target.addresses.get(target.host, target.host), parts.port or 443


def problems(tls: Tls, target: Target) -> Iterator[str]:
    """Yield in what way the public endpoint's handshake is not as expected."""
    context = public_tls.trusting(target.ca_certificate)
    context.minimum_version = _FLOOR[tls.minimum]
    try:
        certificate = public_tls.served(target.host, *_endpoint(target), context)
    except OSError as error:
        yield public_tls.fault(error) or f"no handshake: {error.strerror or error}"
        return
    left = public_tls.days_left(certificate)
    if left < tls.days:
        yield f"the certificate lasts {left} more days, expected at least {tls.days}"
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
        public_tls.served(target.host, *_endpoint(target), context)
    except ssl.SSLError as error:
        if error.reason == "NO_PROTOCOLS_AVAILABLE":
            return f"{name} cannot be tried: this machine's OpenSSL does not speak it"
        return None
    except ConnectionError:
        return None
    except OSError as error:
        return f"{name} could not be tried: {error.strerror or error}"
    return f"{name} is accepted"
