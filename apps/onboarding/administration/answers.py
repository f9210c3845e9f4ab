"""One request to migrate, done: each migration after the other, and what is answered."""

from __future__ import annotations

import datetime as dt
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
Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of one migration.

    Args:
        wish: What was asked for.
        outcome: What it did; ``None`` where it failed.
        status: The status that tells it.
        errors: Why it failed.
        code: The guide's code of that.
        milliseconds: How long it took, its retries included.
    """

    wish: Wish
    outcome: Outcome | None
    status: int
    milliseconds: int
    errors: tuple[str, ...] = ()
    code: str = ""


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
        told.REQUESTS.labels("success" if status == OK else "failure").inc()
        return status, {**body, "correlationId": str(correlation)}

    def _one(
        self, wish: Wish, correlation: uuid.UUID, asked_by: str, hear: Callable[[int, int], None]
    ) -> Done:
        about = {"stepId": wish.step, "correlationId": str(correlation)}
        told.log(
            "Migration started",
            **wish.as_json(),
            dryRun=wish.dry_run,
            correlationId=str(correlation),
        )
        begun = time.monotonic()

        def work() -> Outcome:
            with self._pool.connection() as connection:
                if not wish.dry_run:
                    told.log("Transaction started", **about)
                return move(connection, wish, correlation, asked_by, hear=hear)

        def meet(error: BaseException, number: int, wait: float) -> None:
            told.ERRORS.labels("TRANSACTION_ERROR").inc()
            told.log("Migration retried", **about, retry=number, seconds=wait, error=_kind(error))

        outcome, status, errors, code = None, OK, tuple[str, ...](), ""
        try:
            outcome = transient.persistently(
                work, retries=wish.retries, delay=wish.delay, meet=meet
            )
        except Refused as error:
            status, errors, code = BAD_REQUEST, tuple(error.errors), "VALIDATION_ERROR"
        except psycopg.Error as error:
            # What a database says may hold rows of users: its kind alone is told.
            status, errors = SERVER_ERROR, (f"the database failed: {_kind(error)}",)
            code = "TRANSACTION_ERROR" if transient.is_transient(error) else "DATABASE_ERROR"
        seconds = time.monotonic() - begun
        if outcome is None:
            told.ERRORS.labels(code).inc()
        else:
            told.DURATION.labels(str(wish.dry_run).lower()).observe(seconds)
            if not wish.dry_run:
                told.AFFECTED.observe(outcome.users)
                told.log(
                    "Transaction committed",
                    **about,
                    **outcome.as_json(),
                )
        milliseconds = round(seconds * 1000)
        told.log(
            "Migration completed",
            success=outcome is not None,
            duration=milliseconds,
            **({"code": code, "errors": errors} if errors else {}),
            correlationId=str(correlation),
        )
        return Done(
            wish=wish,
            outcome=outcome,
            status=status,
            milliseconds=milliseconds,
            errors=errors,
            code=code,
        )


def _kind(error: BaseException) -> str:
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} ({state})" if state else type(error).__name__


def _single(done: Done) -> tuple[int, Body]:
    if done.outcome is None:
        said = "Validation failed" if done.status == BAD_REQUEST else "Migration failed"
        body: Body = {"error": said, "errors": list(done.errors), "code": done.code}
        return done.status, body if done.status == BAD_REQUEST else {**body, "warnings": []}
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
            "errors": list(each.errors),
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
        red = done[-1]
        said = "Validation failed" if red.status == BAD_REQUEST else "Migration failed"
        body |= {"error": said, "errors": list(red.errors), "code": red.code}
    return done[-1].status, body
