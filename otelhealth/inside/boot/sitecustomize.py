"""Runs in every Python below `otelhealth exec`, before its program: instruments it, or says once that it cannot.

It stands for the sitecustomize that the interpreter would have found without it, which runs as well.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
import traceback

_FOLDER = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - any old Python may run this


def _say_once(sentence: str) -> None:
    """To the program's own stderr, for the first process of this `exec` alone."""
    mark = os.path.join(os.environ.get("OTELHEALTH_BESIDE", ""), "uninstrumented")  # noqa: PTH118 - as above
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    except OSError:
        pass
    sys.stderr.write("otelhealth: %s runs uninstrumented: %s\n" % (sys.executable, sentence))  # noqa: UP031 - as above


def _run_the_other() -> None:
    """The sitecustomize of the user or the distribution, which ours hides."""
    found = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if found is not None and found.loader is not None:
        module = importlib.util.module_from_spec(found)
        sys.modules["sitecustomize"] = module
        found.loader.exec_module(module)


sys.path[:] = [path for path in sys.path if os.path.abspath(path) != _FOLDER]  # noqa: PTH100 - as above
try:
    from otelhealth.inside.zerocode import start
except ImportError as _error:
    _say_once("%s; pip install otelhealth there" % _error)  # noqa: UP031 - as above
else:
    try:
        start()
    except Exception:  # noqa: BLE001 - a service starts, whatever its instrumentation raises
        traceback.print_exc()
        _say_once("its instrumentation failed, as told above")
_run_the_other()
