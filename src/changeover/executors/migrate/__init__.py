"""Run a release's SQL migrations on its database, once each, and undo them.

Truth is in the ledger inside the database: a run that was killed is continued by running it again.
"""

from changeover.executors.migrate.adoption.adopt import adopt, began, examine
from changeover.executors.migrate.adoption.baseline import Baseline
from changeover.executors.migrate.adoption.proof import Proof
from changeover.executors.migrate.observation import Observed, Observer
from changeover.executors.migrate.preview import StatementPreview, TargetPreview, preview
from changeover.executors.migrate.run import MigrateOutcome, apply, revert
from changeover.executors.migrate.server import ServerFacts, probe
from changeover.executors.migrate.status import MigrationStatus, fence, pending, status

__all__ = [
    "Baseline",
    "MigrateOutcome",
    "MigrationStatus",
    "Observed",
    "Observer",
    "Proof",
    "ServerFacts",
    "StatementPreview",
    "TargetPreview",
    "adopt",
    "apply",
    "began",
    "examine",
    "fence",
    "pending",
    "preview",
    "probe",
    "revert",
    "status",
]
