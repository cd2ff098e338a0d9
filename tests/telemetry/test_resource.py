"""Who speaks."""

from __future__ import annotations

import socket
import uuid

import pytest

from otelhealth import Agent
from otelhealth.telemetry.resource import Identity, build_resource

SHOP = Identity("shop", "1.4.2", "production", "otelhealth.yaml")


def test_it_names_service_version_environment_and_host() -> None:
    found = build_resource(SHOP, {})
    assert found["service.name"] == "shop"
    assert found["service.version"] == "1.4.2"
    assert found["deployment.environment.name"] == "production"
    assert found["host.name"] == socket.gethostname()
    assert all(found.values())


def test_the_instance_is_the_same_at_every_start() -> None:
    found = build_resource(SHOP, {})["service.instance.id"]
    assert found == build_resource(SHOP, {})["service.instance.id"]
    assert uuid.UUID(found).version == 5


@pytest.mark.parametrize(
    "other",
    [
        SHOP._replace(service="billing"),
        SHOP._replace(config="other.yaml"),
        SHOP._replace(role="worker"),
        SHOP._replace(slot=1),
    ],
)
def test_two_agents_are_two_instances(other: Identity) -> None:
    assert build_resource(SHOP, {})["service.instance.id"] != build_resource(other, {})["service.instance.id"]


def test_a_new_version_is_the_same_instance() -> None:
    newer = SHOP._replace(version="2.0.0", environment="staging")
    assert build_resource(SHOP, {})["service.instance.id"] == build_resource(newer, {})["service.instance.id"]


def test_the_standard_variables_come_first_but_for_what_the_configuration_has_of_them() -> None:
    told = "service.name=low,service.version=7,team=a%20b,service.instance.id=own,host.name=mine,broken"
    environ = {"OTEL_RESOURCE_ATTRIBUTES": told, "OTEL_SERVICE_NAME": "high"}
    found = build_resource(SHOP, environ)
    assert (found["team"], found["service.instance.id"], found["host.name"]) == ("a b", "own", "mine")
    assert (found["service.name"], found["service.version"]) == ("shop", "1.4.2")
    assert build_resource(Identity("shop"), environ)["service.version"] == "7"


def test_health_and_telemetry_tell_the_same_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "standard")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=7")
    quiet = {"server": {"enabled": False}, "store": {"path": ":memory:"}, "checks": {}}
    for name in ("standard", "ours"):
        agent = Agent({"service": {"name": "file"}, **quiet})
        assert (agent.report()["service"], agent.telemetry.resource["service.name"]) == (name, name)
        assert (agent.report()["version"], agent.telemetry.resource["service.version"]) == ("7", "7")
        monkeypatch.setenv("OTELHEALTH_SERVICE__NAME", "ours")


def test_a_pod_tells_its_name_and_namespace() -> None:
    environ = {"HOSTNAME": "shop-7d9", "POD_NAMESPACE": "prod", "NODE_NAME": "n1"}
    found = build_resource(SHOP, environ | {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    assert (found["k8s.pod.name"], found["k8s.namespace.name"], found["k8s.node.name"]) == ("shop-7d9", "prod", "n1")
    assert "k8s.pod.name" not in build_resource(SHOP, environ)
