"""Write down what this host's platform is made of; print what differs from the last time as a JSON list.

Standard input: ``{"check": bool, "manifest": path, "files": [path], "services": [unit], "packages":
[name]}``. The manifest is ``{"files": {path: sha256}, "services": [unit], "packages": {name: version}}``.
"""

# ruff: noqa: INP001 - a program of the role, not part of a package
from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path


def versions(packages: list[str]) -> dict[str, str]:
    """Return the installed version of each package that is there."""
    listing = subprocess.run(
        ["/usr/bin/dpkg-query", "--show", "--showformat=${Package}\t${Version}\n", *packages],
        capture_output=True,
        text=True,
        check=False,
    )
    return dict(line.split("\t") for line in listing.stdout.splitlines())


def main() -> None:
    """Compare, write and print."""
    wanted = json.load(sys.stdin)
    target = Path(wanted["manifest"])
    before = json.loads(target.read_text()) if target.exists() else {}
    after = {
        "files": {
            path: hashlib.sha256(Path(path).read_bytes()).hexdigest()
            for path in sorted(set(wanted["files"]))
            if Path(path).exists()
        },
        "services": sorted(set(wanted["services"])),
        "packages": versions(sorted(set(wanted["packages"]))),
    }
    changes = [part for part in after if after[part] != before.get(part)]
    if changes and not wanted["check"]:
        fresh = target.with_suffix(".new")
        with fresh.open("w") as stream:
            json.dump(after, stream, indent=2, sort_keys=True)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        fresh.rename(target)
    sys.stdout.write(json.dumps(changes))


if __name__ == "__main__":
    main()
