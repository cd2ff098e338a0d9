from __future__ import annotations

from otelhealth.checks.base import Check
from otelhealth.config.load import from_mapping
from otelhealth.config.reload import reloaded, restart_needed
from otelhealth.config.root import Config, Defaults


def config(**sections: object) -> Config:
    return from_mapping({"service": {"name": "shop"}, "checks": {"cpu": {"kind": "cpu"}}, **sections}, {})


def test_what_has_not_changed_needs_no_restart() -> None:
    assert restart_needed(config(), config()) == []
    assert restart_needed(config(), config(checks={}, defaults={"tier": 1}, status={"policy": "majority"})) == []


def test_the_sections_that_wait_for_a_restart_are_named() -> None:
    new = config(
        service={"name": "store"},
        server={"listen": "127.0.0.1:0"},
        telemetry={"metrics": {"interval": "5s"}},
        store={"path": ":memory:"},
    )
    assert restart_needed(config(), new) == ["service", "server", "telemetry", "store"]


def test_a_reload_takes_the_checks_and_keeps_what_waits() -> None:
    new = config(server={"listen": "127.0.0.1:0"}, checks={"load": {"kind": "load"}}, status={"policy": "majority"})
    both = reloaded(config(), new)
    assert (list(both.checks), both.status.policy, both.server.listen) == (["load"], "majority", "127.0.0.1:8082")
    assert restart_needed(both, new) == ["server"]


def test_a_default_has_the_bounds_and_the_type_of_the_field_it_stands_for() -> None:
    for name in Defaults.model_fields:
        for value in ("5s", "1ms", "9999h", 3, -1, "0.5", "UTC", ["a"], True, {"rise": 2}, {"rise": 0}):
            assert _takes(Defaults, name, value) == _takes(Check, name, value), (name, value)


def _takes(model: type[Defaults | Check], name: str, value: object) -> bool:
    try:
        model.model_validate({name: value} if model is Defaults else {"kind": "x", name: value})
    except ValueError:
        return False
    return True
