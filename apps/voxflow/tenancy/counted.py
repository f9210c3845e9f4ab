"""What Prometheus is told of tenants' versions beside `voxflow.figures`."""

from __future__ import annotations

from prometheus_client import Counter

RATE_LIMITED = Counter("voxflow_rate_limited_requests", "Requests that were too many", ["tier"])
UNCOUNTED = Counter("voxflow_uncounted_requests", "Requests let in while Redis was away")
DEPRECATED = Counter("voxflow_deprecated_requests", "Uses of deprecated routes", ["route"])
