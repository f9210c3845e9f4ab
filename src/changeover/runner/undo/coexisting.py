"""Which migrations the old version was seen to write beside, although their text may forbid it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.migrations import coexist_file, hazards

if TYPE_CHECKING:
    from collections.abc import Collection

    from changeover.executors.migrate import Rehearsals
    from changeover.migrations.records import MigrationFolder


def shown(folders: Collection[MigrationFolder], known: Rehearsals) -> dict[str, str]:
    """Return by id what was run of the old version, and as whom, where it takes away that writes are forbidden.

    Empty words where no rehearsal showed that yet. What takes something away from the old version breaks it
    whatever it writes, and a table that is not written to is not proved: neither is named.
    """
    digests = coexist_file.digests(folders)
    found: dict[str, str] = {}
    for folder in folders:
        broken = hazards.taking_away(folder.migrations)
        unproved = coexist_file.unproved(folder.migrations)
        for each in folder.migrations:
            if each.id in broken or unproved.get(each.id) != ():
                continue
            proof = known.beside(each.id, digests[each.id])
            found[each.id] = f"{coexist_file.name(each)} as {proof.role}" if proof else ""
    return found
