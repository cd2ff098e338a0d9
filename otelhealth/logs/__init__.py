"""The log: the agent's own records, and those of programs that use these formatters, as text, as JSON and over OTLP."""

from otelhealth.logs.lines import JsonFormatter, TextFormatter

__all__ = ["JsonFormatter", "TextFormatter"]
