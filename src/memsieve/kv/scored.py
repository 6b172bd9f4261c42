"""Eviction by a score under a budget: what most evicting policies share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, field

from memsieve.errors import ParameterError
from memsieve.kv.allocation import Allocation, EachHead, HeadMode, Uniform
from memsieve.kv.checks import ModelFacts, whole_number
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import Keep, Policy, Step
from memsieve.kv.units import Token, Unit


@dataclass(frozen=True)
class Scored(Policy, ABC):
    """Keep the tokens with the highest scores, besides those that are protected.

    After a pass that leaves more than the budget: scores of single tokens (`score`), joined
    over heads (`heads`), turned into priorities of units (`unit`); protected tokens first, then
    the best until the budget is full; padding only where nothing real is left. Equal ones go by
    slot, the earlier stays. A subclass writes `score`, and may write `protect` and `due`.

    Parameters
    ----------
    budget_tokens
        Tokens that each head of a layer keeps, an int for all layers or an `Allocation`.
    n_sink
        The first tokens of the text, always kept; >= 0.
    n_window
        The newest tokens, always kept; >= 0.
    interval
        Decoded tokens from one eviction to the next, >= 1; in between up to `interval` - 1 more
        than the budget are stored (of heads of unequal length: than the longest kept). 1 holds the
        budget at every step, as the papers do; more saves the time of choosing and copying. Prompts
        are cut at once.
    heads
        `EachHead()`, `SharedHeads()` or `AdaptiveHeads()`.
    unit
        `Token()`, `Page()` or `Cluster()`.

    Raises
    ------
    ParameterError
        If a number lies outside its range, or sink and window exceed the budget of a layer.
    """

    budget_tokens: int | Allocation
    n_sink: int = 0
    _: KW_ONLY
    n_window: int = 0
    interval: int = 1
    heads: HeadMode = field(default_factory=EachHead)
    unit: Unit = field(default_factory=Token)

    def __post_init__(self) -> None:
        who = type(self).__name__
        whole_number(f"{who}.n_sink", self.n_sink, at_least=0)
        whole_number(f"{who}.interval", self.interval, at_least=1)
        self._check_window()
        if not isinstance(self.budget_tokens, Allocation):
            whole_number(f"{who}.budget_tokens", self.budget_tokens, at_least=1)
            self._check_room(self.budget_tokens)
        if not isinstance(self.heads, HeadMode):
            raise ParameterError(f"{who}.heads must be a HeadMode, got {self.heads!r}")
        if not isinstance(self.unit, Unit):
            raise ParameterError(f"{who}.unit must be a Unit, got {self.unit!r}")

    def _check_window(self) -> None:
        whole_number(f"{type(self).__name__}.n_window", self.n_window, at_least=0)

    def _check_room(self, budget: int) -> None:
        protected = self.n_sink + self.window(budget)
        if budget < protected:
            raise ParameterError(
                f"{type(self).__name__}.budget_tokens must be >= n_sink + n_window = "
                f"{protected}, got {budget}"
            )

    def window(self, budget: int) -> int:
        """How many of the newest tokens a layer with this budget always keeps."""
        return self.n_window

    def budget(self, step: Step) -> int:
        """What the layer may keep."""
        return self.allocation.tokens(step.layer, step.n_layers)

    @property
    def allocation(self) -> Allocation:
        """The budget of each layer."""
        budget = self.budget_tokens
        return budget if isinstance(budget, Allocation) else Uniform(budget)

    def bind(self, facts: ModelFacts) -> None:
        """Check that every layer's budget holds sink and window."""
        self._check_room(self.allocation.least(facts.n_layers))

    @property
    def n_spare(self) -> int:
        """What comes between evictions."""
        return self.interval - 1

    @abstractmethod
    def score(self, step: Step) -> Tensor:
        """[B, Hkv, n] of the stored tokens, higher stays; no NaN. Use `step.recent`."""

    def protect(self, step: Step) -> Tensor:
        """[B, Hkv, n] bool: what stays whatever its score; by default sink and window."""
        window = self.window(self.budget(step))
        return (step.positions < self.n_sink) | (step.age < window)

    def due(self, step: Step) -> bool:
        """Whether to evict after this pass, which left more than the budget."""
        # Heads of unequal length may hold more than the budget behind an eviction.
        n_kept = max(self.budget(step), step.state.layer.get("n_kept", 0))
        return step.is_prefill or step.n_stored >= n_kept + self.interval

    def keep(self, step: Step) -> Keep | None:
        """The protected and the best of the others, `budget` of each head."""
        budget = self.budget(step)
        if step.n_stored <= budget or not self.due(step):
            return None
        score = self.heads.joined(self.score(step))
        protected = self.protect(step)
        if not isinstance(self.unit, Token):
            score = self.unit.priority(step, score, step.real & ~protected)
        score = score.masked_fill(protected, torch.inf)
        if not step.is_whole:
            score = score.masked_fill(~step.real, -torch.inf)
        kept = self.heads.pick(score, budget)
        step.state.layer["n_kept"] = kept.index.shape[2]
        return kept
