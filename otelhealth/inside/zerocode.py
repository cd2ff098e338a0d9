"""A Python program that is instrumented without a line of its own: below `otelhealth exec`."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from importlib.util import find_spec
from pathlib import Path

from otelhealth.inside.defaults import set_defaults
from otelhealth.inside.marks import INSTRUMENTED, leave
from otelhealth.inside.servers import AsgiInstrumentor
from otelhealth.telemetry.configurator import Configurator
from otelhealth.telemetry.detector import FOLDER, INSTANCE, without_instance

_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"


def start() -> None:
    """Instrument this process, as its interpreter starts. Raises what an instrumentation raises."""
    leave(Path(os.environ[FOLDER]), INSTRUMENTED)
    _own_instance(os.environ)
    set_defaults(os.environ)
    if find_spec("opentelemetry.instrumentation") is None:
        Configurator().configure()  # type: ignore[no-untyped-call]  # the SDK's own class
        AsgiInstrumentor().instrument()
        return
    from opentelemetry.instrumentation.auto_instrumentation import initialize  # noqa: PLC0415 - where it is installed

    initialize(swallow_exceptions=False)


def _own_instance(environ: MutableMapping[str, str]) -> None:
    """Each process has an id of its own, which our resource detector works out; the command's is the first one's."""
    if INSTANCE in environ:
        environ[_ATTRIBUTES] = without_instance(environ.get(_ATTRIBUTES, ""))
