"""Read what an app and its releases declare, and what follows from it for an environment."""

from changeover.release.app import App
from changeover.release.figures import size_bytes, version_order
from changeover.release.model import (
    Alert,
    ManualCheck,
    Process,
    Release,
    Requirement,
    Requirements,
    Site,
)
from changeover.release.problems import DeclarationInvalid
from changeover.release.reading import (
    AppUnknown,
    VersionUnknown,
    load_app,
    load_release,
    load_releases,
    versions,
)
from changeover.release.route import VersionMayNotFollow, lineage, path
from changeover.release.variables import EnvironmentDeclaration, Variable

__all__ = [
    "Alert",
    "App",
    "AppUnknown",
    "DeclarationInvalid",
    "EnvironmentDeclaration",
    "ManualCheck",
    "Process",
    "Release",
    "Requirement",
    "Requirements",
    "Site",
    "Variable",
    "VersionMayNotFollow",
    "VersionUnknown",
    "lineage",
    "load_app",
    "load_release",
    "load_releases",
    "path",
    "size_bytes",
    "version_order",
    "versions",
]
