"""`otelhealth exec --list`: the libraries of this Python that are instrumented, and those that could be."""

from __future__ import annotations

import sys

from otelhealth.cli.table import table
from otelhealth.inside.libraries import INSTALL, absent, present


def run() -> int:
    found = list(present())
    rows = [(each.name, each.version, each.by or f"nothing: {each.remedy}") for each in found]
    print("\n".join(table(("library", "version", "instrumented by"), rows)))
    print(f"\nof {sys.executable}; not installed here: {', '.join(absent())}")
    if any(each.remedy == INSTALL for each in found):
        print(f"{INSTALL} brings the official instrumentations of all of them")
    return 0
