"""What the site of a release says, wherever it runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from changeover import release
from changeover.bundle import rendered

CHECKOUT = Path(__file__).resolve().parents[2]
VERSIONS = ("6.0.0", "7.0.0", "8.0.0")
HEADERS = (
    "Strict-Transport-Security",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "Referrer-Policy",
)
each_version = pytest.mark.parametrize("version", VERSIONS)


def site(version: str) -> str:
    app = release.load_app(CHECKOUT, "nox-api")
    return rendered(CHECKOUT, app, release.load_release(CHECKOUT, "nox-api", version))["site.conf"]


def servers(text: str) -> tuple[str, str]:
    plain, secure = re.split(r"(?m)^server \{", text)[1:]
    return plain, secure


def locations(server: str) -> dict[str, str]:
    found = re.findall(r"(?ms)^    location ([^{]+) \{\n(.*?)^    \}", server)
    return dict(found)


@each_version
def test_nothing_of_an_environment_stands_in_it(version: str) -> None:
    text = site(version)

    assert not re.search(r"\d+\.\d+\.\d+\.\d+|server_name|ssl_certificate|listen \d", text)
    assert re.findall(r"include (\S+);", text) == [
        "/etc/nginx/changeover/nox-api/listen_http.conf",
        "/etc/nginx/changeover/nox-api/listen_https.conf",
    ]


@each_version
def test_it_names_no_version_so_that_an_equal_site_needs_no_reload(version: str) -> None:
    assert version not in site(version)


@each_version
def test_every_upstream_is_a_socket_of_a_client_s_colour_without_keepalive(version: str) -> None:
    text = site(version)

    assert set(re.findall(r"proxy_pass (\S+);", text)) <= {
        "http://unix:/run/nox-api/current/http.sock",
        "http://unix:${nox_api_colour}http.sock",
        "http://unix:${nox_api_colour}ws.sock",
    }
    assert set(re.findall(r"set \$nox_api_colour (\S+);", text)) == {
        "/run/nox-api/current/",
        "/run/nox-api/next/",
    }
    assert not re.search(r"^\s*keepalive ", text, re.MULTILINE)
    assert text.count("proxy_next_upstream off;") >= 1


def test_headers_of_version_8_hold_in_every_location() -> None:
    _, secure = servers(site("8.0.0"))
    outside = re.sub(r"(?ms)^    location .*?^    \}", "", secure)

    for header in HEADERS:
        assert f"add_header {header} " in outside
    for name, body in locations(secure).items():
        # A location with a header of its own inherits none.
        if "add_header" in body:
            for header in HEADERS:
                assert f"add_header {header} " in body, name


def test_plain_http_of_version_8_is_sent_on_with_its_method() -> None:
    plain, _ = servers(site("8.0.0"))

    assert "proxy_pass" not in plain
    assert locations(plain)["/"].strip() == "return 308 https://$host$request_uri;"


def test_plain_http_of_version_7_is_served_without_a_promise_of_tls() -> None:
    plain, secure = servers(site("7.0.0"))

    assert "proxy_pass" in locations(plain)["/"]
    assert "Strict-Transport-Security" not in plain
    # Browsers that saw version 8 come back by TLS only.
    assert "proxy_pass" in locations(secure)["/"]


def test_only_what_is_on_the_path_of_websockets_may_be_silent_for_long() -> None:
    _, secure = servers(site("8.0.0"))

    long = {name for name, body in locations(secure).items() if "86400s" in body}

    assert long == {"= /ws", "@closing_websocket"}
    assert "proxy_set_header Upgrade $http_upgrade;" in locations(secure)["= /ws"]


def test_a_health_check_leaves_no_line_in_the_log() -> None:
    _, secure = servers(site("8.0.0"))

    assert "access_log off;" in locations(secure)["= /health"]


@each_version
def test_a_health_check_asks_the_colour_that_serves_the_host(version: str) -> None:
    _, secure = servers(site(version))

    assert "unix:/run/nox-api/current/http.sock;" in locations(secure)["= /health"]


def test_static_files_are_those_of_a_client_s_colour_and_set_no_cookie() -> None:
    _, secure = servers(site("8.0.0"))

    assert "root ${nox_api_colour}static;" in locations(secure)["^~ /static/"]
    # A cache between would give one client's bucket to everybody.
    assert "Set-Cookie" not in locations(secure)["^~ /static/"]
    assert "immutable" in locations(secure)["^~ /static/"]


@each_version
def test_while_closing_every_server_ends_its_connections(version: str) -> None:
    for server in servers(site(version)):
        assert "if (-e /run/nox-api/closing)" in server
        found = {n: body for n, body in locations(server).items() if n.startswith("@closing")}
        assert found
        assert all("keepalive_timeout 0;" in body for body in found.values())


def test_a_path_means_itself_while_connections_close() -> None:
    app, found = (
        release.load_app(CHECKOUT, "nox-api"),
        release.load_release(CHECKOUT, "nox-api", "8.0.0"),
    )
    assert found.nginx
    assert found.nginx.websocket
    path = "/live(v2)|a.b*?"
    proxy = found.nginx.websocket.model_copy(update={"path": path})
    nginx = found.nginx.model_copy(update={"websocket": proxy})

    text = rendered(CHECKOUT, app, found.model_copy(update={"nginx": nginx}))["site.conf"]

    asked = re.search(r"_closing ~ (\^yes/live\S+)\) \{", text)
    assert asked
    assert re.search(asked[1], f"yes{path}")
    assert not re.search(asked[1], "yes/livev2")
