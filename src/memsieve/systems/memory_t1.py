"""Memory-T1: dated sessions, filtered by the time of the question, ranked, chosen by a policy."""

import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

import numpy as np

from memsieve.embed import WordPiece
from memsieve.errors import ParameterError
from memsieve.evaluate.report import Packed, Ranking
from memsieve.evaluate.scopes import Scope
from memsieve.llm import Chat, json_object
from memsieve.select import Candidates, TopK
from memsieve.stages import Card
from memsieve.systems.date_range import DateRange, RangeFinder, RuleRange
from memsieve.systems.lines import Lines
from memsieve.types import Message

_LOG = logging.getLogger(__name__)

WINDOWS = ("hard", "soft")
SOFT_MARGIN_DAYS = 2
K1, B, FLOOR = 1.5, 0.75, 0.25
"""Okapi's constants and the share of the mean weight that a word of most sessions gets."""
_ID = re.compile(r"session_[0-9]+")

CARD = Card(
    name="memory-t1",
    paper="Du et al., Memory-T1: Reinforcement Learning for Temporal Reasoning in Multi-session "
    "Agents, ICLR 2026, arXiv 2512.20092",
    unit="a dated session",
    written="every session whole, in order; nothing is derived",
    scored="date inside the range of the question, then BM25 on the session, then a policy",
    selected="the best 10 sessions, of these as many as 15,500 tokens hold, of these a set of any "
    "size that the policy names",
    managed="nothing is linked, merged, aged or evicted",
    learns="the policy, group-relatively (GRPO), from answer, evidence and dates; never the filter",
    differences=(
        "the range of a question is read by rules, or by a chat model with a prompt of ours: the "
        "paper does not state its prompt, and the public scripts look the range up",
        "a question that names no time has an open range; an unknown end is open, not 2025-09-01",
        "a soft window, widened by 2 days, is an option of ours",
        "sessions with equal scores keep their order, the public code's order is accidental",
        "the budget of 15,500 tokens holds for the sessions, counted by the tokenizer of choice; "
        "the public code also cuts the end of the prompt off there, question included",
        "a session that fills the budget exactly fits",
        "the words of the prompt are ours, one form of answer is added: a few words",
        "a policy that is a scoring function is ours, for use without a chat model",
    ),
)


