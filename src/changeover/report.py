"""A deployment's events told as text, JSON or a page. Pure functions of the journal."""

from __future__ import annotations

import datetime as dt
import html
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from changeover import drained
from changeover.counts import counted
from changeover.remote import traffic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.drained import Drained

Event = dict[str, Any]

MARKS = {"done": "ok", "red": "red", "open": "..."}
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: #d0d7de; --good: #1a7f37; --bad: #b3261e; --soft: #59636e; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --line: #3a424b; --good: #6bd586; --bad: #ff9a8f; --soft: #a3adb8; }}
}}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }}
h1 {{ font-size: 1.4rem; margin: 0 0 .25rem; }}
p.outcome {{ font-size: 1.1rem; margin: 0 0 1.5rem; }}
.done {{ color: var(--good); }} .red {{ color: var(--bad); }} .open {{ color: var(--soft); }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0 0 1.5rem; }}
dt {{ color: var(--soft); }} dd {{ margin: 0; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .45rem .6rem .45rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }}
.step {{ white-space: nowrap; padding-right: 1.5rem; }}
.time {{ text-align: right; padding-right: 0; font-variant-numeric: tabular-nums; white-space: nowrap; }}
pre {{ white-space: pre-wrap; margin: .3rem 0 0; font-size: .85rem; color: var(--bad); }}
@media (max-width: 40rem) {{
  thead {{ display: none; }}
  tr {{ display: grid; grid-template-columns: 1fr max-content; padding: .45rem 0; border-bottom: 1px solid var(--line); }}
  td {{ border: 0; padding: 0; }}
  .what {{ grid-area: 2 / 1 / 3 / 3; }}
}}
</style>
</head>
<body>
<h1>{title}</h1>
<p class="outcome {tone}">{outcome}</p>
<dl>{facts}</dl>
<table><thead><tr><th class="step">Step</th><th class="what">What happened</th><th class="time">Time</th></tr></thead>
<tbody>
{rows}
</tbody></table>
</body>
</html>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLine:
    """One step as it went: ``state`` is ``done``, ``red`` or ``open`` (begun, and no word since)."""

    step: str
    state: str
    says: str
    seconds: float
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One deployment as its journal tells it. ``outcome`` is ``open`` where no end was written.

    ``way`` says in words where it went from and to, or what a verb between deployments was about.
    ``left_open`` counts the connections from before that a reload of Nginx has met, ``websockets``
    those of colours that were stopped, ``traffic`` what went over SSH by host, where that was counted.
    """

    deployment: str
    command: str
    environment: str
    app: str
    before: str
    after: str
    way: str
    owner: str
    started: str
    seconds: float
    outcome: str
    exit: int | None
    message: str
    left_open: int
    websockets: Drained
    traffic: dict[str, traffic.Traffic]
    steps: tuple[StepLine, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the summary as plain JSON."""
        return {"type": "report", **asdict(self)}


def summarise(events: Sequence[Event]) -> Summary:
    """Fold a journal's events into one summary."""
    begin = next((event for event in events if event["type"] == "deployment-begin"), {})
    end = next((event for event in reversed(events) if event["type"] == "deployment-end"), {})
    started = str(begin.get("at", ""))
    sittings = _sittings(events)
    return Summary(
        deployment=str(begin.get("deployment", "")),
        command=str(begin.get("command", "")),
        environment=str(begin.get("environment", "")),
        app=str(begin.get("app", "")),
        before=str(begin.get("before") or "nothing"),
        after=str(begin.get("after") or "nothing"),
        way=way(begin),
        owner=str(begin.get("owner", "")),
        started=started,
        seconds=round(sum(_seconds(str(run[0]["at"]), str(run[-1]["at"])) for run in sittings), 3),
        outcome=str(end.get("outcome", "open")),
        exit=end.get("exit"),
        message=str(end.get("message", "")),
        left_open=sum(
            int((event.get("figures") or {}).get("left_open", 0))
            for event in events
            if event["type"] == "step-done"
        ),
        websockets=drained.read(events),
        traffic=_traffic(events),
        steps=tuple(line for number, run in enumerate(sittings) for line in _told(number, run)),
    )


def _traffic(events: Sequence[Event]) -> dict[str, traffic.Traffic]:
    """Return what every controller that worked on it has moved."""
    moved: dict[str, traffic.Traffic] = {}
    for event in events:
        if event["type"] == "deployment-end":
            for host, each in traffic.read(event).items():
                moved[host] = moved.get(host, traffic.Traffic()) + each
    return moved


def _sittings(events: Sequence[Event]) -> list[list[Event]]:
    """Return the events of each controller that worked on it: one, and one more a resumption."""
    sittings: list[list[Event]] = []
    for event in events:
        if event["type"] == "deployment-begin" or not sittings:
            sittings.append([])
        sittings[-1].append(event)
    return sittings


