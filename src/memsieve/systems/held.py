"""What systems hold in memory about a block: worked out once, followed as the block grows."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from memsieve.search import Block
from memsieve.store.base import Store
from memsieve.types import Item

T = TypeVar("T")


class PerBlock(Generic[T]):
    """One value for each block, made when it is first asked for and let go with the block."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: WeakKeyDictionary[Block, T] = WeakKeyDictionary()

    def of(self, block: Block) -> T:
        """The value of a block."""
        if block not in self._values:
            self._values[block] = self._make()
        return self._values[block]


class Items:
    """The items of one block, each read from the store once; those that are dead are let go."""

    def __init__(self) -> None:
        self._items: dict[int, Item] = {}
        self._n_alive = 0

    def of(self, store: Store, block: Block, docs: np.ndarray) -> list[Item | None]:
        """The items of documents, in their order; None for what was forgotten meanwhile."""
        if block.n_alive < self._n_alive:
            alive = set(block.seq[block.alive].tolist())
            self._items = {seq: item for seq, item in self._items.items() if seq in alive}
        self._n_alive = block.n_alive
        seqs = block.seq[docs].tolist()
        self._read(store, [seq for seq in seqs if seq not in self._items])
        return [self._items.get(seq) for seq in seqs]

    def _read(self, store: Store, seqs: Sequence[int]) -> None:
        if seqs:
            self._items.update((item.seq, item) for item in store.items(seqs))
