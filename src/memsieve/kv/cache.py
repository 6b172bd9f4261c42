"""A key-value cache for `generate` that a policy bounds or searches."""

from __future__ import annotations

from typing import Any

from memsieve.errors import ParameterError
from memsieve.kv.checks import ModelFacts, facts_of
from memsieve.kv.extras import DynamicCache, DynamicLayer, Tensor, need_extra, torch
from memsieve.kv.layer import Frame, MemoryLayer
from memsieve.kv.policy import NEEDS, Policy
from memsieve.kv.rotary import CLOSABLE, rotates
from memsieve.kv.stats import Counters, Decision, Stats

POSITIONS = ("keep", "close")
LEAVING = ("drop", "archive")
PREFILL = ("each", "end")


class MemoryCache(DynamicCache):  # type: ignore[misc]
    """The `cache` (`past_key_values`) of a model inside `with memsieve.kv.enable(model)`.

    Layers with full attention are managed; sliding-window, chunked and linear layers stay those
    of transformers, which bound themselves.

    Parameters
    ----------
    config
        `model.config`.
    policy
        Which tokens are kept and attended to; None manages the layers and leaves all in.
    positions
        "keep": keys stay rotated as they were written and queries have their true position, so
        that evicting equals masking. "close": gaps are closed by rotating kept keys forward at
        the moment of attention, from what was written (no drift); queries are not touched. For
        texts beyond the trained length, as StreamingLLM does.
    leaving
        "drop": what is not kept is gone. "archive": it goes to the host, for policies that bring
        it back.
    prefill
        "each": select after each pass, so that a prompt fed in chunks never takes more than the
        budget and a chunk; its early chunks are judged by queries that have not seen its end.
        "end": select from a prompt as a whole, when the first single token follows or
        `finish_prefill` is called; until then all of it is stored.
    log
        Whether to keep a `Decision` for every choice, with slots copied to the host.

    Raises
    ------
    MissingExtraError
        If PyTorch or transformers is missing.
    ParameterError
        If an option is none of those above, the architecture is not supported (encoder-decoder,
        M-RoPE, shared keys), or the policy cannot work with it.

    References
    ----------
    The contract is that of transformers 5 (`Cache`, `AttentionInterface`,
    `AttentionMaskInterface`); 4.57 is served too. UNCONFIRMED: several devices, `torch.compile`.
    """

    def __init__(
        self,
        config: Any,
        policy: Policy | None = None,
        *,
        positions: str = "keep",
        leaving: str = "drop",
        prefill: str = "each",
        log: bool = False,
    ) -> None:
        need_extra()
        for name, value, known in (
            ("positions", positions, POSITIONS),
            ("leaving", leaving, LEAVING),
            ("prefill", prefill, PREFILL),
        ):
            if value not in known:
                raise ParameterError(f"MemoryCache.{name} must be one of {known}, got {value!r}")
        if policy is not None and not isinstance(policy, Policy):
            raise ParameterError(f"MemoryCache.policy must be a Policy, got {policy!r}")
        facts = facts_of(config)
        super().__init__(config=config)
        self.frame = Frame(
            policy=policy,
            closes=positions == "close",
            archives=leaving == "archive",
            waits=prefill == "end",
            facts=facts,
            counters=Counters(log=[] if log else None),
        )
        for index, layer in enumerate(self.layers):
            if type(layer) is DynamicLayer:
                self.layers[index] = MemoryLayer(self.frame, index)
        self._check(facts)

    def _check(self, facts: ModelFacts) -> None:
        if not self.managed:
            raise ParameterError(f"no layer of {facts.name} has full attention to manage")
        if self.frame.closes:
            self._check_closing(facts)
        policy = self.frame.policy
        if policy is None:
            return
        unknown = policy.needs - NEEDS
        if unknown:
            raise ParameterError(f"{type(policy).__name__}.needs names {sorted(unknown)}")
        policy.bind(facts)

    def _check_closing(self, facts: ModelFacts) -> None:
        if facts.is_latent:
            raise ParameterError(
                f"{facts.name} caches latents (MLA): positions='close' is not supported"
            )
        if facts.name not in CLOSABLE:
            raise ParameterError(
                f"positions='close' does not know how {facts.name} rotates its keys: "
                "use positions='keep'"
            )
        for layer in self.managed:
            module = facts.modules.get(layer.index)
            if module is not None and rotates(module) and layer.index not in facts.rotaries:
                raise ParameterError(
                    f"positions='close' needs a rotary embedding whose frequencies are fixed, and "
                    f"layer {layer.index} of this {facts.name} has none"
                )

    def bind(self, facts: ModelFacts) -> None:
        """Meet the model of `facts`; `enable` calls it before a forward pass.

        Raises
        ------
        ParameterError
            If cache and model do not fit: another number of layers, another dtype, no rule for
            closing positions, or a policy that needs what the model lacks.
        """
        if self.frame.facts is facts:
            return
        if facts.n_layers != self.frame.facts.n_layers or facts.name != self.frame.facts.name:
            raise ParameterError(
                f"the cache was made for {self.frame.facts.name} with {self.frame.facts.n_layers} "
                f"layers, the model is {facts.name} with {facts.n_layers}"
            )
        dtype = getattr(facts.model, "dtype", None)
        if dtype is not None:
            if dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
                raise ParameterError(f"models of {dtype} are not supported")
            held = {layer.keys.dtype for layer in self.managed if layer.keys is not None}
            if held - {dtype}:
                raise ParameterError(
                    f"the cache holds {held.pop()} and the model gives {dtype}: reset the cache"
                )
        self._check(facts)
        self.frame.facts = facts

    @property
    def policy(self) -> Policy | None:
        """The policy in charge."""
        return self.frame.policy

    @property
    def managed(self) -> list[MemoryLayer]:
        """The layers that the policy manages."""
        return [layer for layer in self.layers if isinstance(layer, MemoryLayer)]

    @property
    def stats(self) -> Stats:
        """What the cache holds and has done."""
        counted, managed = self.frame.counters, self.managed
        stock = [layer for layer in self.layers if not isinstance(layer, MemoryLayer)]
        archives = [layer.archive for layer in managed if layer.archive is not None]
        return Stats(
            n_logical=self.get_seq_length(),
            bytes_device=sum(layer.n_bytes for layer in managed)
            + sum(
                int(t.numel() * t.element_size())
                for layer in stock
                for t in (getattr(layer, "keys", None), getattr(layer, "values", None))
                if t is not None
            ),
            bytes_host=sum(archive.n_bytes for archive in archives),
            bytes_state=sum(layer.n_state_bytes for layer in managed),
            peak_bytes_device=counted.peak_bytes,
            bytes_fetched=sum(archive.bytes_fetched for archive in archives),
            n_evicted=counted.n_evicted,
            n_evictions=counted.n_evictions,
            n_retrievals=counted.n_retrievals,
        )

    @property
    def log(self) -> list[Decision]:
        """Every decision so far, the oldest first.

        Raises
        ------
        ParameterError
            If the cache was made without `log=True`.
        """
        if self.frame.counters.log is None:
            raise ParameterError("this cache keeps no log: make it with log=True")
        return self.frame.counters.log

    @property
    def is_croppable(self) -> bool:
        """Whether `crop` restores an earlier state exactly: not where something may leave."""
        return all(getattr(layer, "is_croppable", False) for layer in self.layers)

    def finish_prefill(self) -> None:
        """With `prefill="end"`: select from the prompt now, not when the next token comes."""
        for layer in self.managed:
            layer.settle()

    def reset(self) -> None:
        """Forget everything; the cache is as new."""
        for layer in self.layers:
            layer.reset()
        self.frame.shared.clear()
        log = None if self.frame.counters.log is None else list[Decision]()
        self.frame.counters = Counters(log=log)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Take rows `beam_idx`, in every layer and in what the policy shares between them."""
        super().reorder_cache(beam_idx)
        self.frame.shared.of_rows(beam_idx)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Every row `repeats` times, copies side by side."""
        super().batch_repeat_interleave(repeats)
        for part in (self.frame.shared.token, self.frame.shared.row):
            for name, tensor in part.items():
                part[name] = tensor.repeat_interleave(repeats, 0)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Only rows `indices`."""
        super().batch_select_indices(indices)
        for part in (self.frame.shared.token, self.frame.shared.row):
            for name, tensor in part.items():
                part[name] = tensor[indices.to(tensor.device)]

    def crop(self, tokens_to_remove: int) -> None:
        """Forget the newest tokens: see `MemoryLayer.crop`."""
        n = self.get_seq_length()
        super().crop(tokens_to_remove)
        if self.get_seq_length() < n:
            self.frame.shared.row.clear()
