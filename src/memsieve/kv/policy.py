"""The contract of every KV policy: what it is shown at each step, and what it answers.

A policy decides, for one attention layer and one forward pass, which tokens are attended to
(before attention) and which tokens stay stored (after it). It is a frozen dataclass of options;
everything that changes lives in the `State` that the frame hands to it, so that one policy may
serve many caches at once.

How to write one
----------------
1. **Evict by a score.** Derive from `memsieve.kv.scored.Scored` and write `score`: the base
   picks under the budget, protects sink and window, and takes care of granularity, heads,
   padding and ties. This is the whole of a policy that keeps tokens with short values:

   >>> from dataclasses import dataclass
   >>> from memsieve.kv.policy import Step
   >>> from memsieve.kv.scored import Scored
   >>> @dataclass(frozen=True)
   ... class ShortValues(Scored):
   ...     '''Keep the tokens whose values have the smallest norm.'''
   ...
   ...     def score(self, step: Step):
   ...         return -step.values.float().norm(dim=-1)  # [B, Hkv, n], higher stays
   >>> ShortValues(budget_tokens=256, n_sink=4, n_window=32).window(256)
   32

2. **Remember something for each token.** Name it in `token_fields` with the value that a new
   token starts with, add to it in `observe`, read it in `score`. The frame appends, gathers,
   crops, resets it and reorders it with the beams (H2O: accumulated attention)::

       token_fields = {"mass": 0.0}
       def observe(self, step):
           step.state.token["mass"] += column_sums(step)     # [B, Hkv, n] float32
       def score(self, step):
           return step.state.token["mass"]

3. **Retrieve.** Derive from `Policy` and write `attend`: it runs before attention, and names
   what this step looks at; nothing is deleted (Quest, InfiniGen). See `Attend`::

       def attend(self, step):
           if step.is_prefill:
               return None                                   # all of them
           return Attend(index)                              # [B, Hkv, m] or [B, Hq, m]

4. **Both.** With `MemoryCache(..., leaving="archive")` what `keep` drops goes to the host, and
   `attend` may bring pieces back: `Attend(extra=step.archive.fetch(index))` (IceCache). What is
   known a layer ahead is asked for with `archive.ask`, and arrives meanwhile (InfiniGen). Entries
   of the policy's own making, such as pooled keys, go the same way: `Attend(extra=Extra(...))`,
   with a `bias` on their logits where one entry stands for many (PackForcing).

5. **Share between layers.** `step.shared` is one `State` for all layers of a cache: a group
   leader puts its choice there (WindowKV), heads of all layers cast their votes (ZoomR).

6. **Ask for more.** `needs = {"hidden"}` fills `step.hidden`, `needs = {"input_ids"}` fills
   `step.input_ids`; both take hooks, which live as long as `enable(model)` does. `bind` sees the
   model once, before the first forward pass: check there, or prepare weights (InfiniGen).

One forward pass over one layer, in order: the new keys are appended (with the next slots);
`attend`; attention; `observe`; `keep`, unless selection waits for the end of the prefill; what
is not kept leaves. Tokens of the pass are thus always seen by its own queries before any
leaves. All hooks run without gradients, and must not write to the step's tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from memsieve.kv.extras import Tensor, torch

if TYPE_CHECKING:
    from memsieve.kv.archive import Archive
    from memsieve.kv.checks import ModelFacts

NEEDS = frozenset({"hidden", "input_ids"})
"""What a policy may ask for on top of the step: see `Policy.needs`."""

ROOM_TOKENS = 64
"""For how many tokens a layer from which none leaves is made longer at once."""


@dataclass(slots=True)
class State:
    """What a policy remembers, sorted by how it has to travel; the frame moves it.

    Attributes
    ----------
    token
        Tensors [B, Hkv, n, ...], one entry for each stored token, in the order of the keys.
        Those named in `Policy.token_fields` appear by themselves (float32 [B, Hkv, n]) and grow
        with new tokens; others must be kept at n by the policy. Gathered when tokens leave, cut
        by `crop`, reordered with the beams. Empty in `Step.shared`.
    row
        Tensors [B, ...] that belong to rows: reordered, repeated and selected with them. Meant
        for what can be made anew (page summaries): `crop` and `reset` clear it, and an eviction
        does, unless the policy sets `keeps_rows`.
    layer
        Anything else (a generator, a counter, an index): untouched by rows, cleared by `reset`.
        Counters count forward passes, and survive `crop`.
    """

    token: dict[str, Tensor] = field(default_factory=dict)
    row: dict[str, Tensor] = field(default_factory=dict)
    layer: dict[str, Any] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget everything."""
        for part in (self.token, self.row, self.layer):
            part.clear()

    def of_rows(self, index: Tensor) -> None:
        """Take rows `index` [B'] of everything that has rows."""
        for part in (self.token, self.row):
            for name, tensor in part.items():
                part[name] = tensor.index_select(0, index.to(tensor.device))


