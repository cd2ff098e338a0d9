"""One file per kind of check, and nothing else; `checks/registry.py` walks this folder."""
