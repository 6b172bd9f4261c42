"""InfiniGen: guess from the layer before which tokens the next layer will look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from inspect import signature
from math import isnan
from typing import Any, ClassVar
from weakref import WeakKeyDictionary, ref

from memsieve.errors import ParameterError
from memsieve.kv.ahead import check_queries, query_ahead
from memsieve.kv.archive import Archive, Arriving, highest, picked
from memsieve.kv.checks import ModelFacts, whole_number
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.host_pool import VICTIMS, Victim, evicted, moved, places
from memsieve.kv.policy import Attend, Extra, Keep, Policy, State, Step
from memsieve.kv.rotations import remember
from memsieve.kv.scores import widened

SKEWS = ("prompt", "model", "off")


@dataclass(frozen=True)
class InfiniGen(Policy):
    """Keep everything, and attend to what a guess one layer ahead finds near the best.

    For a single new token, in the pass over layer i: the input of its attention goes through the
    query projection of layer i + 1 (with its norm and rotation), since inputs of neighbouring
    layers are alike; few channels of query and keys, those that carry most after an orthogonal
    change of basis (skewing), give approximate logits of layer i + 1. Of each key-value head
    the tokens with logit >= max - alpha are counted; the mean count of the heads, rounded down,
    at least 1 and at most `budget_tokens`, is what every head gets: its own best ones, and the
    new token. Layer i + 1 computes ordinary attention over them. A token left out has less than
    e^-alpha of the largest weight, as far as the guess is right (4: 0.018, 5: 0.0067).

    With `leaving="archive"` keys and values lie on the host, and the chosen ones of layer i + 1
    are asked for in the pass over layer i, once its attention is done: a worker thread gathers
    and sends them while the rest of layer i and the projections of layer i + 1 are computed (few
    bytes on a CPU are gathered at once: `Archive.beside_bytes`). The device holds a share `ratio`
    of the keys (at least in float32), and all of the first `n_full_layers`. Passes of several
    tokens look at, and so fetch, everything. With `leaving="drop"` all stays on the device, and
    only attention is spared. Each step costs one query projection and n * ratio * D products more
    for each layer.

    With `n_pool` each head has room for so many tokens on the host. When it is full, a new token
    takes the place of a victim, which is forgotten for ever. The pool is filled in order, token
    by token: of a first prompt that is longer the newest `n_pool` real tokens stay, as none has
    been fetched (the prompt itself is attended to in full). Padding and what `crop` emptied go
    first. What a guess names counts as fetched, a pass that looks at everything does not.

    Parameters
    ----------
    budget_tokens
        Most tokens that a head looks at besides the new one, >= 1. The code's demonstrations
        take 20 % of the length.
    alpha
        How far below the best guessed logit a token may lie, >= 0; 4 in the OPT demonstration,
        5 the code's default, 2 to 9.5 in scripts. Infinite: no threshold.
    ratio
        Share of channels that guess, in (0, 1], rounded down, at least 1; 0.2 in the speed
        code, 0.1 and 0.3 in the accuracy scripts. 1: all, and the guess errs only by the input.
        With few, a later query along what no query of the first pass asked for is guessed badly.
    skew
        Where the basis comes from: "prompt" (right singular vectors of the queries of the first
        pass, for each row), "model" (made by `skew_model` from a sample once, the paper's), or
        "off".
    n_full_layers
        So many layers look at everything, the first of those that the cache manages, >= 1; 1 in
        the paper, 2 in the speed code.
    n_pool
        Most tokens of each head on the host, >= 1; None: no limit. Of no meaning with
        `leaving="drop"`.
    victim
        Who gives way: "counter", of the older half of the pool the one fetched least often (the
        default of the code); "lru", the one fetched or written longest ago; "fifo", the oldest.
        Of equal ones the older. UNCONFIRMED: that the code halves its counters when one is full;
        here they count on, and `crop` sets them to 0.

    Raises
    ------
    ParameterError
        If a number lies outside its range, or `skew` or `victim` is none of the three. When a
        cache meets a model: if that has no query projection of its own (`q_proj`), rotates by an
        unknown rule, or `skew="model"` and `skew_model` has not seen it. At the first pass: if
        the queries that the model computes are not those foreseen here.

    Examples
    --------
    >>> InfiniGen(400, alpha=5.0)  # doctest: +NORMALIZE_WHITESPACE
    InfiniGen(budget_tokens=400, alpha=5.0, ratio=0.2, skew='prompt', n_full_layers=1, n_pool=None,
    victim='counter')

    References
    ----------
    Lee et al., OSDI 2024, arXiv 2406.19707; snu-comparch/InfiniGen. Differs: "prompt" is not the
    paper's; >= stands for the code's > (which selects nothing at alpha 0); counts are averaged
    over the heads of each row, the code averages over the batch; channels are chosen by the
    queries of each row, the speed code takes the first row's, the Llama code joins those of the
    keys; heads that share keys are joined by the largest of their distances to the best (the
    paper has no such heads); the query ahead is projected in full and cut afterwards, which
    gives the numbers of the paper's partial weights without their saving - with rotation between
    projection and basis there are none; padding is never chosen. Channels and basis come from
    the first pass and are kept until `crop` or `reset`; the first pass after `crop`, and with
    `prefill="end"` the first token after a prompt, see everything. Use `positions="keep"`. The
    pool is limited in tokens of each head, the paper's in memory. UNCONFIRMED: the copy on a
    stream of its own, which was not run on a GPU.
    """

    budget_tokens: int
    alpha: float = 4.0
    _: KW_ONLY
    ratio: float = 0.2
    skew: str = "prompt"
    n_full_layers: int = 1
    n_pool: int | None = None
    victim: str = "counter"

    needs: ClassVar[frozenset[str]] = frozenset({"hidden"})
    keeps_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole_number("InfiniGen.budget_tokens", self.budget_tokens, at_least=1)
        whole_number("InfiniGen.n_full_layers", self.n_full_layers, at_least=1)
        if self.n_pool is not None:
            whole_number("InfiniGen.n_pool", self.n_pool, at_least=1)
        if isnan(self.alpha) or self.alpha < 0:
            raise ParameterError(f"InfiniGen.alpha must be >= 0, got {self.alpha!r}")
        if not 0 < self.ratio <= 1:
            raise ParameterError(f"InfiniGen.ratio must be in (0, 1], got {self.ratio!r}")
        for name, known in (("skew", SKEWS), ("victim", VICTIMS)):
            if getattr(self, name) not in known:
                raise ParameterError(
                    f"InfiniGen.{name} must be one of {list(known)}, got {getattr(self, name)!r}"
                )

    @property
    def n_recent(self) -> int:
        """Queries that choose channels anew where `crop` made them forgotten."""
        return 64

    def bind(self, facts: ModelFacts) -> None:
        """Check that queries can be computed ahead, and note how each layer rotates them."""
        if facts.is_latent:
            raise ParameterError(f"InfiniGen cannot guess queries of latents (MLA): {facts.name}")
        if facts.model is None:
            return
        turns = any(hasattr(module, "inv_freq") for module in facts.model.modules())
        remember(facts, "InfiniGen", must=turns)
        for module in facts.modules.values():
            own = getattr(getattr(module, "q_proj", None), "out_features", None)
            if own != facts.n_heads * facts.head_dim:
                raise ParameterError(
                    f"InfiniGen needs a query projection q_proj in every layer: {facts.name}"
                )
            if self.skew == "model":
                _skew_of(module)

    def attend(self, step: Step) -> Attend | None:
        """What the layer before has asked for; everything for prompts and the first layers."""
        ahead = _layers(step).get(step.layer)
        guess = None if ahead is None else ahead.taken()
        if guess is not None:
            return guess.attend()
        return None if step.archive is None else _everything(step.archive, step)

    def observe(self, step: Step) -> None:
        """Keep this layer's partial keys up to date, then guess for the next layer."""
        layers = _layers(step)
        layers[step.layer] = _Ahead(ref(step.module), step.state, step.archive)
        if not self._sees_all(step):
            self._remember(step)
        following = min((layer for layer in layers if layer > step.layer), default=None)
        if following is not None and not step.is_prefill:
            ahead = layers[following]
            ahead.guess = None
            if ahead.is_known:
                ahead.note(*self.guess(step, ahead.state, ahead.module()))

    def keep(self, step: Step) -> Keep | None:
        """All but the first layers go to the host, where there is an archive."""
        if step.archive is None or self._sees_all(step):
            return None
        if self.n_pool is not None:
            _make_room(step, step.archive, self.n_pool, VICTIMS[self.victim])
        return Keep(step.slots[:, :, :0])

    def _sees_all(self, step: Step) -> bool:
        """Whether this is one of the first layers; those with a sliding window are not counted."""
        return sum(layer < step.layer for layer in _layers(step)) < self.n_full_layers

    def guess(self, step: Step, state: State, module: Any) -> tuple[Tensor, Tensor]:
        """Which tokens the layer with `state` and `module` will want: index, valid [B, Hkv, m].

        The index counts what that layer holds, archive first, without the new token.
        """
        keys, usable, row = state.row["partial"], state.row["usable"], state.row
        query = query_ahead(module, step, step.hidden)[:, :, -1:]
        query = _cut(
            _turned(widened(query).unflatten(1, (keys.shape[1], -1))[:, :, :, 0], row), row
        )
        logits = (query @ keys.transpose(2, 3)) * step.scale  # [B, Hkv, g, M]
        if step.softcap is not None:
            logits = (logits / step.softcap).tanh() * step.softcap
        index, valid = choose(logits, usable, self.alpha, self.budget_tokens)
        if "worth" in row:
            rule, newest = VICTIMS[self.victim], step.n_logical - 1
            row["worth"] = rule.fetched(row["worth"], index, valid, newest)
        return index, valid

    def _remember(self, step: Step) -> None:
        row, archive, n_new = step.state.row, step.archive, step.query.shape[2]
        n_archived = 0 if archive is None else archive.n
        known = row["partial"].shape[2] if "partial" in row else -1
        keys, real, slots = step.keys, step.real, step.slots
        if known + n_new == n_archived + step.n_stored:
            keys, real, slots = (x[:, :, -n_new:] for x in (keys, real, slots))
        else:
            self._prepare(step)
            all_left = None if archive is None else _everything(archive, step)
            if all_left is not None and all_left.extra is not None:  # forgotten by `crop`
                keys = torch.cat([all_left.extra.keys, keys], dim=2)
                real = torch.cat([_real_at(step, all_left.extra.slots), real], dim=2)
                slots = torch.cat([all_left.extra.slots, slots], dim=2)
        fresh = {"partial": _cut(_turned(widened(keys), row), row), "usable": real}
        if archive is not None and self.n_pool is not None:
            fresh |= {"slots": slots, "worth": VICTIMS[self.victim].worth(slots)}
        for name, new in fresh.items():
            row[name] = torch.cat([row[name], new], dim=2) if name in row else new

    def _prepare(self, step: Step) -> None:
        """Choose basis and channels from the queries of this pass, padding left out."""
        check_queries(step, "InfiniGen")
        row, n_kv = step.state.row, step.slots.shape[1]
        row.clear()
        query = step.query
        if step.recent is not None and step.recent.shape[2] > query.shape[2]:
            query = step.recent
        query = widened(query)
        if step.padding is not None:
            query = query * step.padding[:, None, -query.shape[2] :, None]
        query = query.unflatten(1, (n_kv, -1)).flatten(2, 3)  # [B, Hkv, g * q, D]
        if self.skew == "prompt":
            row["skew"] = basis(query.transpose(2, 3) @ query)
        elif self.skew == "model":
            row["skew"] = _skew_of(step.module).to(query).expand(query.shape[0], -1, -1, -1)
        strength = _turned(query, row).abs().sum(2)
        row["channels"] = highest(strength, max(1, int(self.ratio * strength.shape[2] + 1e-9)))


# They belong to the model, not to a cache, and are the same for all of its caches.
_SKEWS: WeakKeyDictionary[Any, Tensor] = WeakKeyDictionary()


def _skew_of(module: Any) -> Tensor:
    skew = _SKEWS.get(module)
    if skew is None:
        raise ParameterError("InfiniGen.skew='model' needs skew_model(model, input_ids) before")
    return skew


@dataclass(eq=False)
class _Ahead:
    """A layer as the layer before sees it, and what it is to look at in the next pass."""

    module: Callable[[], Any]  # weak: a copy of the cache must not copy the model
    state: State
    archive: Archive | None
    guess: _Guess | None = None

    @property
    def is_known(self) -> bool:
        """Whether a guess can be made, and what it names can be fetched.

        Not for the first layers, not behind `crop`, and not while a prompt of `prefill="end"`
        waits on the device.
        """
        partial = self.state.row.get("partial")
        if partial is None:
            return False
        return self.archive is None or self.archive.n == partial.shape[2]

    def note(self, index: Tensor, valid: Tensor) -> None:
        """Ask for the chosen where they are on the host; the worker gathers them from now on."""
        found = None if self.archive is None else self.archive.ask(index)
        self.guess = _Guess(index, valid, self.state.row["partial"], found)

    def taken(self) -> _Guess | None:
        """The guess, once; None if rows have changed or gone since it was made."""
        guess, self.guess = self.guess, None
        if guess is None or guess.partial is not self.state.row.get("partial"):
            return None
        return guess


@dataclass(frozen=True, eq=False)
class _Guess:
    """What a layer is to look at in this pass: `index` and `valid` [B, Hkv, m]."""

    index: Tensor
    valid: Tensor
    partial: Tensor  # the keys that it was guessed from
    found: Arriving | None

    def attend(self) -> Attend:
        """To the chosen, which are waited for, and to the new token."""
        if self.found is not None:
            found = self.found.extra()
            slots = torch.where(self.valid, found.slots, -1)
            return Attend(extra=Extra(found.keys, found.values, slots))
        new = torch.full_like(self.index[:, :, :1], self.partial.shape[2])
        wanted = torch.cat([self.valid, torch.ones_like(self.valid[:, :, :1])], dim=2)
        return Attend(torch.cat([self.index, new], dim=2), wanted)


def choose(logits: Tensor, usable: Tensor, alpha: float, most: int) -> tuple[Tensor, Tensor]:
    """The best tokens of each head: index [B, H, m], ascending, and which of them are wanted.

    Parameters
    ----------
    logits
        [B, H, g, n], guessed, of the g query heads that share each head.
    usable
        [B, H, n] bool, False for what may not be chosen.
    alpha, most
        See `InfiniGen`; the number chosen is the same for all heads of a row.
    """
    logits = logits.masked_fill(~usable[:, :, None], -torch.inf)
    # Below 0 by how much the logit misses the best of its query head; the nearest one counts.
    near = (logits - logits.amax(-1, keepdim=True)).nan_to_num(-torch.inf).amax(2)
    n_near = ((near >= -alpha) & usable).sum(-1).double().mean(1).floor().long()  # [B]
    n_chosen = n_near.clamp(min=1, max=min(most, near.shape[2]))
    index = highest(near, int(n_chosen.max()))
    best = near.gather(2, index)
    rank = best.argsort(dim=-1, descending=True, stable=True).argsort(-1)
    return index, (rank < n_chosen[:, None, None]) & usable.gather(2, index)


def basis(moments: Tensor) -> Tensor:
    """Orthogonal A [..., D, D] whose first columns carry most of Q A, from Q^T Q [..., D, D].

    The right singular vectors of Q, largest first: (Q A)(K A)^T = Q K^T for any K.
    """
    return torch.linalg.eigh(moments).eigenvectors.flip(-1)


def skew_model(model: Any, input_ids: Tensor) -> None:
    """Make the basis of every layer from a sample text, for `InfiniGen(skew="model")`.

    Run it once for a model, outside `enable`; nothing of the model changes, and the bases live
    as long as it does. The code samples 2,048 tokens of a book.

    Parameters
    ----------
    input_ids
        [B, n] without padding.
    """
    from memsieve.kv.enabling import enable

    named = signature(type(model).forward).parameters
    with enable(model) as memory, torch.no_grad():
        cache = memory.cache(_Moments())
        # transformers 5 has begun to call it by the shorter name.
        model(input_ids=input_ids, **{"cache" if "cache" in named else "past_key_values": cache})
    for layer in cache.managed:
        _SKEWS[memory.facts.modules[layer.index]] = basis(layer.state.layer["moments"])


@dataclass(frozen=True)
class _Moments(Policy):
    """Sums q q^T over the queries that share a head, [Hkv, D, D]."""

    def observe(self, step: Step) -> None:
        query = widened(step.query).unflatten(1, (step.slots.shape[1], -1)).flatten(2, 3)
        step.state.layer["moments"] = (query.transpose(2, 3) @ query).sum(0)


def _layers(step: Step) -> dict[int, _Ahead]:
    """What the layers of this cache know of one another."""
    layers: dict[int, _Ahead] = step.shared.layer.setdefault("InfiniGen", {})
    return layers


def _everything(archive: Archive, step: Step) -> Attend | None:
    """All that is stored, and all that has left."""
    if not archive.n:
        return None
    here = torch.arange(archive.n, device=step.slots.device)
    return Attend(extra=archive.fetch(here.expand(*step.slots.shape[:2], -1)))


def _make_room(step: Step, archive: Archive, n_pool: int, rule: Victim) -> None:
    """Tell the archive where what is stored is to go, and put what guesses there as well."""
    archive.n_max, archive.places = n_pool, None
    n_all, row = archive.n + step.n_stored, step.state.row
    if n_all <= n_pool:
        return
    if "worth" in row:
        slots, usable, worth = row["slots"], row["usable"], row["worth"]
    else:  # `crop` came between a prompt and its selection at the end
        held = [archive.slots.to(step.slots.device)] if archive.n else []
        slots = torch.cat([*held, step.slots], dim=2)
        usable, worth = _real_at(step, slots), rule.worth(slots)
    gone = evicted(worth, slots, usable, n_pool, rule)
    archive.places = places(gone, archive.n, n_pool, n_all)
    for name in [name for name in ("partial", "usable", "slots", "worth") if name in row]:
        row[name] = moved(row[name], archive.places, n_pool)


def _real_at(step: Step, slots: Tensor) -> Tensor:
    if step.padding is None:
        return slots >= 0
    rows = step.padding[:, None].expand(-1, slots.shape[1], -1)
    return (slots >= 0) & rows.gather(2, slots.clamp(min=0))


def _turned(x: Tensor, row: dict[str, Tensor]) -> Tensor:
    """[B, Hkv, n, D] in the basis of its head."""
    return x @ row["skew"] if "skew" in row else x


def _cut(x: Tensor, row: dict[str, Tensor]) -> Tensor:
    """The channels that guess: [B, Hkv, n, P] of [B, Hkv, n, D]."""
    return picked(x.transpose(2, 3), row["channels"]).transpose(2, 3)
