"""Every run of a check is a trace in Jaeger, which goes on in the target."""

from __future__ import annotations

import pytest

from tests.pipeline.watching import CLIENT, ERROR, INTERNAL, SERVER, UNSET, Watched
from tests.stack.loopback import until
from tests.stack.queries import Span


def run_of(watched: Watched, check: str, spans: int) -> list[Span]:
    """The latest run whose spans have all arrived: the target sends its own by itself."""
    return until(lambda: [run for run in watched.traces(check) if len(run) == spans], f"trace of {check}")[-1]


def test_a_failing_check_is_one_trace_with_its_request_and_the_targets_own_span(watched: Watched) -> None:
    root, request, served = run_of(watched, "checkout", 3)
    assert (root.name, root.kind, root.parent_id) == ("check checkout", INTERNAL, "")
    assert (request.name, request.kind, request.parent_id) == ("GET", CLIENT, root.span_id)
    assert (served.name, served.kind, served.parent_id) == ("GET /checkout", SERVER, request.span_id)
    assert {span.trace_id for span in (root, request, served)} == {root.trace_id}
    assert [span.status for span in (root, request, served)] == [ERROR, ERROR, ERROR]
    assert [span.attributes["error.type"] for span in (root, request, served)] == ["503", "503", "503"]
    assert root.start <= request.start <= served.start <= request.end <= root.end


def test_the_root_tells_check_tier_result_and_state(watched: Watched) -> None:
    def failed() -> list[Span]:
        roots = [run[0] for run in watched.traces("checkout")]
        return [root for root in roots if root.attributes["otelhealth.check.state"] == "fail"]

    root = until(failed, "run after the state fell")[-1]
    told = {key.removeprefix("otelhealth.check."): value for key, value in root.attributes.items()}
    assert 0 <= told.pop("delay") < 1
    assert told == {
        "name": "checkout",
        "kind": "http",
        "tier": 1,
        "result": "fail",
        "state": "fail",
        "error.type": "503",
    }


def test_the_request_tells_its_phases_by_the_conventions(watched: Watched) -> None:
    _, request, _ = run_of(watched, "checkout", 3)
    phases = {key for key in request.attributes if key.startswith("otelhealth.phase.")}
    assert phases == {f"otelhealth.phase.{name}.duration" for name in ("connect", "first_byte", "transfer")}
    assert 0 < sum(request.attributes[key] for key in phases) <= request.end - request.start + 0.001
    wanted = {
        "http.request.method": "GET",
        "http.response.status_code": 503,
        "url.full": f"{watched.shop.url}/checkout",
        "server.address": "127.0.0.1",
        "server.port": watched.shop.ports["http"],
        "user_agent.synthetic.type": "test",
    }
    assert {key: request.attributes.get(key) for key in wanted} == wanted


def test_a_passing_check_has_no_error_and_goes_as_deep_as_the_target_traces_itself(watched: Watched) -> None:
    root, request, served, query = run_of(watched, "items", 4)
    assert [span.status for span in (root, request, served, query)] == [UNSET] * 4
    assert "error.type" not in root.attributes
    assert (query.name, query.parent_id) == ("SELECT items", served.span_id)


@pytest.mark.parametrize(("check", "error", "spans"), [("nobody", "connection_refused", 2), ("cpu", None, 1)])
def test_what_cannot_carry_the_trace_on_ends_it(watched: Watched, check: str, error: str | None, spans: int) -> None:
    run = run_of(watched, check, spans)
    assert {span.attributes.get("error.type") for span in run} == {error}
    assert {span.attributes.get("service.peer.name") for span in run} <= {None, "billing" if check == "nobody" else ""}


def test_agent_and_service_share_their_name_and_differ_in_their_instance(watched: Watched) -> None:
    root, _, served = run_of(watched, "checkout", 3)
    assert (root.service, served.service) == ("shop", "shop")
    assert served.resource["service.instance.id"] == "shop-1"
    assert root.resource["service.instance.id"] != "shop-1"
    assert (root.resource["service.version"], root.resource["deployment.environment.name"]) == ("1.4.2", "test")


def test_the_record_of_a_check_names_a_trace_that_is_in_jaeger(watched: Watched) -> None:
    trace_id = watched.agent.record("checkout")["trace_id"]
    spans = until(lambda: watched.line.jaeger.api.trace(trace_id), "the record's trace")
    assert spans[0].name == "check checkout"
