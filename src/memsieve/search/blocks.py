"""The blocks of the namespaces in use, kept level with the store."""

from collections import OrderedDict

from memsieve.search.block import Block
from memsieve.store.base import Store

_LEAST_FOR_RELOAD = 1_000


class Blocks:
    """Least recently used cache of blocks, at most `max_documents` documents together.

    Each look-up asks the store for its journal position (one index look-up) and follows what
    this or another process has written since.
    """

    def __init__(self, store: Store, dimensions: int, *, max_documents: int = 4_000_000) -> None:
        self._store, self._dimensions = store, dimensions
        self._max_documents = max_documents
        self._blocks: OrderedDict[str, Block] = OrderedDict()

    def get(self, namespace: str) -> Block:
        """The block of a namespace as the store stands now."""
        block = self._blocks.pop(namespace, None) or Block(self._dimensions)
        if self._store.position(namespace) != block.position:
            block = self._follow(namespace, block)
        self._blocks[namespace] = block
        while len(self._blocks) > 1 and sum(map(len, self._blocks.values())) > self._max_documents:
            self._blocks.popitem(last=False)
        return block

    def _follow(self, namespace: str, block: Block) -> Block:
        last = int(block.seq[-1]) if len(block) else 0
        changes = self._store.changes(namespace, block.position, last, dimensions=self._dimensions)
        if changes.reindexed and last:
            return self._follow(namespace, Block(self._dimensions))
        block.apply(changes)
        if len(block) > _LEAST_FOR_RELOAD and block.n_alive < len(block) / 2:
            return self._follow(namespace, Block(self._dimensions))
        return block

    def loaded(self) -> dict[str, int]:
        """Bytes in memory per loaded namespace."""
        return {namespace: block.nbytes() for namespace, block in self._blocks.items()}
