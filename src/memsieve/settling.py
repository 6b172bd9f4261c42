"""What a file and whoever opens it must agree on: embedder, reader of time, policy."""

import logging

from memsieve.embed import Embedder, Static, from_spec
from memsieve.errors import EmbedderMismatchError, FormatError, ParameterError
from memsieve.score.policy import DEFAULT, Policy, load, parse
from memsieve.store import SQLite
from memsieve.timeline import DEFAULT_TIMELINE, Reader
from memsieve.timeline import from_spec as reader_from_spec

log = logging.getLogger(__name__)


def settled_embedder(store: SQLite, given: Embedder | None, *, adopt: bool) -> Embedder:
    """The embedder that the file and the caller agree on; a new file remembers it.

    With `adopt` the file is taken over to the one given.

    Raises
    ------
    EmbedderMismatchError
        If the file was made with another, or with one that cannot be made from its name.
    """
    held = store.meta("embedder")
    chosen = _remembered_embedder(store, held) if given is None else given
    if held is None:
        held = store.set_meta("embedder", chosen.identity, keep=True)
    if held != chosen.identity and adopt:
        store.begin_reindex(chosen.identity)
    elif held != chosen.identity:
        raise EmbedderMismatchError(
            f"{store.path} was made with the embedder {held}, it was opened with"
            f" {chosen.identity}: open it without naming one, or run 'memsieve reindex"
            f" --embedder {chosen.identity}'"
        )
    return chosen


def _remembered_embedder(store: SQLite, held: str | None) -> Embedder:
    """The embedder that the file names, or the shipped one for a new file."""
    if held is None:
        return Static()
    try:
        return from_spec(held)
    except ParameterError as error:
        raise EmbedderMismatchError(
            f"{store.path} was made with the embedder {held}, which cannot be made from its"
            " name: pass it as embedder="
        ) from error


def settled_timeline(store: SQLite, given: Reader | None) -> Reader:
    """The reader of time that the file and the caller agree on; a new file remembers it.

    Raises
    ------
    ParameterError
        If the file has its times from another, or from one that cannot be made from its name.
    """
    held = store.meta("timeline")
    chosen = _remembered_timeline(store, held) if given is None else given
    if held is None:
        held = store.set_meta("timeline", chosen.identity, keep=True)
    if held != chosen.identity and given is None:
        # A newer version reads by the same name: old files open, to be read anew.
        log.warning("%s: its times are unread until 'memsieve reindex --time'", store.path)
        store.begin_times(chosen.identity)
    elif held != chosen.identity:
        raise ParameterError(
            f"{store.path} has its times from the timeline {held}, it was opened with"
            f" {chosen.identity}: open it without naming one, or run 'memsieve reindex --time"
            f" --timeline {chosen.identity}'"
        )
    return chosen


def _remembered_timeline(store: SQLite, held: str | None) -> Reader:
    """The reader that the file names, or the default one for a file that names none."""
    try:
        return reader_from_spec(DEFAULT_TIMELINE if held is None else held)
    except ParameterError as error:
        raise ParameterError(
            f"{store.path} has its times from the timeline {held}, which cannot be made from"
            " its name: pass it as timeline=, or run 'memsieve reindex --time --timeline SPEC'"
        ) from error


def settled_policy(store: SQLite) -> Policy:
    """The policy that the file has adopted, else the shipped default.

    One that cannot be read, as after a newer version has adopted it, is passed over with a warning:
    a policy decides what is recalled first, never whether anything is.
    """
    held = store.meta("policy")
    if held is not None:
        try:
            return parse(held, f"the policy of {store.path}")
        except FormatError as error:
            log.warning("%s: recalls go by the default until another is adopted", error)
    return load(DEFAULT)
