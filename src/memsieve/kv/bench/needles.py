"""Needles in made-up keys: does a policy still have what nobody looked at until now?

No model: keys, values and queries are drawn, standard normal, so that logits are too. A few
channels are set aside for a mark that only the needle's key bears; the query of a later step asks
for that mark and for nothing else. Until then the needle is a token like any other, which a policy
that forgets can keep by chance only. One layer and one head; every seed is a row of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from memsieve.errors import ParameterError
from memsieve.kv.bench.settings import Setting
from memsieve.kv.bench.watching import attended, looked_at, present
from memsieve.kv.cache import MemoryCache
from memsieve.kv.checks import whole_number
from memsieve.kv.extras import Tensor, need_extra, torch
from memsieve.kv.layer import claim

_ROWS = 50  # seeds at once, a bound on memory
_MARK_CHANNELS = 4
# A query with _ASKED * sqrt(head_dim) in these channels gives the needle 4 * 4 * 0.5 = 8 more.
_MARK, _ASKED = 4.0, 0.5


@dataclass(frozen=True, slots=True)
class Needle:
    """Where the needle lies, and when it is asked for.

    Parameters
    ----------
    n_prompt
        Tokens of the prompt.
    place
        Index of the needle, below `n_prompt`.
    step
        The decode step whose query points at it, counted from 1.
    early
        Whether the prompt's queries behind the needle ask for its mark as well.
    n_seeds
        How many needles.
    head_dim
        Channels, those of the mark included; at least 8.
    seed
        Of all draws.
    """

    n_prompt: int = 512
    place: int = 200
    step: int = 24
    early: bool = False
    n_seeds: int = 200
    head_dim: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_prompt", "step", "n_seeds"):
            whole_number(f"Needle.{name}", getattr(self, name), at_least=1)
        whole_number("Needle.head_dim", self.head_dim, at_least=2 * _MARK_CHANNELS)
        if not 0 <= self.place < self.n_prompt:
            raise ParameterError(
                f"Needle.place must be in [0, {self.n_prompt}), got {self.place!r}"
            )


def found(setting: Setting, needle: Needle | None = None) -> float | None:
    """Share of needles that the query which points at them could attend to.

    None where the policy needs a model (`Policy.needs`) or pools tokens. With a policy that leaves
    its first layers alone, make the setting with `n_full_layers=0`: the one layer here is the
    first.

    Raises
    ------
    MissingExtraError
        If PyTorch or transformers is missing.
    """
    need_extra()
    needle = needle or Needle()
    if setting.pools or (setting.policy is not None and setting.policy.needs):
        return None
    generator = torch.Generator().manual_seed(needle.seed)
    n_found, left = 0.0, needle.n_seeds
    while left > 0:
        n_rows = min(_ROWS, left)
        n_found += _run(setting, needle, n_rows, generator)
        left -= n_rows
    return n_found / needle.n_seeds


def _run(setting: Setting, needle: Needle, n_rows: int, generator: Any) -> float:
    """How many of the rows have the needle at hand when it is asked for."""
    n_all = needle.n_prompt + needle.step
    keys, values, queries = (
        torch.randn(n_rows, 1, n_all, needle.head_dim, generator=generator) for _ in range(3)
    )
    mark = slice(0, _MARK_CHANNELS)
    keys[..., mark] = queries[..., mark] = 0.0
    keys[:, :, needle.place, mark] = _MARK
    if needle.early:  # its logit is 8 higher than those of others: most of the attention
        queries[:, :, needle.place + 1 : needle.n_prompt, mark] = _ASKED * needle.head_dim**0.5
    queries[:, :, -1:] = 0.0
    queries[:, :, -1:, mark] = 2 * _ASKED * needle.head_dim**0.5
    cache = MemoryCache(
        _one_layer(needle.head_dim), setting.policy, leaving=setting.leaving, log=True
    )
    layer = cache.managed[0]
    ends = [needle.n_prompt, *range(needle.n_prompt + 1, n_all + 1)]
    start, before = 0, None
    for end in ends:
        before = present(layer)
        new = slice(start, end)
        stored = layer.update(keys[:, :, new], values[:, :, new])
        claim(None)
        layer.attention(_no_output, None, queries[:, :, new], *stored, None)
        start = end
    seen = attended(looked_at(cache).get(0), before, n_all)
    return float((seen == needle.place).any(-1).any(1).sum())


def _no_output(module: Any, query: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
    """Only what is looked at matters here, not what comes of it."""
    return query.transpose(1, 2), None


def _one_layer(head_dim: int) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1, head_dim=head_dim,
        hidden_size=head_dim, intermediate_size=head_dim, vocab_size=1, pad_token_id=0,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
