"""Which requests ask whether a service is well instead of using it: by their path, or by who sends them."""

from __future__ import annotations

import re

PATH = r"/(?:healthz?|metrics|ping)(?:[/?]|$)"
URL = rf"^(?:[^/]*//[^/?]*)?{PATH}"  # as the official instrumentations' `excluded_urls` want it
_PATH = re.compile(PATH)
_AGENTS = (
    *(b"otelhealth/", b"kube-probe/", b"Prometheus/", b"Blackbox Exporter", b"ELB-HealthChecker/", b"GoogleHC/"),
    *(b"Consul Health Check", b"Envoy/HC", b"Uptime-Kuma/", b"Gatus/"),
)


def is_probed(path: str) -> bool:
    """`/health`, `/healthz`, `/metrics`, `/ping` and what lies below; with or without a query."""
    return _PATH.match(path) is not None


def is_prober(agent: bytes) -> bool:
    """Whether a User-Agent is that of a health check."""
    return agent.startswith(_AGENTS)
