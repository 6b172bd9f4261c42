"""What kv_gpu.py measures with: a large random decoder, caches that are full at once, timed steps.

A cache is filled in one of two ways. "drawn": all tokens but the last 32 get keys and values drawn
at random, as spread as the model's own, and the model reads the last 32 under the policy; this
takes about a second at any length. "prompt": the model reads all tokens. Either way a policy has
selected from the whole length before the first timed step, stores what it would store, and its
steps move the same bytes. What differs is which tokens it kept, which costs nothing, and for
policies that add up attention (H2O, Keyformer) what went into the sums.
"""

import gc
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from memsieve.kv.bench import Setting
from memsieve.kv.bench.measuring import fed
from memsieve.kv.cache import MemoryCache
from memsieve.kv.enabling import Enabled
from memsieve.kv.extras import DynamicCache, DynamicLayer, Tensor, torch
from memsieve.kv.layer import claim
from memsieve.kv.scored import Scored
from memsieve.kv.view import packed

N_READ = 32
"""Tokens that the model reads of a drawn prompt; SnapKV judges by as many queries."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """Sizes of a Llama; the defaults are those of Llama 3 with 8B parameters."""

    n_layers: int = 32
    hidden: int = 4096
    n_heads: int = 32
    n_kv_heads: int = 8
    n_inner: int = 14_336
    vocabulary: int = 128_256
    dtype: str = "bfloat16"

    @property
    def head_dim(self) -> int:
        """Channels of a head."""
        return self.hidden // self.n_heads

    @property
    def token_bytes(self) -> int:
        """Keys and values of a token in all layers."""
        itemsize = int(getattr(torch, self.dtype).itemsize)
        return self.n_layers * 2 * self.n_kv_heads * self.head_dim * itemsize

    def build(self, n_positions: int, device: Any, seed: int = 0) -> Any:
        """A random model, drawn on the device in its own dtype: seconds for 8B on a GPU.

        Weights have the standard deviation of the family's start, 0.02. With 4,096 channels
        logits of attention then have one of 1.6, and nothing comes near the limits of bfloat16.
        Rotary embeddings are not scaled: `n_positions` has to cover every token that is fed.
        """
        from transformers import AutoModelForCausalLM, LlamaConfig

        config = LlamaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.n_inner,
            num_hidden_layers=self.n_layers,
            num_attention_heads=self.n_heads,
            num_key_value_heads=self.n_kv_heads,
            max_position_embeddings=n_positions,
            pad_token_id=0,
            bos_token_id=None,
            eos_token_id=None,
        )
        torch.manual_seed(seed)
        options = {"dtype": getattr(torch, self.dtype), "attn_implementation": "sdpa"}
        with device:
            model = AutoModelForCausalLM.from_config(config, **options)
        return model.eval()


# Attention of the full cache.

PACKED = "kv_gpu_packed"
# Name -> attention of transformers, and which of PyTorch's kernels it is held to.
KERNELS: dict[str, tuple[str, str | None]] = {
    "sdpa": ("sdpa", None),
    "flash": ("sdpa", "FLASH_ATTENTION"),
    "cudnn": ("sdpa", "CUDNN_ATTENTION"),
    "efficient": ("sdpa", "EFFICIENT_ATTENTION"),
    "packed": (PACKED, None),
    "flash_attention_2": ("flash_attention_2", None),
}


def packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """A single token's query heads as so many queries of their key-value head: no head repeated."""
    if query.shape[2] > 1 or mask is not None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        out: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, mask, scaling=scaling, **kwargs
        )
        return out
    return packed(query, key, value, None, scaling or query.shape[-1] ** -0.5), None


def kernels_here() -> list[str]:
    """The kernels to try: all, flash_attention_2 only where it is installed."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask
    from transformers.utils import is_flash_attn_2_available

    AttentionInterface.register(PACKED, packed_attention)
    AttentionMaskInterface.register(PACKED, sdpa_mask)
    return [name for name in KERNELS if name != "flash_attention_2" or is_flash_attn_2_available()]


@contextmanager
def only(model: Any, kernel: str) -> Iterator[None]:
    """Attention by this kernel or RuntimeError; PyTorch's warnings of why are not shown."""
    attention, backend = KERNELS[kernel]
    before = model.config._attn_implementation
    model.set_attn_implementation(attention)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _backends([backend] if backend else []):
                yield
    finally:
        model.set_attn_implementation(before)


def preferring(kernel: str) -> AbstractContextManager[Any]:
    """PyTorch's attention by this kernel where it can, by the others where not (masks)."""
    first = KERNELS[kernel][1]
    others = [backend for _, backend in KERNELS.values() if backend and backend != first]
    return _backends([first, *others, "MATH"] if first else [])


