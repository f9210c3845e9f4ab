"""App hosts: Nginx, certificates, and the colour that users see."""

# ruff: noqa: S101 - asserts are what a check is made of
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from changeover.executors.testinfra_suite.conftest import Server

GROUPS = ("app",)
CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


def test_nginx_runs_and_comes_back_after_a_boot(server: Server) -> None:
    """Nginx is active and enabled."""
    assert server.unit("nginx") == "active enabled"


def test_nginx_listens_on_the_webs_ports(server: Server) -> None:
    """Ports 80 and 443 are served."""
    ports = {line.split()[3].rpartition(":")[2] for line in server.output("ss -Htln").splitlines()}

    assert {"80", "443"} <= ports


def test_nginx_configuration_is_valid(root: Server) -> None:
    """What lies in /etc/nginx would load again."""
    ran = root.look.run("nginx -t")

    assert ran.rc == 0, ran.stderr


def test_certificate_is_public_and_its_key_is_not(server: Server) -> None:
    """Everyone reads the certificate; nobody but root's group reads its key."""
    for app in server.apps:
        folder = f"/etc/ssl/changeover/{app}"
        assert server.mode(f"{folder}/fullchain.pem") == "root:root 644"
        owner, mode = server.mode(f"{folder}/privkey.pem").split()
        assert owner in {"root:root", "root:ssl-cert"}
        assert mode in {"600", "640", "400", "440"}
        assert not server.succeeds(f"test -r {folder}/privkey.pem")


def test_certificate_and_key_belong_together(root: Server) -> None:
    """The key is the certificate's own."""
    for app in root.apps:
        folder = f"/etc/ssl/changeover/{app}"
        public = root.output(f"openssl x509 -in {folder}/fullchain.pem -noout -pubkey")
        assert public == root.output(f"openssl pkey -in {folder}/privkey.pem -pubout")


def test_certificate_is_valid_and_made_out_to_the_public_name(server: Server) -> None:
    """The certificate names the public name and lasts another week."""
    for app, known in server.apps.items():
        file = f"/etc/ssl/changeover/{app}/fullchain.pem"
        assert server.succeeds(f"openssl x509 -in {file} -noout -checkend 604800")
        said = server.output(f"openssl x509 -in {file} -noout -checkhost {known['public_name']}")
        assert "does match" in said


def test_only_nginx_and_the_app_reach_the_sockets(server: Server) -> None:
    """The app has a user of its own; Nginx is in its group and the deploy user is not."""
    for known in server.apps.values():
        user = known["user"]
        assert server.output(f"id -Gn {user}") == user
        assert user in server.output("id -Gn www-data").split()
        shell = server.output(f"getent passwd {user}").split(":")[6]
        assert shell.endswith(("nologin", "false"))


def test_releases_belong_to_root(server: Server) -> None:
    """No release's code can be changed by the app that runs it."""
    for app in server.apps:
        assert server.mode(f"/opt/{app}/releases") == "root:root 755"
        assert server.output(f"find /opt/{app}/releases ! -user root -o -type f -perm /022") == ""


def test_live_colour_is_whole(server: Server) -> None:
    """The live colour's code is there and all its units run."""
    for app in server.apps:
        colour = server.colour(app)
        if colour is None:
            continue
        assert server.look.file(f"/opt/{app}/releases/{colour}").is_directory
        units = server.output(
            f"systemctl list-units --plain --no-legend --no-pager --all '{app}-*@{colour}.service'"
        )
        states = {line.split()[0]: line.split()[2] for line in units.splitlines()}
        assert states
        assert set(states.values()) == {"active"}


def test_nothing_but_the_live_colour_starts_at_boot(server: Server) -> None:
    """The enabled units are those of the live colour, and so is the link that a boot makes."""
    for app in server.apps:
        colour = server.colour(app)
        listed = server.output(
            "systemctl list-unit-files --plain --no-legend --no-pager --state=enabled"
            f" '{app}-*@*.service' || true"
        )
        enabled = {line.split()[0].partition("@")[2] for line in listed.splitlines()}
        assert enabled == ({f"{colour}.service"} if colour else set())
        boot = server.look.file(f"/etc/tmpfiles.d/changeover-{app}.conf")
        assert boot.exists == (colour is not None)
        if colour:
            assert f"/run/{app}/current - - - - {colour}" in boot.content_string


def test_units_are_confined(server: Server) -> None:
    """Every running unit of an app runs as its user and can write nothing but its own places."""
    for app, known in server.apps.items():
        units = server.output(
            f"systemctl list-units --plain --no-legend --no-pager --state=active '{app}-*@*.service'"
        )
        for unit in (line.split()[0] for line in units.splitlines()):
            shown = server.output(
                f"systemctl show {unit} -p User -p NoNewPrivileges -p ProtectSystem"
                " -p CapabilityBoundingSet -p PrivateTmp"
            )
            settings = dict(line.partition("=")[::2] for line in shown.splitlines())
            assert settings["User"] == known["user"]
            assert settings["NoNewPrivileges"] == "yes"
            assert settings["ProtectSystem"] == "strict"
            assert settings["PrivateTmp"] == "yes"
            assert settings["CapabilityBoundingSet"] == ""


def test_sockets_are_closed_to_others(root: Server) -> None:
    """Only the app and Nginx can open the live colour's sockets, and each accepts connections."""
    for app, known in root.apps.items():
        colour = root.colour(app)
        if colour is None:
            continue
        found = root.output(f"find /run/{app}/{colour}/ -type s -printf '%f %U:%G %m\\n'")
        assert found
        for line in found.splitlines():
            name, _, mode = line.split()
            assert mode[-1] == "0", f"{name} is open to everyone: {mode}"
            assert root.output(f"stat -c %G /run/{app}/{colour}/{name}") == known["user"]
            assert root.succeeds(f"python3 -c {CONNECT!r} /run/{app}/{colour}/{name}"), name
