from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.unit.conftest import make_key

from changeover import inventory
from changeover.errors import InvalidInput
from changeover.executors import preflight
from changeover.executors.provision.command import process_environment
from changeover.inventory import VariableInvalid, VariableMissing
from changeover.release.model import Requirements
from changeover.secret import Secret

if TYPE_CHECKING:
    from tests.unit.conftest import Project

CHECKOUT = Path(__file__).resolve().parents[3]


def refused(project: Project) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        inventory.load("demo", root=project.root)
    return caught.value


def test_hosts_are_in_their_groups_in_the_order_of_the_file(project: Project) -> None:
    environment = project.environment
    assert [host.name for host in environment.hosts] == ["one", "two", "three"]
    assert [host.name for host in environment.hosts_in("app")] == ["one", "two"]
    assert environment.hosts_in("monitoring") == ()
    assert (environment.host("two").address, environment.host("two").port) == ("192.0.2.12", 2222)
    assert environment.host("one").groups == ("app", "lb")
    with pytest.raises(VariableInvalid, match="demo has no host four; it has one, two, three"):
        environment.host("four")


def test_the_contract_s_variables_have_typed_answers(project: Project) -> None:
    environment = project.environment
    assert environment.apps == ("hello",)
    assert environment.deploy_user == "deploy"
    assert environment.deploy_key == project.root / "keys/deploy"
    assert environment.public_url("hello") == "https://hello.example"
    assert environment.private_network == ipaddress.ip_network("192.0.2.0/24")
    assert environment.public_address == "192.0.2.11"
    assert environment.database_address == "192.0.2.13"
    assert environment.tls.mode == "files"
    assert environment.tls.key == project.root / "keys/privkey.pem"
    assert environment.backup_identity is None
    assert environment.settings("hello")["WORKERS"] == 3
    assert environment.settings("other") == {}
    assert environment.secrets("hello") == {"OLD_TOKEN": Secret('tok/en with "quotes" & more')}
    assert environment.database_password("hello", "owner").reveal() == "owner-p@ss/word"
    assert environment.cache_password("hello").reveal() == "cache-p@ss#word"


def test_no_secret_shows_itself(project: Project) -> None:
    environment = project.environment
    shown = f"{environment!r} {environment.variables} {environment.hosts[0].variables}"
    secrets = [secret.reveal() for secret in environment.all_secrets()]
    assert len(secrets) == 4
    assert not [secret for secret in secrets if secret in shown]


def test_closer_groups_and_the_host_itself_win(project: Project) -> None:
    group_vars = project.root / "inventories/demo/group_vars"
    (group_vars / "all/zz.yml").write_text("colour: all\nshape: all\n")
    (group_vars / "app").mkdir()
    (group_vars / "app/x.yml").write_text("colour: app\nshape: app\nsize: app\n")
    (group_vars / "lb.yml").write_text("size: lb\n")
    project.host_settings("one").write_text("colour: one\n")
    one = project.environment.host("one").variables
    assert (one["colour"], one["shape"], one["size"]) == ("one", "app", "lb")
    assert project.environment.host("three").variables["colour"] == "all"


def test_a_child_group_wins_over_its_parent(project: Project) -> None:
    hosts = project.root / "inventories/demo/hosts.yml"
    hosts.write_text(
        "all:\n  children:\n    zone:\n      vars: {place: zone}\n      children:\n"
        "        app:\n          vars: {place: app}\n          hosts: {one: {}}\n"
    )
    one = project.environment.host("one")
    assert one.groups == ("zone", "app")
    assert one.variables["place"] == "app"


@pytest.mark.parametrize(
    ("old", "new", "said", "next_step"),
    [
        ("[hello]", '["{{ app }}"]', "main.yml:2: changeover_apps.0 holds template", "main.yml:2"),
        (
            "changeover_signing_key",
            "changeover_singing_key",
            "changeover_singing_key: unknown variable, did you mean changeover_signing_key?",
            "main.yml",
        ),
        ("changeover_apps: [hello]\n", "", "changeover_apps is not set in demo", "main.yml"),
        ("changeover_apps: [hello]", "changeover_apps: hello", "must be a list", "main.yml"),
        (
            "changeover_settings:",
            "changeover_secrets: {}\nchangeover_settings:",
            "changeover_secrets stands there unencrypted",
            "ansible-vault encrypt inventories/demo/group_vars/all/main.yml",
        ),
    ],
)
def test_a_variable_that_cannot_be_used_names_the_file_to_edit(
    project: Project, old: str, new: str, said: str, next_step: str
) -> None:
    project.edit(project.variables, old, new)
    error = refused(project)
    assert said in error.message
    assert next_step in error.hint
    assert error.exit_code == 2


