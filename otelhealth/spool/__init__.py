"""What leaves over OTLP/HTTP waits here, on disk, until the receiver has taken it.

Knows bytes, URLs and deadlines, not what a signal's request contains.
"""

from otelhealth.spool.letter import Content, Letter
from otelhealth.spool.settings import Otlp, SignalName, SpoolSettings
from otelhealth.spool.spool import Spool

__all__ = ["Content", "Letter", "Otlp", "SignalName", "Spool", "SpoolSettings"]