def _backends(names: list[str]) -> AbstractContextManager[Any]:
    if not names:
        return nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    kernels = [getattr(SDPBackend, name) for name in names]
    context: AbstractContextManager[Any] = sdpa_kernel(kernels, set_priority=len(kernels) > 1)
    return context


# Caches.


class InPlaceLayer(DynamicLayer):  # type: ignore[misc]
    """The stock layer, but written in place into room for `n_max` tokens.

    The stock one copies everything to append a token. To leave that out is the least that a
    server does, and what a policy has to be measured against.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, n_max: int) -> None:
        super().__init__()
        self.n_max = n_max
        self._room: tuple[Tensor, ...] = ()

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append the new tokens; gives all that is stored."""
        start = int(self.get_seq_length())
        end = start + key_states.shape[2]
        if not self._room:
            self._room = tuple(
                new.new_empty((*new.shape[:2], self.n_max, new.shape[3]))
                for new in (key_states, value_states)
            )
            self.is_initialized = True
        for room, new in zip(self._room, (key_states, value_states), strict=True):
            room[:, :, start:end] = new
        self.keys, self.values = (room[:, :, :end] for room in self._room)
        return self.keys, self.values


def dynamic(config: Any, n_max: int) -> Any:
    """The stock cache, which grows by copying."""
    return DynamicCache(config=config)


def in_place(config: Any, n_max: int) -> Any:
    """The stock cache without the copying."""
    cache = DynamicCache(config=config)
    cache.layers = [InPlaceLayer(n_max) for _ in cache.layers]
    return cache


def static(config: Any, n_max: int) -> Any:
    """The stock cache of a fixed size, all of it attended to behind a mask."""
    from transformers import StaticCache

    return StaticCache(config=config, max_cache_len=n_max)


LAYOUTS: dict[str, Callable[[Any, int], Any]] = {
    "in place": in_place,
    "dynamic": dynamic,
    "static": static,
}


