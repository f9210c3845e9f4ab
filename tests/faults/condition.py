"""The condition of an environment: what every deployment may change, and what of it need not be equal."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.lab.conftest import Lab

PROBE = Path(__file__).with_name("probe.py")
# All that may differ between two runs that came to the same end, and why. Nothing else may.
DIFFERS = (
    (r"\b\d{8}T\d{6}-[0-9a-f]{6}\b", "ID", "a deployment's id, which backups carry, too"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(\+\d\d:?\d\d|\+\d\d|Z)?", "TIME", "when it was"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "BOOT", "the boot it was done in"),
    (r"(/fence\.json \S+ \S+) .*", r"\1", "each holder of the lease has a number of its own"),
    (
        r"(/journal\.jsonl \S+ \S+) .*",
        r"\1",
        "a journal tells of the kill, and of what came after it",
    ),
    (r"(reverted|rebooted|deadman)(?=\\\")", "BACK", "which of them came first to send users back"),
    (r"(\.lock \S+ \S+) .*", r"\1", "what the last holder of a lock said of itself"),
    (r"(/run/haproxy\S*\.sock)\.\d+\.tmp", r"\1.PID.tmp", "HAProxy names it by its process"),
    (
        r"(file /var/backups/changeover/\S+ \S+ \S+) .*",
        r"\1",
        "what a dump holds, beside its names",
    ),
)

# What else may be there where a deployment was taken back, and why.
KEPT_BACK = (
    (
        r"\S+ (file|entry) /var/backups/changeover/(?!.*\.partial)",
        "a proved backup stays: it may be needed yet",
    ),
    (r"\S+ file /var/\S+/(\S+\.)?lock ", "a file that is locked is made once"),
    (
        r"\S+ entry /run/changeover/(\.running-)?[^/ ]+ ",
        "the agent makes these with its first work",
    ),
    (r"\S+ (migration|statement)\|", "migrations that only add stay; the next deployment goes on"),
)
# Where a deployment goes back by itself before its switch, its colour may be there, whole and inert.
INERT = r"\S+ (file|entry|link) (/opt/\S+/releases/|/etc/changeover/\S+\.env |/etc/systemd/system/[^/]+@)"
# And what it leaves where it ran before: the next start of it clears this away. It is there while that
# colour is live, too, but for what the app told of its connections when it ended.
RAN = r"\S+ (entry|link) /run/[^/ ]+/[^/ ]+-[0-9a-f]{8}(/static|/static/static)? "
DRAINED = r"\S+ file (/run/[^/ ]+/[^/ ]+-[0-9a-f]{8})/drained\.json -rw-rw---- "
# What differs where the power went once the deployment was confirmed, and why.
LEASE = r"\+ \S+ file /var/lib/changeover/\S+/lock\.json "
LEASE_TOLD = r"the lease .*(ends by itself|expires within|was not given back|was not taken)"
LIVE = r"\S+ link /run/[^/ ]+/current -> (\S+)"
WITHOUT_POWER = (
    (r"- \S+ (entry|listens|file|link) /run/", "it goes with the power"),
    (r"- \S+ (process|unit) ", "a boot brings back the live colour alone, which the load sees"),
)
# What is not compared there as it stands: it goes with what these migrations add.
MOVED_BACK = (r"\S+ schema ", r"\S+ rows \S+ /\* all \*/", r'\\"ended\\": \{[^}]*\}')
# It says how the lines of a schema follow each other: a part of what is added has an order of its own.
ORDER = r"\S+ schema in order "
BACKUP = r"\S+ entry \S+/ID "


def condition(lab: Lab, database: str, app: str, rows: Sequence[str] = ()) -> list[str]:
    """Return a line for everything on every host that a deployment may change.

    Args:
        lab: Where.
        database: The app's database.
        app: The app.
        rows: Queries whose answers are part of the condition.
    """
    found = []
    for name, host in lab.hosts.items():
        asked = [app, database if "db" in host["groups"] else "", *rows]
        found += [f"{name} {line}" for line in _probed(lab, name, asked)]
    return sorted(map(comparable, found))


def comparable(line: str) -> str:
    """Return a line without what may differ."""
    for pattern, instead, _ in DIFFERS:
        line = re.sub(pattern, instead, line)
    return line


def differences(wanted: Sequence[str], found: Sequence[str]) -> list[str]:
    """Return what is missing and what is there beyond what is wanted, a sign before each line."""
    missing, beyond = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
    lines = [f"- {line}" for line in missing.elements()] + [
        f"+ {line}" for line in beyond.elements()
    ]
    return sorted(lines, key=lambda line: line[2:])


def taken_back(
    before: Sequence[str], after: Sequence[str], found: Sequence[str], *, inert: bool = False
) -> list[str]:
    """Return what differs from the beginning where a deployment was taken back.

    Args:
        before: The condition that it began in.
        after: The condition that it would have come to; nothing of the database may be beyond that.
        found: The condition that is there.
        inert: Whether the colour may stay that it would have come to, all of it.
    """
    colour = [line for line in after if line not in before and re.match(INERT, line)]
    if inert and colour and not Counter(colour) - Counter(found):
        whole = (Counter(found) - Counter(colour)).elements()
        found = [line for line in whole if line in before or not _ran(line, after)]
    found = [line for line in found if line in before or not _ran_placed(line, before, after)]
    known = {line for line in after if re.match(KEPT_BACK[-1][0], line)}
    beyond = Counter(found) - Counter(before)
    kept = Counter({line: count for line, count in beyond.items() if _is_kept(line, known)})
    proved = sum(count for line, count in kept.items() if "/proved.json " in line)
    made = sum(count for line, count in kept.items() if re.match(BACKUP, line))
    lines = differences(_unmoved(before), _unmoved((Counter(found) - kept).elements()))
    lines += _unknown_schema(before, after, found)
    return lines + ["+ a backup that is not proved"] * (made - proved)


def _ran(line: str, after: Sequence[str]) -> bool:
    """Tell whether a colour leaves a line in /run that the deployment would have made live."""
    drained = re.match(DRAINED, line)
    if drained:
        return any(f" entry {drained[1]} " in each for each in after)
    return bool(re.match(RAN, line)) and line in after


def _ran_placed(line: str, before: Sequence[str], after: Sequence[str]) -> bool:
    """Tell whether a line is of a colour that was on the host before, and stays there: it ran meanwhile."""
    colour = re.match(r"\S+ (?:entry|link|file) /run/[^/ ]+/([^/ ]+-[0-9a-f]{8})[/ ]", line)
    if colour is None or not any(f"/releases/{colour[1]} " in each for each in before):
        return False
    return _ran(line, after)


def _is_kept(line: str, known: Iterable[str]) -> bool:
    patterns = [pattern for pattern, _ in KEPT_BACK]
    return any(re.match(each, line) for each in patterns) and (
        line in known or not re.match(patterns[-1], line)
    )


def but_proved(lines: Sequence[str], most: int) -> list[str]:
    """Return what differs beyond so many proved backups: a run that goes on anew makes another."""
    backups = [line for line in lines if re.match(r"\+ " + KEPT_BACK[0][0], line)]
    proved = sum("/proved.json " in line for line in backups)
    made = sum(bool(re.match(rf"\+ {BACKUP}", line)) for line in backups)
    return [line for line in lines if line not in backups or made > min(proved, most)]


def _unknown_schema(before: Sequence[str], after: Sequence[str], found: Sequence[str]) -> list[str]:
    """Return what of a schema is neither from before nor from after, and what both have and it lacks.

    A part of what is added may be there: the beginning of a column's line is such a part.
    """
    was, comes, there = _schema(before), _schema(after), _schema(found)
    strange = {line for line in there if not any(one.startswith(line) for one in was | comes)}
    gone = {line for line in was & comes if line not in there}
    return [f"- {line}" for line in sorted(gone)] + [f"+ {line}" for line in sorted(strange)]


def _schema(lines: Iterable[str]) -> set[str]:
    whole, *_ = MOVED_BACK
    return {
        line.rstrip(",") for line in lines if re.match(whole, line) and not re.match(ORDER, line)
    }


def left_by_power(lines: Iterable[str], wanted: Sequence[str], said: str) -> list[str]:
    """Return what differs beyond that the power went.

    A boot brings back the live colour, with all of it. A lease may be there yet where the run has said so.

    Args:
        lines: What differs.
        wanted: What would be there with the power.
        said: All that the run said.
    """
    live = tuple(match[1] for each in wanted if (match := re.match(LIVE, each)))
    known = [pattern for pattern, _ in WITHOUT_POWER]
    return [
        line
        for line in but_told(lines, said)
        if any(colour in line for colour in live) or not any(re.match(each, line) for each in known)
    ]


def but_told(lines: Iterable[str], said: str) -> list[str]:
    """Return what differs beyond a lease of which the run has said that it ends by itself."""
    told = re.search(LEASE_TOLD, said)
    return [line for line in lines if not (told and re.match(LEASE, line))]


def _unmoved(lines: Iterable[str]) -> list[str]:
    gone, both, ended = MOVED_BACK
    rest = [line for line in lines if not re.match(gone, line) and not re.match(both, line)]
    return [re.sub(ended, "ENDED", line) for line in rest]


def _probed(lab: Lab, host: str, asked: Sequence[str]) -> list[str]:
    told = lab.ssh(host, f"python3 - {shlex.join(asked)}", told=PROBE.read_text())
    lines: list[str] = json.loads(told)
    return lines
