"""A check of one's own, as `examples/first.yaml` names it: return what is measured, raise when it is wrong."""

from __future__ import annotations

ORDERED = {"tea": 3, "cups": 2}
DELIVERED = {"tea": 3, "cups": 1}


def stock_is_consistent() -> dict[str, float]:
    """Nothing is delivered that nobody ordered; what is still to be delivered becomes a measurement."""
    unordered = sorted(set(DELIVERED) - set(ORDERED))
    if unordered:
        raise ValueError(f"delivered but never ordered: {', '.join(unordered)}")
    return {"open": sum(ORDERED.values()) - sum(DELIVERED.values())}