def _told(number: int, run: Sequence[Event]) -> list[StepLine]:
    """Return the lines of one sitting; between two of them stands how the first one ended."""
    lines = _lines(run)
    begin, end = run[0], run[-1]
    if number:
        says = f"by {begin.get('owner', 'somebody')} at {begin.get('at', '')}"
        lines.insert(0, StepLine(step="resumed", state="done", says=says, seconds=0.0))
    if end["type"] == "deployment-end" and end.get("outcome") == "interrupted":
        says = str(end.get("message", ""))
        lines.append(StepLine(step="interrupted", state="red", says=says, seconds=0.0))
    return lines


def way(begin: Event) -> str:
    """Return from which version to which a run goes; where none is moved, what it is about.

    What is done by hand between deployments has no steps of a plan.
    """
    before, after = begin.get("before"), begin.get("after")
    if "steps" not in begin or before == after:
        return str(after or before or "")
    return f"{before or 'nothing'} -> {after or 'nothing'}"


def _seconds(first: str, last: str) -> float:
    if not first or not last:
        return 0.0
    span = dt.datetime.fromisoformat(last) - dt.datetime.fromisoformat(first)
    return round(span.total_seconds(), 3)


def _lines(events: Sequence[Event]) -> list[StepLine]:
    lines: list[StepLine] = []
    begun: dict[str, Event] = {}
    for event in events:
        step = str(event.get("step", ""))
        if event["type"] == "step-intent":
            begun[step] = event
        elif event["type"] in {"step-done", "step-failed"}:
            intent = begun.pop(step, event)
            done = event["type"] == "step-done"
            lines.append(
                StepLine(
                    step=step,
                    state="done" if done else "red",
                    says=str(event.get("says") or event.get("message") or ""),
                    seconds=_seconds(str(intent["at"]), str(event["at"])),
                    cause="" if done else str(event.get("cause") or ""),
                )
            )
    lines += [
        StepLine(step=step, state="open", says=str(event.get("says", "")), seconds=0.0)
        for step, event in begun.items()
    ]
    return lines


def title(summary: Summary) -> str:
    """Return one line: what was done, where, and from which version to which."""
    line = f"{summary.command} {summary.app} on {summary.environment}"
    return f"{line}: {summary.way}" if summary.way else line


def as_text(summary: Summary) -> str:
    """Return the report for a terminal."""
    lines = [
        title(summary),
        f"  deployment {summary.deployment}, by {summary.owner}, {summary.started}",
        f"  {summary.outcome} after {summary.seconds:.1f} s"
        + (f", exit {summary.exit}" if summary.exit is not None else ""),
    ]
    if summary.message:
        lines.append(f"  {summary.message}")
    if summary.websockets.open:
        lines.append(f"  drained {summary.websockets.words}")
    if summary.traffic:
        lines.append(f"  {traffic.words(summary.traffic)}")
    for line in summary.steps:
        lines.append(f"  {MARKS[line.state]:<3} {line.step:<10} {line.seconds:7.2f} s  {line.says}")
        lines += [f"      {text}" for text in line.cause.splitlines()]
    return "\n".join(lines)


def as_html(summary: Summary) -> str:
    """Return the report as one page that needs nothing beside it."""
    facts = {
        "Deployment": summary.deployment,
        "Started": f"{summary.started[:19]} UTC".replace("T", " ", 1),
        "Took": f"{summary.seconds:.1f} s",
        "By": summary.owner,
        "Exit": "" if summary.exit is None else str(summary.exit),
        "Left open": counted(summary.left_open, "connection")
        + " at reloads, WebSockets among them",
        "Drained": summary.websockets.words,
        "Moved": traffic.words(summary.traffic) if summary.traffic else "",
    }
    rows = "\n".join(
        f'<tr><td class="step {line.state}">{MARKS[line.state]} {html.escape(line.step)}</td>'
        f'<td class="what">{html.escape(line.says)}'
        + (f"<pre>{html.escape(line.cause)}</pre>" if line.cause else "")
        + f'</td><td class="time">{line.seconds:.2f} s</td></tr>'
        for line in summary.steps
    )
    outcome = f"{summary.outcome}. {summary.message}" if summary.message else summary.outcome
    return PAGE.format(
        title=html.escape(title(summary)),
        tone="done" if summary.outcome == "done" else "red",
        outcome=html.escape(outcome),
        facts="".join(
            f"<dt>{html.escape(key)}</dt><dd>{html.escape(value)}</dd>"
            for key, value in facts.items()
        ),
        rows=rows,
    )
