"""SSH to one host: a verified connection.

Host keys are never learned in passing: a host that is not in the environment's known hosts, or that
shows another key than the one recorded there, is refused before anything is sent.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from typing import TYPE_CHECKING, Any

from changeover.errors import InvalidInput
from changeover.remote.failures import HostKeyChanged, HostUnreachable, SignInRefused
from changeover.remote.traffic import METER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from changeover.errors import CheckRed
    from changeover.inventory import Environment, Host

CONNECT_SECONDS = 10
# A host that acknowledges nothing for so long is gone: the kernel would wait for a quarter of an hour.
DEAD_PEER_MILLISECONDS = 30_000

# What a command keeps open is found here by what tunnels through it, which knows no fleet.
_shared: dict[tuple[str, int, str, str], Any] = {}


class AccessUnreadable(InvalidInput):
    """A file that the deploy user signs in with is missing, or is not what it must be."""


@contextlib.contextmanager
def connection(environment: Environment, host: Host) -> Iterator[Any]:
    """Open one verified SSH connection as the deploy user and close it afterwards.

    Raises:
        AccessUnreadable: The deploy key or the recorded host keys cannot be read here.
        HostUnreachable: The host does not answer in ten seconds.
        HostKeyChanged: Its key is not the recorded one.
        SignInRefused: The deploy key is not accepted.
    """
    import paramiko  # noqa: PLC0415 - 160 ms that only commands with hosts should pay

    # its thread tells every end of a connection, ours included, and failures are told by us
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    require_access(environment)
    opened = _unopened(environment, host)
    try:
        opened.open()
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise _not_opened(environment, host, error) from error
    connected = opened.transport.sock
    METER.opened(host.name, connected)
    try:
        opened.transport.set_keepalive(10)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MILLISECONDS)
        # What is asked in several small packets, a database session above all, would wait 40 ms for each.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield opened
    finally:
        METER.ended(connected)
        opened.close()


def share(environment: Environment, host: Host, opened: Any) -> None:  # noqa: ANN401 - fabric's
    """Let tunnels to a host use a connection that its sessions keep, as long as it is open."""
    _shared[_way(environment, host)] = opened


def unshare(opened: Any) -> None:  # noqa: ANN401 - fabric's
    """Let no further tunnel use a connection."""
    for way in [way for way, each in _shared.items() if each is opened]:
        del _shared[way]


def _way(environment: Environment, host: Host) -> tuple[str, int, str, str]:
    return host.address, host.port, environment.deploy_user, str(environment.deploy_key)


@contextlib.contextmanager
def borrowed(environment: Environment, host: Host) -> Iterator[Any]:
    """Give the connection that sessions keep to a host, or one of its own where there is none.

    Raises:
        AccessUnreadable, HostUnreachable, HostKeyChanged, SignInRefused: As `connection` does.
    """
    kept = _shared.get(_way(environment, host))
    if kept is not None and _answers(kept):
        yield kept
        return
    with connection(environment, host) as opened:
        yield opened


def _answers(opened: Any) -> bool:  # noqa: ANN401 - fabric's
    """Tell whether the other end of a connection is there still: one that is lost looks open."""
    import paramiko  # noqa: PLC0415

    try:
        opened.transport.open_session(timeout=CONNECT_SECONDS).close()
    except (OSError, EOFError, AttributeError, paramiko.SSHException):
        return False
    return True


def dismiss(channel: Any) -> None:  # noqa: ANN401 - paramiko's, untyped by fabric
    """Close a channel; one whose connection is lost is closed already, whatever it had carried."""
    import paramiko  # noqa: PLC0415

    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        channel.close()


def require_access(environment: Environment) -> None:
    """Raise unless the deploy key and the recorded host keys can be read on this machine.

    Raises:
        AccessUnreadable: One of them cannot; the hint names the file to write.
    """
    import paramiko  # noqa: PLC0415 - 160 ms that only commands with hosts should pay

    known_hosts = environment.known_hosts
    try:
        paramiko.HostKeys(str(known_hosts))
    except (OSError, ValueError) as error:
        place = f"changeover_known_hosts in {environment.file_of('changeover_known_hosts')}"
        raise AccessUnreadable(
            f"the recorded host keys {known_hosts} {_unread(error)}",
            hint=f"write the host keys into {known_hosts} ({place})",
            cause=str(error),
        ) from error
    if fault := _key_fault(environment.deploy_key):
        place = f"changeover_deploy_key in {environment.file_of('changeover_deploy_key')}"
        raise AccessUnreadable(
            f"the deploy key {environment.deploy_key} {fault}",
            hint=f"write the deploy user's private key into {environment.deploy_key} ({place})",
        )


def _key_fault(file: Path) -> str | None:
    """Return why a file is no private key that can be used unattended, or ``None``."""
    import paramiko  # noqa: PLC0415

    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            kind.from_private_key_file(str(file))
        except paramiko.PasswordRequiredException:
            return "asks for a passphrase, and nobody is there to type it"
        except OSError as error:
            return _unread(error)
        except (paramiko.SSHException, ValueError):
            continue
        return None
    return "is not an SSH private key"


def _unread(error: Exception) -> str:
    return "is not there" if isinstance(error, FileNotFoundError) else "cannot be read"


def _unopened(environment: Environment, host: Host) -> Any:  # noqa: ANN401 - fabric's, untyped
    import fabric  # noqa: PLC0415 - 160 ms that only commands with hosts should pay
    import paramiko  # noqa: PLC0415

    made = fabric.Connection(
        host.address,
        user=environment.deploy_user,
        port=host.port,
        config=fabric.Config(overrides={"load_ssh_configs": False}),
        connect_timeout=CONNECT_SECONDS,
        connect_kwargs={
            "key_filename": str(environment.deploy_key),
            "look_for_keys": False,
            "allow_agent": False,
            "banner_timeout": CONNECT_SECONDS,
            "auth_timeout": CONNECT_SECONDS,
        },
    )
    made.client.load_host_keys(str(environment.known_hosts))
    made.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    return made


def _not_opened(environment: Environment, host: Host, error: Exception) -> CheckRed:
    import paramiko  # noqa: PLC0415

    where, known_hosts = f"{host.name} ({host.address})", environment.known_hosts
    cause = str(error) or type(error).__name__
    if isinstance(error, paramiko.BadHostKeyException):
        return HostKeyChanged(
            f"the host key of {where} is not the recorded one",
            hint=f"find out why it changed; if it is right, correct its line in {known_hosts}",
            host=host.name,
            cause=cause,
        )
    if isinstance(error, paramiko.AuthenticationException):
        return SignInRefused(
            f"{host.name} refuses the key of user {environment.deploy_user}",
            hint=f"changeover provision --env {environment.name} --limit {host.name}",
            host=host.name,
            cause=cause,
        )
    if "not found in known_hosts" in cause:
        return HostKeyChanged(
            f"the host key of {where} is not recorded",
            hint=f"add the host's key to {known_hosts} after comparing it on its console",
            host=host.name,
            cause=cause,
        )
    return HostUnreachable(
        f"{host.name} ({host.address}:{host.port}) does not answer SSH",
        hint="start the host or correct its address in the inventory, then run this again",
        host=host.name,
        cause=cause,
    )
