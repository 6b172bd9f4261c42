"""How A-MEM writes: one note after another, each with its links and what it changes around it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from memsieve.errors import AnswerError, EndpointError, NotFoundError
from memsieve.manage.extractive import IDENTITY
from memsieve.search import Block
from memsieve.search.blocks import Blocks
from memsieve.search.links import nearest
from memsieve.stages import Place, Progress
from memsieve.store.base import Note
from memsieve.systems.a_mem_index import Index, Kept, query_of
from memsieve.systems.a_mem_notes import (
    Body,
    Description,
    Evolution,
    described,
    describing,
    evolving,
    tidy,
)
from memsieve.types import Item

if TYPE_CHECKING:
    from memsieve.llm import Model
    from memsieve.llm.base import Messages
    from memsieve.systems.a_mem import AMem

T = TypeVar("T")

_N_COMPARED = 100
"""Items before one that tell what is special about it, where no model does."""
_MAX_TOKENS_DESCRIPTION = 512
_MAX_TOKENS_EVOLUTION = 2_048
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Pong:
    """The least that an endpoint can answer."""

    ok: bool


@dataclass(frozen=True, slots=True)
class _Shown:
    """A neighbour as the model sees it."""

    item: Item
    kept: Kept


@dataclass(frozen=True, slots=True)
class _Draft:
    """All that one write stores."""

    notes: list[Note]
    links: list[tuple[int, int, float]]
    n_evolutions: int


class Writer:
    """One run over the items of a namespace that have no note."""

    def __init__(self, system: AMem, place: Place) -> None:
        self._system, self._place = system, place
        self._blocks = Blocks(place.store, place.embedder.dimensions)
        self._n_written = 0
        self._passed: set[int] = set()

    def run(self, progress: Progress | None) -> int:
        """Write what is missing until nothing is."""
        total = None
        while True:
            block = self._blocks.get(self._place.namespace)
            index = self._system.index(self._place, block)
            missing = self._missing(block, index)
            if not missing.size:
                break
            total = missing.size if total is None else total
            self._write_one(block, index, int(missing[0]))
            if progress:
                done = self._n_written + len(self._passed)
                progress(done, max(total, done))
        if self._n_written:
            self._report(index)
        return self._n_written

    def _missing(self, block: Block, index: Index) -> np.ndarray:
        """Living documents without a note, in the order of writing."""
        wanted = block.alive.copy()
        wanted[list(index.notes)] = False
        wanted[block.documents(sorted(self._passed))] = False
        return np.flatnonzero(wanted)

    def _report(self, index: Index) -> None:
        tally = index.tally
        if tally.failed_descriptions or tally.failed_evolutions or tally.unknown_links:
            _log.warning(
                "of %d notes %d are described by the stand-in, %d did not evolve, %d links led"
                " nowhere: the model's answers did not fit",
                tally.notes,
                tally.failed_descriptions,
                tally.failed_evolutions,
                tally.unknown_links,
            )

    def _write_one(self, block: Block, index: Index, doc: int) -> None:
        """The note of one item; passed over if the item is forgotten meanwhile."""
        place, name = self._place, self._system.name
        seq = int(block.seq[doc])
        items = place.store.items([seq])
        if not items:
            self._passed.add(seq)
            return
        try:
            if left := place.store.notes(place.namespace, name, items[0].id):
                draft = _Draft([left[-1]], [], index.n_evolutions)
            elif place.model is not None:
                draft = self._drafted(place.model, block, index, doc, items[0])
            else:
                self._passed.add(seq)
                return
            place.store.write_notes(place.namespace, name, draft.notes, draft.links)
        except NotFoundError:
            _log.warning("an item was forgotten while its note was written: enrich again")
            self._passed.add(seq)
            return
        index.wrote(place, block, name, draft.notes, draft.links, draft.n_evolutions)
        self._n_written += 1

    def _drafted(self, model: Model, block: Block, index: Index, doc: int, item: Item) -> _Draft:
        """Ask the model for everything that the write of one item stores."""
        found = self._asked(model, describing(item), Description, _MAX_TOKENS_DESCRIPTION)
        author = model.identity if found else IDENTITY
        words = found or described(item, self._before(block, doc))
        own = Body(
            seq=item.seq,
            keywords=tidy(words.keywords),
            context=" ".join(words.context.split()),
            tags=tidy(words.tags),
            evolution=index.n_evolutions,
            failed=() if found else ("description",),
        )
        shown = self._neighbours(block, index, doc, item)
        if not shown:
            return _Draft([own.note(item.id, [item.seq], author)], [], index.n_evolutions)
        pairs = [(one.item, one.kept.body) for one in shown]
        evolution = self._asked(model, evolving(item, own, pairs), Evolution, _MAX_TOKENS_EVOLUTION)
        if evolution is None:
            own = replace(own, failed=(*own.failed, "evolution"))
        if evolution is None or not evolution.should_evolve:
            return _Draft([own.note(item.id, [item.seq], author)], [], index.n_evolutions)
        own = replace(own, evolution=index.n_evolutions + 1)
        return self._evolved(item, own, (author, model.identity), shown, evolution)

    def _evolved(
        self,
        item: Item,
        own: Body,
        authors: tuple[str, str],
        shown: Sequence[_Shown],
        evolution: Evolution,
    ) -> _Draft:
        """The new note, its links, and the neighbours as they read from now on."""
        # The model has seen all of these, so whatever it writes may repeat any of them.
        sources = {item.seq}.union(*(one.kept.sources for one in shown))
        links = []
        tags = own.tags
        if "strengthen" in evolution.actions:
            by_id = {one.item.id: one.item.seq for one in shown}
            wanted = tidy(evolution.suggested_connections)
            known = [by_id[id_] for id_ in wanted if id_ in by_id]
            links = [(item.seq, seq, 1 / (n + 1)) for n, seq in enumerate(known)]
            own = replace(own, unknown_links=len(wanted) - len(known))
            tags = tidy(evolution.tags_to_update) or tags
        notes = [own.note(item.id, [item.seq], authors[0])]
        if tags != own.tags:
            notes.append(replace(own, tags=tags).note(item.id, sources, authors[1]))
        if "update_neighbor" in evolution.actions:
            for n, one in enumerate(shown):
                if body := self._rewritten(one.kept.body, evolution, n, own.evolution):
                    notes.append(body.note(one.item.id, sources, authors[1]))
        return _Draft(notes, links, own.evolution)

    def _rewritten(self, old: Body, evolution: Evolution, n: int, number: int) -> Body | None:
        """Neighbour `n` as the model wants it; None where that changes nothing or not any more."""
        contexts = evolution.new_context_neighborhood[n : n + 1]
        tags = evolution.new_tags_neighborhood[n : n + 1]
        context = " ".join(" ".join(contexts).split()) or old.context
        new_tags = tidy(tags[0] if tags else ()) or old.tags
        limit = self._system.rewrites
        if (context, new_tags) == (old.context, old.tags):
            return None
        if limit is not None and old.rewrites >= limit:
            return None
        return replace(
            old, context=context, tags=new_tags, rewrites=old.rewrites + 1, evolution=number
        )

    def _neighbours(self, block: Block, index: Index, doc: int, item: Item) -> list[_Shown]:
        """The nearest earlier notes, by the text of the item alone."""
        earlier = np.zeros(len(block), bool)
        earlier[[other for other in index.notes if other < doc]] = True
        if not self._system.n_neighbours or not earlier.any():
            return []
        scores = index.scores(block, query_of(self._place, block, item.text))
        docs = nearest(scores, earlier, self._system.n_neighbours)
        items = {one.seq: one for one in self._place.store.items(block.seq[docs].tolist())}
        return [
            _Shown(items[seq], index.notes[other])
            for other, seq in zip(docs, block.seq[docs].tolist(), strict=True)
            if seq in items
        ]

    def _before(self, block: Block, doc: int) -> list[Item]:
        docs = np.flatnonzero(block.alive[:doc])[-_N_COMPARED:]
        return self._place.store.items(block.seq[docs].tolist())

    def _asked(
        self, model: Model, messages: Messages, schema: type[T], max_tokens: int
    ) -> T | None:
        """What the model answers; None if that does not fit, or it refuses just this."""
        try:
            return model.ask(messages, schema, max_tokens=max_tokens)
        except AnswerError as error:
            _log.info("an answer did not fit: %s", error)
            return None
        except EndpointError as error:
            if not _is_up(model):
                raise EndpointError(
                    f"{error}; {self._n_written} notes were written and stay: enrich again to go on"
                ) from error
            _log.info("the endpoint refused an item: %s", error)
            return None


def _is_up(model: Model) -> bool:
    """Whether the endpoint answers at all; the temperature keeps caches out of it."""
    try:
        model.ask('Answer {"ok": true}', _Pong, temperature=1.0)
    except EndpointError:
        return False
    except AnswerError:
        return True
    return True
