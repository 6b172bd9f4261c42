"""Policies beside the full cache on one model: bytes, times, and what of its answers is left.

For each length a prompt of random tokens and a continuation that the model itself has drawn with
its full cache are fed, the continuation token by token, to every policy. All of them thus read the
same text, and their logits can be compared.
"""

from __future__ import annotations

import gc
import inspect
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from typing import Any

from memsieve.errors import ParameterError
from memsieve.kv.bench.needles import Needle, found
from memsieve.kv.bench.serving import Served
from memsieve.kv.bench.settings import FRAME, FULL, Setting, setting
from memsieve.kv.bench.watching import Recorder, attended, looked_at, mass, present, recorded
from memsieve.kv.cache import MemoryCache
from memsieve.kv.checks import whole_number
from memsieve.kv.enabling import Enabled, enable
from memsieve.kv.extras import Tensor, need_extra, torch


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Parameters
    ----------
    policies
        Names of `settings.names()`. "full", the cache of transformers, is always measured, being
        what ratios are to; "frame" is a managed cache without a policy.
    budgets
        Tokens of each head; every policy at each.
    lengths
        Tokens of the prompts.
    n_steps
        Tokens decoded after each prompt.
    n_rows
        Rows of the batch.
    n_chunk
        Feed prompts in pieces of so many tokens; None: at once. Policies that evict then hold a
        budget and a piece at most.
    n_full_layers
        First layers that retrieving policies leave alone; 2 in the code of Quest and IceCache.
    interval
        Decoded tokens from one eviction to the next, for policies that evict while decoding.
    n_repeats
        How often each is timed, in turns; the median counts.
    needles
        Whether to ask for needles as well, with the same share of the tokens as budget.
    seed
        Same seed, same prompts and continuations.
    """

    policies: Sequence[str] = (FULL,)
    budgets: Sequence[int] = (256,)
    lengths: Sequence[int] = (1024,)
    n_steps: int = 16
    n_rows: int = 1
    n_chunk: int | None = None
    n_full_layers: int = 2
    interval: int = 1
    n_repeats: int = 1
    needles: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("policies", "budgets", "lengths"):
            if not getattr(self, name):
                raise ParameterError(f"Plan.{name} must not be empty")
        for name in ("budgets", "lengths"):
            for value in getattr(self, name):
                whole_number(f"Plan.{name}", value, at_least=1)
        for name in ("n_steps", "n_rows", "interval", "n_repeats", "n_chunk"):
            if getattr(self, name) is not None:
                whole_number(f"Plan.{name}", getattr(self, name), at_least=1)
        whole_number("Plan.n_full_layers", self.n_full_layers, at_least=0)
        for name in self.policies:
            setting(name, 1_000_000)


@dataclass(frozen=True, slots=True)
class Figures:
    """One policy at one budget and length; None where there is no figure.

    Attributes
    ----------
    policy, budget_tokens, n_prompt
        Which; no budget for the full cache.
    bytes_device, bytes_host, bytes_state
        Keys and values on the device and in archives after the last step, and what slots and the
        policy's memory take beside them.
    peak_prefill_bytes
        The most keys and values on the device at once while the prompt was fed.
    fetched_bytes
        Brought to the device for each token decoded.
    first_s, token_s
        Time to the first token; median time of a decode step.
    full_token_s
        The same of the full cache, right before and after those steps.
    attended_tokens
        Tokens that a head looks at in a step, the mean over steps, layers and heads.
    recall
        Share of the full cache's attention weights on those tokens, the mean likewise.
    kl
        Mean KL divergence of the next-token distribution from the full cache's, in nats.
    top1
        Share of steps whose likeliest token is that of the full cache.
    needle_late, needle_early
        Share of needles found that nobody, or the prompt, had looked at before.
    refused
        Why there are no figures.
    """

    policy: str
    budget_tokens: int | None
    n_prompt: int
    bytes_device: int | None = None
    bytes_host: int | None = None
    bytes_state: int | None = None
    peak_prefill_bytes: int | None = None
    fetched_bytes: float | None = None
    first_s: float | None = None
    token_s: float | None = None
    full_token_s: float | None = None
    attended_tokens: float | None = None
    recall: float | None = None
    kl: float | None = None
    top1: float | None = None
    needle_late: float | None = None
    needle_early: float | None = None
    refused: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Field by field."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was measured, in the order in which it was asked for.

    Attributes
    ----------
    model, setup
        What was measured with: a name, and sizes, versions and options.
    figures
        One for each length, policy and budget.
    served
        Of the serving model, where rates were asked for.
    """

    model: str
    setup: dict[str, Any]
    figures: tuple[Figures, ...]
    served: tuple[Served, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "model": self.model,
            "setup": self.setup,
            "figures": [one.to_json() for one in self.figures],
            "served": [one.to_json() for one in self.served],
        }

    def full(self, n_prompt: int) -> Figures:
        """The full cache at a length."""
        (one,) = (f for f in self.figures if f.policy == FULL and f.n_prompt == n_prompt)
        return one


