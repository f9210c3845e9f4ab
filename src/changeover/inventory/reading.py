"""Load an environment from its directory: hosts, group and host variables, vault files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from changeover.document import Document, dotted, read, suggestion
from changeover.errors import InvalidInput
from changeover.inventory.environment import Environment
from changeover.inventory.hosts import read_tree
from changeover.inventory.records import Host
from changeover.inventory.root import LAB_VARIABLE, named_lab, near, project_root
from changeover.inventory.variables import SECRET_VARIABLES, VariableInvalid
from changeover.inventory.vault import is_vault, password_reader, sealed, unlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from changeover.inventory.hosts import Tree
    from changeover.secret import Secret

TEMPLATE_MARKS = ("{{", "{%", "{#")
# these may differ from host to host; all others hold for the whole environment
HOST_VARIABLES = frozenset(
    {"changeover_settings", "changeover_secrets", "changeover_private_address"}
)
KNOWN_VARIABLES = (
    SECRET_VARIABLES
    | HOST_VARIABLES
    | {
        "changeover_apps",
        "changeover_backup_identity",
        "changeover_backup_recipients",
        "changeover_bake_window",
        "changeover_canary",
        "changeover_companions",
        "changeover_controller_address",
        "changeover_deploy_key",
        "changeover_deploy_public_key",
        "changeover_deploy_user",
        "changeover_drill",
        "changeover_known_hosts",
        "changeover_physical_backups",
        "changeover_place_at_once",
        "changeover_private_network",
        "changeover_public_address",
        "changeover_public_names",
        "changeover_signers",
        "changeover_signing_key",
        "changeover_tls",
        "changeover_topology",
        "changeover_unreachable",
        "changeover_vault_password_file",
    }
)
LAB = "lab"


class EnvironmentUnknown(InvalidInput):
    """There is no such environment."""


class TemplateInVariable(InvalidInput):
    """A value holds template syntax, and values are plain."""


class VariableUnknown(InvalidInput):
    """A ``changeover_`` variable that nothing reads."""


class SecretUnencrypted(InvalidInput):
    """Secrets stand in a file that is not encrypted."""


class VariableMisplaced(InvalidInput):
    """A variable of the whole environment is set for a group or a host."""


@dataclass(slots=True)
class _Scope:
    """What one group or host says, and in which file it says it."""

    variables: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)

    def add(self, variables: dict[str, Any], file: Path) -> None:
        self.variables |= variables
        self.files |= dict.fromkeys(variables, file)


def load(name_or_path: str | Path, *, root: Path | None = None) -> Environment:
    """Read an environment by its name in ``inventories/`` or by its directory.

    ``lab`` is the lab that ``CHANGEOVER_LAB`` names, where it names one.

    Raises:
        EnvironmentUnknown: There is no such directory, or no hosts.yml in it.
        DocumentInvalid: A file is not plain YAML.
        TemplateInVariable, VariableUnknown, VariableMisplaced, SecretUnencrypted: A variable
            cannot be used as it stands.
        VaultLocked, VaultPasswordWrong: A vault file cannot be opened.
    """
    directory, root = _locate(str(name_or_path), root)
    hosts_file = directory / "hosts.yml"
    if not hosts_file.is_file():
        raise _without_hosts(directory, hosts_file)
    document = read(hosts_file)
    _refuse_templates(document)
    tree = read_tree(document)
    scopes = _Reader(directory, root, tree).scopes()
    everywhere = scopes["all"]
    if not everywhere.variables.get("changeover_apps"):
        file = near(directory / "group_vars" / "all" / "main.yml", root)
        raise VariableInvalid(
            f"changeover_apps is not set in {directory.name}",
            hint=f"list the apps of the environment as changeover_apps in {file}",
        )
    environment = Environment(
        name=_name(directory, root),
        directory=directory,
        root=root,
        hosts=tuple(_host(name, tree, scopes, document) for name in tree.hosts),
        variables=everywhere.variables,
        files=everywhere.files,
    )
    _ = environment.apps
    return environment


def _name(directory: Path, root: Path) -> str:
    """Return what ``--env`` takes for a directory: its name in inventories/, else its path."""
    return directory.name if directory.parent == root / "inventories" else str(directory)


def _locate(named: str, root: Path | None) -> tuple[Path, Path]:
    path = Path(named).expanduser()
    if "/" in named:
        directory = path.resolve()
        root = root or project_root(directory if directory.is_dir() else None)
    else:
        root = root or project_root()
        directory = root / "inventories" / named
    root = root.resolve()
    lab = named_lab()
    if named == LAB and lab is not None:
        if not (lab / "hosts.yml").is_file():
            raise EnvironmentUnknown(
                f"the lab {lab.parent.name} is not up: there is no {lab}/hosts.yml",
                hint=f"{LAB_VARIABLE}={lab.parent.name} changeover lab up",
            )
        return lab, root
    nameless = named in {"", ".", ".."}
    if not nameless and (directory.is_dir() or (directory.parent.is_dir() and named == LAB)):
        return directory, root
    known = sorted(each.name for each in (root / "inventories").glob("*") if each.is_dir())
    raise EnvironmentUnknown(
        f"there is no environment {repr(named) if nameless else named}{suggestion(named, known)}",
        hint=f"name one of: {', '.join(known)}" if known else f"create {directory}",
    )


def _without_hosts(directory: Path, hosts_file: Path) -> EnvironmentUnknown:
    if directory.name == LAB:
        return EnvironmentUnknown("the lab is not up", hint="changeover lab up")
    return EnvironmentUnknown(
        f"{directory.name} has no hosts.yml", hint=f"write the hosts down in {hosts_file}"
    )


@dataclass(slots=True)
class _Reader:
    """Reads the variable files of one environment, vault files last."""

    directory: Path
    root: Path
    tree: Tree

    def scopes(self) -> dict[str, _Scope]:
        """Return what each group and each host says; hosts under ``host <name>``."""
        found = {name: _Scope() for name in self.tree.groups}
        found |= {f"host {name}": _Scope() for name in self.tree.hosts}
        inventory = self.directory / "hosts.yml"
        for name, group in self.tree.groups.items():
            self._check(group.variables, inventory, name, encrypted=False)
            found[name].add(group.variables, inventory)
        for name, variables in self.tree.hosts.items():
            self._check(variables, inventory, f"host {name}", encrypted=False)
            found[f"host {name}"].add(variables, inventory)
        files = [
            (scope, file)
            for scope, place in self._places()
            for file in _variable_files(self.directory / place)
        ]
        plain = {file: read(file) for _, file in files if not is_vault(file)}
        everywhere = found["all"].variables | {
            key: value
            for scope, file in files
            if scope == "all" and file in plain
            for key, value in plain[file].data.items()
        }
        password = password_reader(everywhere, self.directory, self.root)
        for scope, file in files:
            found[scope].add(self._variables(file, scope, plain.get(file), password), file)
        return found

    def _places(self) -> list[tuple[str, str]]:
        groups = [(name, f"group_vars/{name}") for name in self.tree.groups]
        return groups + [(f"host {name}", f"host_vars/{name}") for name in self.tree.hosts]

    def _variables(
        self,
        file: Path,
        scope: str,
        document: Document | None,
        password: Callable[[Path], Secret],
    ) -> dict[str, Any]:
        encrypted = document is None
        opened = unlock(file, password(file)) if document is None else document
        _refuse_templates(opened)
        self._check(opened.data, file, scope, encrypted=encrypted)
        if not encrypted:
            return opened.data
        return {key: sealed(value) for key, value in opened.data.items()}

    def _check(self, variables: dict[str, Any], file: Path, scope: str, *, encrypted: bool) -> None:
        shown = near(file, self.root)
        for name in variables:
            if not name.startswith("changeover_"):
                continue
            if name not in KNOWN_VARIABLES:
                raise VariableUnknown(
                    f"{shown}: {name}: unknown variable{suggestion(name, KNOWN_VARIABLES)}",
                    hint=f"correct or remove {name} in {shown}",
                )
            if name in SECRET_VARIABLES and not encrypted:
                raise SecretUnencrypted(
                    f"{shown}: {name} stands there unencrypted",
                    hint=f"move it to a vault file beside it, or: ansible-vault encrypt {shown}",
                )
            if scope != "all" and name not in HOST_VARIABLES:
                raise VariableMisplaced(
                    f"{shown}: {name} is set for {scope}, and it holds for the whole environment",
                    hint=f"move {name} to {near(self.directory, self.root)}/group_vars/all/",
                )


def _variable_files(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(
            file
            for file in place.iterdir()
            if file.suffix in {".yml", ".yaml"} and not file.name.startswith(".")
        )
    single = (place.with_name(f"{place.name}{suffix}") for suffix in (".yml", ".yaml"))
    return [file for file in single if file.is_file()][:1]


def _refuse_templates(document: Document) -> None:
    for keys, text in document.texts():
        if any(mark in text for mark in TEMPLATE_MARKS):
            place = document.place(keys)
            raise TemplateInVariable(
                f"{place}: {dotted(keys)} holds template syntax; values are plain",
                hint=f"write the value itself in {place}",
            )


def _host(name: str, tree: Tree, scopes: dict[str, _Scope], document: Document) -> Host:
    groups = tree.groups_of(name)
    merged: dict[str, Any] = {}
    for scope in (*groups, f"host {name}"):
        merged |= scopes[scope].variables
    address, port = merged.get("ansible_host", name), merged.get("ansible_port", 22)
    if not isinstance(address, str) or not isinstance(port, int) or isinstance(port, bool):
        raise VariableInvalid(
            f"{document.path}: {name}: ansible_host is text and ansible_port a number",
            hint=f"correct {name} in {document.path}",
            host=name,
        )
    return Host(name, address, port, tuple(group for group in groups if group != "all"), merged)
