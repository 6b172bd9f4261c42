"""Synthetic conversations from real words, as large as wanted and the same every time.

What decides the cost of a search is how often its words occur, so the shares are set after real
talk. Measured on the LoCoMo conversations (26 words a turn, 53 % of them stop words, 5.3 index
words a question): the commonest index word is in 23 % of the turns, the 10th in 11 %, the 100th in
2.8 %, the 1,000th in .14 %; here in 19, 10, 1.3 and .21 %. The words are the whole words of the
shipped WordPiece vocabulary, which stand there in the order of their frequency.

A session is a function of the seed and its number alone, so a million turns need no memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain, islice

import numpy as np

from memsieve.embed import WordPiece
from memsieve.search.words import STOP_WORDS
from memsieve.types import Message

SESSION_TURNS = 20
FIRST_DAY = datetime(2024, 1, 1, 9, tzinfo=UTC)
SPAN = timedelta(days=730)
NAMES = tuple(
    """
    Adele Amir Beatriz Bogdan Carmen Chidi Dagmar Dmitri Elif Emeka Farah Felix Greta Hamid Hanna
    Imani Ivo Jasmin Joao Kenji Keira Lorenzo Lucia Magnus Mei Nadia Nikolai Olga Omar Paloma Pedro
    Quentin Rosa Ruben Sanna Tariq Ursula Viktor Wanda Yusuf
    """.split()  # noqa: SIM905
)

_STOP_SHARE, _STOP_SHARE_ASKED = 0.5, 0.35
_STOP_LAW, _CONTENT_LAW = (2.0, 1.0), (8.0, 1.15)  # q and s of Zipf-Mandelbrot: 1 / (rank + q)^s
_TOPIC_WORDS, _TOPIC_SHARE, _TOPIC_SHARE_ASKED = 40, 0.2, 0.3
_TOPIC_RANKS = (200, 4_000)
_HOOK_RANKS = (4_000, 12_000)  # a word of rank 8,000 is in one turn of 8,000
_MENTION_SHARE = 0.3  # turns that name the other speaker
_TURN_WORDS = (5, 40)
_QUESTION_WORDS = (4, 12)
_QUESTION_STARTS = ("What did", "When did", "Where did", "Why did", "How did", "Who told")

_FACTS = (
    ("My sister got married in {answer}, right beside the {hook}.",
     "Where was the wedding of {speaker}'s sister, the one by the {hook}?"),
    ("I sold my {hook} last week and bought a {answer} instead.",
     "What did {speaker} purchase after getting rid of the {hook}?"),
    ("The doctor says the {hook} allergy is why I must avoid {answer}.",
     "What can {speaker} no longer eat because of the {hook} problem?"),
    ("We named the puppy {answer} after the {hook} in that film.",
     "What is {speaker}'s dog called, thinking of the {hook} from the movie?"),
    ("Our band plays at the {hook} hall every Friday, I am on {answer}.",
     "Which instrument does {speaker} have at the weekly {hook} concerts?"),
    ("I left the {hook} firm, my new job is at {answer}.",
     "Who employs {speaker} since quitting the {hook} company?"),
    ("Grandma taught me to bake {hook} bread with {answer} in it.",
     "What goes into {speaker}'s grandmother's {hook} loaf?"),
    ("The password of the {hook} box is {answer}, do not lose it.",
     "Which secret word opens {speaker}'s {hook} safe?"),
    ("My flight to {answer} was cancelled because of the {hook} strike.",
     "To which place could {speaker} not travel when the {hook} workers walked out?"),
    ("I am reading a novel about {hook}, the author is {answer}.",
     "Who wrote the book on {hook} that {speaker} has started?"),
    ("The garage says the {hook} of my car is broken, they want {answer} for it.",
     "How much must {speaker} pay to have the vehicle's {hook} repaired?"),
    ("My daughter won the {hook} contest with a drawing of {answer}.",
     "What did {speaker}'s child paint to come first in the {hook} competition?"),
)  # fmt: skip
"""What was said and how it is asked for: the speaker and one rare word are all they share."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the key of the turn that answers it; None where no turn is known to."""

    question: str
    evidence: str | None


