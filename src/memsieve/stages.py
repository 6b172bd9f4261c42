"""The stages of a read path, and the memories that are made of them.

A named system is a choice of stages: it says which items are candidates, what each is worth, and
how many are taken. Everything around that is the same for all: filters, times, versions, slots,
the budget of the context, citations, feedback.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from memsieve.embed import Embedder
from memsieve.grounding import Verdict, grounded
from memsieve.recollection import Recollection
from memsieve.request import HEAVIEST_TIER, Request
from memsieve.score import Features, Scores, features, score_sessions
from memsieve.search import Block, find
from memsieve.search.candidates import Found
from memsieve.search.question import Question
from memsieve.select import Budget, Selector, TopK, Windows
from memsieve.store.base import Claim, Store
from memsieve.timeline import Reader
from memsieve.timing import Timing
from memsieve.types import NOTHING

if TYPE_CHECKING:
    from memsieve.llm import Model

Progress = Callable[[int, int], None]
"""Called with how many are done, of how many."""


class Scorer(Protocol):
    """Anything that turns the features of candidates into scores."""

    def score(self, features: Features) -> Scores: ...


@dataclass(frozen=True, slots=True)
class Card:
    """A system in a few lines: the six questions, its paper, and where this one departs from it.

    unit: what is remembered as one thing; written: what is stored and when; scored: what a
    candidate is worth; selected: which are kept, under which budget; managed: what happens to
    memories between questions; learns: what training changes.
    """

    name: str
    paper: str
    unit: str
    written: str
    scored: str
    selected: str
    managed: str
    learns: str
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace and what works on it; `model` is None where no chat model was given."""

    namespace: str
    store: Store
    embedder: Embedder
    timeline: Reader
    count: Callable[[str], int] = field(repr=False)
    model: "Model | None" = None
    actor: str = "library"


@dataclass(frozen=True, slots=True)
class Reading:
    """One request as a system sees it.

    allowed: which documents of the block may be candidates, (n,) bool, None for all living ones;
    timing: what the times of the question come to; plan: what `System.plan` made of it.
    """

    place: Place
    block: Block
    question: Question
    request: Request
    allowed: np.ndarray | None
    timing: Timing
    plan: Any = None

    @property
    def fit(self) -> np.ndarray:
        """Which documents may be candidates: (n,) bool."""
        alive = self.block.alive
        return alive if self.allowed is None else alive & self.allowed


@dataclass(frozen=True, slots=True)
class Weighed:
    """The candidates of a request before they are scored.

    features: one row for each of `found.docs`; stale: by `seq` what those candidates state that
    another item says otherwise.
    """

    reading: Reading
    found: Found
    features: Features
    stale: Mapping[int, Claim] = field(default_factory=dict)

    @property
    def block(self) -> Block:
        """The namespace that they are from."""
        return self.reading.block

    @property
    def question(self) -> Question:
        """What they are candidates for."""
        return self.reading.question

    @property
    def seqs(self) -> np.ndarray:
        """The candidates by `seq`: shape (n,)."""
        return self.block.seq[self.found.docs]

    @property
    def holds(self) -> np.ndarray:
        """Which candidates may be picked, those that are not stale: shape (n,), bool."""
        return ~np.isin(self.seqs, list(self.stale))


