"""What `opentelemetry-instrument` and `otelhealth exec` load first (entry point `opentelemetry_distro`)."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from importlib.metadata import EntryPoint
from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]  # untyped

from otelhealth.inside import servers
from otelhealth.inside.defaults import NAME, set_defaults
from otelhealth.inside.importing import after_import
from otelhealth.stderr import say
from otelhealth.telemetry.configurator import use
from otelhealth.telemetry.resource import FOLDER


class Distro(BaseDistro):  # type: ignore[misc]  # untyped
    """Sets what its user has not, and leaves ASGI applications to our own instrumentation."""

    def _configure(self, **_: Any) -> None:
        set_defaults(os.environ)
        if FOLDER not in os.environ:  # else an agent works beside it, to which it exports
            from otelhealth.inside.resident import RESIDENT  # noqa: PLC0415 - a program below `exec` has no agent

            use(RESIDENT.provide)
            servers.BEGINNING.append(RESIDENT.begin)
            servers.ENDING.append(RESIDENT.end)

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """One that fails is said, and takes no other with it."""
        if entry_point.name in servers.OFFICIAL and NAME not in _disabled():
            return
        load = partial(self._load, entry_point, **kwargs)
        if entry_point.name == "django":
            after_import("django", partial(_before_setup, load))
        else:
            load()

    def _load(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        try:
            super().load_instrumentor(entry_point, **kwargs)
        except ImportError:  # its library is not there: the loader knows what to make of that
            raise
        except Exception as error:  # noqa: BLE001 - whatever a library's instrumentation raises, the others go on
            say(f"the instrumentation of {entry_point.name} failed: {type(error).__name__}: {error}")


def _before_setup(load: Callable[[], None], django: Any) -> None:
    """Django's instrumentation makes empty settings where the program has yet to name its own."""
    setup: Callable[..., None] = django.setup

    @wraps(setup)
    def load_and_set_up(*arguments: Any, **named: Any) -> None:
        django.setup = setup
        with suppress(ImportError):  # what it needs is not there: the loader, too, leaves it out then
            load()
        setup(*arguments, **named)

    django.setup = load_and_set_up


def _disabled() -> set[str]:
    return {name.strip() for name in os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")}
