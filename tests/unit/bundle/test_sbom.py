from __future__ import annotations

import json

from changeover.bundle import sbom

LOCK = {
    "packages": {
        "": {"name": "hello", "version": "1.0.0"},
        "node_modules/@scope/one": {"version": "1.2.3", "integrity": "sha512-AAAA sha1-AQID"},
        "node_modules/two": {"version": "2.0.0", "license": "MIT"},
        "node_modules/two/node_modules/@scope/one": {"version": "0.9.0"},
        "node_modules/three": {"name": "real-three", "version": "3.0.0"},
        "node_modules/not-here": {"version": "1.0.0", "optional": True},
        "node_modules/link": {"resolved": "vendor/link", "link": True},
    }
}
INSTALLED = {
    "node_modules/@scope/one",
    "node_modules/two",
    "node_modules/two/node_modules/@scope/one",
    "node_modules/three",
    "node_modules/link",
}


def test_every_installed_package_is_listed_once() -> None:
    bill = json.loads(
        sbom.document("hello", "1.0.0", sbom.of_npm(json.dumps(LOCK).encode(), INSTALLED))
    )
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert [each["purl"] for each in bill["components"]] == [
        "pkg:npm/%40scope/one@1.2.3",
        "pkg:npm/real-three@3.0.0",
        "pkg:npm/two@2.0.0",
        "pkg:npm/%40scope/one@0.9.0",
    ]
    assert bill["components"][0]["hashes"] == [
        {"alg": "SHA-512", "content": "000000"},
        {"alg": "SHA-1", "content": "010203"},
    ]
    assert bill["components"][2]["licenses"] == [{"license": {"name": "MIT"}}]


def test_the_same_input_gives_the_same_bytes() -> None:
    lock = json.dumps(LOCK).encode()
    first = sbom.document("hello", "1.0.0", sbom.of_npm(lock, INSTALLED))
    assert sbom.document("hello", "1.0.0", sbom.of_npm(lock, sorted(INSTALLED))) == first
    assert sbom.document("hello", "1.0.1", sbom.of_npm(lock, INSTALLED)) != first


def test_an_app_without_packages_has_an_empty_bill() -> None:
    assert json.loads(sbom.document("hello", "1.0.0", []))["components"] == []
