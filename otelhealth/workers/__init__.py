"""Several processes of one service on one host: one of them runs the checks, all of them answer."""

HELLO, RUN, HISTORY = "hello", "run", "history"  # what is asked of the one that runs the checks
