"""``python -m migration_helper check|migrate``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from typing import TYPE_CHECKING

from . import MigrationHelper, NothingToMigrate, Refused, Unreachable

if TYPE_CHECKING:
    from . import Compatibility, MigrationResult

DONE, OPEN, FAILED = 0, 1, 3


def main() -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser("migration_helper", description=__doc__)
    parser.add_argument("command", choices=["check", "migrate"])
    parser.add_argument("--url", required=True, help="where VoxFlow is: https://api.voxflow.com")
    parser.add_argument("--deadline", type=float, default=60.0, help="seconds, waits included")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    token = os.environ.get("VOXFLOW_TOKEN") or _typed()
    if not token:
        parser.error("set VOXFLOW_TOKEN, or give the token on standard input")
    helper = MigrationHelper(asked.url, token, deadline_seconds=asked.deadline)
    try:
        if asked.command == "check":
            return _check(helper.check_compatibility(), as_json=asked.json)
        return _migrated(helper.migrate_user_data(), as_json=asked.json)
    except NothingToMigrate as nothing:
        sys.stderr.write(f"nothing to migrate: {nothing}\n")
        return OPEN
    except (Refused, Unreachable) as error:
        sys.stderr.write(f"error: {error}\n")
        return FAILED


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _typed() -> str:
    return "" if sys.stdin.isatty() else sys.stdin.readline().strip()


def _check(found: Compatibility, *, as_json: bool) -> int:
    if as_json:
        _say(json.dumps({**dataclasses.asdict(found), "compatible": found.compatible}))
    else:
        for issue in found.issues:
            _say(f"{issue.code}: {issue.message}; {issue.action}")
        if found.compatible:
            _say("nothing is to be done")
    return DONE if found.compatible else OPEN


def _migrated(done: MigrationResult, *, as_json: bool) -> int:
    if as_json:
        _say(json.dumps(dataclasses.asdict(done)))
        return DONE
    _say(f"moved at {done.moved_at}: {done.agents} agents, {done.campaigns} campaigns")
    for each in done.stays:
        _say(f"{each['kind']} {each['name']} stays everybody's: {each['why']}")
    if done.sign_in_again:
        _say("sign in again: the token is from before there were roles")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
