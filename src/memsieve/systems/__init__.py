"""Named memory systems, and what one needs to write another.

A system is published, and composed here of the library's own parts; its `CARD` says how it answers
the six questions that every memory answers. `memsieve.open(path, system=NAME)` recalls by it,
`memsieve systems` lists them all.
"""

from memsieve.score import Features, Scores
from memsieve.search.candidates import Found
from memsieve.stages import Card, Place, Reading, System
from memsieve.systems.memory_t1 import MemoryT1

__all__ = ["Card", "Features", "Found", "MemoryT1", "Place", "Reading", "Scores", "System"]
