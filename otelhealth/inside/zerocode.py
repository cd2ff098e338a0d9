"""A Python program that is instrumented without a line of its own: below `otelhealth exec`."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import MutableMapping
from importlib.util import find_spec
from pathlib import Path

from opentelemetry import _logs, metrics, trace

from otelhealth.inside import servers
from otelhealth.inside.children import at_their_end
from otelhealth.inside.defaults import set_defaults
from otelhealth.inside.marks import INSTRUMENTED, leave
from otelhealth.inside.programs import helps
from otelhealth.telemetry.configurator import Configurator
from otelhealth.telemetry.detector import INSTANCE, without_instance
from otelhealth.telemetry.resource import FOLDER

_FLUSHED = 3.0  # s
_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"


def start() -> None:
    """Instrument this process, as its interpreter starts. Raises what an instrumentation raises."""
    if helps(sys.orig_argv):
        return
    leave(Path(os.environ[FOLDER]), INSTRUMENTED)
    _own_instance(os.environ)
    set_defaults(os.environ)
    servers.ENDING.append(flush)
    at_their_end(flush)
    if find_spec("opentelemetry.instrumentation") is None:
        Configurator().configure()  # type: ignore[no-untyped-call]  # the SDK's own class
        servers.AsgiInstrumentor().instrument()
        return
    from opentelemetry.instrumentation.auto_instrumentation import initialize  # noqa: PLC0415 - where it is installed

    initialize(swallow_exceptions=False)


def flush() -> None:
    """Let what has been recorded go to the agent, within _FLUSHED seconds: the SDK's own time limits do not hold."""
    providers = (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider())
    flushes = [provider.force_flush for provider in providers if hasattr(provider, "force_flush")]
    waiting = [threading.Thread(target=each, daemon=True) for each in flushes]
    for thread in waiting:
        thread.start()
    until = time.monotonic() + _FLUSHED
    for thread in waiting:
        thread.join(max(0.0, until - time.monotonic()))


def _own_instance(environ: MutableMapping[str, str]) -> None:
    """Each process has an id of its own, which our resource detector works out; the command's is the first one's."""
    if INSTANCE in environ:
        environ[_ATTRIBUTES] = without_instance(environ.get(_ATTRIBUTES, ""))
