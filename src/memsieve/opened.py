"""A memory file opened: the store, what analyses texts, and how it is recalled."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from memsieve import registry
from memsieve import timeline as readers
from memsieve.embed import Embedder, from_spec
from memsieve.errors import NotFoundError, ParameterError
from memsieve.intake import Analyst
from memsieve.recall import Recaller
from memsieve.score.policy import Policy
from memsieve.score.policy import load as load_policy
from memsieve.settling import settled_embedder, settled_policy, settled_timeline
from memsieve.stages import Memsieve, Scorer, System
from memsieve.store import SQLite
from memsieve.timeline import Reader

if TYPE_CHECKING:
    from memsieve.llm import Model


class Opened:
    """What every part of a memory stands on; see `memsieve.Memory` for the parameters."""

    def __init__(
        self,
        path: str | Path,
        *,
        namespace: str = "default",
        embedder: Embedder | str | None = None,
        timeline: Reader | str | None = None,
        count_tokens: Callable[[str], int] | None = None,
        policy: Policy | str | Path | None = None,
        scorer: Scorer | None = None,
        system: System | str | None = None,
        model: "Model | None" = None,
        timeout_s: float = 30.0,
        actor: str = "library",
        adopt: bool = False,
    ) -> None:
        if str(path).startswith(("postgresql://", "postgres://")):
            raise ParameterError("this version keeps memories in SQLite files: pass a file's path")
        self.namespace = named(namespace)
        self._actor = actor
        self._lock = threading.RLock()
        if policy is not None and scorer is not None:
            raise ParameterError("give a policy or a scorer, not both")
        chosen = _system(system, scorer or policy)
        self._model = model
        self._count_tokens = count_tokens
        given = from_spec(embedder) if isinstance(embedder, str) else embedder
        reader = readers.from_spec(timeline) if isinstance(timeline, str) else timeline
        self._store = SQLite(path, timeout_s=timeout_s)
        try:
            self._system = chosen or Memsieve(settled_policy(self._store))
            self._use(
                settled_embedder(self._store, given, adopt=adopt),
                settled_timeline(self._store, reader),
            )
        except BaseException:
            self._store.close()
            raise

    def _use(self, embedder: Embedder, timeline: Reader) -> None:
        self._analyst = Analyst(embedder, timeline)
        self._recaller = Recaller(
            self._store,
            embedder,
            timeline,
            self._count_tokens,
            self._analyst.count,
            self._system,
            model=self._model,
            actor=self._actor,
        )

    @property
    def path(self) -> Path:
        """The database file."""
        return self._store.path

    @property
    def embedder(self) -> Embedder:
        """What turns texts into vectors here."""
        return self._analyst.embedder

    @property
    def timeline_reader(self) -> Reader:
        """What reads times out of texts here."""
        return self._analyst.timeline

    @property
    def system(self) -> System:
        """How this memory recalls."""
        return self._system

    @property
    def model(self) -> "Model | None":
        """The chat model that `enrich` and `ask` may call."""
        return self._model

    @property
    def scorer(self) -> Scorer | None:
        """What scores candidates here: a `Policy`, unless another scorer or system was given."""
        return self._system.scorer if isinstance(self._system, Memsieve) else None

    @property
    def policy(self) -> str:
        """The name of what scores candidates here."""
        return self._system.scorer_name

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def namespaces(self) -> list[str]:
        """The names of all namespaces, oldest first."""
        return self._store.namespaces()

    def _known(self, namespace: str | None) -> str:
        """The namespace of a call; one that the call itself names must exist."""
        if namespace is None:
            return self.namespace
        name = named(namespace)
        if name != "default" and not self._store.has_namespace(name):
            listed = ", ".join(self._store.namespaces()) or "none yet"
            raise NotFoundError(f"no namespace is called {name!r}; there are: {listed}")
        return name


def _system(given: System | str | None, scorer: Scorer | str | Path | None) -> System | None:
    """The system that the caller asks for; None leaves the choice to the file."""
    if given is not None and scorer is not None:
        raise ParameterError("give a policy, a scorer or a system, not two of them")
    if isinstance(given, System):
        return given
    if isinstance(given, str):
        # The file has a say in the policy of memsieve's own.
        return None if given == Memsieve.CARD.name else registry.make(given)
    if isinstance(scorer, str | Path):
        return Memsieve(load_policy(scorer))
    return None if scorer is None else Memsieve(scorer)


def named(namespace: str) -> str:
    if not isinstance(namespace, str) or not namespace.strip():
        raise ParameterError(f"a namespace must be text that is not blank, got {namespace!r}")
    return namespace
