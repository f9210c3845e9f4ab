"""One request to migrate, done: each migration after the other, and what is answered."""

from __future__ import annotations

import datetime as dt
import functools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from . import told, transient
from .history import stamp
from .moving import move, quiet
from .outcome import Refused

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence

    from psycopg_pool import ConnectionPool

    from .outcome import Outcome
    from .wish import Wish

OK, BAD_REQUEST, SERVER_ERROR = 200, 400, 500
# A request that cannot be done as it is asked for is no failure of ours.
OUTCOMES = {OK: "success", BAD_REQUEST: "refused", SERVER_ERROR: "failure"}
Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a migration failed, if it did.

    Args:
        status: The status that tells it.
        errors: Why.
        code: The guide's code of that.
    """

    status: int = OK
    errors: tuple[str, ...] = ()
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of one migration.

    Args:
        wish: What was asked for.
        outcome: What it did; ``None`` where it failed.
        seconds: How long it took, its retries included.
        why: Why it failed.
    """

    wish: Wish
    outcome: Outcome | None
    seconds: float
    why: Failure

    @property
    def milliseconds(self) -> int:
        """Return how long it took, as answers and log tell it."""
        return round(self.seconds * 1000)


class Desk:
    """Does what administrators ask for."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def answer(
        self,
        wishes: Sequence[Wish],
        correlation: uuid.UUID,
        asked_by: str,
        *,
        batch: bool,
        hear: Callable[[int, int], None] = quiet,
    ) -> tuple[int, Body]:
        """Do all of it up to the first that fails; return the status and the body.

        Args:
            wishes: What is asked for.
            correlation: The request.
            asked_by: Who asks.
            batch: Whether they were asked for as one.
            hear: Hears how many users of a migration were passed, and of how many.
        """
        done: list[Done] = []
        for wish in wishes:
            done.append(self._one(wish, correlation, asked_by, hear))
            if done[-1].outcome is None:
                break
        status, body = _batch(wishes, done) if batch else _single(done[0])
        told.REQUESTS.labels(OUTCOMES[status]).inc()
        return status, {**body, "correlationId": str(correlation)}

    def _one(
        self, wish: Wish, correlation: uuid.UUID, asked_by: str, hear: Callable[[int, int], None]
    ) -> Done:
        tell = functools.partial(told.log, correlationId=str(correlation))
        tell("Migration started", **wish.as_json(), dryRun=wish.dry_run)
        begun = time.monotonic()
        retried = 0

        def work() -> Outcome:
            with self._pool.connection() as connection:
                if not wish.dry_run:
                    tell("Transaction started", stepId=wish.step)
                return move(connection, wish, correlation, asked_by, hear=hear)

        def meet(error: BaseException, number: int, wait: float) -> None:
            nonlocal retried
            retried = number
            told.ERRORS.labels("TRANSACTION_ERROR").inc()
            kind = _kind(error)
            tell("Migration retried", stepId=wish.step, retry=number, seconds=wait, error=kind)

        outcome, why = None, Failure()
        try:
            outcome = transient.persistently(
                work, retries=wish.retries, delay=wish.delay, meet=meet
            )
        except (Refused, psycopg.Error) as error:
            why = _failure(error)
        told.RETRIES.observe(retried)
        done = Done(wish=wish, outcome=outcome, seconds=time.monotonic() - begun, why=why)
        _count(done)
        if outcome is not None and not wish.dry_run:
            tell("Transaction committed", stepId=wish.step, **outcome.as_json())
        failed = {"code": why.code, "errors": why.errors} if why.errors else {}
        success = outcome is not None
        tell("Migration completed", success=success, duration=done.milliseconds, **failed)
        return done


def _failure(error: Refused | psycopg.Error) -> Failure:
    if isinstance(error, Refused):
        return Failure(status=BAD_REQUEST, errors=tuple(error.errors), code="VALIDATION_ERROR")
    # What a database says may hold rows of users: its kind alone is told.
    said = f"the database failed: {_kind(error)}"
    code = "TRANSACTION_ERROR" if transient.is_transient(error) else "DATABASE_ERROR"
    return Failure(status=SERVER_ERROR, errors=(said,), code=code)


def _count(done: Done) -> None:
    if done.outcome is None:
        told.ERRORS.labels(done.why.code).inc()
        return
    told.DURATION.labels(str(done.wish.dry_run).lower()).observe(done.seconds)
    if not done.wish.dry_run:
        told.AFFECTED.observe(done.outcome.users)


def _kind(error: BaseException) -> str:
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} ({state})" if state else type(error).__name__


def _single(done: Done) -> tuple[int, Body]:
    if done.outcome is None:
        return done.why.status, _said(done.why)
    wish, outcome = done.wish, done.outcome
    lines = [
        "Migration completed successfully:",
        f"- Step: {wish.step}",
        f"- Version: {wish.before} → {wish.after}",
        f"- Users affected: {outcome.users}",
        f"- Progress copied: {outcome.copied}",
        f"- Progress reset: {outcome.reset}",
    ]
    if not wish.dry_run:
        lines.append(f"- Duration: {done.milliseconds}ms")
    result = {
        **wish.as_json(),
        **outcome.as_json(),
        "warnings": list(outcome.warnings),
        "dryRun": wish.dry_run,
        "duration": done.milliseconds,
        "timestamp": stamp(dt.datetime.now(dt.UTC)),
    }
    prefix = "[DRY RUN] " if wish.dry_run else ""
    return OK, {"success": True, "message": prefix + "\n".join(lines), "result": result}


def _batch(wishes: Sequence[Wish], done: Sequence[Done]) -> tuple[int, Body]:
    results = [
        {
            "stepId": each.wish.step,
            "success": each.outcome is not None,
            "usersAffected": each.outcome.users if each.outcome else 0,
            "errors": list(each.why.errors),
            "warnings": list(each.outcome.warnings) if each.outcome else [],
        }
        for each in done
    ]
    successful = sum(each.outcome is not None for each in done)
    whole = successful == len(wishes)
    body: Body = {
        "success": whole,
        "message": f"Batch migration: {successful}/{len(wishes)} successful",
        "results": results,
        "summary": {
            "total": len(wishes),
            "successful": successful,
            "failed": len(done) - successful,
        },
    }
    if not whole:
        body |= _said(done[-1].why)
    return done[-1].why.status, body


def _said(why: Failure) -> Body:
    told: Body = {"errors": list(why.errors), "code": why.code}
    if why.status == BAD_REQUEST:
        return {"error": "Validation failed", **told}
    return {"error": "Migration failed", **told, "warnings": []}
