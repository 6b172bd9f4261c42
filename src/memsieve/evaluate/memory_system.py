"""A memory as a system under measurement: a real file, the public calls."""

import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from memsieve import stages
from memsieve.embed import Embedder
from memsieve.evaluate.report import Packed, Ranking
from memsieve.evaluate.scopes import Scope
from memsieve.memory import Memory
from memsieve.recollection import Recollection
from memsieve.score.policy import Policy
from memsieve.stages import Scorer

if TYPE_CHECKING:
    from memsieve.llm import Model

_NAMESPACE = "scope"


class MemorySystem:
    """A `Memory` in a temporary file, made anew for each scope.

    Parameters
    ----------
    embedder
        As `Memory` takes it; None is the shipped static model.
    policy, scorer, system
        As `Memory` takes them; none is the shipped default.
    model
        As `Memory` takes it. With one the memory is enriched after a scope is written, and
        `model_calls` counts what that and the questions took.
    timeline
        As `Memory` takes it; "none" measures without any reading of time.
    """

    def __init__(
        self,
        *,
        name: str = "memsieve",
        policy: Policy | str | None = None,
        embedder: Embedder | str | None = None,
        scorer: Scorer | None = None,
        timeline: str | None = None,
        system: stages.System | str | None = None,
        model: "Model | None" = None,
    ) -> None:
        self.name = name
        self._given, self._scorer, self._timeline = embedder, scorer, timeline
        self._policy, self._system, self._model = policy, system, model
        self._folder = tempfile.TemporaryDirectory(prefix="memsieve-bench-")
        self._scopes = 0
        self._memory = self._fresh()
        self.embedder, self.policy = self._memory.embedder.identity, self._memory.policy

    def _fresh(self) -> Memory:
        self._scopes += 1
        return Memory(
            Path(self._folder.name) / f"{self._scopes}.db",
            namespace=_NAMESPACE,
            embedder=self._given,
            policy=self._policy,
            scorer=self._scorer,
            timeline=self._timeline,
            system=self._system,
            model=self._model,
        )

    def load(self, scope: Scope) -> None:
        """Write the messages of a scope into a new file, in one transaction."""
        self._memory.close()
        self._memory = self._fresh()
        self._memory.add([replace(message, namespace=None) for message in scope.messages])
        if self._model is not None:
            self._memory.enrich()

    def rank(self, question: str, now: datetime, k: int) -> Ranking:
        """The best `k` turns without a budget, and the sessions."""
        found = self._memory.recall(question, k=k, now=now)
        return Ranking(_keys(found), tuple(hit.session for hit in found.sessions))

    def pack(self, question: str, now: datetime, budget_tokens: int) -> Packed:
        """The turns of the context under a budget."""
        found = self._memory.recall(question, budget_tokens=budget_tokens, now=now)
        return Packed(_keys(found), found.tokens)

    def db_bytes(self) -> int:
        """Size of the file that holds the scope."""
        return int(self._memory.stats()["file_bytes"])

    @property
    def model_calls(self) -> int | None:
        """Calls of the chat model so far; None without one."""
        return None if self._model is None else self._model.spent.calls

    def close(self) -> None:
        """Close the file and delete the folder."""
        self._memory.close()
        self._folder.cleanup()


def _keys(found: Recollection) -> tuple[str, ...]:
    return tuple(hit.item.key or hit.id for hit in found)
