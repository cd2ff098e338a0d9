"""Imports the modules it is told of, says so, and waits to be ended.

python -m benchmarks.imports MODULE...
"""

import importlib
import sys

for name in sys.argv[1:]:
    importlib.import_module(name)
print("0", flush=True)
sys.stdin.read()
