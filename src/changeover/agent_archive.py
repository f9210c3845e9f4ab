"""The host agent as one executable file, the same bytes from the same sources and Python."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from importlib import resources
from typing import TYPE_CHECKING

import changeover

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable
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
# Compiling takes longer than all that a short request does, so the archive carries compiled modules
# beside the sources; a host with another Python uses the sources. A process of its own compiles
# them: what else an interpreter has loaded shows in the bytes.
COMPILE = """
import importlib.util, json, marshal, sys
UNCHECKED = (1).to_bytes(4, "little")
def compiled(name, source):
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    head = importlib.util.MAGIC_NUMBER + UNCHECKED + importlib.util.source_hash(source.encode())
    return (head + marshal.dumps(code)).hex()
json.dump({name: compiled(name, text) for name, text in json.load(sys.stdin).items()}, sys.stdout)
"""
COMPILE_SECONDS = 60


def expected_version() -> str:
    """Return the version of the agent that this package would build."""
    digest = hashlib.sha256()
    for name, content in sorted(_sources().items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return f"{changeover.__version__}+{digest.hexdigest()[:12]}"


def build(target: Path) -> str:
    """Write the agent to ``target``, executable; return its version."""
    version = expected_version()
    modules = {**_sources(), "changeover/__init__.py": b""}
    members = {
        **modules,
        **_compiled(modules),
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
    return dict(_below(resources.files("changeover.agent"), PACKAGE))


def _below(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.name.endswith(".py"):
            yield f"{name}/{entry.name}", entry.read_bytes()
        elif entry.is_dir():
            yield from _below(entry, f"{name}/{entry.name}")


def _compiled(modules: Mapping[str, bytes]) -> dict[str, bytes]:
    request = json.dumps({name: content.decode() for name, content in sorted(modules.items())})
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", COMPILE],
        input=request,
        capture_output=True,
        text=True,
        timeout=COMPILE_SECONDS,
        check=True,
    )
    answer: dict[str, str] = json.loads(done.stdout)
    return {f"{name}c": bytes.fromhex(code) for name, code in answer.items()}
