"""Back up an app and go back: its database on the database host, its configuration encrypted."""

from changeover.executors.backup.configuration import open_attachment
from changeover.executors.backup.failures import (
    BackupDamaged,
    BackupDiffers,
    BackupUnknown,
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
    Price,
    Proof,
    Pruned,
    Restored,
    TablePrice,
)
from changeover.executors.backup.vault import Vault, vault_of
from changeover.executors.backup.work import (
    beside,
    create,
    due,
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
    "DiskTooSmall",
    "Due",
    "NotEncryptable",
    "NotOpened",
    "Price",
    "Proof",
    "Pruned",
    "Restored",
    "SwapRefused",
    "TablePrice",
    "Vault",
    "beside",
    "create",
    "due",
    "list_",
    "open_attachment",
    "price",
    "restore",
    "retain",
    "vault_of",
    "verify",
]
