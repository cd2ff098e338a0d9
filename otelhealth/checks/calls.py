"""One HTTP request under its CLIENT span, by the HTTP conventions."""

from __future__ import annotations

from collections.abc import Callable

from otelhealth.checks.base import Context, mark_failed
from otelhealth.checks.http import Exchange
from otelhealth.checks.request import Request, Response
from otelhealth.checks.stream import traced
from otelhealth.errors import ProbeError

Judge = Callable[[Response], ProbeError | None]


def no_error_status(response: Response) -> ProbeError | None:
    """Nothing but a response of 2xx will do; a redirect is where data gets lost."""
    if 200 <= response.status < 300:
        return None
    return ProbeError(str(response.status), f"{response.url} answered {response.status}")


async def call(
    ctx: Context, request: Request, exchange: Exchange, judge: Judge = no_error_status
) -> tuple[Response, ProbeError | None]:
    """The response and what `judge` says of it, which also marks the span; raises ProbeError where there is none."""
    url = request.url
    attributes = {
        "http.request.method": request.method,
        "url.full": url.shown,
        "server.address": url.host,
        "server.port": url.port,
        "user_agent.synthetic.type": "test",
    }
    with traced(ctx, request.method, attributes, exchange) as span:
        response = await exchange.run(request, ctx.traceparent(span))
        problem = judge(response)
        if problem is not None:
            mark_failed(span, problem.error_type)
    return response, problem
