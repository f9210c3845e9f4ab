"""Take a step to a new version from a command line, by the same code as the route.

What is told are JSON lines: how far it is, and last what the route would have answered. It ends with
0 when it is done or was done before, with 75 where the database was not to be had for a moment and
nothing was written, with 1 when it is refused.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
from onboarding.settings import Settings
from psycopg_pool import ConnectionPool, PoolTimeout

from . import versions
from . import wish as wishes
from .answers import OK, Desk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .wish import Wish

DONE, FAILED, PASSING = 0, 1, 75
POOL_SECONDS = 10.0
# One operator's deployment is one request, however often it is begun again.
NAMESPACE = uuid.UUID("6f0b3f0e-5c0a-4c38-9f3f-1f6c0a7f8d11")
BEFORE = """
    SELECT users_affected, progress_copied, progress_reset, correlation_id, asked_by
    FROM step_migrations WHERE step_id = %s AND from_version = %s AND to_version = %s
        AND state = 'done'"""


def main(arguments: Sequence[str]) -> int:
    """Do what is asked for, tell it, and return the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        ((wish,), _) = wishes.read(json.dumps(_body(asked)).encode())
    except wishes.Unfit as unfit:
        _tell(unfit.body)
        return FAILED
    try:
        with ConnectionPool(
            Settings.read().database, min_size=1, max_size=1, timeout=POOL_SECONDS
        ) as pool:
            return _done(pool, wish, absent=asked.absent == "true")
    except (PoolTimeout, psycopg.OperationalError) as error:
        _tell({"error": "Migration failed", "errors": [f"no database: {type(error).__name__}"]})
        return PASSING


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="administration.by_hand", description=__doc__)
    parser.add_argument("--step", required=True)
    parser.add_argument("--from", dest="before", type=int, required=True)
    parser.add_argument("--to", dest="after", type=int, required=True)
    parser.add_argument("--data", default="{}", help="newStepData of the route, as JSON")
    parser.add_argument("--absent", choices=("true", "false"), default="false")
    parser.add_argument("--dry-run", action="store_true")
    return parser


def _body(asked: argparse.Namespace) -> dict[str, Any]:
    try:
        data = json.loads(asked.data)
    except ValueError:
        data = asked.data  # the route's own reading says what is wrong with it
    return {
        "stepId": asked.step,
        "fromVersion": asked.before,
        "toVersion": asked.after,
        "newStepData": data,
        "dryRun": asked.dry_run,
    }


def _done(pool: ConnectionPool, wish: Wish, *, absent: bool) -> int:
    correlation = uuid.uuid5(
        NAMESPACE, f"{os.environ.get('TASK_DEPLOYMENT') or uuid.uuid4()} {wish.as_json()}"
    )
    with pool.connection() as connection:
        before = _before(connection, wish)
        differs = versions.differing(connection, wish) if before is not None else []
        there = connection.execute(
            "SELECT 1 FROM onboarding_steps WHERE step_id = %s LIMIT 1", [wish.step]
        ).fetchone()
        users = connection.execute(
            "SELECT count(*) FROM onboarding_progress WHERE step_id = %s AND version = %s",
            [wish.step, wish.before],
        ).fetchone()
    if before is not None:
        said = f"version {wish.after} has other values than asked for, which were left: {', '.join(differs)}"
        warnings = [said] if differs else []
        _tell(
            {
                "success": True,
                "message": "It was done before",
                "result": {**before, "warnings": warnings},
            }
        )
        return DONE
    if there is None and absent:
        said = f"There is no step {wish.step}: nothing to take along"
        _tell({"success": True, "message": said, "result": {**wish.as_json(), "usersAffected": 0}})
        return DONE
    total = users[0] if users else 0
    _tell({"done": 0, "total": total})
    asked_by = os.environ.get("TASK_ASKED_BY") or "operator"

    def hear(passed: int, whole: int) -> None:
        nonlocal total
        total = whole
        if passed:
            _tell({"done": passed, "total": whole})

    status, body = Desk(pool).answer([wish], correlation, asked_by, batch=False, hear=hear)
    if status == OK:
        _tell({"done": total, "total": total})
    # Its message says the same in lines of prose.
    _tell({name: value for name, value in body.items() if name != "message"})
    if status == OK:
        return DONE
    return PASSING if body.get("code") == "TRANSACTION_ERROR" else FAILED


def _before(
    connection: psycopg.Connection[tuple[Any, ...]], wish: Wish
) -> dict[str, object] | None:
    """Return what came of this very migration where it was done; ``None`` where it was not."""
    found = connection.execute(BEFORE, [wish.step, wish.before, wish.after]).fetchone()
    if found is None:
        return None
    names = ("usersAffected", "progressCopied", "progressReset", "correlationId", "askedBy")
    return {**wish.as_json(), **dict(zip(names, map(_plain, found), strict=True))}


def _plain(value: object) -> object:
    return str(value) if isinstance(value, uuid.UUID) else value


def _tell(facts: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
