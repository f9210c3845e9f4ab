"""List what a bundle is made of, as a CycloneDX document."""

from __future__ import annotations

import base64
import binascii
import json
import urllib.parse
import uuid
from typing import TYPE_CHECKING, Any

from changeover.bundle.manifest import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

SPEC_VERSION = "1.5"
FOLDER = "node_modules/"
ALGORITHMS = {"sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}


def document(app: str, version: str, lock: bytes | None, installed: Collection[str]) -> bytes:
    """Return the bill of materials as JSON; the same input gives the same bytes.

    Args:
        app: The app.
        version: Its version.
        lock: Its package-lock.json, if it has one.
        installed: The directories of the packages in the bundle, below ``code/``.
    """
    components = [] if lock is None else list(_components(json.loads(lock), installed))
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
        "components": components,
    }
    serial = uuid.uuid5(uuid.NAMESPACE_OID, canonical(content).decode())
    return canonical({**content, "serialNumber": serial.urn})


def _components(lock: dict[str, Any], installed: Collection[str]) -> Iterator[dict[str, Any]]:
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
