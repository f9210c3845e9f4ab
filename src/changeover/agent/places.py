"""Where everything of one app lies on a host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SYSTEM_ROOT = Path("/")
ALLOWED_SIGNERS = "etc/changeover/allowed_signers"
HOST_RECORD = "etc/changeover/host.json"
PLATFORM_RECORD = "etc/changeover/platform.json"
INCOMING = "var/lib/changeover/incoming"
NGINX = "etc/nginx"
UNITS = "etc/systemd/system"


@dataclass(frozen=True, slots=True)
class Places:
    """The paths of one app under a root, which is ``/`` but in tests."""

    root: Path
    app: str

    @property
    def state(self) -> Path:
        """The agent's own records: journal, lease, pending switch."""
        return self.root / "var/lib/changeover" / self.app

    @property
    def releases(self) -> Path:
        """The placed colours, a directory each."""
        return self.root / "opt" / self.app / "releases"

    @property
    def environments(self) -> Path:
        """The environment files, one a colour."""
        return self.root / "etc/changeover" / self.app

    @property
    def units(self) -> Path:
        """The system's own unit files."""
        return self.root / UNITS

    @property
    def runtime(self) -> Path:
        """The sockets' directory, and the ``current`` link in it."""
        return self.root / "run" / self.app

    @property
    def current(self) -> Path:
        """The link that says which colour is live."""
        return self.runtime / "current"

    @property
    def secrets(self) -> Path:
        """Files in memory that only root reads, for as long as they are needed."""
        return self.root / "run/changeover" / self.app

    @property
    def running(self) -> Path:
        """What is at work on this host, in memory: a file for each request that changes something."""
        return self.root / "run/changeover" / f".running-{self.app}"

    @property
    def closing(self) -> Path:
        """The flag that makes every response close its connection."""
        return self.runtime / "closing"

    @property
    def maintenance(self) -> Path:
        """Where Nginx looks whether a page of maintenance is shown, and who gets through."""
        return self.runtime / "maintenance"

    @property
    def maintenance_kept(self) -> Path:
        """What that leads to, on the disk: whoever serves may pass through it, and not list it."""
        return self.root / "var/lib/changeover/.maintenance" / self.app

    @property
    def maintenance_boot(self) -> Path:
        """What makes a boot show the page again."""
        return self.root / "etc/tmpfiles.d" / f"changeover-{self.app}-maintenance.conf"

    @property
    def canary(self) -> Path:
        """The link to the buckets of clients that go to the next colour."""
        return self.runtime / "canary"

    @property
    def shares(self) -> Path:
        """The directories that ``canary`` links to, one a share."""
        return self.runtime / "shares"

    @property
    def next(self) -> Path:
        """The link to the colour that a share of the clients goes to, else to the live one."""
        return self.runtime / "next"

    @property
    def canary_log(self) -> Path:
        """What Nginx writes of requests while a share is under way."""
        return self.root / f"var/log/nginx/{self.app}-canary.log"

    @property
    def stale_site(self) -> Path:
        """Lies there while Nginx may not have read the site that is linked."""
        return self.runtime / "site-not-read"

    @property
    def site(self) -> Path:
        """The link to the live colour's Nginx site."""
        return self.root / NGINX / "sites-enabled" / f"{self.app}.conf"

    @property
    def boot(self) -> Path:
        """The record of the confirmed colour, which is also what makes a boot bring it back."""
        return self.root / "etc/tmpfiles.d" / f"changeover-{self.app}.conf"

    def release(self, colour: str) -> Path:
        """Return the directory of a placed colour."""
        return self.releases / colour

    def environment(self, colour: str) -> Path:
        """Return the environment file of a colour."""
        return self.environments / f"{colour}.env"

    def unit_name(self, process: str, colour: str) -> str:
        """Return the unit of one process of a colour."""
        return f"{self.app}-{process}@{colour}.service"

    def unit(self, process: str, colour: str) -> Path:
        """Return the unit file of one process of a colour."""
        return self.units / self.unit_name(process, colour)

    def socket(self, colour: str, name: str) -> Path:
        """Return a colour's own socket."""
        return self.runtime / colour / f"{name}.sock"

    def site_target(self, colour: str) -> str:
        """Return what the site link says for a colour, relative to its directory."""
        return f"../../../opt/{self.app}/releases/{colour}/site.conf"
