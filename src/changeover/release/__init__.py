"""Read what an app and its releases declare, and what follows from it for an environment."""

from changeover.release.app import App
from changeover.release.difference import Change, diff
from changeover.release.figures import size_bytes, version_order
from changeover.release.migrator import Migrator
from changeover.release.model import (
    Alert,
    ManualCheck,
    Process,
    Release,
    Requirement,
    Requirements,
    Site,
)
from changeover.release.pack import Pack, PackUnknown, load_pack
from changeover.release.precondition import Precondition
from changeover.release.problems import DeclarationInvalid
from changeover.release.reading import (
    AppUnknown,
    VersionUnknown,
    load_app,
    load_release,
    load_releases,
    versions,
)
from changeover.release.route import VersionMayNotFollow, lineage, path, versions_between
from changeover.release.tasks import Task, TaskRun
from changeover.release.values import (
    Problem,
    Value,
    Values,
    ValuesInvalid,
    environment_values,
    resolve,
)
from changeover.release.variables import EnvironmentDeclaration, Variable

__all__ = [
    "Alert",
    "App",
    "AppUnknown",
    "Change",
    "DeclarationInvalid",
    "EnvironmentDeclaration",
    "ManualCheck",
    "Migrator",
    "Pack",
    "PackUnknown",
    "Precondition",
    "Problem",
    "Process",
    "Release",
    "Requirement",
    "Requirements",
    "Site",
    "Task",
    "TaskRun",
    "Value",
    "Values",
    "ValuesInvalid",
    "Variable",
    "VersionMayNotFollow",
    "VersionUnknown",
    "diff",
    "environment_values",
    "lineage",
    "load_app",
    "load_pack",
    "load_release",
    "load_releases",
    "path",
    "resolve",
    "size_bytes",
    "version_order",
    "versions",
    "versions_between",
]
