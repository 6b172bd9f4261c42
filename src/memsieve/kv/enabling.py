"""Letting a model's attention look at managed caches, and taking that back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from memsieve.errors import ParameterError
from memsieve.kv.cache import MemoryCache
from memsieve.kv.checks import ModelFacts, attention_modules, facts_of
from memsieve.kv.extras import Cache, Tensor, need_extra
from memsieve.kv.layer import claim, tell_hidden
from memsieve.kv.rotary import rotaries_of

# No "sdpa" in either: some models refuse every name that holds it.
FUSED, EAGER = "memsieve", "memsieve_eager"


def fused_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **kwargs: Any
) -> Any:
    """Attention by PyTorch's fused kernels, over what a managed layer chooses if there is one."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    layer = claim(module)
    if layer is None:
        return sdpa_attention_forward(module, query, key, value, mask, **kwargs)
    return layer.attention(sdpa_attention_forward, module, query, key, value, mask, **kwargs)


def eager_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **kwargs: Any
) -> Any:
    """The same by the eager function of the model's own file."""
    inner = sys.modules[type(module).__module__].eager_attention_forward
    layer = claim(module)
    if layer is None:
        return inner(module, query, key, value, mask, **kwargs)
    return layer.attention(inner, module, query, key, value, mask, **kwargs)


def _register() -> None:
    """Make both names known to transformers; nothing that has a name already is changed."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask, sdpa_mask

    AttentionInterface.register(FUSED, fused_attention)
    AttentionMaskInterface.register(FUSED, sdpa_mask)
    AttentionInterface.register(EAGER, eager_attention)
    AttentionMaskInterface.register(EAGER, eager_mask)


class Enabled:
    """A model whose attention looks at managed caches."""

    def __init__(self, facts: ModelFacts, hooks: ExitStack) -> None:
        self.facts = facts
        self._hooks = hooks
        self._tells_hidden = False

    def cache(self, policy: Any = None, **options: Any) -> MemoryCache:
        """A new `MemoryCache` for this model, checked against it at once."""
        cache = MemoryCache(self.facts.config, policy, **options)
        cache.bind(self.facts)
        return cache

    def before_pass(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """What runs before each forward pass of the model: check the cache, note the input."""
        for value in (*args, *kwargs.values()):
            if isinstance(value, MemoryCache):
                self._prepare(value, args, kwargs)
            elif isinstance(value, Cache) and getattr(value, "is_compileable", False):
                raise ParameterError(
                    f"{type(value).__name__} has a fixed size and cannot be managed: pass "
                    "past_key_values=MemoryCache(...), without cache_implementation"
                )

    def _prepare(self, cache: MemoryCache, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        cache.bind(self.facts)
        needs = cache.policy.needs if cache.policy is not None else frozenset()
        if "input_ids" in needs:
            ids = kwargs.get("input_ids", args[0] if args else None)
            if ids is not None:
                cache.frame.input_ids = ids
        if "hidden" in needs and not self._tells_hidden:
            self._tells_hidden = True
            for layer, module in self.facts.modules.items():
                hook = module.register_forward_pre_hook(_hidden_teller(layer), with_kwargs=True)
                self._hooks.callback(hook.remove)


def _hidden_teller(layer: int) -> Any:
    def tell(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tell_hidden(layer, kwargs["hidden_states"] if "hidden_states" in kwargs else args[0])

    return tell


@contextmanager
def enable(model: Any) -> Iterator[Enabled]:
    """Let the attention of a Hugging Face decoder look at `MemoryCache`s, inside a `with`.

    The model's attention stays the one it has, eager or fused, and gives bit-identical results
    with any other cache. Leaving the `with` restores configuration and hooks. Other models,
    even of the same class, are not touched.

    Parameters
    ----------
    model
        A decoder of transformers whose attention can be exchanged. A model set to another
        kernel than eager (flash attention) runs PyTorch's fused attention meanwhile.

    Yields
    ------
    Enabled
        `.cache(policy, ...)` makes a cache for the model.

    Raises
    ------
    MissingExtraError
        If PyTorch or transformers is missing.
    ParameterError
        If the architecture is not supported, computes attention in its own code, or the model
        is enabled already. Before a forward pass: if its cache is of fixed size, or does not fit.

    Examples
    --------
    ::

        with kv.enable(model) as memory:
            cache = memory.cache(kv.SnapKV(budget_tokens=1024))
            model.generate(**inputs, cache=cache, max_new_tokens=200)
            print(cache.stats.bytes_device)

    Older releases of transformers call the keyword `past_key_values`.
    """
    need_extra()
    from transformers import PreTrainedModel

    facts = facts_of(getattr(model, "config", None), model)
    config = facts.config
    before = config._attn_implementation
    if before in (FUSED, EAGER):
        raise ParameterError(f"{type(model).__name__} is enabled already")
    modules = attention_modules(model, config)
    facts = replace(facts, modules=modules, rotaries=rotaries_of(model, config, modules))
    _register()
    with ExitStack() as hooks:
        enabled = Enabled(facts, hooks)
        for module in model.modules():
            # The model itself and the decoder inside it, which may be called on its own.
            if isinstance(module, PreTrainedModel) and (module is model or module.config is config):
                hook = module.register_forward_pre_hook(enabled.before_pass, with_kwargs=True)
                hooks.callback(hook.remove)
        hooks.callback(setattr, config, "_attn_implementation", before)
        config._attn_implementation = EAGER if before == "eager" else FUSED
        yield enabled
