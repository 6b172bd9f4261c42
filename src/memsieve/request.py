"""What is asked of a memory: a question with its options, checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from memsieve.errors import ParameterError
from memsieve.search.candidates import POOL
from memsieve.search.lanes import GAP
from memsieve.select import Budget
from memsieve.types import NOTHING, Interval

DEFAULT_K = 10
WINDOWS = ("soft", "hard")
HEAVIEST_TIER = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Request:
    """A recall with its options checked; see `Memory.recall` for their meaning.

    tier: the lightest effort to make, 1 to 3, for systems that have several; 0 leaves it to them.
    """

    question: str
    budget_tokens: int | None = None
    k: int | None = None
    equal: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    since: datetime | None = None
    until: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    neighbours: int = 0
    cite: bool = False
    clock: datetime = field(default_factory=lambda: datetime.now(UTC))
    during: Interval | None = None
    window: str = "soft"
    as_of: datetime | None = None
    dates: bool = True
    stale: bool = False
    tier: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.question, str) or not self.question.strip():
            raise ParameterError("the question must not be empty: say what to look for")
        for name in ("budget_tokens", "k", "neighbours", "tier"):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise ParameterError(f"{name} must be a whole number, got {value!r}")
            if value < 0:
                raise ParameterError(f"{name} must be >= 0, got {value}")
        if self.tier > HEAVIEST_TIER:
            raise ParameterError(f"tier must be at most {HEAVIEST_TIER}, got {self.tier}")
        if self.window not in WINDOWS:
            raise ParameterError(f"window must be soft or hard, got {self.window!r}")
        if self.neighbours > GAP:
            raise ParameterError(f"neighbours must be at most {GAP}, got {self.neighbours}")

    @property
    def budget(self) -> Budget:
        """What the selection may spend; ten items if nothing was said."""
        if self.k is None and self.budget_tokens is None:
            return Budget(items=DEFAULT_K)
        return Budget(items=self.k, tokens=self.budget_tokens)

    @property
    def truth_at(self) -> int:
        """The last microsecond that may say what holds: of the clock's second, before `until`."""
        clock = (self.clock.astimezone(UTC).replace(microsecond=999_999) - _EPOCH) // _MICROSECOND
        until = micros(self.until)
        return clock if until is None else min(clock, until - 1)

    @property
    def pool(self) -> int:
        """Candidates to take from each ranking: enough to fill a large budget with short turns."""
        return max(POOL, 2 * (self.k or 0), (self.budget_tokens or 0) // 10)


def micros(moment: datetime | None) -> int | None:
    """Microseconds since 1970 UTC; None for no moment."""
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND
