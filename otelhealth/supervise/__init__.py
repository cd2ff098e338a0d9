"""Runs a command as its child: starts it, passes signals on, restarts it, ends with its code, and reaps as PID 1.

Knows no agent: what stands beside the command is another command, which is told how the first one is.
"""
