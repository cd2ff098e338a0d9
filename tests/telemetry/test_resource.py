"""Who speaks."""

from __future__ import annotations

import socket
import uuid

import pytest

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


def test_the_standard_variables_come_first() -> None:
    environ = {
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=low,team=a%20b,service.instance.id=own,broken",
        "OTEL_SERVICE_NAME": "high",
    }
    found = build_resource(SHOP, environ)
    assert (found["service.name"], found["team"], found["service.instance.id"]) == ("high", "a b", "own")


def test_a_pod_tells_its_name_and_namespace() -> None:
    environ = {"HOSTNAME": "shop-7d9", "POD_NAMESPACE": "prod", "NODE_NAME": "n1"}
    found = build_resource(SHOP, environ | {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    assert (found["k8s.pod.name"], found["k8s.namespace.name"], found["k8s.node.name"]) == ("shop-7d9", "prod", "n1")
    assert "k8s.pod.name" not in build_resource(SHOP, environ)