@dataclass(frozen=True, slots=True)
class Corpus:
    """`n_turns` turns in sessions of 20 between two of 40 speakers, over two years.

    Parameters
    ----------
    n_facts
        Turns replaced by planted facts, spread at random.
    seed
        Another seed gives other conversations.

    Examples
    --------
    >>> corpus = Corpus(n_turns=40, n_facts=1)
    >>> [turn.key for turn in corpus.turns()][::13]
    ['t0', 't13', 't26', 't39']
    >>> list(corpus.turns()) == list(Corpus(n_turns=40, n_facts=1).turns())
    True
    """

    n_turns: int
    n_facts: int = 100
    seed: int = 0

    def turns(self) -> Iterator[Message]:
        """Every turn, in the order of time."""
        facts = self._facts()
        sessions = (self.session(number) for number in range(self.n_sessions))
        for at, turn in enumerate(islice(chain.from_iterable(sessions), self.n_turns)):
            yield facts[at][0] if at in facts else turn

    def later(self, count: int, *, skip: int = 0) -> list[Message]:
        """`count` turns of the sessions after the last, for adding one by one."""
        first = self.n_sessions + skip // SESSION_TURNS + 1
        sessions = (self.session(n) for n in range(first, first + count // SESSION_TURNS + 1))
        return list(islice(chain.from_iterable(sessions), count))

    def questions(self, count: int) -> list[Asked]:
        """Questions for planted facts and about topics, in turns."""
        planted = [asked for _, asked in self._facts().values()]
        rng = np.random.default_rng((self.seed, 2))
        return [
            planted[i // 2 % len(planted)] if planted and i % 2 == 0 else self._topical(rng)
            for i in range(count)
        ]

    @property
    def n_sessions(self) -> int:
        """Sessions, the last of which may be cut short."""
        return -(-self.n_turns // SESSION_TURNS)

    def session(self, number: int) -> list[Message]:
        """The 20 turns of one session; numbers beyond the last give further sessions."""
        rng = np.random.default_rng((self.seed, 0, number))
        speakers, topic = _cast(rng)
        lengths = rng.integers(_TURN_WORDS[0], _TURN_WORDS[1] + 1, SESSION_TURNS)
        words = iter(_running_words(rng, int(lengths.sum()), topic))
        mentions = (rng.random(SESSION_TURNS) < _MENTION_SHARE).tolist()
        begins = FIRST_DAY + SPAN * (number / max(self.n_sessions, 1))
        return [
            Message(
                _sentence(islice(words, length), speakers[1 - i % 2] if mentions[i] else None),
                at=begins + timedelta(minutes=i),
                speaker=speakers[i % 2],
                session=f"s{number}",
                key=f"t{number * SESSION_TURNS + i}",
            )
            for i, length in enumerate(lengths.tolist())
        ]

    def _facts(self) -> dict[int, tuple[Message, Asked]]:
        """Turn number -> the fact said there, and its question."""
        rng = np.random.default_rng((self.seed, 1))
        count = min(self.n_facts, self.n_turns)
        places = np.sort(rng.choice(self.n_turns, count, replace=False)).tolist()
        hooks = rng.choice(np.arange(*_HOOK_RANKS), (2, count), replace=False)
        return {
            place: self._fact(place, *_FACTS[i % len(_FACTS)], *_content()[hooks[:, i]].tolist())
            for i, place in enumerate(places)
        }

    def _fact(
        self, place: int, said: str, asked: str, hook: str, answer: str
    ) -> tuple[Message, Asked]:
        number, at = divmod(place, SESSION_TURNS)
        turn = self.session(number)[at]
        text = said.format(hook=hook, answer=answer)
        fact = Message(text, at=turn.at, speaker=turn.speaker, session=turn.session, key=turn.key)
        return fact, Asked(asked.format(speaker=turn.speaker, hook=hook), turn.key)

    def _topical(self, rng: np.random.Generator) -> Asked:
        """A question of 4 to 12 words about what one session was about."""
        number = int(rng.integers(self.n_sessions))
        speakers, topic = _cast(np.random.default_rng((self.seed, 0, number)))
        start = str(rng.choice(_QUESTION_STARTS))
        count = int(rng.integers(*_QUESTION_WORDS)) - 2
        words = _running_words(rng, count, topic, _STOP_SHARE_ASKED, _TOPIC_SHARE_ASKED)
        return Asked(f"{start} {speakers[0]} {' '.join(words)}?", None)


def _cast(rng: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """The two speakers and the topic of a session: the first draws from its generator."""
    speakers = [NAMES[i] for i in rng.choice(len(NAMES), 2, replace=False)]
    return speakers, rng.integers(*_TOPIC_RANKS, _TOPIC_WORDS)


def _running_words(
    rng: np.random.Generator,
    count: int,
    topic: np.ndarray,
    stop_share: float = _STOP_SHARE,
    topic_share: float = _TOPIC_SHARE,
) -> list[str]:
    """Words of running text: stop words, common words, and words of the topic."""
    content = np.searchsorted(_cumulative(_content().size, *_CONTENT_LAW), rng.random(count))
    on_topic = rng.random(count) < topic_share
    content[on_topic] = topic[rng.integers(topic.size, size=int(on_topic.sum()))]
    stop = np.searchsorted(_cumulative(_stop().size, *_STOP_LAW), rng.random(count))
    is_stop = rng.random(count) < stop_share
    return np.where(is_stop, _stop()[stop], _content()[content]).tolist()


def _sentence(words: Iterator[str], named: str | None) -> str:
    text = " ".join(words) + "."
    return f"{named}, {text}" if named else text[0].upper() + text[1:]


@lru_cache(maxsize=4)
def _cumulative(count: int, q: float, s: float) -> np.ndarray:
    """Cumulative shares of ranks 1 .. count under the Zipf-Mandelbrot law: shape (count,)."""
    shares = np.cumsum((np.arange(1, count + 1) + q) ** -s)
    shares /= shares[-1]
    return shares


@lru_cache(maxsize=1)
def _content() -> np.ndarray:
    """Whole words that are no stop words, the commonest first: object strings."""
    return np.array([word for word in _whole_words() if word not in STOP_WORDS], dtype=object)


@lru_cache(maxsize=1)
def _stop() -> np.ndarray:
    return np.array([word for word in _whole_words() if word in STOP_WORDS], dtype=object)


def _whole_words() -> list[str]:
    names = {name.lower() for name in NAMES}
    return [
        word
        for word in WordPiece.shipped().vocabulary
        if word.isascii() and word.isalpha() and len(word) > 1 and word not in names
    ]
