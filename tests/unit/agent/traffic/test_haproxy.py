"""What HAProxy says of its servers, as version 2.6 said it on a lab host, and what it reads back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from changeover.agent.failure import ActionError
from changeover.agent.traffic import haproxy

if TYPE_CHECKING:
    from tests.unit.agent.conftest import Machine

ROLE = Path(__file__).resolve().parents[4] / "roles" / "balancer"
SAID = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
5 https 1 app1 10.65.18.31 2 0 1 1 26 15 3 4 6 0 0 0 - 443 - 0 443 - - 443
5 https 2 app2 10.65.18.32 0 1 1 1 0 15 3 0 14 0 0 0 - 443 - 0 443 - - 443
5 https 3 app3 10.65.18.33 2 0 1 1 0 15 3 2 6 0 0 0 - 443 - 0 443 - - 443
5 https 4 app2-unhealthy 10.65.18.32 0 1 1 1 0 1 0 0 0 0 0 0 - 443 - 0 0 - - 0
"""


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy, "ask", lambda *_: SAID.strip())


def test_a_host_is_its_server_and_the_one_of_last_resort(tmp_path: Path) -> None:
    found = haproxy.of_hosts(tmp_path, {"app2"})

    assert [each.path for each in found] == ["https/app2", "https/app2-unhealthy"]
    assert all(each.fenced for each in found)
    with pytest.raises(ActionError, match="has no server app9"):
        haproxy.of_hosts(tmp_path, {"app9"})


def test_a_server_is_well_once_a_check_has_passed_since_it_came_into_use(tmp_path: Path) -> None:
    well = {each.name: each.well for each in haproxy.servers(tmp_path)}

    assert well == {"app1": True, "app2": False, "app3": False, "app2-unhealthy": False}


def test_what_is_fenced_and_nothing_else_is_written_where_the_role_has_it_read(
    tmp_path: Path,
) -> None:
    (tmp_path / haproxy.KEPT).parent.mkdir(parents=True)

    haproxy.keep(tmp_path, {"app1", "app2"})

    kept = (tmp_path / haproxy.KEPT).read_text().splitlines()
    assert kept == ["1", SAID.splitlines()[1], SAID.splitlines()[3], SAID.splitlines()[5]]
    named = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__balancer_fenced"]
    assert named == f"/{haproxy.KEPT}"
    template = (ROLE / "templates/etc/haproxy/haproxy.cfg.j2").read_text()
    assert "server-state-file {{ __balancer_fenced }}" in template
    assert "load-server-state-from-file global" in template


def test_a_host_that_another_app_fenced_is_kept_out_and_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def ask(_: Path, command: str) -> str:
        told.append(command)
        stat = "# pxname,svname,scur"
        return {"show servers state": SAID.strip(), "show stat": stat}.get(command, "")

    monkeypatch.setattr(haproxy, "ask", ask)
    (machine.root / haproxy.KEPT).parent.mkdir(parents=True)
    machine.do("fence", servers=["app2"], why="it does not answer")
    other = machine.root / "var/lib/changeover/sample-api"
    other.mkdir()
    (other / "fenced.json").write_text('{"app2": {"since": "then"}}')

    freed = machine.do("unfence", servers=["app2"])

    assert (freed["unfenced"], freed["kept"]) == (["app2"], ["app2"])
    assert "set server https/app2 state ready" not in told
    assert machine.do("state")["fenced"] == {}
