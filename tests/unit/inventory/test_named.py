"""Which environment a name means, and where a copy of the example looks for its files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from changeover import inventory
from changeover.errors import InvalidInput
from changeover.executors.provision.brought import require_certificate
from changeover.lab.identity import identify
from changeover.remote import ssh

if TYPE_CHECKING:
    from tests.unit.conftest import Project

    from changeover.inventory import Environment

CHECKOUT = Path(__file__).resolve().parents[3]


def test_an_unknown_environment_lists_those_there_are(project: Project) -> None:
    with pytest.raises(InvalidInput, match="no environment dmo, did you mean demo") as caught:
        inventory.load("dmo", root=project.root)
    assert caught.value.hint == "name one of: demo"


@pytest.mark.parametrize("named", ["", ".", ".."])
def test_no_name_is_no_environment(named: str, project: Project) -> None:
    with pytest.raises(InvalidInput, match=r"there is no environment '.*'$") as caught:
        inventory.load(named, root=project.root)
    assert caught.value.hint == "name one of: demo"


def test_the_lab_says_how_it_comes_up(project: Project) -> None:
    with pytest.raises(InvalidInput, match="the lab is not up") as caught:
        inventory.load("lab", root=project.root)
    assert caught.value.hint == "changeover lab up"


def test_the_lab_is_the_one_that_was_named(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHANGEOVER_LAB", "blue")
    monkeypatch.setenv("CHANGEOVER_LAB_STATE", str(tmp_path / "labs"))
    with pytest.raises(InvalidInput, match="the lab blue is not up") as caught:
        inventory.load("lab", root=project.root)
    assert caught.value.hint == "CHANGEOVER_LAB=blue changeover lab up"

    mine = identify(project.root).inventory
    shutil.copytree(project.root / "inventories/demo", mine)
    lab = inventory.load("lab", root=project.root)

    assert (lab.directory, lab.name) == (mine, str(mine))
    assert inventory.load(lab.name, root=project.root) == lab
    assert inventory.load("demo", root=project.root).name == "demo"


def test_an_environment_may_be_named_by_its_directory(project: Project) -> None:
    found: Environment = inventory.load(project.root / "inventories/demo")
    assert (found.name, found.root) == ("demo", project.root)


def test_the_root_is_found_from_below_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    below = project.root / "apps/hello"
    monkeypatch.chdir(below)
    assert inventory.project_root() == project.root
    monkeypatch.setenv("CHANGEOVER_ROOT", str(below))
    with pytest.raises(inventory.RootMissing, match="there is no inventories/ in it"):
        inventory.project_root()
    monkeypatch.chdir("/")
    monkeypatch.setenv("CHANGEOVER_ROOT", str(project.root))
    assert inventory.project_root() == project.root
    monkeypatch.delenv("CHANGEOVER_ROOT")
    assert inventory.project_root() == Path(__file__).parents[3]


def test_a_copy_of_the_example_reads_its_own_key_material(tmp_path: Path) -> None:
    copy = tmp_path / "inventories/production"
    shutil.copytree(CHECKOUT / "inventories/example", copy)
    environment = inventory.load("production", root=tmp_path)

    assert environment.known_hosts == copy / "known_hosts"
    assert environment.tls.certificate == copy / "tls/fullchain.pem"
    assert environment.tls.key == copy / "tls/privkey.pem"


def test_a_copy_of_the_example_says_which_files_it_lacks(tmp_path: Path) -> None:
    for name in ("playbooks", "roles"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    copy = tmp_path / "inventories/production"
    shutil.copytree(CHECKOUT / "inventories/example", copy)
    environment = inventory.load("production", root=tmp_path)

    with pytest.raises(InvalidInput) as uncertified:
        require_certificate(environment)
    with pytest.raises(InvalidInput) as unknown:
        ssh.require_access(environment)

    assert str(copy / "tls/fullchain.pem") in uncertified.value.message
    assert str(copy / "known_hosts") in unknown.value.hint
