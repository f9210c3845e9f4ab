"""Hold a certificate that is brought against its names, its key and the calendar, before any host is asked."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.inventory import Environment

# The role's own program, so that a run of the playbook by hand judges the same.
PROGRAM = "roles/tls/files/authority.py"
CHECK_SECONDS = 60


class CertificateUnusable(InvalidInput):
    """The certificate that is brought cannot be served: no host was asked, nothing was changed."""


def require_certificate(environment: Environment) -> None:
    """Refuse a certificate, or its key, that clients would refuse or Nginx could not load.

    Raises:
        CertificateUnusable: With the file's name and what is wrong.
    """
    tls = environment.tls
    if tls.mode != "files":
        return
    command = [sys.executable, str(environment.root / PROGRAM), "check"]
    command += [str(tls.certificate), str(tls.key), " ".join(_names(environment))]
    command += [] if tls.ca_certificate is None else [str(tls.ca_certificate)]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False
    )
    if ran.returncode != 0:
        *trace, sentence = ran.stderr.strip().splitlines() or ["the certificate cannot be checked"]
        raise CertificateUnusable(
            sentence,
            hint="put the whole chain, the site's own certificate first, and its key where changeover_tls of"
            f" {environment.files['changeover_tls']} says, then run this again",
            cause="\n".join(trace) or None,
        )


def _names(environment: Environment) -> Iterator[str]:
    """Return the names of the environment's apps: others may be named that do not live there."""
    names = environment.variables["changeover_public_names"]
    for app in environment.apps:
        found = names.get(app, ())
        yield from [found] if isinstance(found, str) else found
