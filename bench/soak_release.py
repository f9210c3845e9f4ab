"""A sibling of a release for a soak, built from a copy of it, and a token for the load."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import yaml

from changeover import release
from changeover.release import values

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from changeover.inventory import Environment

TOKEN_SECONDS = 6 * 3600
# What belongs to the way from the release before, and not to this one.
OF_THE_WAY = ("direct", "guide", "manual")


def write(root: Path, folder: Path, app: str, base: str) -> str:
    """Write a sibling that follows a release and is it in all but its version; return that."""
    major, minor, _ = base.split(".")
    version = f"{major}.{minor}.90"
    original = root / "apps" / app / "releases" / base / "release.yml"
    declared = yaml.safe_load(original.read_text(encoding="utf-8"))
    for key in OF_THE_WAY:
        declared.pop(key, None)
    declared["environment"].pop("renames", None)
    declared["smoke"] = _renamed(declared["smoke"], base, version)
    declared |= {"version": version, "follows": [base], "summary": f"{base} once more, for a soak"}
    place = folder / app / version
    place.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(declared, sort_keys=False, allow_unicode=True)
    (place / "release.yml").write_text(text, encoding="utf-8")
    return version


def _renamed(value: Any, base: str, version: str) -> Any:  # noqa: ANN401 - YAML
    if isinstance(value, dict):
        return {key: _renamed(each, base, version) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, base, version) for each in value]
    return version if value == base else value


def token(
    root: Path,
    environment: Environment,
    app: str,
    version: str,
    connection: psycopg.Connection[Any],
) -> str:
    """Return an access token of a user who is there, signed as the app signs them."""
    releases = release.load_releases(root, app)
    declared = release.load_app(root, app)
    known = values.environment_values(declared, releases[version], releases, environment)
    user = connection.execute("SELECT id FROM users ORDER BY id LIMIT 1").fetchone()
    if user is None:
        connection.execute((root / "apps" / app / "seed.sql").read_text(encoding="utf-8"))
        user = connection.execute("SELECT id FROM users ORDER BY id LIMIT 1").fetchone()
    claims = {
        "iss": app,
        "sub": str(user[0]) if user else "",
        "scope": "read write",
        "iat": int(time.time()),
        "exp": int(time.time()) + TOKEN_SECONDS,
    }
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    secret = known.revealed()["JWT_SECRET"].encode()
    return f"{signed}.{_encoded(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def _part(content: dict[str, Any]) -> str:
    return _encoded(json.dumps(content).encode())


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
