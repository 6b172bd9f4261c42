"""What a command is handed: the way from options and environment to a memory."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memsieve.errors import (
    DateError,
    MissingExtraError,
    NotFoundError,
    ParameterError,
    StoreAccessError,
)

if TYPE_CHECKING:
    import numpy as np

    from memsieve.embed import Embedder
    from memsieve.llm import Model
    from memsieve.memory import Memory
    from memsieve.timeline import Reader
    from memsieve.types import Interval, Mention


@dataclass(frozen=True, slots=True)
class Door:
    """One memory as the options name it; nothing is opened or made before it is asked for.

    db, namespace, embedder: as given, None where nothing was said; json: answer in JSON.
    """

    db: str | None = None
    namespace: str | None = None
    embedder: str | None = None
    json: bool = False

    @property
    def path(self) -> Path:
        """The file: the option, else MEMSIEVE_DB, else memory.db in the account's data folder."""
        given = self._given
        if given is None:
            from platformdirs import user_data_dir

            return Path(user_data_dir("memsieve", appauthor=False)) / "memory.db"
        if "://" in given:
            raise ParameterError(
                f"--db must be the path of a file, this version opens no servers, got {given!r}"
            )
        return Path(given).expanduser()

    @property
    def _given(self) -> str | None:
        return self.db if self.db is not None else os.environ.get("MEMSIEVE_DB") or None

    def memory(
        self,
        *,
        makes: bool = False,
        embeds: bool = True,
        policy: str | None = None,
        system: str | None = None,
        model: "Model | None" = None,
    ) -> "Memory":
        """Open the memory; with `makes`, a missing file is made.

        Without `embeds` the embedder that the file was made with is only named, not loaded, and
        so is a reader of time that cannot be made: so items can be read, forgotten and taken
        elsewhere where a library or weights are gone.

        Raises
        ------
        NotFoundError
            If there is no file and it is not to be made.
        StoreError, EmbedderMismatchError, ParameterError
            If it cannot be opened, or not so.
        """
        from memsieve.memory import Memory

        path = self.path
        embedder, timeline = self.named_embedder(self.embedder), None
        if path.exists():
            held = self._held(path)
            embedder = embedder or self._held_embedder(held["embedder"], embeds)
            timeline = None if embeds else _held_timeline(held["timeline"])
        elif makes:
            if embedder is not None:
                # One that cannot be reached is to fail before a file is made.
                _ = embedder.dimensions
            self._make_folder(path.parent)
        else:
            raise NotFoundError(
                f"there is no memory at {path}: 'memsieve add' and 'memsieve import' make it,"
                " --db names another"
            )
        name = "default" if self.namespace is None else self.namespace
        return Memory(
            path,
            namespace=name,
            embedder=embedder,
            timeline=timeline,
            policy=policy,
            system=system,
            model=model,
            actor="cli",
        )

    @contextmanager
    def model(self, spec: str | None, key_env: str | None) -> "Iterator[Model | None]":
        """The chat model of a spec, else of MEMSIEVE_MODEL; None where neither names one.

        Raises
        ------
        ParameterError
            If the spec names none, or a named variable holds no key.
        """
        given = spec if spec is not None else os.environ.get("MEMSIEVE_MODEL") or None
        if given is None:
            yield None
            return
        from memsieve.llm import Model, from_spec

        key = os.environ.get(key_env or "MEMSIEVE_MODEL_KEY") or None
        if key is None and key_env is not None:
            raise ParameterError(f"--key-env: the environment has no variable {key_env}")
        with Model(from_spec(given, api_key=key)) as asked:
            yield asked

    def named_embedder(self, spec: str | None) -> "Embedder | None":
        """The embedder of a spec or identity, with the key that the environment holds."""
        if spec is None:
            return None
        from memsieve.embed import from_spec

        key = os.environ.get("MEMSIEVE_API_KEY") or os.environ.get("OPENAI_API_KEY")
        return from_spec(spec, api_key=key)

    @staticmethod
    def _held(path: Path) -> dict[str, str | None]:
        """Which embedder and reader of time a file remembers."""
        from memsieve.store import SQLite

        with closing(SQLite(path)) as store:
            return {name: store.meta(name) for name in ("embedder", "timeline")}

    def _held_embedder(self, held: str | None, embeds: bool) -> "Embedder | None":
        """The embedder that the file was made with, where `Memory` is not to load it by itself."""
        if held is None:
            return None
        if not embeds:
            return NamedOnly(held)
        return self.named_embedder(held) if held.startswith("openai:") else None  # for its key

    def _make_folder(self, folder: Path) -> None:
        """Make the account's data folder; one that somebody named must be there."""
        if self._given is not None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreAccessError(
                f"cannot make the folder {folder}: {error.strerror}; name a file with --db"
            ) from error


