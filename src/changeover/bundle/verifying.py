"""Check a bundle: its signature, its digest, and every member against the manifest."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from changeover.bundle import archive, signature
from changeover.bundle.signature import SignatureUnknown
from changeover.errors import CheckRed, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from changeover.bundle.manifest import Manifest

NAMED = re.compile(r".+-(?P<digest>[0-9a-f]{8})\.bundle")


class BundleMissing(InvalidInput):
    """There is no such bundle."""


class BundleTampered(CheckRed):
    """A bundle is not what was signed, or not what its manifest says."""


def verify(path: Path, signers: Sequence[str]) -> Manifest:
    """Check a bundle against its signature ``<path>.sig`` and return its manifest.

    Raises:
        BundleMissing: There is no such file.
        SignatureUnknown: It is unsigned, or signed by none of ``signers``.
        BundleTampered: A byte of it or of its signature was changed.
    """
    if not path.is_file():
        raise BundleMissing(f"there is no bundle {path}", hint="changeover bundle build VERSION")
    beside = signature_of(path)
    if not beside.is_file():
        raise SignatureUnknown(
            f"{path.name} has no signature beside it", hint="changeover bundle build VERSION"
        )
    if not signature.is_signed_by(path, beside, signers):
        if signature.is_signed(path, beside):
            raise SignatureUnknown(
                f"{path.name} is signed by a key that this environment does not trust",
                hint="build it with the environment's key, or add the signer to changeover_signers",
            )
        raise _tampered(path, "it is not what was signed")
    named = NAMED.fullmatch(path.name)
    digest = digest_of(path)
    if named and not digest.startswith(named["digest"]):
        raise _tampered(path, f"its digest begins with {digest[:8]}")
    try:
        return archive.check(path)
    except archive.ArchiveBroken as error:
        raise _tampered(path, str(error)) from error


def signature_of(path: Path) -> Path:
    """Return where a bundle's signature is."""
    return path.with_name(f"{path.name}.sig")


def digest_of(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _tampered(path: Path, how: str) -> BundleTampered:
    return BundleTampered(
        f"{path.name} was changed after it was built: {how}",
        hint=f"remove {path} and build it again: changeover bundle build VERSION",
    )
