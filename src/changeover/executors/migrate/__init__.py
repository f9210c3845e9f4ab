"""Run a release's SQL migrations on its database, once each, and undo them.

Truth is in the ledger inside the database: a run that was killed is continued by running it again.
"""

from typing import TYPE_CHECKING

from changeover import lazily
from changeover.executors.migrate.preview import StatementPreview, TargetPreview, preview
from changeover.executors.migrate.status import MigrationStatus, fence, pending, standing, status

if TYPE_CHECKING:
    from changeover.executors.migrate.adoption.adopt import adopt, began, examine
    from changeover.executors.migrate.adoption.baseline import Baseline
    from changeover.executors.migrate.adoption.proof import Proof
    from changeover.executors.migrate.backfill.foresight import foresee
    from changeover.executors.migrate.coexisting import Coexisting
    from changeover.executors.migrate.data.preconditions import Answer, answered
    from changeover.executors.migrate.data.results import Before
    from changeover.executors.migrate.observation import Observed, Observer
    from changeover.executors.migrate.old_version import Did, OldVersionFails, as_old_version
    from changeover.executors.migrate.own.checks import own_noted, own_red, own_taken, own_told
    from changeover.executors.migrate.own.turn import (
        Begun,
        Ended,
        How,
        OwnRow,
        OwnState,
        OwnTurn,
        full,
        own_rows,
        own_turn,
    )
    from changeover.executors.migrate.rehearsals import (
        Measured,
        Met,
        Rehearsals,
        Undo,
        recall,
        remember,
    )
    from changeover.executors.migrate.rows_that_break import broken
    from changeover.executors.migrate.run import MigrateOutcome, apply, revert
    from changeover.executors.migrate.server import ServerFacts, probe
    from changeover.executors.migrate.superseding import supersede
    from changeover.executors.migrate.tasks.turn import (
        TaskBegun,
        TaskEnded,
        TaskRow,
        TaskState,
        TaskTurn,
        task_rows,
        task_turn,
    )
else:
    __getattr__ = lazily.names(
        __name__,
        {
            "adoption.adopt": ("adopt", "began", "examine"),
            "adoption.baseline": ("Baseline",),
            "adoption.proof": ("Proof",),
            "backfill.foresight": ("foresee",),
            "coexisting": ("Coexisting",),
            "data.preconditions": ("Answer", "answered"),
            "data.results": ("Before",),
            "observation": ("Observed", "Observer"),
            "old_version": ("Did", "OldVersionFails", "as_old_version"),
            "own.checks": ("own_noted", "own_red", "own_taken", "own_told"),
            "own.turn": (
                "Begun",
                "Ended",
                "How",
                "OwnRow",
                "OwnState",
                "OwnTurn",
                "full",
                "own_rows",
                "own_turn",
            ),
            "rehearsals": ("Measured", "Met", "Rehearsals", "Undo", "recall", "remember"),
            "rows_that_break": ("broken",),
            "run": ("MigrateOutcome", "apply", "revert"),
            "server": ("ServerFacts", "probe"),
            "superseding": ("supersede",),
            "tasks.turn": (
                "TaskBegun",
                "TaskEnded",
                "TaskRow",
                "TaskState",
                "TaskTurn",
                "task_rows",
                "task_turn",
            ),
        },
    )

__all__ = [
    "Answer",
    "Baseline",
    "Before",
    "Begun",
    "Coexisting",
    "Did",
    "Ended",
    "How",
    "Measured",
    "Met",
    "MigrateOutcome",
    "MigrationStatus",
    "Observed",
    "Observer",
    "OldVersionFails",
    "OwnRow",
    "OwnState",
    "OwnTurn",
    "Proof",
    "Rehearsals",
    "ServerFacts",
    "StatementPreview",
    "TargetPreview",
    "TaskBegun",
    "TaskEnded",
    "TaskRow",
    "TaskState",
    "TaskTurn",
    "Undo",
    "adopt",
    "answered",
    "apply",
    "as_old_version",
    "began",
    "broken",
    "examine",
    "fence",
    "foresee",
    "full",
    "own_noted",
    "own_red",
    "own_rows",
    "own_taken",
    "own_told",
    "own_turn",
    "pending",
    "preview",
    "probe",
    "recall",
    "remember",
    "revert",
    "standing",
    "status",
    "supersede",
    "task_rows",
    "task_turn",
]
