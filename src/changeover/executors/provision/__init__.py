"""Bring hosts to their platform state with Ansible, or tell what that would change."""

from changeover.executors.provision.brought import CertificateUnusable
from changeover.executors.provision.events import (
    HostCounts,
    HostsUnreachable,
    NotRoot,
    Provisioned,
    TaskFailed,
)
from changeover.executors.provision.run import (
    LimitUnknown,
    ProvisioningBroken,
    ProvisioningHung,
    provision,
)

__all__ = [
    "CertificateUnusable",
    "HostCounts",
    "HostsUnreachable",
    "LimitUnknown",
    "NotRoot",
    "Provisioned",
    "ProvisioningBroken",
    "ProvisioningHung",
    "TaskFailed",
    "provision",
]
