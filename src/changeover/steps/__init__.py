"""The step kinds: what a plan is made of."""

from __future__ import annotations

from changeover.steps.back import RestoreDatabase, Revert, Undo, UndoOwn
from changeover.steps.behind_page import MaintenanceOff, MaintenanceOn, Stop
from changeover.steps.forward import (
    AskAgain,
    Backup,
    Canary,
    Confirm,
    Drain,
    Fence,
    Lock,
    Migrate,
    MigrateOwn,
    Place,
    Preflight,
    PreviewSmoke,
    Rehearse,
    RehearseOwn,
    Retire,
    Smoke,
    Start,
    Switch,
    Unfence,
    Unlock,
)
from changeover.steps.task import About, RunTask, TryTask, UndoTask, Work

__all__ = [
    "About",
    "AnyStep",
    "AskAgain",
    "Backup",
    "Canary",
    "Confirm",
    "Drain",
    "Fence",
    "Lock",
    "MaintenanceOff",
    "MaintenanceOn",
    "Migrate",
    "MigrateOwn",
    "Place",
    "Preflight",
    "PreviewSmoke",
    "Rehearse",
    "RehearseOwn",
    "RestoreDatabase",
    "Retire",
    "Revert",
    "RunTask",
    "Smoke",
    "Start",
    "Stop",
    "Switch",
    "TryTask",
    "Undo",
    "UndoOwn",
    "UndoTask",
    "Unfence",
    "Unlock",
    "Work",
]

AnyStep = (
    Preflight
    | AskAgain
    | Lock
    | Fence
    | Unfence
    | Backup
    | Rehearse
    | RehearseOwn
    | Place
    | Migrate
    | MigrateOwn
    | Start
    | TryTask
    | RunTask
    | UndoTask
    | PreviewSmoke
    | Canary
    | Switch
    | Smoke
    | Confirm
    | Drain
    | Revert
    | Undo
    | UndoOwn
    | RestoreDatabase
    | MaintenanceOn
    | MaintenanceOff
    | Stop
    | Retire
    | Unlock
)
