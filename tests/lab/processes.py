"""The processes of this machine, by what their command lines say."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def processes_naming(text: str) -> list[str]:
    """Return the ids and words of all processes with this text in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if text in words:
                    found.append(f"{entry.name} {words}")
    return found
