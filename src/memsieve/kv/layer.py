"""One layer of a managed cache: what it stores, and the course of one forward pass over it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from memsieve.errors import ParameterError
from memsieve.kv import view
from memsieve.kv.archive import Archive, picked
from memsieve.kv.checks import ModelFacts
from memsieve.kv.extras import DynamicLayer, Tensor, torch
from memsieve.kv.policy import ROOM_TOKENS, Attend, Keep, Policy, State, Step
from memsieve.kv.room import Room
from memsieve.kv.rotary import Rotary, closing_shifts
from memsieve.kv.stats import Counters


@dataclass(eq=False)
class Frame:
    """What the layers of one cache share: options, facts, counters, state of the policy."""

    policy: Policy | None
    closes: bool
    archives: bool
    waits: bool
    facts: ModelFacts
    shared: State = field(default_factory=State)
    counters: Counters = field(default_factory=Counters)
    input_ids: Tensor | None = None
    _padding: tuple[Any, Tensor | None] | None = None
    _counted: Tensor | None = None

    def padding_of(self, mask: Tensor | None, n_rows: int) -> Tensor | None:
        """[B, N] bool, True for real tokens, read off an attention mask; None if all are.

        The newest query sees every real token. All layers of a pass get the same mask, so the
        answer is kept until another one comes.

        Raises
        ------
        ParameterError
            If the mask is added to the logits and holds more than 0 and lowest numbers.
        """
        if mask is None:
            return None
        if self._padding is None or self._padding[0]() is not mask:
            real = mask[:, 0, -1, :]
            is_real, has_bias = _seen_and_biased(real)
            told = torch.stack([is_real.all(), has_bias]).cpu()  # both at once: this waits
            if told[1]:
                raise ParameterError(
                    "attention masks with biases cannot be followed once tokens leave: use a "
                    "cache without a policy"
                )
            real = None if told[0] else is_real.expand(n_rows, -1)
            self._padding = (weakref.ref(mask), real)
        return self._padding[1]

    def counted(self, n: int, device: Any) -> Tensor:
        """0 to n - 1, int64: the slots of a head that nothing has left."""
        if self._counted is None or self._counted.shape[0] < n or self._counted.device != device:
            self._counted = torch.arange(n + ROOM_TOKENS, device=device)
        return self._counted[:n]

    def __deepcopy__(self, memo: dict[int, Any]) -> Frame:
        from copy import deepcopy

        twin = replace(self, shared=deepcopy(self.shared, memo), input_ids=None, _padding=None)
        twin.counters = deepcopy(self.counters, memo)
        memo[id(self)] = twin
        return twin


def _seen_and_biased(mask: Tensor) -> tuple[Tensor, Tensor]:
    """What a mask of any type shows, as bool, and whether it adds to the logits of that."""
    if mask.dtype == torch.bool:
        return mask, mask.new_zeros(())
    seen = mask > torch.finfo(mask.dtype).min / 2
    return seen, mask.masked_fill(~seen, 0).any()


_now = threading.local()


def claim(module: Any) -> MemoryLayer | None:
    """The layer that was updated just now, if it is the one of this attention module."""
    layer: MemoryLayer | None = getattr(_now, "layer", None)
    _now.layer = None
    if layer is None or getattr(module, "layer_idx", layer.index) != layer.index:
        return None
    layer.unclaimed = False
    return layer


def tell_hidden(layer: int, hidden: Tensor) -> None:
    """Note what goes into the attention module of `layer` on this thread."""
    _now.hidden = (layer, hidden)


class MemoryLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer, with the slot of each, under a policy.

    `keys`, `values` [B, Hkv, n, D] hold what is stored, rotated as written; `slots` [B, Hkv, n]
    where in the row each token came from. `get_seq_length` is the logical length: what
    `generate` derives positions and unread input from. New tokens are written behind those that
    are stored: who wants to keep `keys` beyond a `crop` has to copy them.
    """

    is_sliding = False
    is_initialized: bool
    keys: Tensor
    values: Tensor

    def __init__(self, frame: Frame, index: int) -> None:
        super().__init__()
        self.frame, self.index = frame, index
        self.n_logical = 0
        self.slots: Tensor = None
        self._rooms = {name: Room() for name in ("keys", "values", "slots")}
        self.state = State()
        self.archive = Archive() if frame.archives else None
        self.unclaimed = self.has_empty = self.has_evicted = self.stores_latents = False
        # A prefill that is not yet selected from, and what its last pass was like.
        self.waiting = False
        self._last: Step | None = None
        self._recent: Tensor = None

    # What transformers asks of a layer.

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor = None) -> None:
        """Make room for rows, heads and channels like those of the first keys and values."""
        values = key_states if value_states is None else value_states  # transformers 4 gives one
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys, self.values = key_states[:, :, :0], values[:, :, :0]
        self.is_initialized = True
        n_rows, n_heads = key_states.shape[:2]
        empty = {"device": key_states.device}
        self.slots = torch.empty((n_rows, n_heads, 0), dtype=torch.int64, **empty)
        policy = self.frame.policy
        for name in policy.token_fields if policy is not None else ():
            self.state.token[name] = torch.empty((n_rows, n_heads, 0), **empty)

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append the new tokens; gives all that is stored. Attention must follow."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self._check(key_states)
        n_new = key_states.shape[2]
        if self.waiting and n_new == 1:
            self.settle()
        policy = self.frame.policy
        spare = 0
        if n_new == 1:  # of a prompt much may leave
            spare = policy.n_spare if policy is not None and self.has_evicted else ROOM_TOKENS
        keys = self.keys
        self.keys = self._rooms["keys"].appended(keys, key_states, spare)
        self.values = self._rooms["values"].appended(self.values, value_states, spare)
        self.n_logical += n_new
        counted = self.frame.counted(self.n_logical, self.slots.device)
        if self.has_evicted or self.has_empty:
            new = counted[-n_new:].expand(*self.slots.shape[:2], -1)
            self.slots = self._rooms["slots"].appended(self.slots, new, spare)
        else:
            self.slots = counted.expand(*self.slots.shape[:2], -1)
        for name, start in policy.token_fields.items() if policy is not None else ():
            old = self.state.token[name]
            self.state.token[name] = torch.cat(
                [old, old.new_full((*old.shape[:2], n_new), start)], dim=2
            )
        if self.keys.data_ptr() != keys.data_ptr():  # or else there was room
            self._count_bytes()
        self.unclaimed, _now.layer = True, self
        return self.keys, self.values

    def _check(self, key_states: Tensor) -> None:
        if self.unclaimed:
            raise ParameterError(
                "MemoryCache must be used inside `with memsieve.kv.enable(model)`: attention "
                "did not look at it"
            )
        if key_states.dtype != self.keys.dtype:
            raise ParameterError(
                f"the cache holds {self.keys.dtype} and the model gives {key_states.dtype}: "
                "use a new cache, or reset this one"
            )
        if key_states.shape[0] != self.slots.shape[0]:
            raise ParameterError(
                f"the cache holds {self.slots.shape[0]} rows, got {key_states.shape[0]}"
            )

    def get_seq_length(self, *_: Any) -> int:
        """Tokens seen, evicted and padding counted."""
        return self.n_logical

    def get_mask_sizes(self, query_length: Any) -> tuple[int, int]:
        """Masks are asked for as if nothing had left; columns are picked in `attention`."""
        # transformers 4 hands over the tensor of positions where 5 hands over its length.
        n_new = query_length if isinstance(query_length, int) else query_length.shape[0]
        return self.n_logical + n_new, 0

    @property
    def is_croppable(self) -> bool:
        """Whether `crop` restores an earlier state exactly: not where something has or may leave.

        Assisted decoding asks once, behind the prompt, and drafts may push out real tokens later.
        """
        policy = self.frame.policy
        return not (self.has_evicted or (policy is not None and policy.evicts))

    def crop(self, tokens_to_remove: int) -> None:
        """Forget the newest tokens: -k the last k, a positive number all from there on.

        What had left to make room for them stays away, and what they gave to accumulated
        scores stays in.
        """
        left = tokens_to_remove if tokens_to_remove > 0 else self.n_logical + tokens_to_remove
        left = max(left, 0)
        if not self.is_initialized or left >= self.n_logical:
            return
        if self.has_evicted or self.has_empty:
            self._crop_slots(left)
        else:
            self.keys, self.values = self.keys[:, :, :left], self.values[:, :, :left]
            if left < self.n_logical // 2:  # a copy costs less than what is held for nothing
                self._leave_rooms()
                self.keys, self.values = self.keys.clone(), self.values.clone()
            self.slots = self.slots[:, :, :left]
            for name, tensor in self.state.token.items():
                self.state.token[name] = tensor[:, :, :left]
        if self._recent is not None:
            self._recent = self._recent[
                :, :, : max(0, self._recent.shape[2] - self.n_logical + left)
            ]
        self.n_logical = left
        self.state.row.clear()
        if self.archive is not None:
            self.archive.crop(left)
        if self._last is not None:
            padding = self._last.padding
            padding = None if padding is None else padding[:, :left]
            self._last = replace(self._last, n_logical=left, padding=padding)
        self._count_bytes()

    def _crop_slots(self, left: int) -> None:
        n_empty = (self.slots < 0).sum(-1, keepdim=True)
        end = (self.slots < left).sum(-1, keepdim=True)
        longest = int((end - n_empty).max())
        # Removed slots are the last of every head; shorter heads get empty places in front.
        index = end - longest + torch.arange(longest, device=self.slots.device)
        self._gather(Keep(index.clamp(min=0), index >= n_empty))

    def reset(self) -> None:
        """Forget all tokens and all that the policy remembered of this layer."""
        self.is_initialized = False  # or else what is stored would be overwritten with zeros first
        super().reset()
        self.keys = self.values = self.slots = None
        self._leave_rooms()
        self.n_logical = 0
        self.state.clear()
        if self.archive is not None:
            self.archive.clear()
        self.unclaimed = self.has_empty = self.has_evicted = self.waiting = False
        self._last = self._recent = None
        self._count_bytes()

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Take rows `beam_idx` of everything."""
        if not self.is_initialized:
            return
        beam_idx = beam_idx.to(self.slots.device)
        self._leave_rooms()
        for name in ("keys", "values", "slots", "_recent"):
            tensor = getattr(self, name)
            if tensor is not None:
                setattr(self, name, tensor.index_select(0, beam_idx))
        self.state.of_rows(beam_idx)
        if self.archive is not None and self.archive.n:
            self.archive.of_rows(beam_idx)
        if self._last is not None and self._last.padding is not None:
            self._last = replace(self._last, padding=self._last.padding.index_select(0, beam_idx))
        self._count_bytes()

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Every row `repeats` times, copies side by side."""
        if self.is_initialized:
            rows = torch.arange(self.slots.shape[0], device=self.slots.device)
            self.reorder_cache(rows.repeat_interleave(repeats))

    def batch_select_indices(self, indices: Tensor) -> None:
        """Only rows `indices` (or where a mask is True)."""
        if self.is_initialized:
            rows = torch.arange(self.slots.shape[0], device=self.slots.device)
            self.reorder_cache(rows[indices.to(rows.device)])

    # One forward pass.

    def attention(
        self,
        inner: Callable[..., Any],
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        **kwargs: Any,
    ) -> Any:
        """Attention of `inner` over what the policy chooses; then what it keeps."""
        policy = self.frame.policy
        if policy is None:
            return inner(module, query, key, value, mask, **kwargs)
        self.stores_latents = key.shape != self.keys.shape
        with torch.no_grad():
            step = self._step(module, query, key, value, mask, kwargs)
            plan = policy.attend(step) if policy.retrieves else None
        out = self._view(step, key, value, mask, plan).attention(inner, module, query, **kwargs)
        with torch.no_grad():
            policy.observe(step)
            self._select(step)
        return out

    def _step(
        self, module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, kw: Any
    ) -> Step:
        policy, frame = self.frame.policy, self.frame
        assert policy is not None
        n_recent, recent = policy.n_recent, query[:, :, :0]
        if n_recent:
            recent = query[:, :, -n_recent:]
            if query.shape[2] > n_recent:
                recent = recent.clone()  # a view would hold all queries of the prompt
            if self._recent is not None and recent.shape[2] < n_recent:
                recent = torch.cat([self._recent, recent], dim=2)[:, :, -n_recent:]
            self._recent = recent
        place, hidden = getattr(_now, "hidden", (None, None))
        _now.hidden = (None, None)
        scaling, padding = kw.get("scaling"), frame.padding_of(mask, query.shape[0])
        return Step(
            layer=self.index,
            n_layers=frame.facts.n_layers,
            query=query,
            keys=self._closed(key),
            values=value,
            slots=self.slots,
            scale=query.shape[-1] ** -0.5 if scaling is None else scaling,
            n_logical=self.n_logical,
            padding=padding,
            recent=recent,
            softcap=kw.get("softcap"),
            is_prefill=query.shape[2] > 1,
            is_whole=padding is None and not self.has_empty,
            state=self.state,
            shared=frame.shared,
            archive=self.archive,
            hidden=hidden if place == self.index else None,
            input_ids=frame.input_ids,
            module=module,
        )

    @property
    def _rotary(self) -> Rotary | None:
        return self.frame.facts.rotaries.get(self.index) if self.frame.closes else None

    def _closed(self, key: Tensor) -> Tensor:
        """All stored keys as attention is to see them."""
        rotary = self._rotary
        if rotary is None or not self.has_evicted:  # no gap to close
            return key
        return rotary.forward(key, closing_shifts(self.slots, self.n_logical - 1))

    def _view(
        self, step: Step, key: Tensor, value: Tensor, mask: Tensor | None, plan: Attend | None
    ) -> view.View:
        if plan is None or (plan.index is None and plan.extra is None):
            return view.stored(step, value, mask, has_empty=self.has_empty)
        seen = view.chosen(
            step, plan, key, value, mask, has_empty=self.has_empty, rotary=self._rotary
        )
        self.frame.counters.note("retrieve", self.index, self.n_logical, step.n_stored, seen.slots)
        return seen

    # What stays.

    def _select(self, step: Step) -> None:
        policy = self.frame.policy
        assert policy is not None
        if not policy.evicts:
            return
        if self.frame.waits and step.is_prefill:
            self.waiting = True
            # Without the module: a copy of the cache must not copy the model.
            self._last = replace(
                step, query=step.recent, keys=None, values=None, hidden=None, module=None
            )
            return
        self._apply(step, policy.keep(step))

    def settle(self) -> None:
        """Select from a prefill that was to be selected from at its end."""
        policy, last = self.frame.policy, self._last
        if not self.waiting or policy is None or last is None:
            return
        self.waiting, self._last = False, None
        keys, values = self._closed(self.keys), self.values
        module = self.frame.facts.modules.get(self.index)
        recent = last.recent if self._recent is None else self._recent
        with torch.no_grad():
            if self.stores_latents and module is not None:
                keys, values = module.expand_kv(keys, values)
            given = {"keys": keys, "values": values, "slots": self.slots}
            step = replace(last, query=recent, recent=recent, module=module, **given)
            self._apply(step, policy.keep(step))

    def _apply(self, step: Step, keep: Keep | None) -> None:
        n_before = step.n_stored
        if keep is None or (keep.index.shape[2] == n_before and keep.valid is None):
            return
        if self.archive is not None:
            self._send_away(keep, n_before)
        self._gather(keep)
        if not (self.frame.policy and self.frame.policy.keeps_rows):
            self.state.row.clear()
        self.has_evicted = True
        self.frame.counters.note("evict", self.index, self.n_logical, n_before, self.slots)
        self._count_bytes()

    def _send_away(self, keep: Keep, n_before: int) -> None:
        assert self.archive is not None
        stays = torch.zeros_like(self.slots, dtype=torch.int64)
        chosen = torch.ones_like(keep.index) if keep.valid is None else keep.valid.long()
        stays.scatter_add_(2, keep.index, chosen)
        leaves = (stays == 0) & (self.slots >= 0)
        longest = int(leaves.sum(-1).max())
        if not longest:
            return
        # Those that leave, in order, behind the empty places of heads from which fewer leave.
        order = leaves.long().argsort(dim=-1, stable=True)[..., n_before - longest :]
        slots = torch.where(leaves.gather(2, order), self.slots.gather(2, order), -1)
        self.archive.add(picked(self.keys, order), picked(self.values, order), slots)

    def _gather(self, keep: Keep) -> None:
        index, valid = keep.index, keep.valid
        if valid is not None:
            order = valid.long().argsort(dim=-1, stable=True)
            index, valid = index.gather(2, order), valid.gather(2, order)
        self._leave_rooms()
        self.keys, self.values = picked(self.keys, index), picked(self.values, index)
        self.slots = picked(self.slots, index)
        for name, tensor in self.state.token.items():
            self.state.token[name] = picked(tensor, index)
        if valid is not None:
            self.slots = torch.where(valid, self.slots, -1)
            self.has_empty = not bool((self.slots >= 0).all())

    def _leave_rooms(self) -> None:
        for room in self._rooms.values():
            room.clear()

    def _count_bytes(self) -> None:
        self.frame.counters.holds(self.index, self.n_bytes)

    @property
    def n_bytes(self) -> int:
        """Bytes of the storage of keys and values, room for the next ones included."""
        if self.keys is None:
            return 0
        return sum(int(one.untyped_storage().nbytes()) for one in (self.keys, self.values))

    @property
    def n_state_bytes(self) -> int:
        """Bytes of slots and of what the policy keeps for tokens and rows."""
        if self.slots is None:
            return 0
        held = [*self.state.token.values(), *self.state.row.values()]
        if self.has_evicted or self.has_empty:  # or else they are counted, once for all layers
            held.append(self.slots)
        return sum(int(t.numel() * t.element_size()) for t in held)
