"""Back up an app and go back: its database on the database host, its configuration encrypted."""

from typing import TYPE_CHECKING

from changeover import lazily

if TYPE_CHECKING:
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
        RestoredBefore,
        SwapRefused,
        SwapUnknown,
    )
    from changeover.executors.backup.records import (
        Backup,
        Beside,
        BesideDue,
        Due,
        Listing,
        Proof,
        Pruned,
        Unfinished,
        newest_before,
        newest_taken,
    )
    from changeover.executors.backup.restored import Restored
    from changeover.executors.backup.vault import Vault, vault_of
    from changeover.executors.backup.work import (
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
else:
    __getattr__ = lazily.names(
        __name__,
        {
            "configuration": ("open_attachment",),
            "cost": ("Price", "TablePrice"),
            "difference": ("Difference", "TableDifference"),
            "failures": (
                "BackupDamaged",
                "BackupDiffers",
                "BackupUnknown",
                "DatabaseUnknown",
                "DiskTooSmall",
                "NotEncryptable",
                "NotOpened",
                "RestoredBefore",
                "SwapRefused",
                "SwapUnknown",
            ),
            "records": (
                "Backup",
                "Beside",
                "BesideDue",
                "Due",
                "Listing",
                "Proof",
                "Pruned",
                "Unfinished",
                "newest_before",
                "newest_taken",
            ),
            "restored": ("Restored",),
            "vault": ("Vault", "vault_of"),
            "work": (
                "create",
                "diff",
                "due",
                "estimate",
                "list_",
                "price",
                "restore",
                "retain",
                "verify",
            ),
        },
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
    "Listing",
    "NotEncryptable",
    "NotOpened",
    "Price",
    "Proof",
    "Pruned",
    "Restored",
    "RestoredBefore",
    "SwapRefused",
    "SwapUnknown",
    "TableDifference",
    "TablePrice",
    "Unfinished",
    "Vault",
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
