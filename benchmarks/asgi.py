"""What recording a request costs: `instrument(app)` beside the official middleware, both over the bare application."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.applications import KINDS
from benchmarks.measure import Child, Row, Spread, say


def run(quick: bool) -> Iterator[Row]:
    rounds, requests = (1, 300) if quick else (3, 2000)
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with ExitStack() as stack:
        receiver = stack.enter_context(Child("benchmarks.peers", "receiver"))
        port = str(receiver.said())
        children = {kind: stack.enter_context(Child("benchmarks.applications", kind, port)) for kind in KINDS}
        for child in children.values():
            child.said()
        for number in range(rounds):
            for kind, child in children.items():
                found[kind].append(float(child.ask(requests)))
            told = ", ".join(f"{kind} {values[-1]:.0f} us" for kind, values in found.items())
            say(f"{number + 1} of {rounds}: {told}")
    base = found["bare"]
    added = {kind: Spread([value - least for value, least in zip(found[kind], base, strict=True)]) for kind in KINDS}
    ratio = added["ours"].over(added["official"])
    yield Row(
        "a request in an application: CPU that its server span and duration add, exported",
        "0.6 x the official middleware (stable convention, no span per message)",
        "0.5 x",
        f"{ratio.text()} x: {added['ours'].text('.0f')} us against {added['official'].text('.0f')}"
        f" (as it comes {added['messages'].text('.0f')}); the bare application takes {Spread(base).text('.0f')}",
        ratio.median > 0.6,
    )
