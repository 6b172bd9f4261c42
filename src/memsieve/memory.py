"""The facade: one object that remembers, recalls and forgets."""

import builtins
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from math import nan
from numbers import Real
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO, TypedDict, Unpack, overload

from memsieve import formats, registry
from memsieve import timeline as readers
from memsieve.asking import DEFAULT_BUDGET, Answer, ask
from memsieve.carrying import Progress, fingerprint, write_file, write_lines
from memsieve.chronology import Chronology, chronology
from memsieve.embed import Embedder, from_spec
from memsieve.errors import NotFoundError, ParameterError
from memsieve.intake import Addable, Analyst, as_message, as_moment
from memsieve.recall import Recaller
from memsieve.recollection import Recollection
from memsieve.request import Request
from memsieve.score.policy import Policy
from memsieve.score.policy import load as load_policy
from memsieve.settling import settled_embedder, settled_policy, settled_timeline
from memsieve.stages import Memsieve, Scorer, System, Weighed
from memsieve.store import SQLite
from memsieve.store.base import Event, Finding, Job, Note
from memsieve.store.recalls import RecallRow
from memsieve.store.schema import MIGRATIONS
from memsieve.timeline import Reader, read_interval
from memsieve.types import NOTHING, Interval, Item, Message, Receipt

if TYPE_CHECKING:
    from memsieve.llm import Model

When = Interval | str | tuple[datetime | str | None, datetime | str | None]
"""A stretch of time as a caller may name it."""

_BATCH = 2_000
_REINDEX_BATCH = 1_000
_PAGE = 1_000
_LAST_SECOND = datetime.max.replace(microsecond=0, tzinfo=UTC) - timedelta(microseconds=1)


class Given(TypedDict, total=False):
    """The keywords of `Memory.add`."""

    at: datetime | str | None
    session: str | None
    speaker: str | None
    role: str | None
    metadata: Mapping[str, Any] | None
    key: str | None
    kind: str | None
    source: str | None
    trust: float | None
    namespace: str | None
    slot: tuple[str, str] | None


