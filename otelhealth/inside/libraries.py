"""Which libraries of this interpreter are instrumented, and how the others can be: what `exec --list` shows."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec
from typing import NamedTuple

PREFIX = "opentelemetry-instrumentation-"
INSTALL = "pip install 'otelhealth[auto]'"
OURS = ("uvicorn", "hypercorn", "gunicorn")  # servers whose ASGI applications our own instrumentation has
KNOWN: Mapping[str, tuple[str, ...]] = {  # official instrumentation -> its library's distributions; () is Python's own
    "aio-pika": ("aio-pika",),
    "aiohttp-client": ("aiohttp",),
    "aiokafka": ("aiokafka",),
    "asyncpg": ("asyncpg",),
    "botocore": ("botocore",),
    "celery": ("celery",),
    "confluent-kafka": ("confluent-kafka",),
    "django": ("django",),
    "flask": ("flask",),
    "grpc": ("grpcio",),
    "httpx": ("httpx",),
    "kafka-python": ("kafka-python",),
    "mysqlclient": ("mysqlclient",),
    "pika": ("pika",),
    "psycopg": ("psycopg",),
    "psycopg2": ("psycopg2", "psycopg2-binary"),
    "pymongo": ("pymongo",),
    "pymysql": ("pymysql",),
    "redis": ("redis",),
    "requests": ("requests",),
    "sqlalchemy": ("sqlalchemy",),
    "sqlite3": (),
    "threading": (),
    "urllib": (),
    "urllib3": ("urllib3",),
}


class Library(NamedTuple):
    """`by` is what instruments it, `remedy` what to do where nothing does."""

    name: str
    version: str
    by: str
    remedy: str = ""


def present() -> Iterator[Library]:
    """What is installed and can be instrumented, ours first."""
    for name in OURS:
        if found := _version(name):
            yield Library(name, found, "otelhealth")
    others = {entry.name: entry for entry in metadata.entry_points(group="opentelemetry_instrumentor")}
    for name, libraries in KNOWN.items():
        found = next(filter(None, map(_version, libraries)), "") if libraries else _python()
        if found:
            yield _official(name, libraries[0] if libraries else name, found)
    for name, entry in sorted(others.items()):
        by = entry.dist
        if by and by.name.removeprefix(PREFIX) not in (*KNOWN, "otelhealth") and not _conflict(by.name):
            yield Library(name, "", f"{by.name} {by.version}")


def absent() -> list[str]:
    """Libraries that could be instrumented and are not here."""
    return [libraries[0] for libraries in KNOWN.values() if libraries and not any(map(_version, libraries))]


def _official(name: str, library: str, version: str) -> Library:
    package = PREFIX + name
    if not (installed := _version(package)):
        return Library(library, version, "", INSTALL)
    if conflict := _conflict(package):
        return Library(library, version, "", f"{package} {installed} {conflict}")
    return Library(library, version, f"{package} {installed}")


def _conflict(package: str) -> str:
    """What the instrumentation itself would say when it is loaded."""
    if find_spec("opentelemetry.instrumentation") is None:
        return f"lacks what it needs; {INSTALL}"
    from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts  # noqa: PLC0415 - as asked

    conflict = get_dist_dependency_conflicts(metadata.distribution(package))
    if conflict is None:
        return ""
    wanted = conflict.required or " or ".join(conflict.required_any)
    return f"wants {wanted}"


def _version(distribution: str) -> str:
    """ "" for one that is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _python() -> str:
    return f"of Python {sys.version_info.major}.{sys.version_info.minor}"
