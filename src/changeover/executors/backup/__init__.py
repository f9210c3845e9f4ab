"""Back up an app and go back: its database on the database host, its configuration encrypted."""

from changeover.executors.backup.configuration import open_attachment
from changeover.executors.backup.cost import Price, TablePrice
from changeover.executors.backup.difference import Difference, TableDifference
from changeover.executors.backup.failures import (
    BackupDamaged,
    BackupDiffers,
    BackupUnknown,
    DatabaseUnknown,
    DiskTooSmall,
    NotEncryptable,
    NotOpened,
    SwapRefused,
)
from changeover.executors.backup.records import (
    Backup,
    Beside,
    BesideDue,
    Due,
    Proof,
    Pruned,
    Restored,
    newest_before,
    newest_taken,
)
from changeover.executors.backup.vault import Vault, vault_of
from changeover.executors.backup.work import (
    beside,
    create,
    diff,
    due,
    estimate,
    list_,
    price,
    restore,
    retain,
    verify,
)

__all__ = [
    "Backup",
    "BackupDamaged",
    "BackupDiffers",
    "BackupUnknown",
    "Beside",
    "BesideDue",
    "DatabaseUnknown",
    "Difference",
    "DiskTooSmall",
    "Due",
    "NotEncryptable",
    "NotOpened",
    "Price",
    "Proof",
    "Pruned",
    "Restored",
    "SwapRefused",
    "TableDifference",
    "TablePrice",
    "Vault",
    "beside",
    "create",
    "diff",
    "due",
    "estimate",
    "list_",
    "newest_before",
    "newest_taken",
    "open_attachment",
    "price",
    "restore",
    "retain",
    "vault_of",
    "verify",
]