@dataclass(frozen=True, slots=True)
class Session:
    """A session as the policy sees it.

    id: "session_3", the name that prompts and results use; name: what the messages call it; day:
    that of its first dated turn, on the clock of whoever said it; text: date, id, and every turn
    as "speaker : time : text".
    """

    id: str
    name: str | None
    day: date | None
    turns: tuple[Message, ...] = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a policy made of the sessions it saw.

    selected: ids of sessions it saw, each once, in the policy's order; answer: None if it gives
    none; named: every id that it wrote, doubles and inventions included; parse_failed: what it
    wrote could not be read, so it chose nothing.
    """

    selected: tuple[str, ...]
    answer: str | None = None
    named: tuple[str, ...] = ()
    parse_failed: bool = False


class Policy(Protocol):
    """Chooses among the packed sessions, which come best first; `name` goes into reports."""

    name: str

    def choose(self, question: str, now: datetime, sessions: Sequence[Session]) -> Choice: ...


class ScorePolicy:
    """Keeps the sessions that a function scores above 0, best first, and at least one.

    Equal scores keep the order of the sessions. It gives no answer.

    Parameters
    ----------
    score
        Called with the question and the packed sessions, best first; gives (n,) finite scores.

    Raises
    ------
    ParameterError
        From `choose`: the scores have another shape, or one is not finite.

    Examples
    --------
    >>> def short(question, sessions):
    ...     return [2 - len(session.turns) for session in sessions]
    >>> turn = Message("I moved to Lisbon.")
    >>> seen = [Session(f"session_{n}", None, None, (turn,) * n, "") for n in (3, 1, 2)]
    >>> ScorePolicy(short).choose("Where?", datetime(2024, 5, 1), seen).selected
    ('session_1',)
    """

    name = "score"

    def __init__(self, score: Callable[[str, Sequence[Session]], Any]) -> None:
        self._score = score

    def choose(self, question: str, now: datetime, sessions: Sequence[Session]) -> Choice:
        """The sessions above 0, or else the best one."""
        if not sessions:
            return Choice(())
        scores = np.asarray(self._score(question, sessions), dtype=float)
        if scores.shape != (len(sessions),) or not np.isfinite(scores).all():
            raise ParameterError(
                f"ScorePolicy.score must give one finite score for each of {len(sessions)} "
                f"sessions, got shape {scores.shape} and {np.isfinite(scores).sum()} finite"
            )
        order = np.argsort(-scores, kind="stable")
        kept = max(1, int((scores > 0).sum()))
        return Choice(tuple(sessions[i].id for i in order[:kept]))


class ModelPolicy:
    """A chat model names the sessions that the answer rests on, and answers.

    Parameters
    ----------
    chat
        Any chat model, best in JSON mode. Once for each question.
    max_tokens, temperature, top_p
        Of decoding; the defaults are those of the public code.

    Raises
    ------
    EndpointError
        From `choose`, by the chat model. What the model writes raises nothing.
    """

    name = "model"

    def __init__(
        self, chat: Chat, *, max_tokens: int = 128, temperature: float = 0.1, top_p: float = 0.95
    ) -> None:
        self._chat = chat
        self._max_tokens, self._temperature, self._top_p = max_tokens, temperature, top_p

    def choose(self, question: str, now: datetime, sessions: Sequence[Session]) -> Choice:
        """What the model wrote, read by `read_choice`."""
        messages = [{"role": "user", "content": prompt(question, now, sessions)}]
        written = self._chat.complete(
            messages,
            max_tokens=self._max_tokens,
            temperature=self._temperature,
            top_p=self._top_p,
        )
        return read_choice(written.text, [session.id for session in sessions])


def prompt(question: str, now: datetime, sessions: Sequence[Session]) -> str:
    """What the policy reads: its role, the forms of an answer, the sessions, time and question."""
    history = "\n\n".join(session.text for session in sessions)
    return (
        "You remember past conversations and answer questions about them. Below are some of the "
        "sessions, each with its date and its id. Find those that the answer rests on, minding "
        "when something was said and when it happened, then answer.\n\n"
        "Write one JSON object and nothing else:\n"
        '{"selected_memory": ["session_2", "session_5"], "answer": "A"}\n'
        '"selected_memory" holds the ids of the sessions that the answer rests on and no others. '
        '"answer" has one of these forms:\n'
        '- one option: its letter, such as "A"\n'
        '- several options: their letters in order, such as "A C E"\n'
        '- a time: such as "02:30:00 pm, March 22, 2024"\n'
        '- an order: the numbers of the events, such as "(1)(3)(2)"\n'
        "- anything else: a few words, taken from the sessions if you can\n\n"
        f"Sessions:\n{history}\n\n"
        f"{_stamp(now)}: {question}"
    )


def read_choice(written: str, ids: Collection[str]) -> Choice:
    """What a policy wrote as a choice among the sessions `ids`; it raises nothing.

    The first JSON object counts, whatever stands around it. In each entry of "selected_memory" the
    first "session_<digits>" is an id, in angle brackets or not; an entry without one is passed
    over. Without an object, or without a list in it, parsing has failed.

    Examples
    --------
    >>> choice = read_choice('{"selected_memory": ["<session_2>", "session_9"], "answer": "A"}',
    ...                      ["session_1", "session_2"])
    >>> choice.selected, choice.answer, choice.named
    (('session_2',), 'A', ('session_2', 'session_9'))
    """
    found = json_object(written)
    if found is None or not isinstance(found.get("selected_memory"), list):
        return Choice((), parse_failed=True)
    matches = [_ID.search(str(entry)) for entry in found["selected_memory"]]
    named = tuple(match[0] for match in matches if match)
    known = dict.fromkeys(name for name in named if name in ids)
    return Choice(tuple(known), _answer_in(found.get("answer")), named)


def _answer_in(value: Any) -> str | None:
    """The answer as text; lists of options are joined, a blank one is none."""
    values = value if isinstance(value, list) else [value]
    return " ".join(str(one) for one in values if one is not None).strip() or None


@dataclass(frozen=True, slots=True)
class Result:
    """What Memory-T1 makes of a question; ids are those of `MemoryT1.sessions`.

    selected: the evidence, in the policy's order, the packed sessions where there is no policy or
    its answer could not be read (`parse_failed`); answer: None if the policy gives none;
    time_range: the days of the question, open if `range_failed`; candidates: the best sessions
    after filter and ranking; packed: those of them that the policy saw, `tokens` in all; unknown:
    ids that the policy named without having seen such sessions.
    """

    selected: tuple[str, ...]
    answer: str | None
    time_range: DateRange
    candidates: tuple[str, ...]
    packed: tuple[str, ...]
    tokens: int
    parse_failed: bool = False
    range_failed: bool = False
    unknown: tuple[str, ...] = ()


class MemoryT1:
    """Pick the dated sessions that answer a question about time, and perhaps answer it.

    1. Range: the days that the question is about (`time_range`). Unknown: from 1900-01-01, open.
    2. Filter: sessions dated inside the range; all of them if none is.
    3. Rank: Okapi BM25 on "date: <id>, speaker : time : text ...", split at white space and with
       its case; the best `k`. idf = ln((N - df + .5) / (df + .5)) over the filtered sessions, a
       quarter of the mean idf where that is negative; k1 = 1.5, b = 0.75.
    4. Pack: in that order up to `budget_tokens`, ending with the first session that does not fit.
    5. Policy: a set of the packed sessions, and an answer.

    A question costs O(words of all sessions).

    Parameters
    ----------
    policy
        A `ModelPolicy`, a `ScorePolicy` or any `Policy`; None selects all that is packed.
    time_range
        A `RuleRange`, a `ModelRange` or any `RangeFinder`; None is `RuleRange()`.
    window
        "hard" is step 2. "soft" drops nothing: sessions up to 2 days outside count as inside, the
        rest is ranked behind them, words are weighed over all sessions.
    k
        Candidates; 10 in the paper.
    budget_tokens
        15,500 in the public code, which counts with the tokenizer of its policy.
    count_tokens
        Length of a text in tokens; None counts pieces of the shipped vocabulary.

    Raises
    ------
    ParameterError
        If an option lies outside its rule; from `answer`, if the question is blank or `now` naive.
    EndpointError
        From `answer`, `rank` and `pack`, by a chat model.

    Examples
    --------
    >>> from datetime import UTC
    >>> def turn(month, day, text):
    ...     at = datetime(2024, month, day, tzinfo=UTC)
    ...     return Message(text, at=at, speaker="Ana", session=f"session_{month}", key=f"{month}")
    >>> memory = MemoryT1()
    >>> memory.load(Scope("ana", (turn(4, 2, "I went hiking."), turn(5, 21, "I went hiking!"))))
    >>> asked = datetime(2024, 6, 1, tzinfo=UTC)
    >>> memory.answer("Where did Ana go between 1 and 9 April?", asked).selected
    ('session_4',)

    References
    ----------
    Du et al., Memory-T1, ICLR 2026, arXiv 2512.20092; public code Elvin-Yiming-Du/Memory-T1.
    `CARD.differences` lists where this class departs from them. Not stated by either and ours: that
    several times in a question make one range, that undated sessions pass every filter, that turns
    without a session are grouped by day, that sessions named otherwise than "session_<digits>" are
    numbered so in their order, and that what a policy does not select follows behind it where a
    ranking of all turns is asked for. The soft window follows the public code of LongMemEval (Wu et
    al., ICLR 2025). Where few sessions are left the published ranking says little: with two, a word
    of one of them has idf 0.
    """

    name = CARD.name
    embedder = "none"

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        time_range: RangeFinder | None = None,
        window: str = "hard",
        k: int = 10,
        budget_tokens: int = 15_500,
        count_tokens: Callable[[str], int] | None = None,
    ) -> None:
        if window not in WINDOWS:
            raise ParameterError(f"MemoryT1.window must be hard or soft, got {window!r}")
        if k < 1:
            raise ParameterError(f"MemoryT1.k must be >= 1, got {k!r}")
        if budget_tokens < 0:
            raise ParameterError(f"MemoryT1.budget_tokens must be >= 0, got {budget_tokens!r}")
        shipped = WordPiece.shipped()
        self.policy = "none" if policy is None else policy.name
        self.window, self.k, self.budget_tokens = window, k, budget_tokens
        self._policy, self._finder = policy, time_range or RuleRange()
        self._count = count_tokens or shipped.count
        self._lines = Lines(shipped.count)
        self._forget()

    def _forget(self) -> None:
        self.sessions: tuple[Session, ...] = ()
        self._words: tuple[Counter[str], ...] = ()
        self._tokens = np.empty(0, np.int64)
        self._last: tuple[str, datetime, Result] | None = None

    def load(self, scope: Scope) -> None:
        """Take the messages of a scope as sessions, instead of any earlier ones."""
        self._forget()
        self.sessions = sessions_of(scope.messages)
        self._words = tuple(Counter(session.text.split()) for session in self.sessions)
        self._tokens = np.array([self._count(s.text) for s in self.sessions], dtype=np.int64)

    def answer(self, question: str, now: datetime) -> Result:
        """Select the evidence, and answer if the policy does; `now` is when it was asked."""
        if not question.strip():
            raise ParameterError("the question must not be empty: say what to look for")
        if now.tzinfo is None:
            raise ParameterError(f"now must be an aware datetime, got {now!r}")
        asked = self._finder.range_of(question, now)
        if asked is None:
            _LOG.warning("the days of a question could not be told: all sessions are looked at")
        days = asked or DateRange()
        found = self._ranked(question, days)
        packed = self._packed(found)
        shown = [self.sessions[i] for i in packed]
        ids = tuple(session.id for session in shown)
        choice = Choice(ids) if self._policy is None else self._policy.choose(question, now, shown)
        return Result(
            selected=ids if choice.parse_failed else choice.selected,
            answer=choice.answer,
            time_range=days,
            candidates=tuple(self.sessions[i].id for i in found),
            packed=ids,
            tokens=int(self._tokens[packed].sum()),
            parse_failed=choice.parse_failed,
            range_failed=asked is None,
            unknown=tuple(dict.fromkeys(name for name in choice.named if name not in ids)),
        )

    def _ranked(self, question: str, days: DateRange) -> list[int]:
        """The candidates, best first."""
        soft = self.window == "soft"
        margin = SOFT_MARGIN_DAYS if soft else 0
        inside = np.array([s.day is None or days.holds(s.day, margin) for s in self.sessions], bool)
        if days.is_open or not inside.any():
            inside[:] = True
        pool = np.arange(inside.size) if soft else np.flatnonzero(inside)
        scores = _bm25(question.split(), [self._words[i] for i in pool])
        order = np.lexsort((-scores, ~inside[pool]))
        return pool[order[: self.k]].tolist()

    def _packed(self, found: Sequence[int]) -> list[int]:
        candidates = Candidates(
            relevance=-np.arange(len(found), dtype=float), tokens=self._tokens[list(found)]
        )
        whole = TopK(stop_at_first_misfit=True)
        picked = whole.select(candidates, budget_tokens=self.budget_tokens).picked
        return [found[i] for i in picked]

    def _in_order(self, question: str, now: datetime) -> list[Session]:
        """Sessions for a ranking: selected, packed, candidates; one question is asked once."""
        if self._last is None or self._last[:2] != (question, now):
            self._last = question, now, self.answer(question, now)
        result = self._last[2]
        by_id = {session.id: session for session in self.sessions}
        ids = dict.fromkeys([*result.selected, *result.packed, *result.candidates])
        return [by_id[id_] for id_ in ids]

    def rank(self, question: str, now: datetime, k: int) -> Ranking:
        """The first `k` turns of the sessions in their order, and the sessions."""
        sessions = self._in_order(question, now)
        turns = [str(turn.key) for session in sessions for turn in session.turns]
        return Ranking(tuple(turns[:k]), tuple(s.name for s in sessions if s.name is not None))

    def pack(self, question: str, now: datetime, budget_tokens: int) -> Packed:
        """Turns of the same order while they fit."""
        turns = [turn for s in self._in_order(question, now) for turn in s.turns]
        return self._lines.pack(turns, now, budget_tokens)

    def close(self) -> None:
        """Let go of the scope."""
        self._forget()


def sessions_of(messages: Sequence[Message]) -> tuple[Session, ...]:
    """Messages as sessions, in the order of their first turns.

    Examples
    --------
    >>> [s.id for s in sessions_of([Message("a", session="x"), Message("b", session="y")])]
    ['session_1', 'session_2']
    """
    grouped: dict[tuple[str | None, date | None], list[Message]] = {}
    for message in messages:
        by_day = message.at.date() if message.session is None and message.at else None
        grouped.setdefault((message.session, by_day), []).append(message)
    names = [name for name, _ in grouped]
    are_ids = all(name is not None and _ID.fullmatch(name) for name in names)
    return tuple(
        _session(str(name) if are_ids else f"session_{number}", name, turns)
        for number, (name, turns) in enumerate(zip(names, grouped.values(), strict=True), 1)
    )


def _session(id_: str, name: str | None, turns: Sequence[Message]) -> Session:
    first = next((turn.at for turn in turns if turn.at is not None), None)
    said = "\n".join(
        f"{turn.speaker or turn.role or 'unknown'} : {_stamp(turn.at)} : {turn.text}"
        for turn in turns
    )
    return Session(
        id_, name, first and first.date(), tuple(turns), f"{_stamp(first)}: <{id_}>, {said}"
    )


def _stamp(moment: datetime | None) -> str:
    return "unknown" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def _bm25(question: Sequence[str], sessions: Sequence[Mapping[str, int]]) -> np.ndarray:
    """Okapi BM25 of each session: shape (n,), higher is better.

    As the package rank_bm25 has it, which the public code uses: words that most sessions hold would
    weigh less than nothing, and get a quarter of the mean weight of all words instead.
    """
    n = len(sessions)
    held = Counter(word for session in sessions for word in session)
    idf = {word: math.log(n - df + 0.5) - math.log(df + 0.5) for word, df in held.items()}
    floor = FLOOR * sum(idf.values()) / max(len(idf), 1)
    counts = np.array([[session.get(word, 0) for word in question] for session in sessions])
    lengths = np.array([sum(session.values()) for session in sessions], dtype=float)
    weights = np.array([floor if idf[w] < 0 else idf[w] for w in question if w in idf])
    counts = counts.reshape(n, len(question))[:, [w in idf for w in question]]
    share = 1 - B + B * lengths / max(lengths.mean(), 1.0) if n else lengths
    return (weights * counts * (K1 + 1) / (counts + K1 * share[:, None])).sum(axis=1)