def test_a_variable_of_the_whole_environment_cannot_be_set_for_a_group(project: Project) -> None:
    file = project.root / "inventories/demo/group_vars/app.yml"
    file.write_text("changeover_deploy_user: other\n")
    assert "is set for app, and it holds for the whole environment" in refused(project).message


@pytest.mark.parametrize(
    ("line", "ask", "said"),
    [
        ("changeover_deploy_key: keys/deploy\n", "deploy_key", "changeover_deploy_key is not set"),
        ("changeover_signers: []\n", "signers", "changeover_signers is not set"),
        ("changeover_private_network: 192.0.2.0/24\n", "private_network", "is not set in demo"),
    ],
)
def test_a_missing_variable_is_told_when_it_is_needed(
    project: Project, line: str, ask: str, said: str
) -> None:
    project.edit(project.variables, line, "")
    with pytest.raises(VariableMissing, match=said) as caught:
        getattr(project.environment, ask)
    assert "edit inventories/demo/group_vars/all/main.yml" in caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("192.0.2.0/24", "192.0.2.7/24", "has host bits set"),
        ("192.0.2.0/24", "12", "it must be text"),
    ],
)
def test_a_network_that_is_none_is_refused(project: Project, old: str, new: str, said: str) -> None:
    project.edit(project.variables, old, new)
    with pytest.raises(VariableInvalid, match=said):
        _ = project.environment.private_network


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{mode: acme}", "mode is lab-ca or files"),
        ("{mode: files, certificate: x}", r"changeover_tls\.key is not set"),
        ("{mode: files, certificat: x}", "unknown key certificat"),
    ],
)
def test_certificates_have_to_come_from_somewhere(project: Project, value: str, said: str) -> None:
    old = "{mode: files, certificate: keys/fullchain.pem, key: keys/privkey.pem}"
    project.edit(project.variables, old, value)
    with pytest.raises(InvalidInput, match=said):
        _ = project.environment.tls


def test_a_database_host_outside_the_private_network_is_refused(project: Project) -> None:
    hosts = project.root / "inventories/demo/hosts.yml"
    project.edit(hosts, "          changeover_private_address: 192.0.2.13\n", "")
    environment = project.environment
    with pytest.raises(VariableInvalid, match=r"198\.51\.100\.3 is not an address in the private"):
        _ = environment.database_address


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("all: {hosts: {}, childern: {}}", "childern: unknown key, did you mean children?"),
        ("all: {hosts: [one]}", "all.hosts: must be a mapping"),
        ("all: {hosts: {'web[1:3]': {}}}", "ranges are not read"),
        ("all: {hosts: {one: {ansible_port: '22'}}}", "ansible_port a number"),
    ],
)
def test_a_hosts_file_that_is_none_is_refused(project: Project, text: str, said: str) -> None:
    (project.root / "inventories/demo/hosts.yml").write_text(f"{text}\n")
    assert said in refused(project).message


def test_the_vault_s_password_may_lie_beside_the_hosts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE")
    place = project.root / "inventories/demo/password"
    (project.root / "vault_password").rename(place)
    text = project.variables.read_text()
    project.variables.write_text(f"{text}changeover_vault_password_file: ./password\n")

    assert project.environment.cache_password("hello").reveal() == "cache-p@ss#word"
    assert process_environment(project.environment, {})["ANSIBLE_VAULT_PASSWORD_FILE"] == str(place)


def test_preflight_refuses_a_recipient_that_no_backup_could_be_encrypted_to(
    project: Project,
) -> None:
    make_key(project.root / "keys", "deploy")
    (project.root / "keys/known_hosts").write_text("")
    old = "changeover_backup_recipients: []"
    project.edit(project.variables, old, "changeover_backup_recipients: [age1bogus]")

    with pytest.raises(VariableInvalid, match="age1bogus is not an age recipient") as caught:
        preflight.apply(project.environment, "hello", Requirements(), None, print)

    assert "inventories/demo/group_vars/all/main.yml" in caught.value.hint


@pytest.mark.parametrize(
    ("group", "variable", "keeper"),
    [
        (False, "", None),
        (False, "changeover_physical_backups: true\n", "three"),
        (True, "", "four"),
        (True, "changeover_physical_backups: false\n", None),
    ],
)
def test_the_repository_is_where_the_group_says_else_with_the_database(
    project: Project, variable: str, keeper: str | None, *, group: bool
) -> None:
    hosts = project.root / "inventories/demo/hosts.yml"
    document = yaml.safe_load(hosts.read_text())
    if group:
        keeper_host = {"hosts": {"four": {"ansible_host": "192.0.2.14"}}}
        document["all"]["children"]["backup"] = keeper_host
    hosts.write_text(yaml.safe_dump(document))
    project.variables.write_text(project.variables.read_text() + variable)

    found = project.environment.repository_host

    assert (found.name if found else None) == keeper
