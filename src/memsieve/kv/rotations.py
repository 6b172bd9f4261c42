"""The rotary embedding of a layer, found by its attention module, for policies that turn keys."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from memsieve.errors import ParameterError
from memsieve.kv.checks import ModelFacts
from memsieve.kv.rotary import Rotary, rotates

# A policy holds nothing and a step names only its module; entries go with their model.
_known: WeakKeyDictionary[Any, Rotary] = WeakKeyDictionary()


def remember(facts: ModelFacts, who: str, *, must: bool = True) -> None:
    """Note how each layer of the model rotates its keys; call it in `Policy.bind`.

    Raises
    ------
    ParameterError
        If a layer rotates by a rule that is not known, and `who` cannot do without (`must`).
    """
    for layer, module in facts.modules.items():
        if layer in facts.rotaries:
            _known[module] = facts.rotaries[layer]
        elif must and rotates(module):
            raise ParameterError(
                f"{who} turns keys and does not know how layer {layer} of {facts.name} rotates them"
            )


def rotary_of(module: Any) -> Rotary | None:
    """What `remember` noted of an attention module; None if it does not rotate, or is None."""
    return None if module is None else _known.get(module)


def refuse_latent(facts: ModelFacts, who: str) -> None:
    """Raise ParameterError for models that cache latents (MLA), whose heads share one entry."""
    if facts.is_latent:
        raise ParameterError(f"{who} needs keys of each head, and {facts.name} caches latents")
