"""The host agent as one executable file, the same bytes from the same sources."""

from __future__ import annotations

import hashlib
import io
import zipfile
from importlib import resources
from typing import TYPE_CHECKING

import changeover

if TYPE_CHECKING:
    from pathlib import Path

SHEBANG = b"#!/usr/bin/python3 -I\n"
# A zip file's first possible moment: the archive does not tell when it was built.
MOMENT = (1980, 1, 1, 0, 0, 0)
EXECUTABLE = 0o755
PACKAGE = "changeover/agent"
MAIN = """\
import sys

from changeover.agent.main import main

sys.exit(main({version!r}, sys.argv[1:]))
"""


def expected_version() -> str:
    """Return the version of the agent that this package would build."""
    digest = hashlib.sha256()
    for name, content in sorted(_sources().items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return f"{changeover.__version__}+{digest.hexdigest()[:12]}"


def build(target: Path) -> str:
    """Write the agent to ``target``, executable; return its version."""
    version = expected_version()
    members = {
        **_sources(),
        "changeover/__init__.py": b"",
        "__main__.py": MAIN.format(version=version).encode(),
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as package:
        for name, content in sorted(members.items()):
            entry = zipfile.ZipInfo(name, MOMENT)
            entry.external_attr = 0o644 << 16
            package.writestr(entry, content)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(SHEBANG + archive.getvalue())
    target.chmod(EXECUTABLE)
    return version


def _sources() -> dict[str, bytes]:
    package = resources.files("changeover.agent")
    return {
        f"{PACKAGE}/{entry.name}": entry.read_bytes()
        for entry in package.iterdir()
        if entry.name.endswith(".py")
    }
