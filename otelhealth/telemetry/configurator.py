"""The SDK of an instrumented program, made as OpenTelemetry's own distribution makes it, from `OTEL_*`."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk._configuration import _OTelSDKConfigurator


class Configurator(_OTelSDKConfigurator):
    """Entry point `opentelemetry_configurator`. Its base is private, but that of opentelemetry-distro too."""

    def _configure(self, **kwargs: Any) -> None:
        super()._configure(**kwargs)  # type: ignore[no-untyped-call]  # the SDK's own class
