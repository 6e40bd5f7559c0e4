"""The command line: one module a group of commands. Loads torch only once a command needs it."""

from .commands import main

__all__ = ["main"]
