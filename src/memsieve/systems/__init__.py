"""Named memory systems: each is published, and composed here of the library's own parts.

A system says in its `CARD` how it answers the six questions that every memory answers. It can be
used directly, and it keeps to the protocol `memsieve.evaluate.System`, so it can be measured
beside others.
"""

from memsieve.stages import Card
from memsieve.systems.memory_t1 import MemoryT1

__all__ = ["Card", "MemoryT1"]
