"""Root on a host, by the administrator that provisioning uses; asked for before it is needed.

The connection is opened before the deployment begins, so that a fault strikes within its step.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

from changeover.errors import CheckRed, Failed
from changeover.executors.verify import access

if TYPE_CHECKING:
    from changeover.inventory import Environment, Host

SECONDS = 120.0
DONE = "changeover-drill-done"
ALIVE = ("-o", "ConnectTimeout=5", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=2")


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
