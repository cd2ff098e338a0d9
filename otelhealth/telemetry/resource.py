"""Who speaks: the resource that stands on all telemetry, with an instance id that stays the same over restarts."""

import os
import platform
import re
import socket
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from otelhealth.version import __version__

INSTANCE_ID = "service.instance.id"
FOLDER = "OTELHEALTH_BESIDE"  # set below `otelhealth exec`: a directory of it
_NAMESPACE = uuid.UUID("4f0b3d43-6b0e-5f0c-9a0d-6e1c9b6f6a77")
_CONTAINER_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_ARCH = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "i686": "x86", "armv7l": "arm32"}
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class Identity(NamedTuple):
    """Which agent this is. `role` and `slot` tell the agents of one service and config on one host apart.

    `lone` does where nothing could number them: it is of one process alone, and the next has another.
    """

    service: str
    version: str = ""
    environment: str = ""
    config: str = ""  # path of the configuration file, "" for the defaults
    role: str = "agent"
    slot: int = 0
    lone: str = ""

    @property
    def number(self) -> str:
        """Empty for the first of several, and for one that is alone."""
        return self.lone or (str(self.slot) if self.slot else "")


def resource_attributes(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`OTEL_RESOURCE_ATTRIBUTES` and, above it, `OTEL_SERVICE_NAME`."""
    found = pairs(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    if name := environ.get("OTEL_SERVICE_NAME", "").strip():
        found["service.name"] = name
    return found


def pairs(value: str) -> dict[str, str]:
    """Of `name=value,name=value`, as standard variables have it."""
    items = (item.partition("=") for item in value.split(",") if "=" in item)
    return {key.strip(): unquote(text.strip()) for key, _, text in items if key.strip()}


def build_resource(identity: Identity, environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """The resource's attributes: what `OTEL_RESOURCE_ATTRIBUTES` says comes before all but the service's identity."""
    service = {
        "service.name": identity.service,
        "service.version": identity.version,
        "deployment.environment.name": identity.environment,
    }
    found = {
        "telemetry.sdk.name": "otelhealth",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": __version__,
        **dict(_host()),
        **dict(_container()),
        **dict(_kubernetes(environ)),
        **resource_attributes(environ),
        **{key: value for key, value in service.items() if value},
    }
    if not found.get(INSTANCE_ID):
        found[INSTANCE_ID] = _instance(identity, found)
    elif identity.number:  # told to all workers alike; as one instance their counters would collide
        found[INSTANCE_ID] += f"-{identity.number}"
    return {key: value for key, value in found.items() if value}


def _instance(identity: Identity, found: Mapping[str, str]) -> str:
    host = found.get("host.id") or found["host.name"]
    config = str(Path(identity.config).resolve()) if identity.config else ""
    parts = (host, found["service.name"], config, identity.role, identity.number or "0")
    # quoted, so that no two lists of parts make one name
    return str(uuid.uuid5(_NAMESPACE, "/".join(quote(part, safe="") for part in parts)))


def _host() -> Iterator[tuple[str, str]]:
    yield "host.name", socket.gethostname()
    machine = platform.machine().lower()
    yield "host.arch", _ARCH.get(machine, machine)
    yield "host.id", _read(Path("/etc/machine-id")) or _read(Path("/var/lib/dbus/machine-id"))


def _container() -> Iterator[tuple[str, str]]:
    for file in (Path("/proc/self/cgroup"), Path("/proc/self/mountinfo")):
        lines = _read(file).splitlines()
        if file.name == "mountinfo":  # other containers' directories may be mounted too; these three are our own
            lines = [line for line in lines if re.search(r" /etc/(hostname|hosts|resolv\.conf) ", line)]
        for line in lines:
            if match := _CONTAINER_ID.search(line):
                yield "container.id", match[0]
                return


def _kubernetes(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if "KUBERNETES_SERVICE_HOST" not in environ:
        return
    pod = environ.get("K8S_POD_NAME") or environ.get("POD_NAME") or environ.get("HOSTNAME", "")
    yield "k8s.pod.name", pod
    yield "k8s.pod.uid", environ.get("K8S_POD_UID") or environ.get("POD_UID", "")
    yield (
        "k8s.namespace.name",
        environ.get("K8S_NAMESPACE_NAME") or environ.get("POD_NAMESPACE") or _read(_SERVICE_ACCOUNT),
    )
    yield "k8s.node.name", environ.get("K8S_NODE_NAME") or environ.get("NODE_NAME", "")
    yield "k8s.container.name", environ.get("K8S_CONTAINER_NAME", "")


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
