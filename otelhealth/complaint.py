"""What goes wrong for a while: said once when it begins, and once when it is over."""

from __future__ import annotations

import logging


class Complaint:
    """About one thing; `problem` is what is wrong with it now, "" where nothing is."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self.problem = ""

    def make(self, problem: object, sentence: str, *values: object) -> None:
        """It goes wrong: said by the sentence, with its values, unless it was so before."""
        if not self.problem:
            self._log.error(sentence, *values, stacklevel=2)
        self.problem = str(problem)

    def withdraw(self, sentence: str, *values: object) -> None:
        """It is well: said where it was not."""
        if self.problem:
            self._log.warning(sentence, *values, stacklevel=2)
        self.problem = ""
