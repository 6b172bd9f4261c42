"""Fixed blocks of tokens with shared prefixes: how a serving engine stores keys and values.

Nothing is forgotten here: what is saved is waste (less than one block for each sequence) and
what requests have in common at their beginning. The model of an engine, not an engine: blocks
hold no tensors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from memsieve.errors import ParameterError


@dataclass(slots=True)
class Table:
    """The blocks of one sequence, first to last, and its tokens.

    Attributes
    ----------
    blocks
        Physical block of each logical one.
    tokens
        Ids of all tokens.
    n_hit_tokens
        How many of the first tokens were there already when the sequence came.
    """

    blocks: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    n_hit_tokens: int = 0
    names: list[bytes] = field(default_factory=list)


class BlockPool:
    """Blocks that live sequences share by their prefixes, and that stay findable when free.

    A full block is named by its tokens, those before it, and `extra`; a sequence whose next full
    block has a known name shares it and raises its count. A block of count 0 waits in a queue, the
    least recently used at the head, and can still be found there; a new block is taken from the
    head, and what it held is then forgotten. A sequence gives its blocks back tail first, so that
    of two as old the one with the longer prefix goes first: a suffix without its prefix could not
    be used. O(1) a token but for naming a full block.

    Parameters
    ----------
    n_blocks
        How many there are, at least 1.
    block_tokens
        Tokens of a block; 16 is the usual size in engines.

    Examples
    --------
    >>> pool = BlockPool(8, block_tokens=4)
    >>> first, second = pool.take(b"ABCDEFGHIJ"), pool.take(b"ABCDEFGX")
    >>> first.blocks, second.blocks, second.n_hit_tokens, pool.count(0)
    ([0, 1, 2], [0, 3], 4, 2)

    References
    ----------
    Kwon et al., SOSP 2023 (vLLM). Differs: names are digests of ids alone, and a sequence takes
    blocks for all of its prompt or for none of it.
    """

    def __init__(self, n_blocks: int, block_tokens: int = 16) -> None:
        if n_blocks < 1 or block_tokens < 1:
            raise ParameterError(
                f"n_blocks and block_tokens must be >= 1, got {n_blocks} and {block_tokens}"
            )
        self.n_blocks, self.block_tokens = n_blocks, block_tokens
        self._free: dict[int, None] = dict.fromkeys(range(n_blocks))  # ordered: head first
        self._counts = [0] * n_blocks
        self._names: dict[int, bytes] = {}
        self._found: dict[bytes, int] = {}

    @property
    def n_free(self) -> int:
        """Blocks that no live sequence uses."""
        return len(self._free)

    @property
    def queue(self) -> tuple[int, ...]:
        """Free blocks, the next to be taken first."""
        return tuple(self._free)

    def count(self, block: int) -> int:
        """How many live sequences use a block."""
        return self._counts[block]

    def n_needed(self, tokens: Sequence[int], *, n_later: int = 0, extra: bytes = b"") -> int:
        """Free blocks that a sequence would take, `n_later` more tokens included."""
        live = sum(self._counts[block] > 0 for block in self._hits(tokens, extra)[0])
        return -(-(len(tokens) + n_later) // self.block_tokens) - live

    def take(self, tokens: Sequence[int], *, extra: bytes = b"") -> Table | None:
        """Blocks for a new sequence; None, with nothing changed, if too few are free.

        `extra` is whatever else makes equal tokens different, such as an adapter or an image.
        """
        if self.n_needed(tokens, extra=extra) > self.n_free:
            return None
        hits, names = self._hits(tokens, extra)
        for block in hits:
            self._free.pop(block, None)
            self._counts[block] += 1
        n_hit = len(hits) * self.block_tokens
        table = Table(hits, list(tokens[:n_hit]), n_hit, [extra, *names[: len(hits)]])
        for token in tokens[n_hit:]:
            self.append(table, token)
        return table

    def append(self, table: Table, token: int) -> bool:
        """One more token; False, with nothing changed, if it needs a block and none is free."""
        if len(table.tokens) == len(table.blocks) * self.block_tokens:
            if not self._free:
                return False
            table.blocks.append(self._new())
        table.tokens.append(token)
        if len(table.tokens) % self.block_tokens == 0:
            name = self._name(table.names[-1], table.tokens[-self.block_tokens :])
            table.names.append(name)
            if name not in self._found:  # an equal block stays the one that is found
                self._found[name] = table.blocks[-1]
                self._names[table.blocks[-1]] = name
        return True

    def release(self, table: Table) -> None:
        """Give the blocks of a sequence back, its last first; the table is then empty."""
        for block in reversed(table.blocks):
            self._counts[block] -= 1
            if self._counts[block] == 0:
                self._free[block] = None
        table.blocks, table.tokens, table.names = [], [], []

    def _new(self) -> int:
        block = next(iter(self._free))
        del self._free[block]
        name = self._names.pop(block, None)
        if name is not None:
            del self._found[name]
        self._counts[block] = 1
        return block

    def _hits(self, tokens: Sequence[int], extra: bytes) -> tuple[list[int], list[bytes]]:
        """The known blocks that `tokens` begin with, and their names."""
        hits: list[int] = []
        names: list[bytes] = []
        name = extra
        for start in range(0, len(tokens) - self.block_tokens + 1, self.block_tokens):
            name = self._name(name, tokens[start : start + self.block_tokens])
            if name not in self._found:
                break
            hits.append(self._found[name])
            names.append(name)
        return hits, names

    @staticmethod
    def _name(parent: bytes, tokens: Sequence[int]) -> bytes:
        said = parent + b"|" + b",".join(b"%d" % token for token in tokens)
        return hashlib.sha256(said).digest()