@dataclass(slots=True)
class _Text:
    """A prompt and its continuation, and what the full cache says to them.

    `stock` is a cache of transformers that has read the prompt, to be timed beside each policy.
    """

    prompt: Tensor
    continuation: Tensor
    logits: Tensor
    weights: dict[int, list[Tensor]]
    stock: Any = None


@dataclass(slots=True)
class _Times:
    """Seconds to the first token and of each step, its own and the full cache's beside."""

    first: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)


Maker = Callable[[int], Setting]
"""Makes a fresh setting for a budget of so many tokens; raises ParameterError where it cannot."""


def measure(
    model: Any,
    plan: Plan,
    *,
    own: Mapping[str, Maker] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Figures, ...]:
    """Run a plan.

    Parameters
    ----------
    model
        A decoder of transformers in eval mode, on its device.
    own
        Policies of one's own beside the plan's, by a name that none of those has.
    progress
        Called with a length in words, how many of its runs are done, and how many there are.

    Raises
    ------
    MissingExtraError
        If PyTorch or transformers is missing.
    ParameterError
        If the model cannot be managed.
    """
    need_extra()
    own = own or {}
    settings = _settings(plan, own)
    needles = _needles(plan, own) if plan.needles else {}
    done: list[Figures] = []
    for n_prompt in plan.lengths:
        for one in _at_length(model, plan, n_prompt, settings, progress):
            late, early = needles.get((one.policy, one.budget_tokens, n_prompt), (None, None))
            done.append(replace(one, needle_late=late, needle_early=early))
    return tuple(done)


_Asked = tuple[str, "int | None", "Setting | str"]


def _at_length(
    model: Any,
    plan: Plan,
    n_prompt: int,
    settings: Sequence[_Asked],
    progress: Callable[[str, int, int], None] | None,
) -> list[Figures]:
    """Every setting on one text, in turns."""
    figures: dict[tuple[str, int | None], Figures] = {}
    times: dict[tuple[str, int | None], _Times] = {}
    rounds = [asked for _ in range(plan.n_repeats) for asked in settings]
    with torch.no_grad():
        text = _text(model, plan, n_prompt)
        for n_done, (name, budget, made) in enumerate(rounds, 1):
            here = times.setdefault((name, budget), _Times())
            known = figures.get((name, budget), Figures(name, budget, n_prompt))
            if isinstance(made, str):
                known = replace(known, refused=made)
            elif name == FULL:
                known = _stock(model, plan, text, here, known)
            else:
                known = _managed(model, plan, text, made, here, known)
            figures[name, budget] = known
            if progress is not None:
                progress(f"{n_prompt:,} tokens", n_done, len(rounds))
    return [
        one
        if one.refused is not None
        else replace(
            one,
            first_s=statistics.median(times[key].first),
            token_s=statistics.median(times[key].steps),
            full_token_s=statistics.median(times[key].beside),
        )
        for key, one in figures.items()
    ]