@dataclass(frozen=True, slots=True)
class NamedOnly:
    """Stands for an embedder or a reader of time that is not needed, under its identity."""

    identity: str
    dimensions: int = 0

    def embed(self, texts: Sequence[str]) -> "np.ndarray":
        """Never to be called."""
        raise ParameterError(f"the embedder {self.identity} was not loaded for this command")

    def mentions(
        self, text: str, clock: datetime, *, looks_back: bool = False
    ) -> tuple["Mention", ...]:
        """Only called where this reader is needed after all."""
        raise ParameterError(
            f"the timeline {self.identity} cannot be made from its name: name another with"
            " --timeline SPEC"
        )


def _held_timeline(held: str | None) -> NamedOnly | None:
    """A stand-in for the reader of time that a file remembers, where it cannot be made."""
    from memsieve.timeline import from_spec

    if held is not None:
        try:
            from_spec(held)
        except (ParameterError, MissingExtraError):
            return NamedOnly(held)
    return None


def when(option: str, text: str | None) -> datetime | None:
    """The moment that an option names, by the local clock.

    Raises
    ------
    ParameterError
        If it does not parse; the message names the option.
    """
    if text is None:
        return None
    from memsieve.formats.when import parse_when

    try:
        return parse_when(text, now=datetime.now(UTC))
    except DateError as error:
        raise ParameterError(f"{option}: {error}") from error


def stretch(
    option: str, text: str | None, clock: datetime | None, reader: "Reader"
) -> "Interval | None":
    """The stretch of time that an option names: START/END, or words read against `clock`.

    Of two dates the end is excluded, and either may be left out; words go by the clock of this
    machine where `clock` is None.

    Raises
    ------
    ParameterError
        If the words name no time, or several, or the end does not come after the start; the
        message names the option.
    """
    if text is None:
        return None
    from memsieve.timeline import Interval, read_interval

    if (bounds := _dates(option, text)) is not None:
        start, end = bounds
        if start is not None and end is not None and end <= start:
            raise ParameterError(f"{option} must end after it starts, got {text!r}")
        return Interval(start, end)
    try:
        return read_interval(text, clock or datetime.now().astimezone(), reader)
    except DateError as error:
        raise ParameterError(f"{option}: {error}, or as dates, '2023-04-03/2023-04-10'") from error


def _dates(option: str, text: str) -> tuple[datetime | None, datetime | None] | None:
    """The two dates around a slash; None for words, which may hold slashes, too."""
    parts = [part.strip() or None for part in text.split("/")]
    if len(parts) != 2 or not any(parts):
        return None
    try:
        start = when(option, parts[0])
    except ParameterError:
        return None
    return start, when(option, parts[1])


def pairs(given: Sequence[str] | None) -> dict[str, Any]:
    """Metadata from NAME=VALUE.

    Raises
    ------
    ParameterError
        If one has no name or no equals sign.

    Examples
    --------
    >>> pairs(["topic=work", "year=2026", 'code="7"', "list=[1, 2]"])
    {'topic': 'work', 'year': 2026, 'code': '7', 'list': '[1, 2]'}
    """
    found = {}
    for pair in given or ():
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ParameterError(f"--metadata must be NAME=VALUE, got {pair!r}")
        found[name.strip()] = _scalar(value)
    return found


def pointed(slot: str | None) -> tuple[str, str] | None:
    """A slot from SUBJECT/ATTRIBUTE; the last slash divides.

    Raises
    ------
    ParameterError
        If it has no slash, or nothing on one side of it.

    Examples
    --------
    >>> pointed("Ana/home"), pointed("10/12 Mill Lane/owner")
    (('Ana', 'home'), ('10/12 Mill Lane', 'owner'))
    """
    if slot is None:
        return None
    subject, _, attribute = slot.rpartition("/")
    if not subject.strip() or not attribute.strip():
        raise ParameterError(f"--slot must be SUBJECT/ATTRIBUTE, got {slot!r}")
    return subject, attribute


def _scalar(text: str) -> Any:
    """A JSON scalar that a store can compare, else the text itself."""
    import json
    from math import isfinite

    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, int) and abs(value) >= 2**63:
        return text
    if isinstance(value, list | dict) or (isinstance(value, float) and not isfinite(value)):
        return text
    return value