class System(ABC):
    """A memory as a choice of stages; override those in which it differs.

    A system keeps nothing of its own that it cannot work out again: texts are in the store, and so
    is what a model wrote about them (`memsieve.store.notes`). One object may serve several
    namespaces and many threads, one call at a time.
    """

    CARD: ClassVar[Card]
    reads_time: ClassVar[bool] = True
    """Whether times in a question count: windows, orders, lengths that are worked out."""

    @property
    def name(self) -> str:
        """Under which it is registered, and what reports call it."""
        return self.CARD.name

    @property
    def scorer_name(self) -> str:
        """The name of what weighs the features, as recalls and reports state it."""
        return self.name

    def plan(self, reading: Reading) -> Any:
        """Whatever the later stages go by, worked out once; they find it as `reading.plan`."""
        return None

    def find(self, reading: Reading) -> Found:
        """The candidates; by default the best of each view of `memsieve.search.find`."""
        request = reading.request
        return find(
            reading.block,
            reading.question,
            reading.allowed,
            request.pool,
            beside=request.neighbours,
        )

    @abstractmethod
    def features(self, reading: Reading, found: Found) -> Features:
        """What speaks for each candidate: one row for each of `found.docs`, named columns."""

    def score(self, reading: Reading, found: Found, columns: Features) -> Scores:
        """What each candidate is worth; by default the sum of its features."""
        return Scores(columns.values.sum(axis=1), columns.names, columns.values)

    def rank_sessions(self, reading: Reading, found: Found, scores: np.ndarray) -> np.ndarray:
        """Scores of all sessions, (n_sessions,), -inf for those that are not recalled.

        `scores` are those of the candidates that hold, `found` holds no others. By default a
        session is worth its best candidate.
        """
        best = np.full(len(reading.block.sessions.names), -np.inf)
        session = reading.block.session[found.docs]
        np.maximum.at(best, session[session >= 0], scores[session >= 0])
        return best

    def selector(self, reading: Reading) -> Selector:
        """How candidates are taken; repeats and what no longer holds are left out in any case."""
        steps = reading.request.neighbours
        return Windows(TopK(), before=steps, after=steps) if steps else TopK()

    def holds_at(self, reading: Reading) -> int | None:
        """The last microsecond that may say what holds, for items with slots; None: all is shown.

        By default that of the question's clock.
        """
        return reading.request.truth_at

    def budget(self, reading: Reading) -> Budget:
        """What may be taken at most; never more than the request allows."""
        return reading.request.budget

    def remarks(self, reading: Reading, found: Found, scores: Scores) -> tuple[str, ...]:
        """Lines that stand below the evidence, and count towards the budget."""
        return ()

    def explain(self, reading: Reading) -> Mapping[str, Any]:
        """What was decided for this question, for `Recollection.plan`."""
        return NOTHING

    def allowance(self, tier: int, most: int) -> int:
        """The tokens of evidence that a question gets when it is asked, at most `most`.

        By default a quarter in the first tier, then half, then all: most questions need little, and
        evidence costs time and money.
        """
        return max(most >> (HEAVIEST_TIER - max(tier, 1)), 1)

    def validate(self, answer: str, found: Recollection, model: "Model | None" = None) -> Verdict:
        """Whether an answer stands on its evidence; by default see `memsieve.grounding`."""
        return grounded(answer, found, model)

    def enrich(self, place: Place, progress: Progress | None = None) -> int:
        """Write notes about items that have none yet; gives how many. Going on is calling again."""
        return 0


class Memsieve(System):
    """memsieve's own read path: every view, scored by a policy.

    Parameters
    ----------
    scorer
        A policy, or anything else that turns features into scores.
    """

    CARD = Card(
        name="memsieve",
        paper="none: this library's own",
        unit="a turn, seen alone, with its neighbours and as part of its session",
        written="every turn verbatim, with its words, its vector and the times it tells of",
        scored="fifty features of words, meaning, time, speaker and form, weighed by a policy",
        selected="the best that fit the budget; of repeats one, of a slot what holds",
        managed="versions by key, slots by time; nothing ages",
        learns="the policy, from questions with evidence or from feedback",
    )

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    @property
    def scorer_name(self) -> str:
        """The name of the policy."""
        return str(getattr(self.scorer, "name", type(self.scorer).__name__))

    def features(self, reading: Reading, found: Found) -> Features:
        """All of `memsieve.score.features`."""
        return features(reading.block, reading.question, found)

    def score(self, reading: Reading, found: Found, columns: Features) -> Scores:
        """As the policy says."""
        return self.scorer.score(columns)

    def rank_sessions(self, reading: Reading, found: Found, scores: np.ndarray) -> np.ndarray:
        """By words and by the mass of their turns: see `memsieve.score.score_sessions`."""
        return score_sessions(reading.block, found, scores)
