"""Where a command finds its configuration, and how it says that it cannot be used."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from otelhealth.config.load import find, load
from otelhealth.config.root import Config
from otelhealth.config.sources import Sources
from otelhealth.errors import ConfigError

UNUSABLE = 2


def load_or_say(explicit: Path | None, sources: Sources | None = None) -> Config | None:
    """What `-c`, `$OTELHEALTH_CONFIG`, `./otelhealth.*` or the defaults say; None after naming all that is wrong.

    `sources` is told what it was read from.
    """
    # Settings have no use for pydantic's plugins: to find any it reads what each installed distribution says of itself.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        return load(find(explicit, os.environ, Path.cwd()), os.environ, sources)
    except FileNotFoundError:  # of `cwd` alone: files that are missing are named by `load`
        print("otelhealth: the working directory is no longer there; change to one that is", file=sys.stderr)
        return None
    except ConfigError as error:
        print(error, file=sys.stderr)
        count = len(error.problems)
        print(f"otelhealth: {count} error{'s' if count != 1 else ''} in the configuration", file=sys.stderr)
        return None
