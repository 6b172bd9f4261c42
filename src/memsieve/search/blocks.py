"""The blocks of the namespaces in use, kept level with the store."""

from collections import OrderedDict
from datetime import datetime

from memsieve.search.block import Block
from memsieve.store.base import Store, Versions

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
        self._last_past: tuple[tuple[str, Versions, int], Block] | None = None

    def get(self, namespace: str, as_of: datetime | None = None) -> Block:
        """The block of a namespace as the store stands now, or with the versions of a moment.

        Unless a version that held then has been replaced since, both are the same: what was said
        later is for a mask to leave out.
        """
        if as_of is not None and (versions := self._store.versions(namespace, as_of)):
            return self._past(namespace, versions)
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

    def _past(self, namespace: str, versions: Versions) -> Block:
        """The block with old versions in the place of their successors; the last one is kept."""
        key = namespace, versions, self._store.position(namespace)
        if self._last_past is None or self._last_past[0] != key:
            block = Block(self._dimensions)
            block.apply(self._store.past(namespace, versions, dimensions=self._dimensions))
            self._last_past = key, block
        return self._last_past[1]

    def loaded(self) -> dict[str, int]:
        """Bytes in memory per loaded namespace, the versions of a past moment included."""
        loaded = {namespace: block.nbytes() for namespace, block in self._blocks.items()}
        if self._last_past is not None:
            (namespace, *_), past = self._last_past
            loaded[namespace] = loaded.get(namespace, 0) + past.nbytes()
        return loaded
