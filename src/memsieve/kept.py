"""What a memory keeps: added, read, forgotten, carried in and out, cared for."""

import builtins
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TextIO, TypedDict, Unpack, overload

from memsieve import formats
from memsieve import timeline as readers
from memsieve.carrying import Progress, fingerprint, write_file, write_lines
from memsieve.embed import Embedder, from_spec
from memsieve.errors import NotFoundError, ParameterError
from memsieve.intake import Addable, as_message, as_moment
from memsieve.opened import Opened, named
from memsieve.store.base import Event, Finding, Job
from memsieve.store.schema import MIGRATIONS
from memsieve.timeline import Reader
from memsieve.types import NOTHING, Item, Message, Receipt

_BATCH = 2_000
_REINDEX_BATCH = 1_000
_PAGE = 1_000


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


class Kept(Opened):
    """The items of a memory and their care; see `memsieve.Memory`."""

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
        given = [what] if isinstance(what, str | Message | Mapping) else several(what)
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
            records = self._analyst.records(messages, here_and_now())
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
        wanted = [ids] if isinstance(ids, str) else several(ids)
        if strange := [id_ for id_ in wanted if not isinstance(id_, str)]:
            raise ParameterError(f"items are forgotten by their ids, got {strange[0]!r}")
        return self._store.forget(wanted, self._actor)

    # Reading

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
            where=equal(speaker=speaker, session=session, role=role, kind=kind),
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
        place = self.namespace if namespace is None else named(namespace)
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


def several(given: Any) -> builtins.list[Any]:
    """A list of what may be iterated over; bytes may, and give numbers that nobody meant."""
    if isinstance(given, bytes | bytearray) or not isinstance(given, Iterable):
        raise ParameterError(f"expected text or a list, got {type(given).__name__}")
    return list(given)


def here_and_now() -> datetime:
    """This moment on the local clock: "yesterday" is that of its wall, not of UTC."""
    return datetime.now().astimezone()


def equal(**given: str | None) -> dict[str, str]:
    """The filters that were given."""
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise ParameterError(f"{name} must be text to filter by, got {value!r}")
    return {name: value for name, value in given.items() if value is not None}
