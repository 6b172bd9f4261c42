"""Finding candidates in a namespace: one in-memory block, many views of the same text."""

from memsieve.search.block import Block
from memsieve.search.candidates import Found, find, mask
from memsieve.search.question import Question, read

__all__ = ["Block", "Found", "Question", "find", "mask", "read"]
