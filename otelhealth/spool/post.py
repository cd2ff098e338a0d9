"""Hands one request to the receiver of its signal and tells what became of it; where gzip is refused, without it."""

from __future__ import annotations

import logging

from otelhealth.errors import one_line, redacted
from otelhealth.spool.connection import Connection
from otelhealth.spool.letter import GZIP, Content, Letter
from otelhealth.spool.settings import Otlp
from otelhealth.spool.verdict import REFUSES_GZIP, Fate, Verdict, of_error, of_response

_SAID = 300  # characters of a receiver's own reason
log = logging.getLogger("otelhealth.spool")


class Post:
    """Used by one thread; `abort` by any."""

    def __init__(self, receiver: Otlp, content: Content) -> None:
        self._connection = Connection(receiver)
        self._timeout = receiver.timeout
        self._content = content
        self._plain = False  # the receiver takes no gzip

    @property
    def may_have_arrived(self) -> bool:
        """Whether the last request left as a whole, whatever came back."""
        return self._connection.sent

    def attempt(self, letter: Letter) -> Verdict:
        """Within the receiver's time limit, all included."""
        if self._plain:
            letter = _plain(letter)
        verdict = self._attempt(letter)
        if letter.content_encoding != GZIP or verdict.error_type not in {str(status) for status in REFUSES_GZIP}:
            return verdict
        plain = _plain(letter)
        again = self._attempt(plain) if plain is not letter else verdict
        if again.fate is Fate.SENT:
            self._plain = True
            log.warning(
                "export of %s: the receiver refuses gzip (%s); set telemetry.otlp.compression: none, from now on it is "
                "sent uncompressed",
                letter.signal,
                verdict.error_type,
            )
        return again

    def abort(self) -> None:
        self._connection.abort()

    def close(self) -> None:
        self._connection.close()

    def _attempt(self, letter: Letter) -> Verdict:
        headers = {"content-type": letter.content_type}
        if letter.content_encoding:
            headers["content-encoding"] = letter.content_encoding
        try:
            response = self._connection.post(letter.body, headers, self._timeout)
        except OSError as error:
            return of_error(error, redacted(self._connection.peer), self._timeout)
        kind = response.headers.get("content-type", "")
        if 200 <= response.status < 300:
            rejected, reason = self._content.rejected(kind, response.body)
            return Verdict(Fate.SENT, said=one_line(redacted(reason), _SAID), rejected=rejected)
        verdict = of_response(response)
        reason = one_line(redacted(self._content.reason(kind, response.body)), _SAID)
        if not reason:
            return verdict
        return verdict._replace(said=f"{verdict.said} ({reason})")


def _plain(letter: Letter) -> Letter:
    try:
        return letter.plain()
    except ValueError:
        return letter
