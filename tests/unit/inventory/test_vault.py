from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover.errors import InvalidInput
from changeover.inventory import VariableInvalid, VariableMissing
from changeover.inventory.vault import VaultLocked, VaultPasswordWrong

if TYPE_CHECKING:
    from tests.unit.conftest import Project


def test_a_wrong_password_is_told_with_the_file(project: Project) -> None:
    (project.root / "vault_password").write_text("guess\n")
    with pytest.raises(VaultPasswordWrong) as caught:
        _ = project.environment
    assert "does not open" in caught.value.message
    assert str(project.vault) in caught.value.hint
    assert "guess" not in str(caught.value.as_event())


def test_no_password_file_is_told_with_the_variable_to_set(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE")
    with pytest.raises(VaultLocked) as caught:
        _ = project.environment
    assert caught.value.hint == "export ANSIBLE_VAULT_PASSWORD_FILE=/path/of/the/password/file"


def test_an_empty_or_absent_password_file_is_refused(project: Project) -> None:
    (project.root / "vault_password").write_text("\n")
    with pytest.raises(VaultLocked, match="is empty"):
        _ = project.environment
    (project.root / "vault_password").unlink()
    with pytest.raises(VaultLocked, match="No such file"):
        _ = project.environment


def test_the_environment_itself_may_name_the_password_file(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE")
    with project.variables.open("a") as file:
        file.write("changeover_vault_password_file: vault_password\n")
    assert project.environment.cache_password("hello").reveal() == "cache-p@ss#word"


def test_an_executable_password_file_is_run(project: Project) -> None:
    file = project.root / "vault_password"
    file.write_text("#!/bin/sh\necho 'open sesame'\n")
    file.chmod(0o700)
    assert project.environment.cache_password("hello").reveal() == "cache-p@ss#word"


def test_a_missing_password_names_the_vault_file_to_edit(project: Project) -> None:
    project.write_vault("changeover_secrets: {hello: {TOKEN: x}}\n")
    with pytest.raises(VariableMissing) as caught:
        project.environment.database_password("hello", "app")
    assert caught.value.message == "changeover_database_passwords.hello.app is not set in demo"
    assert "ansible-vault edit inventories/demo/group_vars/all/vault.yml" in caught.value.hint


def test_a_vault_that_is_not_there_is_made(project: Project) -> None:
    (project.root / "inventories/demo/group_vars/all/vault.yml").unlink()

    with pytest.raises(VariableMissing) as caught:
        project.environment.database_password("hello", "app")

    assert "ansible-vault create inventories/demo/group_vars/all/vault.yml" in caught.value.hint


def test_a_secret_that_is_not_text_is_refused_without_showing_it(project: Project) -> None:
    project.write_vault("changeover_secrets: {hello: {TOKEN: 8675309}}\n")
    with pytest.raises(VariableInvalid, match=r"hello\.TOKEN must be text: put it in quotes") as e:
        project.environment.secrets("hello")
    assert "8675309" not in str(e.value.as_event())


@pytest.mark.parametrize("value", ["'hunter2", "*hunter2", "!!int hunter2", "!hunter2 x"])
def test_broken_yaml_in_a_vault_is_refused_without_showing_it(project: Project, value: str) -> None:
    project.write_vault(f"changeover_secrets:\n  hello:\n    TOKEN: {value}\n")
    with pytest.raises(InvalidInput, match=r"vault\.yml") as caught:
        _ = project.environment
    assert "hunter2" not in str(caught.value.as_event())


def test_template_syntax_in_a_vault_is_refused_without_showing_it(project: Project) -> None:
    project.write_vault("changeover_secrets: {hello: {TOKEN: '{{ hunter2 }}'}}\n")
    with pytest.raises(InvalidInput) as caught:
        _ = project.environment
    assert "changeover_secrets.hello.TOKEN holds template syntax" in caught.value.message
    assert "hunter2" not in str(caught.value.as_event())
