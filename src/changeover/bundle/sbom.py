"""List what a bundle is made of, as a CycloneDX document."""

from __future__ import annotations

import base64
import binascii
import json
import re
import urllib.parse
import uuid
from typing import TYPE_CHECKING, Any

from changeover.bundle.manifest import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

SPEC_VERSION = "1.5"
FOLDER = "node_modules/"
ALGORITHMS = {"sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}


def document(app: str, version: str, components: Sequence[dict[str, Any]]) -> bytes:
    """Return the bill of materials as JSON; the same input gives the same bytes.

    Args:
        app: The app.
        version: Its version.
        components: What was installed for it.
    """
    content: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": f"{app}@{version}",
                "name": app,
                "version": version,
            }
        },
        "components": list(components),
    }
    serial = uuid.uuid5(uuid.NAMESPACE_OID, canonical(content).decode())
    return canonical({**content, "serialNumber": serial.urn})


def of_npm(lock: bytes, installed: Collection[str]) -> list[dict[str, Any]]:
    """Return the components of a package-lock.json.

    Args:
        lock: Its content.
        installed: The directories of the packages in the bundle, below ``code/``.
    """
    return list(_packages(json.loads(lock), installed))


def of_wheels(taken: Sequence[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Yield the component of each wheel that was taken: name, version, license, sha256."""
    for wheel in taken:
        # a name is one however it is written (PEP 503)
        name = re.sub(r"[-_.]+", "-", wheel["name"]).lower()
        address = f"pkg:pypi/{name}@{urllib.parse.quote(wheel['version'])}"
        licenses = [{"license": {"name": wheel["license"]}}] if wheel["license"] else None
        yield {
            "type": "library",
            "bom-ref": address,
            "name": wheel["name"],
            "version": wheel["version"],
            "purl": address,
            "hashes": [{"alg": "SHA-256", "content": wheel["sha256"]}],
            **({"licenses": licenses} if licenses else {}),
        }


def _packages(lock: dict[str, Any], installed: Collection[str]) -> Iterator[dict[str, Any]]:
    listed: set[str] = set()
    for place, package in sorted(lock.get("packages", {}).items()):
        version = package.get("version")
        if place not in installed or not isinstance(version, str):
            continue
        name = package.get("name") or place.rpartition(FOLDER)[2]
        address = f"pkg:npm/{urllib.parse.quote(name, safe='/')}@{urllib.parse.quote(version)}"
        if address in listed:
            continue
        listed.add(address)
        component: dict[str, Any] = {
            "type": "library",
            "bom-ref": address,
            "name": name,
            "version": version,
            "purl": address,
        }
        if hashes := list(_hashes(str(package.get("integrity", "")))):
            component["hashes"] = hashes
        if isinstance(package.get("license"), str):
            component["licenses"] = [{"license": {"name": package["license"]}}]
        yield component


def _hashes(integrity: str) -> Iterator[dict[str, str]]:
    for each in integrity.split():
        algorithm, _, value = each.partition("-")
        if algorithm in ALGORITHMS:
            try:
                content = base64.b64decode(value, validate=True).hex()
            except binascii.Error:
                continue
            yield {"alg": ALGORITHMS[algorithm], "content": content}