def _made(
    name: str, budget: int, own: Mapping[str, Maker], n_full_layers: int, interval: int
) -> Setting:
    if name in own:
        return own[name](budget)
    return setting(name, budget, n_full_layers=n_full_layers, interval=interval)


def _settings(plan: Plan, own: Mapping[str, Maker]) -> list[_Asked]:
    """Name, budget, and the setting or why there is none."""
    asked: list[_Asked] = [(FULL, None, setting(FULL, 1))]
    for name in dict.fromkeys((*plan.policies, *own)):
        if name == FRAME:
            asked.append((name, None, setting(name, 1)))
        for budget in plan.budgets if name not in (FULL, FRAME) else ():
            try:
                made = _made(name, budget, own, plan.n_full_layers, plan.interval)
                asked.append((name, budget, made))
            except ParameterError as error:
                asked.append((name, budget, str(error)))
    return asked


_Needles = tuple["float | None", "float | None"]


def _needles(plan: Plan, own: Mapping[str, Maker]) -> dict[tuple[str, int | None, int], _Needles]:
    """Late and early needles by name, budget and length; the same share of at most 512 tokens."""
    answers: dict[tuple[str, int], _Needles] = {}
    by_case = {}
    for name, budget, _ in _settings(plan, own):
        for n_prompt in plan.lengths:
            n = min(512, n_prompt)
            share = n if budget is None else max(1, round(budget * n / n_prompt))
            if (name, share) not in answers:
                try:
                    made = _made(name, share, own, 0, plan.interval)
                except ParameterError:  # too few tokens for this policy, once they are scaled
                    answers[name, share] = None, None
                else:
                    late = Needle(n_prompt=n, place=n * 25 // 64, seed=plan.seed)
                    answers[name, share] = found(made, late), found(made, replace(late, early=True))
            by_case[name, budget, n_prompt] = answers[name, share]
    return by_case


def _text(model: Any, plan: Plan, n_prompt: int) -> _Text:
    """A random prompt, and a continuation drawn by the model with everything in its cache."""
    device = model.device
    draws = torch.Generator().manual_seed(plan.seed)
    n_words = int(model.config.get_text_config(decoder=True).vocab_size)
    prompt = torch.randint(1, n_words, (plan.n_rows, n_prompt), generator=draws).to(device)
    with enable(model) as memory:
        cache = memory.cache(Recorder())
        last = _prefilled(model, plan, prompt, cache)
        words, logits = [], []
        for _ in range(plan.n_steps):
            chances = last.float().softmax(-1).cpu()
            words.append(torch.multinomial(chances, 1, generator=draws).to(device))
            last = fed(model, words[-1], cache)
            logits.append(last.cpu())
        return _Text(prompt, torch.cat(words, 1), torch.stack(logits, 1), recorded(cache))


def fed(model: Any, ids: Tensor, cache: Any) -> Tensor:
    """Logits [B, V] of the last of some tokens."""
    known = inspect.signature(model.forward).parameters
    options = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
    # transformers 5.24 renames past_key_values to cache.
    options["cache" if "cache" in known else "past_key_values"] = cache
    return model(input_ids=ids, use_cache=True, **options).logits[:, -1]


def _prefilled(model: Any, plan: Plan, prompt: Tensor, cache: Any) -> Tensor:
    """Logits [B, V] of the prompt's last token."""
    for piece in prompt.split(plan.n_chunk or prompt.shape[1], dim=1):
        last = fed(model, piece, cache)
    return last


def _now(model: Any) -> float:
    """Seconds, with everything done that was asked of a GPU."""
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return time.perf_counter()


def _timed(model: Any, plan: Plan, text: _Text, cache: Any, times: _Times) -> Any:
    """Feed a text under the clock; gives a copy of the cache as it was after the prompt."""
    gc.collect()
    start = _now(model)
    _prefilled(model, plan, text.prompt, cache).argmax(-1)
    times.first.append(_now(model) - start)
    after = deepcopy(cache)
    times.steps += _stepped(model, text, cache)
    return after


def _stepped(model: Any, text: _Text, cache: Any) -> list[float]:
    """Seconds of each step of the continuation."""
    seconds = []
    for words in text.continuation.split(1, dim=1):
        start = _now(model)
        fed(model, words, cache).argmax(-1)
        seconds.append(_now(model) - start)
    return seconds


def _stock(model: Any, plan: Plan, text: _Text, times: _Times, blank: Figures) -> Figures:
    """The cache of transformers, with the model as it is."""
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    after = text.stock = _timed(model, plan, text, cache, times)
    times.beside = times.steps
    n_all = text.prompt.shape[1] + plan.n_steps
    return replace(
        blank,
        bytes_device=_stock_bytes(cache),
        bytes_host=0,
        bytes_state=0,
        peak_prefill_bytes=_stock_bytes(after),
        fetched_bytes=0.0,
        attended_tokens=n_all - (plan.n_steps - 1) / 2,
        recall=1.0,
        kl=0.0,
        top1=1.0,
    )


def _stock_bytes(cache: Any) -> int:
    held = [t for layer in cache.layers for t in (layer.keys, layer.values) if t is not None]
    return sum(int(t.numel() * t.element_size()) for t in held)


def _managed(
    model: Any, plan: Plan, text: _Text, made: Setting, times: _Times, known: Figures
) -> Figures:
    """A policy: its times, and in the first repeat all the rest, from a copy that keeps a log."""
    times.beside += _stepped(model, text, deepcopy(text.stock))
    with enable(model) as memory:
        try:
            cache = _cache(memory, made)
        except ParameterError as error:
            return replace(known, refused=str(error))
        watched = _timed(model, plan, text, cache, times)
    times.beside += _stepped(model, text, deepcopy(text.stock))
    with enable(model):
        if known.kl is not None:
            return known
        figures = _watched(model, plan, text, watched, known)
        return replace(figures, recall=None) if made.pools else figures


def _cache(memory: Enabled, made: Setting) -> MemoryCache:
    return memory.cache(made.policy, leaving=made.leaving)


def _watched(model: Any, plan: Plan, text: _Text, cache: MemoryCache, blank: Figures) -> Figures:
    """Decode once more, off the clock, and look at what is looked at."""
    after_prompt = cache.stats
    cache.frame.counters.log = []  # from here on; of the prompt nothing is asked
    logits, recalls, counts = [], [], []
    for at in range(plan.n_steps):
        before = {layer.index: present(layer) for layer in cache.managed}
        logits.append(fed(model, text.continuation[:, at : at + 1], cache).cpu())
        retrieved = looked_at(cache)
        for layer, slots in before.items():
            seen = attended(retrieved.get(layer), slots, cache.get_seq_length())
            recalls.append(mass(text.weights[layer][at], seen))
            counts.append(float((seen >= 0).sum(-1).float().mean()))
    kl, top1 = compared(torch.stack(logits, 1), text.logits)
    stats = cache.stats
    return replace(
        blank,
        bytes_device=stats.bytes_device,
        bytes_host=stats.bytes_host,
        bytes_state=stats.bytes_state,
        peak_prefill_bytes=after_prompt.peak_bytes_device,
        fetched_bytes=(stats.bytes_fetched - after_prompt.bytes_fetched) / plan.n_steps,
        attended_tokens=statistics.fmean(counts),
        recall=statistics.fmean(recalls),
        kl=kl,
        top1=top1,
    )


def compared(logits: Tensor, full: Tensor) -> tuple[float, float]:
    """Mean KL(full || policy) in nats, and share of equal top tokens, of logits [..., V].

    >>> compared([[0.0]], [[0.0]])  # doctest: +SKIP
    (0.0, 1.0)
    """
    ours, theirs = (x.double().log_softmax(-1) for x in (logits, full))
    kl = (theirs.exp() * (theirs - ours)).sum(-1).mean()
    same = (logits.argmax(-1) == full.argmax(-1)).double().mean()
    return max(float(kl), 0.0), float(same)
