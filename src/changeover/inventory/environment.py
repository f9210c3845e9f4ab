"""An environment as the rest of the package sees it: typed answers, secrets wrapped."""

from __future__ import annotations

import dataclasses
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from changeover.inventory.conduct import Conduct
from changeover.inventory.records import Host, Tls
from changeover.inventory.root import near
from changeover.inventory.variables import (
    VariableInvalid,
    VariableMissing,
    Variables,
    secrets_in,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from changeover.secret import Secret

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One directory of ``inventories/``.

    Args:
        name: What ``--env`` takes: its name in ``inventories/``, or its path where it lies elsewhere.
        directory: The directory.
        root: The project root; relative paths in variables start there, but for those with ``./``.
        hosts: Its hosts in the order of hosts.yml.
        variables: What holds for every host (group ``all``). Vault texts are ``Secret``.
        files: The file that each of these variables was last set in.
    """

    name: str
    directory: Path
    root: Path
    hosts: tuple[Host, ...]
    variables: Mapping[str, Any] = field(repr=False, hash=False, compare=False)
    files: Mapping[str, Path] = field(repr=False, hash=False, compare=False)

    # -- hosts

    def hosts_in(self, group: str) -> tuple[Host, ...]:
        """Return the hosts of a group, in the order of hosts.yml; none for an unknown group."""
        return tuple(host for host in self.hosts if group in host.groups)

    def host(self, name: str) -> Host:
        """Return one host by its name."""
        for host in self.hosts:
            if host.name == name:
                return host
        names = ", ".join(host.name for host in self.hosts)
        raise VariableInvalid(
            f"{self.name} has no host {name}; it has {names}", hint="name one of these hosts"
        )

    def private_address(self, host: Host) -> str:
        """Return a host's address in the private network.

        It is the host's ``changeover_private_address``, else the address that SSH uses where that
        one lies inside the private network.
        """
        value = host.variables.get("changeover_private_address")
        address = value if isinstance(value, str) else host.address
        try:
            if ipaddress.ip_address(address) in self.private_network:
                return address
        except ValueError:
            pass
        file = near(self.directory / "hosts.yml", self.root)
        raise VariableInvalid(
            f"{host.name}: {address} is not an address in the private network"
            f" {self.private_network}",
            hint=f"set changeover_private_address for {host.name} in {file}",
            host=host.name,
        )

    @property
    def database_address(self) -> str:
        """Return the private address of the database host."""
        return self.private_address(self._first("db"))

    @property
    def cache_address(self) -> str:
        """Return the private address of the cache host."""
        return self.private_address(self._first("cache"))

    @property
    def public_address(self) -> str:
        """Return where users' connections arrive.

        That is ``changeover_public_address``, else the balancer, else the first app host.
        """
        value = self.variables.get("changeover_public_address")
        if isinstance(value, str):
            return value
        return self._first("lb" if self.hosts_in("lb") else "app").address

    # -- access

    @property
    def apps(self) -> tuple[str, ...]:
        """Return the names of the apps that live here."""
        return self._variables.texts("changeover_apps")

    @property
    def deploy_user(self) -> str:
        """Return the user that connects to hosts; ``deploy`` unless set."""
        return self._variables.text("changeover_deploy_user", "deploy")

    @property
    def deploy_key(self) -> Path:
        """Return the private SSH key of the deploy user."""
        return self._variables.path("changeover_deploy_key")

    @property
    def known_hosts(self) -> Path:
        """Return the file with the recorded host keys."""
        return self._variables.path("changeover_known_hosts")

    @property
    def signing_key(self) -> Path:
        """Return the private key that signs bundles."""
        return self._variables.path("changeover_signing_key")

    @property
    def signers(self) -> tuple[str, ...]:
        """Return the public keys whose bundles this environment's hosts accept."""
        return self._variables.texts("changeover_signers")

    @property
    def backup_recipients(self) -> tuple[str, ...]:
        """Return the age recipients that secret backup members are encrypted to."""
        return self._variables.texts("changeover_backup_recipients")

    def require_recipients(self) -> None:
        """Raise where a backup recipient is set that nothing can be encrypted to.

        Raises:
            VariableInvalid: With the recipient and the file it stands in.
        """
        import pyrage  # noqa: PLC0415 - only what makes a backup needs it

        name = "changeover_backup_recipients"
        for text in self.backup_recipients if name in self.variables else ():
            try:
                pyrage.x25519.Recipient.from_str(text)
            except pyrage.RecipientError:
                problem = f"{text} is not an age recipient (age1...)"
                raise self._variables.invalid(name, problem) from None

    @property
    def backup_identity(self) -> Path | None:
        """Return the age identity that opens them, where this controller has it."""
        if self.variables.get("changeover_backup_identity") is None:
            return None
        return self._variables.path("changeover_backup_identity")

    @property
    def conduct(self) -> Conduct:
        """Return how deployments are gone about here."""
        return Conduct(self._variables)

    @property
    def balancers(self) -> tuple[Host, ...]:
        """Return the hosts that do nothing but balance: users can be kept from an app host there."""
        return tuple(host for host in self.hosts_in("lb") if "app" not in host.groups)

    @property
    def lease_hosts(self) -> tuple[Host, ...]:
        """Return the hosts that hold the lease: those that run the app or its database, or balance it."""
        kept = {host.name for host in self.balancers}
        return tuple(
            host for host in self.hosts if {"app", "db"} & set(host.groups) or host.name in kept
        )

    def without(self, names: Collection[str]) -> Environment:
        """Return the environment without these hosts."""
        left = tuple(host for host in self.hosts if host.name not in names)
        return dataclasses.replace(self, hosts=left)

    @property
    def repository_host(self) -> Host | None:
        """Return the host that keeps the physical backups; ``None`` where there are none.

        That is the first of group ``backup``; without one and with ``changeover_physical_backups``,
        the database's own.
        """
        name = "changeover_physical_backups"
        wanted = self.variables.get(name, bool(self.hosts_in("backup")))
        if not isinstance(wanted, bool):
            raise self._variables.invalid(name, "it is true or false")
        hosts = (*self.hosts_in("backup"), *self.hosts_in("db"))
        return hosts[0] if wanted and hosts else None

    # -- network

    def public_name(self, app: str) -> str:
        """Return the DNS name that users reach the app by."""
        value = self._variables.mapping("changeover_public_names").get(app)
        if isinstance(value, str):
            return value
        raise self._variables.missing("changeover_public_names", f"changeover_public_names.{app}")

    def public_url(self, app: str) -> str:
        """Return the URL that users reach the app by, without a slash at its end."""
        return f"https://{self.public_name(app)}"

    @property
    def private_network(self) -> Network:
        """Return the network that database and cache listen in."""
        text = self._variables.text("changeover_private_network")
        try:
            return ipaddress.ip_network(text)
        except ValueError as error:
            raise self._variables.invalid("changeover_private_network", str(error)) from None

    @property
    def tls(self) -> Tls:
        """Return where certificates come from."""
        known = ("mode", "ca_certificate", "ca_key", "certificate", "key")
        value = self._variables.mapping("changeover_tls")
        if unknown := sorted(set(value) - set(known)):
            raise self._variables.invalid("changeover_tls", f"unknown key {unknown[0]}")
        mode = value.get("mode")
        if mode not in ("lab-ca", "files"):
            raise self._variables.invalid("changeover_tls", "mode is lab-ca or files")
        needed = ("ca_certificate", "ca_key") if mode == "lab-ca" else ("certificate", "key")
        paths = {key: self._variables.as_path(value[key]) for key in known[1:] if value.get(key)}
        if absent := [key for key in needed if key not in paths]:
            raise self._variables.missing("changeover_tls", f"changeover_tls.{absent[0]}")
        return Tls(mode, **paths)

    # -- values of apps

    def settings(self, app: str, host: Host | None = None) -> dict[str, Any]:
        """Return the app's plain environment values, as they stand in YAML."""
        return self._of_app("changeover_settings", app, host)

    def secrets(self, app: str, host: Host | None = None) -> dict[str, Secret]:
        """Return the app's secret environment values."""
        values = self._of_app("changeover_secrets", app, host)
        return {
            name: self._variables.secret(f"changeover_secrets.{app}.{name}", value)
            for name, value in values.items()
        }

    def database_password(self, app: str, role: Literal["owner", "app"]) -> Secret:
        """Return the password of the app's owner role (DDL) or of its app role."""
        value = self._of_app("changeover_database_passwords", app).get(role)
        return self._variables.secret(f"changeover_database_passwords.{app}.{role}", value)

    def cache_password(self, app: str) -> Secret:
        """Return the password of the app's cache user."""
        passwords = self._variables.mapping("changeover_cache_passwords", {})
        return self._variables.secret(f"changeover_cache_passwords.{app}", passwords.get(app))

    def all_secrets(self) -> tuple[Secret, ...]:
        """Return every secret that a vault file holds, for the sink that redacts them."""
        scopes = [self.variables, *(host.variables for host in self.hosts)]
        return tuple({secret for scope in scopes for secret in secrets_in(scope)})

    def file_of(self, variable: str) -> Path:
        """Return the file to edit for a variable, relative to the root where it lies inside."""
        return self._variables.file_of(variable)

    def editing(self, variable: str) -> str:
        """Return the command or the words that open the file to edit for a variable."""
        return self._variables.editing(variable)

    @property
    def _variables(self) -> Variables:
        return Variables(self.name, self.directory, self.root, self.variables, self.files)

    def _first(self, group: str) -> Host:
        hosts = self.hosts_in(group)
        if hosts:
            return hosts[0]
        file = near(self.directory / "hosts.yml", self.root)
        raise VariableMissing(
            f"{self.name} has no host in group {group}", hint=f"add one to {group} in {file}"
        )

    def _of_app(self, variable: str, app: str, host: Host | None = None) -> dict[str, Any]:
        scope = self.variables if host is None else host.variables
        value = scope.get(variable) or {}
        inner = value.get(app) or {} if isinstance(value, dict) else value
        if not isinstance(inner, dict):
            raise self._variables.invalid(
                variable, f"it maps {app} to a mapping of names to values"
            )
        return inner