class Memory:
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
        self.namespace = _named(namespace)
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

    def __enter__(self) -> "Memory":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Writing

    @overload
    def add(self, what: str | Message | Mapping[str, Any], **given: Unpack["Given"]) -> str: ...
    @overload
    def add(
        self, what: builtins.list[Addable] | tuple[Addable, ...], **given: Unpack["Given"]
    ) -> builtins.list[str]: ...
    def add(
        self,
        what: Addable | builtins.list[Addable] | tuple[Addable, ...],
        *,
        at: datetime | str | None = None,
        session: str | None = None,
        speaker: str | None = None,
        role: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        key: str | None = None,
        kind: str | None = None,
        source: str | None = None,
        trust: float | None = None,
        namespace: str | None = None,
        slot: tuple[str, str] | None = None,
    ) -> str | builtins.list[str]:
        """Remember text, a message, a mapping such as a chat API's, or a list of these.

        The keywords hold for everything that does not state its own. A list is written in one
        transaction. `at` is when it was said (now on the local clock if not given), and its
        offset the speaker's clock (UTC if it has none). A `key` already present adds nothing, or a
        new version if the text differs.

        A `slot`, such as ("Ana", "home"), says that the text states the value which an attribute of
        a subject has from `at` on. Of several that name the same slot, whatever the order in which
        they come in, `recall` gives only the one that holds at the clock of the question; nothing
        is deleted, and without the newest the one before it holds again.

        Returns
        -------
        The id, or the list of ids in order. What is returned is on the disk.

        Raises
        ------
        InputError, ParameterError
            If anything is unfit; then nothing at all is written.
        """
        one = isinstance(what, str | Message | Mapping)
        given = [what] if isinstance(what, str | Message | Mapping) else _several(what)
        if not one and key is not None:
            raise ParameterError("key names one item: give each message of a list its own")
        defaults = {
            "at": at, "session": session, "speaker": speaker, "role": role, "metadata": metadata,
            "key": key, "kind": kind, "source": source, "trust": trust, "namespace": namespace,
            "slot": slot,
        }  # fmt: skip
        ids = self._write([as_message(each, **defaults) for each in given])
        return ids[0] if one else ids

    def _write(self, messages: Sequence[Message]) -> builtins.list[str]:
        """Write messages, of several namespaces perhaps, in one transaction."""
        with self._lock:
            embedder, timeline = self.embedder.identity, self.timeline_reader.identity
            records = self._analyst.records(messages, _here_and_now())
        ids: list[str] = []
        with self._store.writing():
            for place, stretch in groupby(
                records, key=lambda record: record.message.namespace or self.namespace
            ):
                ids += self._store.insert(
                    place, list(stretch), actor=self._actor, embedder=embedder, timeline=timeline
                )
        return ids

    def forget(self, ids: str | Sequence[str]) -> Receipt:
        """Delete items for good and prove it: see `Receipt`.

        Their older versions go too, and what was derived from them alone.

        Raises
        ------
        NotFoundError
            If an id is unknown; then nothing is forgotten.
        """
        wanted = [ids] if isinstance(ids, str) else _several(ids)
        if strange := [id_ for id_ in wanted if not isinstance(id_, str)]:
            raise ParameterError(f"items are forgotten by their ids, got {strange[0]!r}")
        return self._store.forget(wanted, self._actor)

    # Reading

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
            filters=_equal(speaker=speaker, session=session, role=role, kind=kind),
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
        clock = asked_at or _here_and_now()
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
            during=during, filters=_equal(speaker=speaker, session=session),
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
        ids = [used] if isinstance(used, str) else _several(used)
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
        request = Request(question, until=_next_second(at), clock=at or _here_and_now())
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
        clock = as_moment(now) or _here_and_now()
        stretch = None if during is None else self._interval(during, clock)
        items = self._store.walk(self._known(namespace), during=stretch)
        return chronology(items, subject=subject, during=stretch, limit=limit)

    def get(self, id_: str) -> Item:
        """One item by its id.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        found = self._store.get([id_])
        if not found:
            raise NotFoundError(f"no item has the id {id_!r}")
        return found[0]

    def list(
        self,
        *,
        limit: int | None = 100,
        speaker: str | None = None,
        session: str | None = None,
        role: str | None = None,
        kind: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        metadata: Mapping[str, Any] | None = None,
        newest_first: bool = False,
        with_superseded: bool = False,
        namespace: str | None = None,
    ) -> builtins.list[Item]:
        """Items in the order they were written, filtered as in `recall`; `limit` None for all."""
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise ParameterError(f"limit must be a whole number >= 0 or None, got {limit!r}")
        walk = self._store.walk(
            self._known(namespace),
            where=_equal(speaker=speaker, session=session, role=role, kind=kind),
            since=as_moment(since),
            until=as_moment(until),
            metadata=metadata or NOTHING,
            with_invalid=with_superseded,
            newest_first=newest_first,
            page=_PAGE if limit is None else min(max(limit, 1), _PAGE),
        )
        return list(islice(walk, limit))

    def history(self, id_: str) -> builtins.list[Event]:
        """What was ever done to an item and its earlier versions, oldest first; no text.

        Raises
        ------
        NotFoundError
            If the journal never saw the id.
        """
        events = self._store.history(id_)
        if not events:
            raise NotFoundError(f"the journal knows no item with the id {id_!r}")
        return events

    def namespaces(self) -> builtins.list[str]:
        """The names of all namespaces, oldest first."""
        return self._store.namespaces()

    def _known(self, namespace: str | None) -> str:
        """The namespace of a call; one that the call itself names must exist."""
        if namespace is None:
            return self.namespace
        name = _named(namespace)
        if name != "default" and not self._store.has_namespace(name):
            listed = ", ".join(self._store.namespaces()) or "none yet"
            raise NotFoundError(f"no namespace is called {name!r}; there are: {listed}")
        return name

    # Carrying in and out

    def import_(
        self,
        path: str | Path,
        *,
        format: str = "auto",
        namespace: str | None = None,
        progress: Progress | None = None,
    ) -> "dict[str, Any]":
        """Read conversations from a file or folder; see `memsieve.formats` for the formats.

        The whole input is checked before the first item is written. Items carry stable keys:
        importing again adds nothing, and an import that was interrupted goes on where it was.

        Returns
        -------
        {"format", "messages", "added", "namespaces"}.

        Raises
        ------
        InputError, NotFoundError, ParameterError
            If the input is missing, of no known format, or malformed; then nothing is written.
        """
        self._refuse_own_file(path)
        place = self.namespace if namespace is None else _named(namespace)
        scan = formats.scan(path, format)
        name = fingerprint(path, scan.format, namespace, place)
        job = self._begin("import", name, scan.messages)
        before, places = self._n_items(), dict.fromkeys(scan.namespaces)
        reader = islice(formats.read(path, scan.format), job.done, None)
        while batch := list(islice(reader, _BATCH)):
            messages = [as_message(message) for message in batch]
            if namespace is not None:
                messages = [replace(message, namespace=namespace) for message in messages]
            places.update(dict.fromkeys(message.namespace or place for message in messages))
            self._write(messages)
            job = replace(job, done=job.done + len(batch))
            self._store.save_job(job)
            if progress:
                progress(job.done, scan.messages)
        self._store.save_job(replace(job, state="done"))
        return {
            "format": scan.format,
            "messages": scan.messages,
            "added": self._n_items() - before,
            "namespaces": [place] if namespace is not None or not places else list(places),
        }

    def _refuse_own_file(self, path: str | Path) -> None:
        if Path(path).resolve() == self.path.resolve():
            raise ParameterError(f"{path} is the database itself: name another file")

    def _begin(self, kind: str, key: str, total: int) -> Job:
        """A job at the point where it was interrupted, or a new one."""
        job = self._store.job(kind, key)
        if job is None or job.state != "running":
            job = Job(kind, key, "running", 0, total, None)
        return job

    def _n_items(self) -> int:
        return sum(n["items"] + n["superseded"] for n in self._store.counts().values())

    def export(
        self,
        path: str | Path | TextIO,
        *,
        namespace: str | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Write a namespace as JSON lines that `import_` reads back; gives the number of items.

        A file appears under its name only when it is complete.
        """
        name = self._known(namespace)
        total = self._store.counts().get(name, {}).get("items", 0)
        if not isinstance(path, str | Path):
            return write_lines(self._store.walk(name), path, total, progress)
        self._refuse_own_file(path)
        return write_file(self._store.walk(name), Path(path), total, progress)

    # Care

    def reindex(
        self,
        embedder: Embedder | str | None = None,
        *,
        time: bool = False,
        timeline: Reader | str | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Move the file to another embedder, read the times of its texts, or both.

        Interrupted, either goes on with the next call. Until then the items without a new vector
        are found by their words alone, and those with unread times count by the day they were
        said.

        Parameters
        ----------
        embedder
            What to embed all texts with; texts that it has embedded already are left as they are.
        time
            Read times that are unread: those of a file from before times were read, and of all
            items if `timeline` is another than before.
        timeline
            What to read them with. None: the reader of this memory.

        Returns
        -------
        How many texts were embedded, and how many read for times, together.

        Raises
        ------
        ParameterError
            If there is nothing to do, neither `embedder` nor `time` being given.
        """
        if (embedder is None and not time) or (timeline is not None and not time):
            raise ParameterError("reindex needs an embedder, time=True or both; a timeline, time")
        done = 0 if embedder is None else self._reembed(embedder, progress)
        return done + self._reread(timeline, progress) if time else done

    def _reread(self, timeline: Reader | str | None, progress: Progress | None) -> int:
        given = readers.from_spec(timeline) if isinstance(timeline, str) else timeline
        with self._lock:
            chosen = given or self.timeline_reader
            if self._store.meta("timeline") != chosen.identity:
                self._store.begin_times(chosen.identity)
            self._use(self.embedder, chosen)
            analyst = self._analyst
        return self._store.read_times(analyst, chosen.identity, progress)

    def _reembed(self, embedder: Embedder | str, progress: Progress | None) -> int:
        chosen = from_spec(embedder) if isinstance(embedder, str) else embedder
        with self._lock:
            if self._store.meta("embedder") != chosen.identity:
                self._store.begin_reindex(chosen.identity)
            self._use(chosen, self.timeline_reader)
            analyst = self._analyst
        total, done = self._n_items(), 0
        while chosen.dimensions and (rows := self._store.texts_without_vector(_REINDEX_BATCH)):
            seqs, texts = zip(*rows, strict=True)
            index = dict(zip(seqs, analyst.index(texts), strict=True))
            self._store.write_index(index, chosen.identity)
            done += len(rows)
            if progress:
                progress(done, total)
        self._store.end_reindex(chosen.identity)
        return done

    def check(self, *, fix: bool = False) -> builtins.list[Finding]:
        """Every inconsistency of the file, an empty list if it is sound.

        All texts are analysed and embedded anew and compared with what is stored. With `fix`,
        what is derived is rebuilt; canonical rows are only reported.
        """
        analyst = self._analyst  # one look: a reindex in another thread replaces it
        return self._store.check(
            analyst,
            embedder=analyst.embedder.identity,
            timeline=analyst.timeline.identity,
            fix=fix,
        )

    def stats(self) -> dict[str, Any]:
        """Counts per namespace, sizes in bytes, embedder, reader of time, and the schema."""
        return {
            "path": str(self.path),
            "schema": len(MIGRATIONS),
            "embedder": self.embedder.identity,
            "timeline": self.timeline_reader.identity,
            "policy": self.policy,
            "unread_times": self._store.unread_times(),
            "file_bytes": self._store.nbytes(),
            "loaded_bytes": self._recaller.blocks.loaded(),
            "namespaces": self._store.counts(),
        }


def open(path: str | Path, **options: Any) -> Memory:
    """Open or make a memory: `memsieve.open("agent.db")`; options as `Memory` takes them."""
    return Memory(path, **options)


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


def _at_least_one(budget_tokens: int) -> int:
    if not isinstance(budget_tokens, int) or budget_tokens < 1:
        raise ParameterError(f"budget_tokens must be a whole number >= 1, got {budget_tokens!r}")
    return budget_tokens


def _named(namespace: str) -> str:
    if not isinstance(namespace, str) or not namespace.strip():
        raise ParameterError(f"a namespace must be text that is not blank, got {namespace!r}")
    return namespace


def _here_and_now() -> datetime:
    """This moment on the local clock: "yesterday" is that of its wall, not of UTC."""
    return datetime.now().astimezone()


def _next_second(clock: datetime | None) -> datetime | None:
    """The end of the second that a clock shows; None for no clock, or the end of time."""
    if clock is None or clock > _LAST_SECOND:
        return None
    # In UTC: on a clock ahead of it the next second may be in the year 10,000.
    return clock.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)


def _end_of_second(clock: datetime) -> datetime:
    """The last moment of the second that a clock shows: all of it counts as said by then."""
    return clock.astimezone(UTC).replace(microsecond=999_999)


def _several(given: Any) -> builtins.list[Any]:
    """A list of what may be iterated over; bytes may, and give numbers that nobody meant."""
    if isinstance(given, bytes | bytearray) or not isinstance(given, Iterable):
        raise ParameterError(f"expected text or a list, got {type(given).__name__}")
    return list(given)


def _as_reward(given: Any) -> float:
    """A number from -1 to 1, NumPy's included."""
    value = nan if isinstance(given, bool) or not isinstance(given, Real) else float(given)
    if not -1 <= value <= 1:
        raise ParameterError(f"reward must be a number from -1 to 1, got {given!r}")
    return value


def _equal(**given: str | None) -> dict[str, str]:
    """The filters that were given."""
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise ParameterError(f"{name} must be text to filter by, got {value!r}")
    return {name: value for name, value in given.items() if value is not None}
