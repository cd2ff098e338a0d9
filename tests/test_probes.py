from __future__ import annotations

import pytest
from opentelemetry.util.http import ExcludeList

from otelhealth import probes

URLS = ExcludeList([probes.URL])  # what each official instrumentation makes of it


@pytest.mark.parametrize(
    "path",
    ["/health", "/health/live", "/healthz?full=1", "/metrics", "/ping/0f1e/start", "/health?x=http://shop/items"],
)
def test_a_probe_is_known_by_its_path_alone_or_in_a_url(path: str) -> None:
    assert probes.is_probed(path)
    assert all(URLS.url_disabled(f"{origin}{path}") for origin in ("", "http://shop", "https://[::1]:8443", "//shop"))


@pytest.mark.parametrize(
    "path", ["/", "/healthcare/plans", "/api/health", "/pings", "/items?from=/health", "/items?from=http://shop/health"]
)
def test_another_request_is_none(path: str) -> None:
    assert not probes.is_probed(path)
    assert not any(URLS.url_disabled(f"{origin}{path}") for origin in ("", "http://shop", "http://metrics:80"))
