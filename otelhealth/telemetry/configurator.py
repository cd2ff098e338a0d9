"""The SDK of an instrumented program, from `OTEL_*`: the agent's providers, or those that the SDK makes by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.sdk._configuration import _OTelSDKConfigurator

_provide: list[Callable[[], bool]] = []


def use(provide: Callable[[], bool]) -> None:
    """Let `provide` set the providers of this process, or say (False) that it does not."""
    _provide[:] = [provide]


class Configurator(_OTelSDKConfigurator):
    """Entry point `opentelemetry_configurator`. Its base is private, but that of opentelemetry-distro too."""

    def _configure(self, **kwargs: Any) -> None:
        if not any(provide() for provide in _provide):
            super()._configure(**kwargs)  # type: ignore[no-untyped-call]  # the SDK's own class
