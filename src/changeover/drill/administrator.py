"""Root on a host, by the administrator that provisioning uses; asked for before it is needed.

The connection is opened before the deployment begins, so that a fault strikes within its step.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from changeover.errors import ChangeoverError, CheckRed, Failed
from changeover.executors.verify import access

if TYPE_CHECKING:
    from changeover.inventory import Environment, Host

SECONDS = 120.0
DONE = "changeover-drill-done"
ALIVE = ("-o", "ConnectTimeout=5", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=2")
# Differs from boot to boot, in a container as well.
BOOT = "systemctl show --property=UserspaceTimestamp --value"
BOOT_SECONDS = 300.0
PAUSE_SECONDS = 1.0


class AdministratorAbsent(CheckRed):
    """There is no administrator on this controller for a host, or it is not let in."""


class FaultNotInjected(Failed):
    """What was to be done to a host could not be done."""


class Administrator:
    """A root shell on one host, for as long as the block runs.

    Args:
        environment: Its environment.
        host: The host.
    """

    def __init__(self, environment: Environment, host: Host) -> None:
        self._environment = environment
        self._host = host
        self._folder = tempfile.TemporaryDirectory(prefix="changeover-drill-")
        self._shell: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Open the shell.

        Raises:
            AdministratorAbsent: It cannot be opened.
        """
        user, _ = access.administrator(self._environment, self._host)
        config = Path(self._folder.name) / "ssh_config"
        config.write_text(access.ssh_config(self._environment, Path(self._folder.name)))
        become = [] if user == "root" else ["sudo", "-n"]
        self._shell = subprocess.Popen(
            ["ssh", "-F", str(config), *ALIVE, f"{self._host.name}-admin", *become, "sh"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            if self.run("id -u").strip() == "0":
                return self
        except FaultNotInjected as error:
            self.__exit__()
            raise self._absent(error.cause) from error
        self.__exit__()
        raise self._absent("it is not root")

    def run(self, script: str) -> str:
        """Run a shell script as root and return what it printed.

        Raises:
            FaultNotInjected: It ended with another status than 0, or did not end.
        """
        shell = self._shell
        if shell is None or shell.stdin is None or shell.stdout is None:
            raise self._failed("the connection is not open")
        late = threading.Timer(SECONDS, shell.kill)
        late.start()
        said: list[str] = []
        try:
            shell.stdin.write(f"( set -e\n{script}\n) 2>&1 </dev/null; echo {DONE} $?\n")
            shell.stdin.flush()
            for line in shell.stdout:
                if line.startswith(DONE):
                    if line.split()[1] != "0":
                        break
                    return "".join(said)
                said.append(line)
        except OSError as error:
            said.append(str(error))
        finally:
            late.cancel()
        raise self._failed("".join(said))

    def boot(self) -> str:
        """Return what names this boot of the host."""
        return self.run(BOOT).strip()

    def __exit__(self, *_: object) -> None:
        """Close the shell."""
        if self._shell is not None:
            self._shell.kill()
            self._shell.communicate()
            self._shell = None
        self._folder.cleanup()

    def _absent(self, cause: str | None) -> AdministratorAbsent:
        return AdministratorAbsent(
            f"the administrator of {self._host.name} cannot be used",
            hint="give this controller ansible_user and ansible_ssh_private_key_file of the inventory,"
            " or leave out the faults that need an administrator: changeover drill --list",
            host=self._host.name,
            cause=cause,
        )

    def _failed(self, cause: str) -> FaultNotInjected:
        return FaultNotInjected(
            f"the fault could not be injected on {self._host.name}",
            hint="read the cause, then run the drill again",
            host=self._host.name,
            cause=cause.strip()[-2000:],
        )


def await_boot(environment: Environment, host: Host, before: str) -> None:
    """Wait until a host that was told to reboot has booted.

    Args:
        environment: Its environment.
        host: The host.
        before: What named the boot that it was told in.

    Raises:
        FaultNotInjected: It did not come back.
    """
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        try:
            with Administrator(environment, host) as shell:
                if shell.boot() != before:
                    shell.run("systemctl is-system-running --wait || true")
                    return
        except ChangeoverError:
            pass
        time.sleep(PAUSE_SECONDS)
    raise FaultNotInjected(
        f"{host.name} did not come back within {BOOT_SECONDS:.0f} s of its reboot",
        hint=f"start it, then changeover status --env {environment.name}",
        host=host.name,
    )
