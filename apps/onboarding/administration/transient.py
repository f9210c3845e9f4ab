"""Failures of a database that pass by themselves, and how long to wait before it is asked again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# PostgreSQL's appendix A: a conflict with others, a lock that was not had in time, a server that ends,
# starts, or has no session left; class 08 and no code at all are connections that are lost.
PASSING = ("40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300")
CONNECTION = "08"
LONGEST_SECONDS = 60.0
FACTOR = 2


def is_transient(error: BaseException) -> bool:
    """Tell whether the same might be answered otherwise a moment later."""
    if not isinstance(error, psycopg.OperationalError):
        return False
    code = error.sqlstate
    return code is None or code in PASSING or code.startswith(CONNECTION)


def persistently(
    work: Callable[[], T],
    *,
    retries: int,
    delay: float,
    meet: Callable[[BaseException, int, float], None],
    pause: Callable[[float], None] = time.sleep,
) -> T:
    """Do something that is done at most once, again where what kept it passes by itself.

    Args:
        work: It; where it was done and the answer was lost, it has to see that by itself.
        retries: How often it is tried again.
        delay: Seconds before the first retry; each further one waits twice as long.
        meet: Hears each failure that is retried, the number of the retry and its wait in seconds.
        pause: Waits.
    """
    for number in range(retries + 1):
        try:
            return work()
        except psycopg.Error as error:
            if number == retries or not is_transient(error):
                raise
            wait = min(delay * FACTOR**number, LONGEST_SECONDS)
            meet(error, number + 1, wait)
            pause(wait)
    raise AssertionError  # the last round returns or raises
