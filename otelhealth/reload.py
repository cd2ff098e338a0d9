"""The configuration in force, and how a changed file takes its place: a good one at once, a bad one never."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from otelhealth.checks.base import Check
from otelhealth.clock import Clock
from otelhealth.config.load import load
from otelhealth.config.reload import reloaded, restart_needed
from otelhealth.config.root import Config
from otelhealth.config.sources import Sources
from otelhealth.config.watch import Watch
from otelhealth.errors import ConfigError, Problem, first_of
from otelhealth.records import ConfigRecord
from otelhealth.telemetry.figures import Reloaded

log = logging.getLogger("otelhealth.config")
_MOST_SAID = 20


class Reload:
    """Reads the file again when it changed or when told, and hands what differs to `apply(old, new)`."""

    def __init__(  # noqa: PLR0913, PLR0917 - made by the agent only
        self,
        config: Config,
        sources: Sources,
        environ: Mapping[str, str],
        clock: Clock,
        apply: Callable[[Config, Config], None],
        count: Callable[[Reloaded], None],
    ) -> None:
        self.config = config
        self._sources = sources
        self._environ = environ
        self._clock = clock
        self._apply = apply
        self._count = count
        self._watch = Watch(sources, self.again)
        self._going = asyncio.Lock()
        self._asked = self._heard = 0  # times it was told to read, and how many of them the last reading heard
        self.record = ConfigRecord(
            file=str(config.file) if config.file else None,
            loaded=int(clock.time()),
            reloads=0,
            error=None,
            restart_needed=[],
        )

    async def watch(self) -> None:
        """Notice changes until cancelled; without a file there are none."""
        if self.config.file is not None:
            await self._watch.run()

    async def again(self) -> None:
        """Read the file; a bad one keeps the old configuration and says why in log, record and metric."""
        if self.config.file is None:
            log.warning("nothing to read again: there was no configuration file at the start; restart to use one")
            return
        self._asked = mine = self._asked + 1
        async with self._going:
            if self._heard >= mine:  # one reading serves all that asked before it began
                return
            self._heard = self._asked
            sources = Sources()
            try:
                new = await asyncio.to_thread(_load, self.config.file, sources, self._environ)
            except ConfigError as error:
                said = _said(error)
                self.record["error"] = "\n".join(said)
                self._count("refused")
                for line in said:
                    log.error("the changed configuration is refused, the old one stays in force: %s", line)  # noqa: TRY400 - a user's mistake, no traceback
            else:
                self._accept(new)
            self._watch.follow(sources)

    def _accept(self, new: Config) -> None:
        old, waiting = self.config, restart_needed(self.config, new)
        self.config = reloaded(old, new)
        self._apply(old, self.config)
        self.record |= {"loaded": int(self._clock.time()), "error": None, "restart_needed": waiting}
        self.record["reloads"] += 1
        self._count("accepted")
        log.info("the configuration was read again: %d checks", len(self.config.checks))
        if waiting:
            log.warning("restart needed: %s changed and keep their old settings until then", ", ".join(waiting))


def _load(file: Path, sources: Sources, environ: Mapping[str, str]) -> Config:
    new = load(file, environ, sources)
    if file.is_file() and sources.is_empty(file):  # cut off while it was written; it would stand for the defaults
        raise ConfigError([Problem(str(file), "", "is empty", "write `checks: {}` to watch nothing")])
    return new


def _said(error: ConfigError) -> list[str]:
    """Its first problems: each reader of the report gets them, and there may be as many as the file has lines."""
    lines = first_of(error.problems, _MOST_SAID)
    return [*lines[:_MOST_SAID], *(f"{more}; see `otelhealth validate`" for more in lines[_MOST_SAID:])]


def differing(old: Config, new: Config) -> Iterator[tuple[str, Check | None]]:
    """Names whose check is new, other than before, or gone (None)."""
    for name in old.checks.keys() - new.checks.keys():
        yield name, None
    for name, check in new.checks.items():
        if old.checks.get(name) != check:
            yield name, check
