from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from changeover.lab.identity import (
    LabNameInvalid,
    SubnetsTaken,
    free_subnet,
    identify,
    name_of,
    subnets,
)

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CHANGEOVER_LAB", "CHANGEOVER_LAB_STATE", "CHANGEOVER_LAB_CACHE"):
        monkeypatch.delenv(name, raising=False)


def test_checkouts_of_the_same_name_have_different_labs() -> None:
    assert name_of(Path("/a/Change Over")) != name_of(Path("/b/Change Over"))
    assert name_of(Path("/a/Change Over")).startswith("change-over-")


def test_a_lab_of_the_checkout_writes_the_checkout_s_inventory() -> None:
    lab = identify(CHECKOUT / "src")
    assert lab.checkout == CHECKOUT
    assert lab.inventory == CHECKOUT / "inventories/lab"


def test_a_named_lab_keeps_its_inventory_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANGEOVER_LAB", "second")
    lab = identify(CHECKOUT)
    assert lab.inventory == Path("/var/lib/changeover-lab/second/inventory")


def test_the_kernel_takes_the_links_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANGEOVER_LAB", "x" * 31)
    lab = identify(CHECKOUT)
    assert len(lab.bridge) <= 15
    assert len(f"vb-{lab.machine('app1')}") <= 15


@pytest.mark.parametrize("name", ["../etc", "a b", "Upper", "x" * 32, "-x", "a,b", "a:b"])
def test_a_name_that_could_leave_its_directory_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHANGEOVER_LAB", name)
    with pytest.raises(LabNameInvalid):
        identify(CHECKOUT)


def test_a_subnet_in_use_is_passed_over() -> None:
    favourite = next(subnets("00000005"))
    assert free_subnet("00000005", []) == favourite
    wide = favourite.supernet(new_prefix=16)
    assert not free_subnet("00000005", [wide]).overlaps(wide)


def test_a_machine_that_routes_all_of_ten_has_no_subnet_left() -> None:
    with pytest.raises(SubnetsTaken):
        free_subnet("00000005", [IPv4Network("10.0.0.0/8")])
