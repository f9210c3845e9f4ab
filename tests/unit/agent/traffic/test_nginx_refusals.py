"""What Nginx would not load is named: a release is not blamed for another's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.agent.stage import two

if TYPE_CHECKING:
    from tests.unit.agent.conftest import Machine

NGINX = """#!/bin/sh
eval file="\\$$#"
sites=$(sed -n 's/.*include \\(.*\\)\\/\\*.conf;.*/\\1/p' "$file")
echo "nginx: [emerg] unknown directive \\"no\\" in $sites/{name}.conf:1" >&2
exit 1
"""


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("sample", "Nginx refuses the release's site", None),
        (
            "other",
            "Nginx refuses sites-enabled/other.conf, which is not of this release",
            "correct sites-enabled/other.conf on this host, or take it away, until nginx -t is green",
        ),
    ],
)
def test_a_switch_says_whose_file_nginx_refuses(
    proxied: Machine, name: str, message: str, hint: str | None
) -> None:
    _, new = two(proxied)
    (proxied.root / "bin/nginx").write_text(NGINX.format(name=name))

    failure = proxied.refuse("switch", "d2", colour=new, deadman_seconds=9, closing_seconds=0)

    assert failure["error"] == "nginx-invalid"
    assert (failure["message"], failure.get("hint")) == (message, hint)
    assert f"sites-enabled/{name}.conf:1" in failure["cause"]
