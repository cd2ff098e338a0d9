"""Several processes of one service on one host: one of them runs the checks, all of them answer."""

from otelhealth.workers.worker import Worker

__all__ = ["Worker"]