@dataclass(frozen=True, eq=False)
class Step:
    """One layer during one forward pass.

    B rows, Hq query heads, Hkv key-value heads (query head h uses key-value head h // (Hq/Hkv)),
    q new tokens, n stored tokens of each head (the new ones among them, at the end), N tokens
    seen so far (logical length, the new ones counted), D channels (Dv for values).

    Attributes
    ----------
    layer, n_layers
        Index of this layer in the model, and how many the model has.
    query
        [B, Hq, q, D], after rotation and norms, as attention uses it. The positions of its q
        rows are slots N - q .. N - 1. In a `keep` that waited for the end of the prefill it is
        `recent`.
    recent
        [B, Hq, r, D], the last r <= `Policy.n_recent` queries, over the borders of chunks; the
        last row is that of slot N - 1. Empty (r = 0) where the policy asks for none.
    keys, values
        [B, Hkv, n, D] and [B, Hkv, n, Dv], heads not repeated, keys rotated as attention uses
        them: as written, or closed up with `positions="close"`.
    slots
        [B, Hkv, n] int64: index of each token in the row as it was fed, padding counted;
        strictly ascending; -1 (only at the front) is an empty place that is never attended to.
    scale
        What attention multiplies q.k by.
    padding
        [B, N] bool, True for real tokens; None if all are real.
    softcap
        Logits are `softcap * tanh(logits / softcap)` before masking (Gemma 2); None for most.
    is_prefill
        Whether this pass brought more than one token for each row.
    is_whole
        Whether it is known that every place holds a real token: no padding, nothing empty.
    n_logical
        N.
    state, shared
        What the policy remembers of this layer, and of the cache as a whole.
    archive
        What left this layer for the host; None with `leaving="drop"`.
    hidden
        [B, q, hidden size], what went into the attention module; None unless `needs` names it.
    input_ids
        [B, q] token ids of this pass; None unless `needs` names it.
    module
        The attention module of this layer, None in tests without a model.
    """

    layer: int
    n_layers: int
    query: Tensor
    keys: Tensor
    values: Tensor
    slots: Tensor
    scale: float
    n_logical: int
    padding: Tensor | None = None
    recent: Tensor | None = None
    softcap: float | None = None
    is_prefill: bool = False
    is_whole: bool = False
    state: State = field(default_factory=State)
    shared: State = field(default_factory=State)
    archive: Archive | None = None
    hidden: Tensor | None = None
    input_ids: Tensor | None = None
    module: Any = None

    @property
    def n_stored(self) -> int:
        """n, how many places each head has stored."""
        return int(self.keys.shape[2])

    @property
    def n_groups(self) -> int:
        """Hq / Hkv, how many query heads share a key-value head."""
        return int(self.query.shape[1] // self.keys.shape[1])

    @cached_property
    def real(self) -> Tensor:
        """[B, Hkv, n] bool: neither padding nor an empty place."""
        if self.is_whole:
            return self.slots.new_ones((), dtype=torch.bool).expand(self.slots.shape)
        held = self.slots >= 0
        if self.padding is None:
            return held
        return held & _at(self.padding, self.slots)

    @cached_property
    def positions(self) -> Tensor:
        """[B, Hkv, n] int64: place among the real tokens of the row, from 0; others -1."""
        if self.padding is None:
            return self.slots
        places = self.padding.long().cumsum(-1) - 1
        return torch.where(self.real, _at(places, self.slots), -1)

    @cached_property
    def age(self) -> Tensor:
        """[B, Hkv, n] int64: how many real stored tokens are newer, 0 for the newest."""
        if self.is_whole:
            newest_last = torch.arange(self.n_stored - 1, -1, -1, device=self.slots.device)
            return newest_last.expand(self.slots.shape)
        real = self.real.long()
        return real.flip(-1).cumsum(-1).flip(-1) - real


def _at(of_rows: Tensor, slots: Tensor) -> Tensor:
    """Entries of [B, N] at slots [B, H, n]."""
    rows = of_rows[:, None, :].expand(-1, slots.shape[1], -1)
    return rows.gather(2, slots.clamp(min=0))


@dataclass(frozen=True, slots=True, eq=False)
class Keep:
    """What stays stored: the answer of `Policy.keep`.

    Parameters
    ----------
    index
        [B, Hkv, m] int64 into the n stored tokens, ascending, none twice; m <= n.
    valid
        [B, Hkv, m] bool, False where a head wants fewer than m: that place becomes empty, is
        masked, and takes memory all the same. Where False, `index` may be anything in [0, n).
        None: all are wanted. Valid places are moved behind the empty ones by the frame.
    """

    index: Tensor
    valid: Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Extra:
    """Keys and values to attend to that are not among the stored ones.

    Parameters
    ----------
    keys, values
        [B, H, e, D] and [B, H, e, Dv], rotated, on the device of the layer; H is Hkv, or Hq if
        `Attend.index` has Hq heads.
    slots
        [B, H, e] int64 in any order: an entry is seen by queries of its slot and later, and of
        a row's padding by none; -1 is seen by none.
    bias
        [B, H, e] float, added to the logits: log(count) for an entry that stands for `count`
        alike tokens. None: 0.
    """

    keys: Tensor
    values: Tensor
    slots: Tensor
    bias: Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Attend:
    """What this pass looks at: the answer of `Policy.attend`.

    Parameters
    ----------
    index
        [B, Hkv, m] int64, the same tokens for the query heads of a group, or [B, Hq, m], each
        query head its own (costs m*D for each query head). Ascending, none twice. Causality
        and padding are applied by the frame; a pass over several queries uses one index for all
        of them, so include the new tokens (the last q). None: all stored tokens.
    valid
        [B, H, m] bool, False where a head wants fewer than m. None: all are wanted.
    extra
        More to look at, from the archive or of the policy's own making.
    """

    index: Tensor | None = None
    valid: Tensor | None = None
    extra: Extra | None = None


class Policy:
    """Which tokens a layer attends to, and which it keeps; see the module for how to write one.

    A policy is a frozen dataclass: options only, checked in `__post_init__` (ParameterError).
    It holds no tensors and may be shared between caches and threads. Every promise is for each
    row alone: rows in another order give the same choices in that order, and padding is never
    kept while a real token of its row is dropped.

    Attributes
    ----------
    token_fields
        Names of `State.token` that the frame keeps, with the value of a new token.
    n_recent
        How many of the last queries `Step.recent` holds.
    needs
        Of "hidden" and "input_ids", what the steps must bring.
    keeps_rows
        Whether `State.row` stays valid when tokens leave.
    evicts, retrieves
        Whether `keep` or `attend` ever answers; by default, whether the class writes them.
    """

    __slots__ = ()

    token_fields: ClassVar[Mapping[str, float]] = MappingProxyType({})
    needs: ClassVar[frozenset[str]] = frozenset()
    keeps_rows: ClassVar[bool] = False

    @property
    def n_recent(self) -> int:
        """How many of the last queries `Step.recent` holds; 0 by default."""
        return 0

    @property
    def n_spare(self) -> int:
        """Room for so many decoded tokens in a layer from which tokens have left; 0 by default.

        They then come without a copy. Layers from which none has left have `ROOM_TOKENS`.
        """
        return 0

    @property
    def evicts(self) -> bool:
        """Whether tokens ever leave."""
        return type(self).keep is not Policy.keep

    @property
    def retrieves(self) -> bool:
        """Whether passes ever look at less than what is stored."""
        return type(self).attend is not Policy.attend

    def bind(self, facts: ModelFacts) -> None:
        """Look at the model before the first pass; refuse what cannot work.

        `facts` holds layers, heads, channels, the rotary embedding, and the model itself where
        the cache was enabled with one. Called once for each cache and each `enable`.

        Raises
        ------
        ParameterError
            If the policy cannot work with this model: one line that says what is missing.
        """

    def attend(self, step: Step) -> Attend | None:
        """Before attention: what to look at; None for all that is stored."""
        return None

    def observe(self, step: Step) -> None:
        """After attention, on every pass: remember what this pass showed."""

    def keep(self, step: Step) -> Keep | None:
        """After `observe`: what stays stored; None for all.

        With `prefill="end"` it is called for the prompt as a whole, just before the first token
        that comes alone, with the n that are stored then and `query` = `recent`.
        """
        return None
