"""Quality of the peers on LoCoMo: share of the evidence turns found, categories 1 to 4.

    python benchmarks/locomo_peers.py ../shared/data/locomo/dev.json

Every peer indexes each conversation anew and is asked the same questions in this process; the
figures are those of `memsieve bench`. A context of 1,000 tokens is filled in rank order.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from machine import company
from peers import PEERS, Peer, present

from memsieve.embed import WordPiece
from memsieve.evaluate import Packed, Ranking, Scope, compare, load
from memsieve.evaluate.memory_system import MemorySystem
from memsieve.evaluate.runner import System
from memsieve.evaluate.table import text

CATEGORIES = ("multi-hop", "temporal", "open-domain", "single-hop")
BUDGET_TOKENS = 1_000
DEFAULT_PATH = Path("../shared/data/locomo/dev.json")
DEFAULT_PEERS = ("memsieve", "fts5", "sqlite-vec+fts5")


class PeerSystem:
    """A peer as `memsieve.evaluate` wants it: sessions by their best turn, lines until full.

    A line costs its speaker and its text; peers pay nothing for dates, memsieve does.
    """

    policy = "none"

    def __init__(self, name: str) -> None:
        self.name = name
        self.embedder = "none" if name == "fts5" else "static"
        self._folder = tempfile.TemporaryDirectory(prefix="memsieve-peers-")
        self._n_loaded = 0
        self._peer: Peer | None = None
        self._sessions: dict[str, str] = {}
        self._tokens: dict[str, int] = {}

    def load(self, scope: Scope) -> None:
        """Write a scope into a new store."""
        self._let_go()
        self._n_loaded += 1
        folder = Path(self._folder.name) / str(self._n_loaded)
        folder.mkdir()
        self._peer = PEERS[self.name](folder)
        self._peer.add_many(scope.messages)
        count = WordPiece.shipped().count
        for turn in scope.messages:
            key = turn.key or ""
            self._sessions[key] = turn.session or ""
            self._tokens[key] = count(f"{turn.speaker}: {turn.text}")

    def rank(self, question: str, now: datetime, k: int) -> Ranking:
        """The best `k` turns, and their sessions in the order of their best turn."""
        keys = self._keys(question, k)
        sessions = dict.fromkeys(self._sessions[key] for key in keys)
        return Ranking(keys, tuple(filter(None, sessions)))

    def pack(self, question: str, now: datetime, budget_tokens: int) -> Packed:
        """Turns in rank order, those that do not fit left out."""
        picked, spent = [], 0
        for key in self._keys(question, k=100):
            if spent + self._tokens[key] <= budget_tokens:
                picked.append(key)
                spent += self._tokens[key]
        return Packed(tuple(picked), spent)

    def close(self) -> None:
        """Close the store and delete its files."""
        self._let_go()
        self._folder.cleanup()

    def _keys(self, question: str, k: int) -> tuple[str, ...]:
        assert self._peer is not None
        return tuple(found.key for found in self._peer.search(question, k))

    def _let_go(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None


def system(name: str) -> System:
    """What the runner measures under this name."""
    return MemorySystem() if name == "memsieve" else PeerSystem(name)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("path", type=Path, nargs="?", default=DEFAULT_PATH)
    parser.add_argument("--peers", default=",".join(DEFAULT_PEERS), help=", ".join(PEERS))
    parser.add_argument("--json", type=Path, default=None, help="also write the figures here")
    options = parser.parse_args(arguments)
    names, skipped = present(options.peers.split(","))
    systems = [system(name) for name in names]
    data = load(options.path, dataset="locomo")
    asked = [category for category in CATEGORIES if category in data.categories]
    with company() as others:
        found = compare(systems, data, categories=asked, budgets=(BUDGET_TOKENS,))
    for each in systems:
        each.close()
    n_asked = len(found.reports[0].rows)
    print(f"LoCoMo, {n_asked:,} questions; other programs took {others.share:.0%} meanwhile")
    print("\n".join([*skipped, "", text(found.reports)]))
    if options.json:
        options.json.write_text(json.dumps(found.to_json(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
