"""IceCache: everything on the host, in pages of alike keys, of which the best come back."""

from __future__ import annotations

import weakref
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from memsieve.errors import ParameterError
from memsieve.kv.ahead import query_ahead
from memsieve.kv.archive import Archive
from memsieve.kv.checks import ModelFacts, whole_number
from memsieve.kv.extras import Tensor
from memsieve.kv.page_tree import Forest, Growth, best_pages, grown, interleaved, keys_of, search
from memsieve.kv.policy import Attend, Extra, Keep, Policy, State, Step
from memsieve.kv.resident import HERE, Bringing, bringing, brought, indices_of, settled
from memsieve.kv.rotations import refuse_latent, remember
from memsieve.kv.worker import Job, to_host

TREE = "tree"


@dataclass(frozen=True)
class IceCache(Policy):
    """Look at sink, window, and the pages of the archive whose keys match the query best.

    Tokens that leave the window, a page at a time, go to the host and into a tree of keys (one
    for each row and head: `memsieve.kv.page_tree`). For a single new token every query head
    searches the tree of its head; the page lists of the heads that share one are read in turn
    until `n_pages` minus sink and window are named. What is on the device already is not fetched
    again. Nothing is lost. Use `MemoryCache(..., leaving="archive", positions="keep")`; with
    `leaving="drop"` nothing leaves, and all is attended to.

    A prompt is attended to in full: a second one brings back all that is on the host.

    Parameters
    ----------
    n_pages
        Pages of each head on the device, sink and window among them; > n_sink_pages +
        n_window_pages. 16 in the code's benchmarks (4, 8 and 16 in the paper's tables). Pages
        that are found are rarely full, so that fewer tokens are attended to.
    page_size
        Tokens of a page, at most; 16 in the benchmarks, 32 by default in the code.
    n_sink_pages, n_window_pages
        First and newest pages, always there; 2 and 2 in the code, the window at least 2.
    n_full_layers
        The first layers keep everything on the device and see it all; 2 in the code.
    field_of_view
        Keys whose groups are opened at each level; None: 0.15 % of the tokens, at least 30, as
        in the code. A number beyond all tokens (10**9) scores every key, which is exact, and on
        a CPU with fast matrix products the faster way (see `search`).
    share
        How much of a group is scored, in (0, 1]: the members nearest to the query on the sorting
        direction. 0.8 in the code.
    first_ratio, ratio
        Shares of the levels, as in `Growth`: 0.01 and 0.2 in the benchmarks.
    n_reuse_layers
        r: the first of every r layers chooses tokens for all of them; 0 or 1: each its own. 3 in
        the paper's variant (r).
    prefetches
        Whether the search for a layer begins one layer ahead, with the query that this layer's
        input gives under the next layer's projection, norm and rotation. A worker thread
        searches, gathers and sends, while this layer attends and its MLP is computed. On a CPU
        with a free core that gains where layers are wide (17 % of a step at 1,024 channels), and
        costs (13 %) at 256, where both threads do little but call PyTorch.
    seed
        Of the sorting direction.

    Raises
    ------
    ParameterError
        If a value lies outside its range; in `bind`, if the model caches latents, or with
        `prefetches` if it has no `q_proj` or a rotation that is not known.

    References
    ----------
    Mao et al., ICLR 2026, arXiv 2604.10539; yuzhenmao/IceCache, yuzhenmao/M-DCI. Differs: any
    number of rows; tokens are fetched and not pages, so that a page which gained one costs one
    token; `share` is 1 by default, as one direction alone loses much (recall .84 - .96 at 0.8
    against .99 on clustered keys); `page_topks` is left out; reuse names tokens, each layer
    fetches its own; one thread searches, and also grows the tree, where the code has 64; with
    prefetching, each layer chooses for itself also where `n_reuse_layers` would share; what is
    told at `grown`. UNCONFIRMED: promotion rule and page_topks behind the paper's tables; the
    copy on a stream of its own, which was not run on a GPU.
    """

    n_pages: int = 16
    page_size: int = 16
    _: KW_ONLY
    n_sink_pages: int = 2
    n_window_pages: int = 2
    n_full_layers: int = 2
    field_of_view: int | None = None
    share: float = 1.0
    first_ratio: float = 0.01
    ratio: float = 0.2
    n_reuse_layers: int = 0
    prefetches: bool = False
    seed: int = 0

    keeps_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole_number("IceCache.n_sink_pages", self.n_sink_pages, at_least=0)
        whole_number("IceCache.n_window_pages", self.n_window_pages, at_least=2)
        least = self.n_sink_pages + self.n_window_pages + 1
        whole_number("IceCache.n_pages", self.n_pages, at_least=least)
        whole_number("IceCache.n_full_layers", self.n_full_layers, at_least=0)
        whole_number("IceCache.n_reuse_layers", self.n_reuse_layers, at_least=0)
        if self.field_of_view is not None:
            whole_number("IceCache.field_of_view", self.field_of_view, at_least=1)
        if not 0 < self.share <= 1:
            raise ParameterError(f"IceCache.share must be in (0, 1], got {self.share!r}")
        _ = self.growth

    @property
    def growth(self) -> Growth:
        """How the trees are built."""
        return Growth(self.page_size, self.first_ratio, self.ratio, self.seed)

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        """What goes into a layer predicts the query of the next."""
        return frozenset({"hidden"}) if self.prefetches else frozenset()

    def bind(self, facts: ModelFacts) -> None:
        """Refuse latents; with `prefetches`, look for what predicts a query."""
        refuse_latent(facts, "IceCache")
        if self.prefetches:
            remember(facts, "IceCache.prefetches")
            if not all(hasattr(module, "q_proj") for module in facts.modules.values()):
                raise ParameterError(
                    f"IceCache.prefetches needs layers with a q_proj, {facts.name} has none"
                )

    def attend(self, step: Step) -> Attend | None:
        """Sink, window and what was found on the host."""
        found = self._found(step)
        if self.prefetches and not step.is_prefill:
            self._look_ahead(step)
        return found

    def _found(self, step: Step) -> Attend | None:
        archive = step.archive
        if step.layer < self.n_full_layers or archive is None or not archive.n:
            return None
        if step.is_prefill:
            whole = indices_of(real_entries(archive, step.padding))
            return Attend(extra=brought(step.state, archive, *whole))
        search = step.state.layer.pop("ahead", None)
        if search is not None and search.is_of(step.n_logical, archive):
            return Attend(extra=search.taken(step.state))
        choice = self._choice_of_group(step, archive)
        return Attend(extra=brought(step.state, archive, *choice))

    def _choice_of_group(self, step: Step, archive: Archive) -> tuple[Tensor, Tensor]:
        """What this layer chooses, or what another of its group chose in this pass."""
        if self.n_reuse_layers < 2:
            return self.choice(step.state, archive, step.query, step.padding, step.n_logical)
        group = (step.n_logical, (step.layer - self.n_full_layers) // self.n_reuse_layers)
        rows = step.shared.row
        if step.shared.layer.get("group") != group or "chosen" not in rows:
            step.shared.layer["group"] = group
            rows["chosen"], rows["is_chosen"] = self.choice(
                step.state, archive, step.query, step.padding, step.n_logical
            )
        return rows["chosen"], rows["is_chosen"]

    def choice(
        self,
        state: State,
        archive: Archive,
        query: Tensor,
        padding: Tensor | None,
        n_logical: int,
    ) -> tuple[Tensor, Tensor]:
        """Entries of the archive on the best pages, index and valid [B, Hkv, m], on the host.

        `query` [B, Hq, 1, D]; the tree in `state` grows by what came to the archive since.
        """
        forest, *choice = self._searched(
            Forest.held_as(TREE, state.row),
            archive,
            query.to("cpu"),
            padding,
            n_logical,
        )
        state.row.update(forest.tensors(TREE))
        return choice[0], choice[1]

    def _searched(
        self,
        forest: Forest | None,
        archive: Archive,
        query: Tensor,
        padding: Tensor | None,
        n_logical: int,
    ) -> tuple[Forest, Tensor, Tensor]:
        """The tree with all that is in the archive, and `choice`; on the host, changes nothing."""
        if forest is None or forest.n < archive.n:
            real = real_entries(archive, padding)
            forest = grown(forest, archive.keys, real, self.growth)
        if not forest.page_count.shape[2]:  # nothing real is there
            none = forest.level[:, :, :0]
            return forest, none, none.bool()
        asked = query[:, :, -1].unflatten(1, (archive.slots.shape[1], -1))
        view = self.field_of_view or max(int(1.5e-3 * n_logical), 30)
        scores = search(
            forest, archive.keys, asked, self.growth, field_of_view=view, share=self.share
        )
        k = self.n_pages - self.n_sink_pages - self.n_window_pages
        return forest, *keys_of(forest, interleaved(best_pages(scores, k), k))

    def _look_ahead(self, step: Step) -> None:
        """Have the next layer's tree searched, with the query that is to be expected there."""
        known = step.shared.layer.get("layers", {}).get(step.layer + 1)
        if known is None or step.hidden is None or step.layer + 1 < self.n_full_layers:
            return
        named, state, archive = known
        if archive is None or not archive.n or named() is None:
            return
        query = to_host(query_ahead(named(), step, step.hidden[:, -1:]))
        padding = None if step.padding is None else to_host(step.padding)
        forest, here, n_logical = (
            Forest.held_as(TREE, state.row),
            state.row.get(HERE),
            step.n_logical,
        )

        def work() -> tuple[Forest, Bringing]:
            real = None if padding is None else padding()
            later, *choice = self._searched(forest, archive, query(), real, n_logical)
            return later, bringing(here, archive, *choice)

        state.layer["ahead"] = _Search(n_logical, archive.version, archive.read(work))

    def observe(self, step: Step) -> None:
        """Make this layer known to the one before it."""
        if self.prefetches and step.module is not None:
            layers = step.shared.layer.setdefault("layers", {})
            layers[step.layer] = (weakref.ref(step.module), step.state, step.archive)

    def keep(self, step: Step) -> Keep | None:
        """Sink and window: when the newest page of the window is full, the oldest leaves."""
        n_sink, size = self.n_sink_pages * self.page_size, self.page_size
        if step.layer < self.n_full_layers or step.archive is None:
            return None
        if step.n_stored < n_sink + self.n_window_pages * size:
            return None
        places, real = step.positions, step.real
        n_full = (places.amax(-1, keepdim=True) + 1 - n_sink) // size
        first = n_sink + (n_full - self.n_window_pages + 1) * size
        stays = real & ((places < n_sink) | (places >= first))
        if bool((stays == real).all()):
            return None
        return Keep(*indices_of(stays))


@dataclass(frozen=True, eq=False)
class _Search:
    """What the worker finds for a layer in the pass that brings token number `n_logical`."""

    n_logical: int
    version: int  # of the archive
    job: Job[tuple[Forest, Bringing]]

    def is_of(self, n_logical: int, archive: Archive) -> bool:
        """Whether it was made in this pass, and nothing in the archive has changed since."""
        return (self.n_logical, self.version) == (n_logical, archive.version)

    def taken(self, state: State) -> Extra:
        """Wait for what was found; it and the grown tree stand in `state` from now on."""
        forest, coming = self.job.result()
        state.row.update(forest.tensors(TREE))
        return settled(state, coming)


def real_entries(archive: Archive, padding: Tensor | None) -> Tensor:
    """[B, Hkv, n] bool, on the host: entries that are neither padding nor empty."""
    held = archive.slots >= 0
    if padding is None:
        return held
    rows = padding.to("cpu")[:, None].expand(-1, held.shape[1], -1)
    return held & rows.gather(2, archive.slots.clamp(min=0))
