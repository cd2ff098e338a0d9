"""A check of one's own, as `otelhealth.yaml` names it: return what is measured, raise when it is wrong."""

from __future__ import annotations

PAID = {"tea": 3, "cup": 2}
DELIVERED = {"tea": 3, "cup": 1}


def nothing_is_delivered_unpaid() -> dict[str, float]:
    """What is still to be delivered becomes a measurement."""
    unpaid = sorted(name for name, count in DELIVERED.items() if count > PAID.get(name, 0))
    if unpaid:
        raise ValueError(f"delivered but not paid: {', '.join(unpaid)}")
    return {"open": sum(PAID.values()) - sum(DELIVERED.values())}
