"""What the verbs about backups print, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.counts import counted

if TYPE_CHECKING:
    from changeover.executors.backup import Beside, BesideDue, Due, Price, Proof, Restored

MEGABYTE = 1_000_000
KINDS = {
    "failed": "kept by a restore: was live before it",
    "warm": "kept warm: a restore to its backup is one swap",
    "leftover": "restored from a backup that is gone",
    "scratch": "made for a rehearsal or a comparison, which goes on or was cut off",
}


def proof_words(proof: Proof) -> str:
    """Say that a backup is proved, and what each part took."""
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in proof.seconds.items())
    kept = f"; kept warm as {proof.kept}" if proof.kept else ""
    newer = f"; extensions of another version there: {proof.newer}" if proof.newer else ""
    return (
        f"{proof.backup} is proved: {counted(proof.rows, 'row')} in {counted(proof.tables, 'table')} restored "
        f"and equal ({spent}){kept}{newer}"
    )


def beside_words(database: Beside) -> str:
    """Say what a database beside the live one is, and what the server keeps its log for."""
    size = f"{database.bytes / MEGABYTE:.1f} MB"
    slots = f"; slots of logical replication: {', '.join(database.slots)}" if database.slots else ""
    return f"{database.name}  {size}  {KINDS[database.kind]}{slots}"


def due_words(due: Due) -> str:
    """Say what retention would remove, with the rows that would go."""
    lines = ["what goes, and does not come back:"]
    lines += [f"  {backup}  the backup" for backup in due.backups]
    for database in due.databases:
        lines.append(f"  {beside_words(database)}")
        lines += [f"    {line}" for line in _held_words(database)]
    return "\n".join(lines)


def _held_words(database: BesideDue) -> list[str]:
    if database.rows_lost is None:
        return ["its rows cannot be counted"]
    rows = counted(database.rows_lost, "row that", "rows that")
    return [
        f"{rows} the live database does not have",
        *(
            f"{table}: {counted(facts['lost'] or 0, 'row')}"
            for table, facts in database.lost.items()
        ),
        *([f"values of columns that only it has: {database.columns}"] if database.columns else []),
    ]


def restored_words(done: Restored, price: Price | None, env: str) -> str:
    """Say what a restore did, what it left behind, and what else there is to know."""
    lines = [f"{done.happened}; {done.left}"]
    lines += [
        f"  {table}: {counted(facts['lost'] or 0, 'row')}"
        for table, facts in (done.lost or {}).items()
    ]
    told, found = price.left_at_most if price else None, done.rows_lost
    if told is not None and found is not None and found > told and not done.resumed:
        lines.append(f"more than the {told} told before: written until the swap")
    lines += [f"warning: {warning}" for warning in done.warnings]
    if done.kept:
        lines.append(f"changeover db diff --env {env} shows which rows, and what came back")
    return "\n".join(lines)
