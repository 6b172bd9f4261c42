"""A conversation with questions whose evidence is known turn by turn: what is measured on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from memsieve.errors import ParameterError
from memsieve.types import NOTHING, Message


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the keys of the turns that answer it.

    `asked_at` is None where the data set does not say; the runner then takes the time of the
    last turn. `answer` is for readers, no figure uses it; several accepted answers stand side
    by side with " | " between them. `evidence_sessions` is filled in by the `Scope`.
    """

    question: str
    evidence: tuple[str, ...]
    category: str
    asked_at: datetime | None = None
    answer: str | None = None
    evidence_sessions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionView:
    """What a data set has written about one session, for systems that use it.

    `statements` are facts of the session, each with the keys of the turns that it rests on.
    """

    summary: str = ""
    statements: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """One conversation: its messages in order, and the questions about it.

    `views` holds by session what the data set has written about it besides; most have nothing.

    Raises
    ------
    ParameterError
        If a message has no key or that of another, or a question has no evidence or names a
        turn that is not here.

    Examples
    --------
    >>> turn = Message("I moved to Lisbon.", key="t1", session="s1")
    >>> scope = Scope("ana", (turn,), (Question("Where does Ana live?", ("t1",), "fact"),))
    >>> scope.questions[0].evidence_sessions
    ('s1',)
    """

    id: str
    messages: tuple[Message, ...]
    questions: tuple[Question, ...] = ()
    views: Mapping[str, SessionView] = field(
        default_factory=lambda: NOTHING, repr=False, hash=False
    )

    def __post_init__(self) -> None:
        sessions: dict[str, str | None] = {}
        for number, message in enumerate(self.messages):
            if message.key is None:
                raise ParameterError(
                    f"Scope {self.id!r}: every message must have a key, message {number} has none"
                )
            if message.key in sessions:
                raise ParameterError(f"Scope {self.id!r} holds the key {message.key!r} twice")
            sessions[message.key] = message.session
        located = tuple(self._located(question, sessions) for question in self.questions)
        object.__setattr__(self, "questions", located)

    @property
    def keys(self) -> frozenset[str]:
        """The keys of all messages."""
        return frozenset(message.key for message in self.messages if message.key is not None)

    @property
    def last_at(self) -> datetime | None:
        """When the last turn was said; None if no turn says when."""
        return max((m.at for m in self.messages if m.at is not None), default=None)

    def _located(self, question: Question, sessions: Mapping[str, str | None]) -> Question:
        strange = [key for key in question.evidence if key not in sessions]
        if strange or not question.evidence:
            raise ParameterError(
                f"Scope {self.id!r}: the evidence of a question must be turns of the scope, "
                f"got {strange or 'none'} for {question.question!r}"
            )
        found = (sessions[key] for key in question.evidence)
        named = dict.fromkeys(session for session in found if session is not None)
        return replace(question, evidence_sessions=tuple(named))


@dataclass(frozen=True, slots=True)
class Skipped:
    """A question that cannot be scored, and why."""

    scope: str
    question: str
    why: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """Scopes with their questions, and the questions that were left out."""

    name: str
    scopes: tuple[Scope, ...]
    skipped: tuple[Skipped, ...] = field(default=(), repr=False)

    @property
    def n_questions(self) -> int:
        """Questions that will be asked."""
        return sum(len(scope.questions) for scope in self.scopes)

    @property
    def n_messages(self) -> int:
        """Messages of all scopes."""
        return sum(len(scope.messages) for scope in self.scopes)

    @property
    def categories(self) -> tuple[str, ...]:
        """Every category of the questions, in alphabetical order."""
        return tuple(sorted({q.category for scope in self.scopes for q in scope.questions}))
