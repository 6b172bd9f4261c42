"""Policies under their names, each with a budget of so many tokens: what is compared.

Policies count in tokens, pages or both, and some need an archive. A name stands for a function
that makes a fresh setting, so that "128 tokens" means the same for all of them as nearly as can be:
what a head keeps on the device of a prompt, or looks at in a step. The figures say what it came to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from memsieve.errors import ParameterError
from memsieve.kv.checks import whole_number
from memsieve.kv.policies.h2o import H2O
from memsieve.kv.policies.icecache import IceCache
from memsieve.kv.policies.infinigen import InfiniGen
from memsieve.kv.policies.keyformer import Keyformer
from memsieve.kv.policies.packforcing import PackForcing
from memsieve.kv.policies.quest import Quest
from memsieve.kv.policies.snap_kv import SnapKV
from memsieve.kv.policies.streaming_llm import StreamingLLM
from memsieve.kv.policies.tova import TOVA
from memsieve.kv.policies.windowkv import WindowKV
from memsieve.kv.policies.zoomr import ZoomR
from memsieve.kv.policy import Policy
from memsieve.kv.scored import Scored

FULL = "full"
FRAME = "frame"


@dataclass(frozen=True, slots=True)
class Setting:
    """A policy under its name, and how it is to be used and measured.

    Attributes
    ----------
    name, policy
        Which; no policy for the cache of transformers and for the frame alone.
    leaving
        Where the tokens go that are not kept: "drop" or "archive".
    pools
        Whether it looks at entries that stand for several tokens. Which tokens it has at hand is
        then no question of yes or no: recall and needles have no figure.
    """

    name: str
    policy: Policy | None
    leaving: str = "drop"
    pools: bool = False


def _page_tokens(budget: int) -> int:
    """16 as in the papers; smaller where the budget would not hold eight pages."""
    return max(1, min(16, budget // 8))


def _window_kv(budget: int, n_full_layers: int) -> Policy:
    n_observed = max(1, min(16, budget // 4))
    return WindowKV(budget - n_observed, n_observed=n_observed)


def _ice_cache(budget: int, n_full_layers: int) -> Policy:
    size = _page_tokens(budget)
    return IceCache(budget // size, size, n_full_layers=n_full_layers)


def _pack_forcing(budget: int, n_full_layers: int) -> Policy:
    """A quarter is window, an eighth a block that waits; entries stand for four tokens each."""
    n_sink, n_packed = min(4, budget // 16), max(1, budget // 32)
    n_window, n_block = budget // 4, 4 * n_packed
    n_top = max(0, budget - n_sink - n_window - n_block) // n_packed
    return PackForcing(n_sink, n_window, block_tokens=n_block, n_packed=n_packed, n_top=n_top)


def _zoom_r(budget: int, n_full_layers: int) -> Policy:
    """A quarter each for the window, the open segment and two restored ones; summaries beside.

    Texts of random tokens have no summaries, so that the last eighth of a segment stands for it;
    tokens 1 and 2 are the marks.
    """
    n_segment = max(2, budget // 4)
    return ZoomR(
        1,
        2,
        n_sink=min(4, budget // 16),
        n_window=budget // 4,
        longest_segment=n_segment,
        n_last=max(1, n_segment // 8),
        n_refresh=max(1, n_segment // 4),
        voted_share=2.0,
    )


_MADE: dict[str, Callable[[int, int], Policy]] = {
    "h2o": lambda budget, _: H2O(budget),
    "icecache": _ice_cache,
    "infinigen": lambda budget, full: InfiniGen(budget, n_full_layers=max(1, full)),
    "keyformer": lambda budget, _: Keyformer(budget),
    "packforcing": _pack_forcing,
    "quest": lambda budget, full: Quest(budget, _page_tokens(budget), n_full_layers=full),
    "quest-shared": lambda budget, full: Quest(
        budget, _page_tokens(budget), n_full_layers=full, shares=True
    ),
    "snapkv": lambda budget, _: SnapKV(budget, n_window=max(1, min(32, budget // 2))),
    "streaming-llm": lambda budget, _: StreamingLLM(budget),
    "tova": lambda budget, _: TOVA(budget),
    "windowkv": _window_kv,
    "zoomr": _zoom_r,
}
_ARCHIVING = {"icecache", "infinigen", "packforcing", "zoomr"}
_POOLING = {"packforcing"}


def names() -> tuple[str, ...]:
    """All names: the cache of transformers, the managed one without a policy, the policies.

    >>> names()[:4]
    ('full', 'frame', 'h2o', 'icecache')
    """
    return (FULL, FRAME, *sorted(_MADE))


def setting(name: str, budget_tokens: int, *, n_full_layers: int = 2, interval: int = 1) -> Setting:
    """The setting of a name at a budget.

    Parameters
    ----------
    n_full_layers
        For policies that leave the first layers alone: how many. 2 in the papers' code of Quest
        and IceCache; InfiniGen needs one.
    interval
        For policies that evict while decoding: decoded tokens from one eviction to the next.

    Raises
    ------
    ParameterError
        If there is no such name, or the policy cannot work with so few tokens.

    Examples
    --------
    >>> setting("streaming-llm", 64).policy.budget_tokens
    64
    >>> setting("icecache", 64).leaving
    'archive'
    """
    whole_number("budget_tokens", budget_tokens, at_least=1)
    if name in (FULL, FRAME):
        return Setting(name, None)
    if name not in _MADE:
        raise ParameterError(f"policy must be one of {', '.join(names())}, got {name!r}")
    policy = _MADE[name](budget_tokens, n_full_layers)
    if isinstance(policy, Scored) and not isinstance(policy, SnapKV):
        policy = replace(policy, interval=interval)
    leaving = "archive" if name in _ARCHIVING else "drop"
    return Setting(name, policy, leaving, pools=name in _POOLING)
