"""The log in the repository: whether all of it is there that a recovery to any moment needs.

A host that has more of it waiting than it may keep lets files go (``archive-push-queue-max``). The
server counts them as archived, so only the repository itself shows that they are missing.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from changeover.agent.backup import side_database
from changeover.agent.physical import pgbackrest
from changeover.agent.postgres.session import Session

if TYPE_CHECKING:
    from changeover.agent.backup.store import Record, Store
    from changeover.agent.physical.pgbackrest import Archive

# The timeline, the high and the low word; in the repository pgBackRest adds a digest.
SEGMENT = re.compile(r"(?:^|/)[0-9A-F]{8}([0-9A-F]{8})([0-9A-F]{8})(?:-[0-9a-f]{40}|$)")
WORD_BYTES = 1 << 32
FACTS = """
SELECT pg_size_bytes(current_setting('wal_segment_size')) AS bytes, last_archived_wal AS last
FROM pg_stat_archiver"""


def gap(store: Store, archive: Archive, backups: list[Record]) -> Record | None:
    """Return the last files of the log that the repository lacks; ``None`` where it has all.

    Args:
        store: The app's backups.
        archive: The archive.
        backups: The whole physical backups, oldest first.

    Returns:
        ``files``, how many; ``since``, when the last one before them came, UTC; ``until``, when the
        next one did, ``None`` where none did; ``whole``, the place among the backups of the first
        one that needs none of them, ``None`` where there is none yet.

    Raises:
        ActionError: As ``Archive.run``; ``query-failed``.
    """
    if not backups:
        return None
    with Session(store.server, side_database.MAINTENANCE) as session:
        facts = session.row(FACTS)
    in_a_word = WORD_BYTES // int(facts["bytes"])
    words = ("repo-ls", f"archive/{archive.stanza}", "--recurse", "--output=json")
    files = json.loads(archive.run(*words, *pgbackrest.PATIENCE) or "{}")
    starts = [place_of(one["archive"]["start"], in_a_word) or 0 for one in backups]
    return lacking(came(files, in_a_word), starts, place_of(facts["last"] or "", in_a_word))


def came(files: dict[str, Record], in_a_word: int) -> dict[int, float]:
    """Return when each file of the log came, by its place in the log whatever its timeline.

    Args:
        files: What the repository holds by path, with ``time`` in seconds since 1970.
        in_a_word: How many files there are until the high word counts on.
    """
    found: dict[int, float] = {}
    for name, about in files.items():
        place = place_of(name, in_a_word)
        if place is not None:
            found[place] = max(float(about["time"]), found.get(place, 0.0))
    return found


def lacking(there: dict[int, float], starts: list[int], last: int | None) -> Record | None:
    """Return the last gap in the log since the oldest backup began, as ``gap`` does.

    Args:
        there: When each file came, by place.
        starts: The place that each backup begins at, oldest first.
        last: The place of the file that the server counts as archived last.
    """
    known = sorted(place for place in there if place >= starts[0])
    if known and last is not None and last > known[-1]:
        known.append(last + 1)
    gaps = [(one, other) for one, other in pairwise(known) if other > one + 1]
    if not gaps:
        return None
    before, after = gaps[-1]
    whole = [number for number, start in enumerate(starts) if start >= after]
    return {
        "files": after - before - 1,
        "since": pgbackrest.moment(there[before]),
        "until": pgbackrest.moment(there[after]) if after in there else None,
        "whole": whole[0] if whole else None,
    }


def place_of(name: str, in_a_word: int) -> int | None:
    """Return which file of the log a name or path stands for; ``None`` for what is none."""
    found = SEGMENT.search(name)
    return int(found[1], 16) * in_a_word + int(found[2], 16) if found else None
