"""Selective memory for AI: what to keep, what to recall and what to forget, under a budget."""

from memsieve.version import __version__

__all__ = ["__version__"]
