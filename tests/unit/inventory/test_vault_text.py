"""Vault files, read without Ansible's library, are what Ansible's library wrote."""

from __future__ import annotations

import binascii
import sys
from typing import TYPE_CHECKING

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from changeover.inventory import vault_text
from changeover.inventory.vault import VaultPasswordWrong, unlock
from changeover.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "öpen sésame"
TEXTS = ("a: b\n", "", "exactly16 bytes!", "größe: 5 µ\n" * 400)


def written(text: str, vault_id: str | None = None) -> bytes:
    library = VaultLib([(vault_id or "default", VaultSecret(PASSWORD.encode()))])
    return bytes(library.encrypt(text, vault_id=vault_id))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("vault_id", [None, "production", "with a space"])
def test_what_ansible_wrote_is_read(text: str, vault_id: str | None) -> None:
    content = written(text, vault_id)

    assert vault_text.known(content)
    assert vault_text.opened(content, PASSWORD.encode()).decode() == text


def test_line_ends_of_other_systems_do_not_matter() -> None:
    content = written("a: b\n").replace(b"\n", b"\r\n")

    assert vault_text.known(content)
    assert vault_text.opened(content, PASSWORD.encode()) == b"a: b\n"


def test_another_password_and_a_changed_text_are_refused() -> None:
    content = written("token: abcdefgh\n")
    parts = [bytearray(part) for part in _parts(content)]
    with pytest.raises(vault_text.NotOpenedError):
        vault_text.opened(content, b"guess")
    for part in parts:
        part[0] ^= 1
        with pytest.raises(vault_text.NotOpenedError):
            vault_text.opened(_joined(parts), PASSWORD.encode())
        part[0] ^= 1
    assert vault_text.opened(_joined(parts), PASSWORD.encode()) == b"token: abcdefgh\n"


@pytest.mark.parametrize("rest", [b"", b"00", b"zz", b"6162\n", b"61620a6162"])
def test_what_is_no_vault_behind_its_first_line_is_refused(rest: bytes) -> None:
    with pytest.raises(vault_text.NotOpenedError):
        vault_text.opened(b"$ANSIBLE_VAULT;1.1;AES256\n" + rest, PASSWORD.encode())


@pytest.mark.parametrize("first", ["2.0;AES256", "1.1;CHACHA", "1.0;AES", ""])
def test_another_format_is_left_to_ansible(tmp_path: Path, first: str) -> None:
    file = tmp_path / "vault.yml"
    file.write_bytes(f"$ANSIBLE_VAULT;{first}\n00\n".encode())

    assert not vault_text.known(file.read_bytes())
    with pytest.raises(VaultPasswordWrong):
        unlock(file, Secret(PASSWORD))


def test_ansible_is_not_loaded_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "vault.yml"
    file.write_bytes(written("token: abcdefgh\n"))
    monkeypatch.setitem(sys.modules, "ansible.parsing.vault", None)

    found = unlock(file, Secret(PASSWORD))

    assert found.data == {"token": "abcdefgh"}


def _parts(content: bytes) -> list[bytes]:
    inner = binascii.unhexlify(b"".join(content.splitlines()[1:]))
    return [binascii.unhexlify(part) for part in inner.split(b"\n")]


def _joined(parts: list[bytearray]) -> bytes:
    inner = b"\n".join(binascii.hexlify(part) for part in parts)
    return b"$ANSIBLE_VAULT;1.1;AES256\n" + binascii.hexlify(inner)
