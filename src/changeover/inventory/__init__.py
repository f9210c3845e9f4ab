"""Read an environment: its hosts in groups, its variables, and the secrets of its vault files."""

from changeover.inventory.environment import Environment
from changeover.inventory.reading import EnvironmentUnknown, load
from changeover.inventory.records import Host, Tls
from changeover.inventory.root import RootMissing, located, project_root
from changeover.inventory.variables import VariableInvalid, VariableMissing

__all__ = [
    "Environment",
    "EnvironmentUnknown",
    "Host",
    "RootMissing",
    "Tls",
    "VariableInvalid",
    "VariableMissing",
    "load",
    "located",
    "project_root",
]
