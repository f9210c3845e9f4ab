"""Run migrations in a process of its own, so that tests can kill it: reads JSON from stdin."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from changeover.database import Database
from changeover.errors import ChangeoverError
from changeover.executors import migrate
from changeover.migrations.folder import load
from changeover.secret import Secret


def main() -> int:
    """Apply (or revert) what stdin names; print one JSON line an event."""
    request = json.load(sys.stdin)
    request["database"]["password"] = Secret(request["database"]["password"])
    run = migrate.revert if request.get("revert") else migrate.apply
    try:
        run(
            Database(**request["database"]),
            load(Path(request["folder"]), request["release"]),
            deadline_seconds=request.get("deadline_seconds", 60),
            report=lambda event: print(json.dumps(event), flush=True),  # noqa: T201 - its output
        )
    except ChangeoverError as error:
        sys.stderr.write(f"{type(error).__name__}: {error.message}: {error.cause}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