@dataclass(frozen=True, slots=True)
class Filler:
    """Fills caches of one model to a length.

    Parameters
    ----------
    n_chunk
        With prompts that are read: pieces of so many tokens; None for all at once, which
        attention needs no mask for.
    """

    model: Any
    reads_prompt: bool = False
    n_chunk: int | None = None
    seed: int = 0

    def stock(self, layout: str, n_prompt: int, n_rows: int, n_max: int) -> Any:
        """A full cache of drawn keys and values, with every row the same."""
        cache = LAYOUTS[layout](self.model.config, n_max)
        for layer, drawn in enumerate(self._drawn(n_prompt)):
            keys, values = (one.expand(n_rows, -1, -1, -1) for one in drawn)
            given = {"cache_position": torch.arange(n_prompt, device=keys.device)}
            cache.update(keys, values, layer, given)  # transformers 4 asks where to write
        return cache

    def managed(self, memory: Enabled, made: Setting, n_prompt: int) -> MemoryCache:
        """One row under a policy that has selected from all of it."""
        cache = memory.cache(made.policy, leaving=made.leaving)
        n_read = n_prompt if self.reads_prompt else min(N_READ, n_prompt)
        if n_prompt > n_read:
            for layer, (keys, values) in enumerate(self._drawn(n_prompt - n_read)):
                cache.update(keys, values, layer)
                claim(SimpleNamespace(layer_idx=layer))  # these are attended to later
        ids = words(self.model, 1, n_read, self.seed)
        for piece in ids.split(self.n_chunk or n_read, dim=1):
            fed(self.model, piece, cache)
        return cache

    def _drawn(self, n: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Keys and values [1, Hkv, n, D] of each layer, spread as those of a few real tokens."""
        sample = DynamicCache(config=self.model.config)
        fed(self.model, words(self.model, 1, N_READ, self.seed), sample)
        draws = torch.Generator(self.model.device).manual_seed(self.seed)
        for layer in sample.layers:
            like = (layer.keys, layer.values)
            sizes = [(1, one.shape[1], n, one.shape[3]) for one in like]
            keys, values = (
                one.new_empty(size).normal_(0, float(one.float().std()), generator=draws)
                for one, size in zip(like, sizes, strict=True)
            )
            yield keys, values


@dataclass
class Stock:
    """Full caches of one length and layout, filled anew for every number of rows."""

    filler: Filler
    layout: str
    n_prompt: int
    n_spare: int
    fill_s: float = 0.0

    def at(self, n_rows: int) -> Any:
        """A cache of so many rows."""
        device = self.filler.model.device
        start = now(device)
        n_max = self.n_prompt + self.n_spare
        cache = self.filler.stock(self.layout, self.n_prompt, n_rows, n_max)
        self.fill_s = now(device) - start
        return cache

    def drop(self) -> None:
        """Nothing is held between two batches."""


@dataclass
class Managed:
    """A cache under a policy, filled once; its first row is then repeated."""

    filler: Filler
    memory: Enabled
    made: Setting
    n_prompt: int
    fill_s: float = 0.0
    cache: MemoryCache | None = None

    def at(self, n_rows: int) -> MemoryCache:
        """The cache with so many rows, what it has decoded so far among them."""
        if self.cache is None:
            device = self.filler.model.device
            start = now(device)
            self.cache = self.filler.managed(self.memory, self.made, self.n_prompt)
            self.fill_s = now(device) - start
        first = torch.zeros(1, dtype=torch.int64, device=self.cache.managed[0].slots.device)
        self.cache.batch_select_indices(first)
        self.cache.batch_repeat_interleave(n_rows)
        return self.cache

    def drop(self) -> None:
        """Forget the cache: a step that was broken off leaves it unusable."""
        self.cache = None


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes of keys and values on the device, of what belongs to them, and on the host."""

    device: int
    state: int = 0
    host: int = 0


def held_bytes(cache: Any) -> Held:
    """What any cache holds."""
    if isinstance(cache, MemoryCache):
        stats = cache.stats
        return Held(stats.bytes_device, stats.bytes_state, stats.bytes_host)
    tensors = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
    return Held(sum(int(tensor.numel() * tensor.element_size()) for tensor in tensors))


def words(model: Any, n_rows: int, n: int, seed: int) -> Tensor:
    """Random ids [B, n] on the model's device."""
    draws = torch.Generator().manual_seed(seed)
    return torch.randint(1, model.config.vocab_size, (n_rows, n), generator=draws).to(model.device)


def formula_bytes(decoder: Decoder, made: Setting, n_seen: int, n_rows: int) -> int | None:
    """layers * 2 * rows * heads * tokens * channels * itemsize; None where layers differ.

    Tokens are the budget of policies that evict by a score (SnapKV also holds what was decoded
    since), and all `n_seen` where nothing leaves the device.
    """
    policy = made.policy
    if isinstance(policy, Scored):
        held = [policy.allocation.tokens(i, decoder.n_layers) for i in range(decoder.n_layers)]
        mean = sum(min(n_seen, n) for n in held) / decoder.n_layers
        return round(decoder.token_bytes * n_rows * mean)
    if policy is not None and (policy.evicts or made.leaving == "archive"):
        return None
    return decoder.token_bytes * n_rows * n_seen


# Times and bytes.


def now(device: Any) -> float:
    """Seconds, with everything done that was asked of a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def steps_s(model: Any, cache: Any, ids: Tensor, n_warm: int) -> list[float]:
    """Seconds of each step over ids [B, n], the first `n_warm` left out.

    Each step ends with the GPU done, as one does that has to look at the token it has drawn.
    """
    seconds = []
    for at in range(ids.shape[1]):
        start = now(model.device)
        fed(model, ids[:, at : at + 1], cache).argmax(-1)
        seconds.append(now(model.device) - start)
    return seconds[n_warm:]


def kernels_of(model: Any, cache: Any, ids: Tensor) -> list[tuple[str, float, int]]:
    """What one step over ids [B, 1] ran: name, seconds and calls, the longest first."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # or it prints when it starts and stops
    on_gpu = model.device.type == "cuda"
    activity = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with profile(activities=[activity]) as profiled:
            fed(model, ids, cache)
            now(model.device)
        # Calls on the processor bear the time of the kernels that they launch, which come too.
        place = DeviceType.CUDA if on_gpu else DeviceType.CPU
        field = "self_device_time_total" if on_gpu else "self_cpu_time_total"
        found = [
            (str(one.key), 1e-6 * float(getattr(one, field)), int(one.count))
            for one in profiled.key_averages()
            if one.device_type == place
        ]
    return sorted((one for one in found if one[1] > 0), key=lambda one: -one[1])


def clear() -> None:
    """Give back what nothing holds any more."""
    gc.collect()
    torch.cuda.empty_cache()  # does nothing where no GPU is in use


def allocated_bytes(device: Any) -> int:
    """What tensors hold on the GPU; 0 without one."""
    return int(torch.cuda.memory_allocated(device)) if device.type == "cuda" else 0


def free_bytes(device: Any) -> int | None:
    """What could be allocated on the GPU; None without one."""
    if device.type != "cuda":
        return None
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0] + unused)


@contextmanager
def peak(device: Any) -> Iterator[list[int]]:
    """Into the list goes the most that tensors held on the GPU meanwhile; nothing without one."""
    found: list[int] = []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    yield found
    if device.type == "cuda":
        found.append(int(torch.cuda.max_memory_allocated(device)))


def host_bytes() -> int:
    """Memory of the host."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
