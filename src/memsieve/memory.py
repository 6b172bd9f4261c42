"""The facade: one object that remembers, recalls and forgets."""

import builtins
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import nan
from numbers import Real
from pathlib import Path
from typing import Any

from memsieve.asking import DEFAULT_BUDGET, Answer, ask
from memsieve.carrying import Progress
from memsieve.chronology import Chronology, chronology
from memsieve.errors import NotFoundError, ParameterError
from memsieve.intake import as_moment
from memsieve.kept import Kept, equal, here_and_now, several
from memsieve.recollection import Recollection
from memsieve.request import Request
from memsieve.score.policy import Policy
from memsieve.stages import Memsieve, Weighed
from memsieve.store.base import Note
from memsieve.store.recalls import RecallRow
from memsieve.timeline import read_interval
from memsieve.types import NOTHING, Interval

When = Interval | str | tuple[datetime | str | None, datetime | str | None]
"""A stretch of time as a caller may name it."""

_LAST_SECOND = datetime.max.replace(microsecond=0, tzinfo=UTC) - timedelta(microseconds=1)


class Memory(Kept):
    """Verbatim memory in one file; open it with `memsieve.open`.

    Every write has reached the disk when its call returns; a call that fails changes nothing.
    One object serves many threads, and many processes may open the same file.

    Parameters
    ----------
    path
        The database file, made if it does not exist.
    namespace
        Where items go and come from unless a call names another; namespaces never mix.
    embedder
        An embedder, or a spec as `memsieve.embed.from_spec` takes. None: the one the file was
        made with, or the shipped static model for a new file.
    timeline
        What reads times out of texts, or a spec as `memsieve.timeline.from_spec` takes it. None:
        the one that read the times of the file, or the default for a file without any.
    count_tokens
        Counts tokens for budgets. None: tokens of the shipped WordPiece vocabulary, counted
        once when an item is written. Another counter is called at every recall.
    policy
        What scores candidates: the name of a shipped policy, a policy file, or a `Policy`. None:
        the one that the file has adopted, else the shipped default.
    scorer
        Anything else that turns features into scores, in place of a policy.
    system
        How to recall: the name of a registered system (`memsieve systems` lists them) or a
        `System`. None: memsieve's own. What is kept does not depend on it, so that one file may be
        opened with one after another.
    model
        A chat model for `enrich`, for `ask`, and for systems that ask one what a question wants
        when it is recalled; memsieve's own never does. Nothing is sent without one.
    timeout_s
        How long a write waits for other writers.
    actor
        Who the journal says did it.
    adopt
        Take the file over to `embedder` if it was made with another; `reindex` must follow. The
        way in where the old embedder can no longer be loaded.

    Raises
    ------
    StoreError, EmbedderMismatchError, ParameterError
        If the file cannot be opened, was made with another embedder, or has its times from
        another reader; if more than one of policy, scorer and system is given.
    NotFoundError, FormatError
        If `policy` or `system` names nothing, or `policy` a file that is no policy.
    """

    def recall(
        self,
        question: str,
        *,
        budget_tokens: int | None = None,
        k: int | None = None,
        now: datetime | str | None = None,
        speaker: str | None = None,
        session: str | None = None,
        role: str | None = None,
        kind: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        metadata: Mapping[str, Any] | None = None,
        during: When | None = None,
        window: str = "soft",
        as_of: datetime | str | None = None,
        neighbours: int = 0,
        cite: bool = False,
        dates: bool = True,
        track: bool = False,
        stale: bool = False,
        namespace: str | None = None,
    ) -> Recollection:
        """Select what answers a question, inside a budget.

        The times that the question names are read against `now`: "last spring" is that before it.

        Parameters
        ----------
        budget_tokens, k
            Bounds on the tokens of `context()`, headings included, and on the number of hits.
            Neither given: ten hits.
        now
            The clock of the question, in the zone of whoever asks: what was said later is not
            recalled. None: this moment on the local clock, and no bound.
        speaker, session, role, kind, since, until, metadata
            Filters; `since` and `until` bound when it was said, the end excluded.
        during, window
            The stretch of time that the answer lies in: an `Interval`, a pair of dates, or words
            such as "last spring" or "between 3 and 9 April", read against `now`. What was said, or
            tells of something, outside comes after all that lies inside ("soft") or not at all
            ("hard"). Without `during` "hard" goes by the time that the question names, if it
            names one; "soft" only prefers what lies there.
        as_of
            Answer as the memory stood then: nothing that was said later, and of what has newer
            versions the one that held. It is the clock of the question, too.
        neighbours
            How many turns before and after each hit come with it where the budget allows, at
            most 3. The score already looks at neighbours: with them along a context reads better
            and, where the budget is small, finds slightly less.
        cite
            Number the lines of `context()`, so that an answer can name its evidence.
        dates
            Put the date that relative words mean behind them: "yesterday [7 May]".
        track
            Keep what was weighed in the file, so that `feedback` can judge this recall at any time
            and from any process. Without it, only the last recalls of this process can be judged.
        stale
            Leave in what no longer holds, for questions such as "where did Ana live before?". Of
            items that name the same slot otherwise only the one that was said last up to the clock
            (and up to `until`) is recalled; if filters keep it out, none is.

        Raises
        ------
        ParameterError, DateError
            If the question is empty, a bound is negative, or a date does not parse.
        NotFoundError
            If a namespace was named that does not exist.
        EmbedderMismatchError
            If another process has moved the file to another embedder.
        """
        request = self._request(
            question,
            budget_tokens=budget_tokens,
            k=k,
            now=now,
            as_of=as_of,
            during=during,
            filters=equal(speaker=speaker, session=session, role=role, kind=kind),
            since=as_moment(since),
            until=as_moment(until),
            metadata=metadata or NOTHING,
            neighbours=neighbours,
            cite=cite,
            window=window,
            dates=dates,
            stale=stale,
        )
        with self._lock:
            found = self._recaller.recall(self._known(namespace), request)
            if track and (row := self._recaller.recalled(found.id)) is not None:
                self._store.keep_recall(row)
            # Afterwards, for the recall itself may have followed a move that others made.
            self._store.require_embedder(self.embedder.identity)
        return found

    def _request(
        self,
        question: str,
        *,
        now: datetime | str | None,
        as_of: datetime | str | None,
        during: When | None,
        filters: Mapping[str, str],
        until: datetime | None = None,
        **options: Any,
    ) -> Request:
        """A request by the clocks of a caller."""
        then, at = as_moment(as_of), as_moment(now)
        if then is not None and at is not None and at > then:
            raise ParameterError("now must not lie after as_of: name one of the two")
        asked_at = at or then
        ends = (until, _next_second(asked_at))
        clock = asked_at or here_and_now()
        return Request(
            question,
            equal=filters,
            until=min((end for end in ends if end is not None), default=None),
            clock=clock,
            during=None if during is None else self._interval(during, clock),
            as_of=None if then is None else _end_of_second(then),
            **options,
        )

    def ask(
        self,
        question: str,
        *,
        budget_tokens: int = DEFAULT_BUDGET,
        now: datetime | str | None = None,
        speaker: str | None = None,
        session: str | None = None,
        during: When | None = None,
        as_of: datetime | str | None = None,
        listen: Callable[[str], None] | None = None,
        namespace: str | None = None,
    ) -> Answer:
        """Answer a question from what is recalled, citing the lines that the answer rests on.

        The model given at opening writes it; without one the best sentence is quoted, and
        `Answer.author` says so. An answer that cites nothing, cites what is not there, or says what
        its evidence does not, is tried again with more evidence, at most twice, and then refused.

        Parameters
        ----------
        budget_tokens
            The most evidence that a call may carry; the first try carries less.
        now, speaker, session, during, as_of
            As `recall` takes them.
        listen
            Called with each piece of text as it is written; what is tried again is announced.

        Raises
        ------
        ParameterError, DateError, NotFoundError
            As `recall`.
        EndpointError
            From the model.
        """
        request = self._request(
            question, budget_tokens=_at_least_one(budget_tokens), now=now, as_of=as_of,
            during=during, filters=equal(speaker=speaker, session=session),
        )  # fmt: skip
        place = self._known(namespace)

        def recall(asked: Request) -> Recollection:
            with self._lock:
                return self._recaller.recall(place, asked)

        return ask(recall, self._system, request, self._model, listen)

    def feedback(
        self, recall_id: str, used: str | Sequence[str] = (), *, reward: float | None = None
    ) -> None:
        """Say what a recall was worth; `memsieve train policy --from-feedback` learns from it.

        Stored in the file: the candidates of the recall with their features, never the question.
        Saying it again replaces what was said before.

        Parameters
        ----------
        recall_id
            `Recollection.id`.
        used
            Ids of the items that answered: hits, or candidates that were left out.
        reward
            How good the whole selection was, from -1 to 1, where no single item can be named or
            beside them.

        Raises
        ------
        NotFoundError
            If the recall was neither tracked nor among the last of this process.
        ParameterError
            If nothing is said, an item was not weighed by that recall, or `reward` is outside
            its range.
        """
        ids = [used] if isinstance(used, str) else several(used)
        if strange := [id_ for id_ in ids if not isinstance(id_, str)]:
            raise ParameterError(f"used items are named by their ids, got {strange[0]!r}")
        if reward is not None:
            reward = _as_reward(reward)
        if not ids and reward is None:
            raise ParameterError("feedback needs the ids of used items, a reward, or both")
        row = self._recaller.recalled(recall_id)
        known = self._store.weighed(recall_id)
        if known is None:
            if row is None:
                raise NotFoundError(
                    f"no recall {recall_id!r} is known: judge one of the last of this process, or"
                    " recall with track=True"
                )
            known = {item.id: item.seq for item in self._store.items(row.seqs.tolist())}
        if strange := [id_ for id_ in ids if id_ not in known]:
            raise ParameterError(f"the recall {recall_id} did not weigh the item {strange[0]!r}")
        self._store.judge_recall(recall_id, [known[id_] for id_ in ids], reward, row)

    def judged(self, *, namespace: str | None = None) -> builtins.list[RecallRow]:
        """Every recall with feedback, oldest first; None for those of all namespaces."""
        return self._store.judged_recalls(None if namespace is None else self._known(namespace))

    def adopt(self, policy: Policy) -> None:
        """Let this file go by a policy from now on, wherever no other is named."""
        self._store.set_meta("policy", policy.text())
        with self._lock:
            if isinstance(self._system, Memsieve):
                self._system = Memsieve(policy)
            self._use(self.embedder, self.timeline_reader)

    def enrich(self, *, namespace: str | None = None, progress: Progress | None = None) -> int:
        """Let the system write notes about what has none yet; gives how many it wrote.

        Notes are stored one by one: interrupted, it goes on with the next call. Systems that need
        no notes write none. A chat model is called only if one was given, and what it writes is
        kept; without one a system works notes out by itself whenever it needs them.

        Raises
        ------
        NotFoundError
            If a namespace was named that does not exist.
        EndpointError, AnswerError
            From the chat model; what was written before is kept.
        """
        with self._lock:
            return self._system.enrich(self._recaller.place(self._known(namespace)), progress)

    def notes(
        self, unit: str | None = None, *, namespace: str | None = None
    ) -> builtins.list[Note]:
        """The notes that this system has about its units, oldest first.

        With a `unit`, such as the id of an item or the name of a session, those about it alone,
        older versions included.
        """
        return self._store.notes(self._known(namespace), self._system.name, unit)

    def weigh(
        self, question: str, *, now: datetime | str | None = None, namespace: str | None = None
    ) -> Weighed:
        """The candidates of a question with their features, as `recall` sees them before scoring.

        For training a policy, and for looking at what one had to go by.
        """
        at = as_moment(now)
        request = Request(question, until=_next_second(at), clock=at or here_and_now())
        with self._lock:
            return self._recaller.weigh(self._known(namespace), request)

    def _interval(self, given: When, clock: datetime) -> Interval:
        """What `during` means: see `recall`."""
        if isinstance(given, Interval):
            return given
        if isinstance(given, str):
            return read_interval(given, clock, self.timeline_reader)
        if isinstance(given, tuple) and len(given) == 2:
            start, end = (as_moment(bound) for bound in given)
            return Interval(start, end)
        raise ParameterError(
            "during must be an Interval, a pair of dates or words such as 'last spring', got"
            f" {given!r}"
        )

    def timeline(
        self,
        subject: str | None = None,
        *,
        during: When | None = None,
        now: datetime | str | None = None,
        limit: int | None = None,
        namespace: str | None = None,
    ) -> Chronology:
        """What happened when, in order: every time that the items tell of.

        Parameters
        ----------
        subject
            Who or what it is about: items of a speaker of that name, and items that hold all of
            these words, stemmed. None: everything.
        during
            Only what happened in this stretch; as in `recall`.
        now
            The clock against which `during` is read. None: the local one.
        limit
            At most so many entries, the earliest first. None: all.

        Raises
        ------
        ParameterError, DateError
            If `during` names no time, or `subject` is blank.
        """
        if subject is not None and (not isinstance(subject, str) or not subject.strip()):
            raise ParameterError(f"subject must be text that is not blank, got {subject!r}")
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise ParameterError(f"limit must be a whole number >= 0 or None, got {limit!r}")
        clock = as_moment(now) or here_and_now()
        stretch = None if during is None else self._interval(during, clock)
        items = self._store.walk(self._known(namespace), during=stretch)
        return chronology(items, subject=subject, during=stretch, limit=limit)


def open(path: str | Path, **options: Any) -> Memory:
    """Open or make a memory: `memsieve.open("agent.db")`; options as `Memory` takes them."""
    return Memory(path, **options)


def _at_least_one(budget_tokens: int) -> int:
    if not isinstance(budget_tokens, int) or budget_tokens < 1:
        raise ParameterError(f"budget_tokens must be a whole number >= 1, got {budget_tokens!r}")
    return budget_tokens


def _next_second(clock: datetime | None) -> datetime | None:
    """The end of the second that a clock shows; None for no clock, or the end of time."""
    if clock is None or clock > _LAST_SECOND:
        return None
    # In UTC: on a clock ahead of it the next second may be in the year 10,000.
    return clock.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)


def _end_of_second(clock: datetime) -> datetime:
    """The last moment of the second that a clock shows: all of it counts as said by then."""
    return clock.astimezone(UTC).replace(microsecond=999_999)


def _as_reward(given: Any) -> float:
    """A number from -1 to 1, NumPy's included."""
    value = nan if isinstance(given, bool) or not isinstance(given, Real) else float(given)
    if not -1 <= value <= 1:
        raise ParameterError(f"reward must be a number from -1 to 1, got {given!r}")
    return value
