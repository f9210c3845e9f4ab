"""A lab of its own for faults, with a release live, and the settings of trials on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from tests.lab.conftest import CHECKOUT, PROVISION_SECONDS, Lab, own_lab
from tests.lab.live import APP, LIVE, LIVE_SNAPSHOT, SERVES, back_to_live, make_root

from changeover import inventory, release
from changeover.drill import declaration
from changeover.drill.trial import Setting

from . import releases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Ground:
    """A lab on which a release is live, and where faults are injected.

    Args:
        lab: The lab.
        root: The project root of its controllers: the checkout's files, and bundles of its own.
        releases: Where releases that go wrong are.
    """

    lab: Lab
    root: Path
    releases: Path

    @property
    def variables(self) -> dict[str, str]:
        """Return what controllers have in their environment."""
        return {"CHANGEOVER_ROOT": str(self.root), "CHANGEOVER_RELEASES": str(self.releases)}

    @property
    def controller(self) -> Lab:
        """Return the lab for verbs that are typed at its project root."""
        return replace(self.lab, environment=self.variables)

    def setting(self, version: str, **declared: object) -> Setting:
        """Return a trial's setting; what is declared of the load may be replaced."""
        env = str(self.lab.identity.inventory)
        environment = inventory.load(env, root=self.root)
        return Setting(
            root=self.root,
            environment=environment,
            env=env,
            app=release.load_app(self.root, APP),
            version=version,
            declared=replace(declaration.declared(environment, APP), **declared),  # type: ignore[arg-type]
            variables=self.variables,
        )


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Yield a lab of one host with 7.0.0 live, and releases that go wrong to deploy."""
    folder = tmp_path_factory.mktemp("faults")
    root = make_root(folder / "project")
    # Another lab's tests build the same bundles, and sign them with another key.
    (root / "build").unlink()
    (root / "build").mkdir()
    (CHECKOUT / "build" / "packages").mkdir(parents=True, exist_ok=True)
    (root / "build" / "packages").symlink_to(CHECKOUT / "build" / "packages")
    releases.write(CHECKOUT, folder / "releases")
    made = Ground(own_lab("faults"), root, folder / "releases")
    env = ("--env", str(made.lab.identity.inventory))
    made.lab.purge()
    try:
        made.lab.up("single")
        made.lab.changeover("provision", *env, seconds=PROVISION_SECONDS)
        made.controller.changeover("deploy", LIVE, "--yes", *env)
        made.lab.snapshot(LIVE_SNAPSHOT)
        made.lab.ssh("host1", SERVES)
        yield made
    finally:
        made.lab.purge()


@pytest.fixture
def fresh(ground: Ground) -> Ground:
    """Return the lab with its disks as they were when 7.0.0 went live."""
    back_to_live(ground.lab)
    return ground
