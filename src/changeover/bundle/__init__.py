"""Build a release into one signed file of fixed content, and check such a file."""

from changeover.bundle.building import Bundle, build, rendered
from changeover.bundle.installing import BuildFailed
from changeover.bundle.manifest import Manifest
from changeover.bundle.members import CodeUnfit
from changeover.bundle.signature import SignatureUnknown, SigningFailed
from changeover.bundle.verifying import BundleMissing, BundleTampered, verify

__all__ = [
    "BuildFailed",
    "Bundle",
    "BundleMissing",
    "BundleTampered",
    "CodeUnfit",
    "Manifest",
    "SignatureUnknown",
    "SigningFailed",
    "build",
    "rendered",
    "verify",
]
