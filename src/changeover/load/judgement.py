"""Judge a recorded history after the fact: what was lost, cut, or answered by the wrong version.

Pure: a history, the moves that a controller made, the windows that a fault itself causes, and the
rows that are there afterwards come in; counts and findings come out. Nothing is retried, nothing is
averaged: one request that failed outside of a declared window is a finding.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from changeover.load.history import History, Request, Socket

EXAMPLES = 3
UNKNOWN = "an unknown release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A span in which a fault itself costs requests or WebSockets; declared, counted, printed.

    Args:
        cause: What costs them.
        start: Seconds since 1970.
        end: As ``start``; what was under way at any moment in between is excused.
        requests: Whether it costs requests.
        sockets: Whether it cuts WebSockets.
    """

    cause: str
    start: float
    end: float
    requests: bool = True
    sockets: bool = False

    def meets(self, start: float, end: float) -> bool:
        """Tell whether something was under way in it."""
        return start <= self.end and end >= self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Users were moved from one release to another.

    Args:
        begun: Before the first host renamed.
        done: After the last one did.
        after: The release that serves from then on.
    """

    begun: float
    done: float
    after: str


@dataclass(slots=True)
class Judgement:
    """What a history comes to.

    Args:
        requests: How many were sent.
        acknowledged: How many were answered with success.
        unnamed: How many acknowledged answers did not say which release gave them.
        excused: How many failures a declared window covers, by its cause.
        answered: How many requests each release answered.
        sockets: How many WebSockets there were.
        closes: How those ended that the server ended.
        rows: How many rows were found of this load, ``None`` where nobody looked.
        unacknowledged: Rows of requests whose client was told nothing or a failure: not wrong.
        findings: A sentence for everything that is wrong.
    """

    requests: int = 0
    acknowledged: int = 0
    unnamed: int = 0
    excused: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    sockets: int = 0
    closes: Counter[str] = field(default_factory=Counter)
    rows: int | None = None
    unacknowledged: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "requests": self.requests,
            "acknowledged": self.acknowledged,
            "unnamed": self.unnamed,
            "excused": dict(self.excused),
            "answered": dict(self.answered),
            "sockets": self.sockets,
            "closes": dict(self.closes),
            "rows": self.rows,
            "unacknowledged": self.unacknowledged,
            "findings": list(self.findings),
        }


def judge(
    history: History,
    *,
    before: str,
    moves: Sequence[Move] = (),
    windows: Sequence[Window] = (),
    rows: Iterable[str] | None = None,
) -> Judgement:
    """Judge a history.

    Args:
        history: What the client recorded.
        before: The release that served when it began.
        moves: Every move of users since, in their order.
        windows: What the injected faults may cost.
        rows: The request ids of this load that the database has, one an entry; ``None`` where the
            load writes nothing that can be looked up.
    """
    found = Judgement(requests=len(history.requests), sockets=len(history.sockets))
    _outcomes(found, history.requests, windows)
    _releases(found, history.requests, before, moves)
    _ends(found, history.sockets, windows)
    if rows is not None:
        _written(found, history.requests, rows)
    return found


def _outcomes(found: Judgement, requests: Sequence[Request], windows: Sequence[Window]) -> None:
    lost = []
    for each in requests:
        if each.acknowledged:
            found.acknowledged += 1
            continue
        cause = next(
            (one.cause for one in windows if one.requests and one.meets(each.start, each.end)), None
        )
        if cause is None:
            lost.append(f"{each.id} at {each.start:.3f}: {each.outcome}")
        else:
            found.excused[cause] += 1
    _tell(found, "failed requests", lost)


def _releases(
    found: Judgement, requests: Sequence[Request], before: str, moves: Sequence[Move]
) -> None:
    wrong = []
    for each in requests:
        if each.release is None:
            found.unnamed += each.acknowledged
            continue
        found.answered[each.release] += 1
        if each.release not in _serving(before, moves, each.start, each.end):
            wrong.append(f"{each.id} at {each.start:.3f} by {each.release}")
    _tell(found, "answers by a release that did not serve then", wrong)


def _serving(before: str, moves: Sequence[Move], start: float, end: float) -> set[str]:
    """Return the releases that may answer what was under way from ``start`` to ``end``."""
    serving = {before}
    for move in moves:
        if move.begun > end:
            break
        if move.done < start:
            serving.clear()
        serving.add(move.after)
    return serving


def _ends(found: Judgement, sockets: Sequence[Socket], windows: Sequence[Window]) -> None:
    cut, refused = [], []
    for each in sockets:
        if each.code is not None:
            found.closes[str(each.code)] += 1
        if not (each.cut or each.error):
            continue
        cause = next((one.cause for one in windows if _excuses(one, each)), None)
        if cause is not None:
            found.excused[cause] += 1
        elif each.cut:
            cut.append(f"number {each.number} at {each.end:.3f}, of {each.release or UNKNOWN}")
        else:
            refused.append(f"number {each.number} at {each.start:.3f}: {each.error}")
    _tell(found, "WebSockets that ended without a close frame", cut)
    _tell(found, "WebSockets that could not be opened", refused)


def _excuses(window: Window, socket: Socket) -> bool:
    # What was open all along is excused only where it ended.
    start = socket.end if socket.cut else socket.start
    return window.sockets and window.meets(start, socket.end)


def _written(found: Judgement, requests: Sequence[Request], rows: Iterable[str]) -> None:
    sent = {each.id: each for each in requests}
    counts = Counter(row for row in rows if row in sent)
    found.rows = counts.total()
    found.unacknowledged = sum(not sent[one].acknowledged for one in counts)
    missing = [one for one, each in sent.items() if each.acknowledged and one not in counts]
    _tell(found, "acknowledged writes without a row", missing)
    _tell(
        found, "writes with more than one row", [one for one, count in counts.items() if count > 1]
    )


def _tell(found: Judgement, what: str, examples: Sequence[str]) -> None:
    if examples:
        more = "; ..." if len(examples) > EXAMPLES else ""
        shown = "; ".join(examples[:EXAMPLES])
        found.findings.append(f"{what}: {len(examples)} ({shown}{more})")
