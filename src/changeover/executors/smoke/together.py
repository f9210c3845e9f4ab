"""Run pieces of work at once, a few at a time, and give what they find in their own order."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from collections.abc import Set as AbstractSet

AT_ONCE = 4

T = TypeVar("T")
_Ended = queue.SimpleQueue[tuple[int, T | None, BaseException | None]]


class StoppedError(Exception):
    """Nobody asks for what is found any more."""


class Stop:
    """Ends from another thread what waits for pieces of work."""

    def __init__(self) -> None:
        self.given = threading.Event()
        self._ended: _Ended[Any] | None = None

    def watch(self, ended: _Ended[Any]) -> None:
        """Wake who waits there, too."""
        self._ended = ended

    def give(self) -> None:
        """Have nothing begin any more, and nobody wait for what is under way."""
        self.given.set()
        if self._ended is not None:
            self._ended.put((-1, None, StoppedError()))


def run(
    work: Sequence[Callable[[threading.Event], T]],
    waits: Sequence[AbstractSet[int]],
    stop: Stop | None = None,
) -> Generator[T]:
    """Yield what each piece of work found, in the order given, as soon as all before it have ended.

    Where nobody asks for the rest any more (an interruption, a failure), nothing begins, the event
    is set that each piece was given, and those under way are not waited for: they are daemons.

    Args:
        work: The pieces; each is given the event that tells it to begin nothing further.
        waits: For each, the places of the pieces before it that have to end before it begins.
        stop: Ends it from another thread.

    Raises:
        StoppedError: It was.
    """
    ended: _Ended[T] = queue.SimpleQueue()
    stop = stop or Stop()
    stop.watch(ended)
    waiting = dict(enumerate(work))
    found: dict[int, T] = {}
    given = 0
    try:
        while given < len(work):
            if stop.given.is_set():
                raise StoppedError
            under_way = len(work) - len(waiting) - len(found)
            ready = [place for place in waiting if waits[place] <= found.keys()]
            for place in ready[: AT_ONCE - under_way]:
                _begin(place, waiting.pop(place), stop.given, ended)
            place, result, failure = ended.get()
            if failure is not None:
                raise failure
            found[place] = result  # type: ignore[assignment]  # a piece that did not fail has found one
            while given in found:
                yield found[given]
                given += 1
    finally:
        stop.given.set()


def _begin(
    place: int,
    piece: Callable[[threading.Event], T],
    stopped: threading.Event,
    ended: _Ended[T],
) -> None:
    def work() -> None:
        try:
            ended.put((place, piece(stopped), None))
        except BaseException as error:  # noqa: BLE001 - raised again by who waits for it
            ended.put((place, None, error))

    threading.Thread(target=work, name=f"smoke check {place}", daemon=True).start()
