"""What may be spent on a selection, and what was."""

from __future__ import annotations

from dataclasses import dataclass
from operator import index

from memsieve.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Spent:
    """What the picked items cost together, the one-off costs of their groups included."""

    items: int = 0
    tokens: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """Upper limits of a selection: it never spends more, on any of the three.

    Parameters
    ----------
    items, tokens, bytes
        Whole numbers >= 0; None, the default, sets no limit. A limit counts what is kept.

    Raises
    ------
    ParameterError
        If a limit is negative or not a whole number.

    Examples
    --------
    >>> Budget(tokens=800)
    Budget(items=None, tokens=800, bytes=None)
    >>> Budget(items=3, tokens=800).allows(Spent(items=3, tokens=801))
    False
    """

    items: int | None = None
    tokens: int | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        for name in ("items", "tokens", "bytes"):
            limit = _limit(f"budget_{name}", getattr(self, name))
            object.__setattr__(self, name, limit)

    @classmethod
    def of(
        cls,
        budget: Budget | None,
        *,
        items: int | None = None,
        tokens: int | None = None,
        bytes: int | None = None,
    ) -> Budget:
        """The budget that a caller gave, as one object or as keywords; neither: no limit."""
        keywords = cls(items, tokens, bytes)
        if budget is None:
            return keywords
        if not isinstance(budget, Budget):
            raise ParameterError(
                f"budget must be a Budget, got {budget!r}: write budget_tokens=..., "
                "budget_items=... or budget_bytes=..."
            )
        if keywords != cls():
            raise ParameterError(
                f"a limit must be given once, got {budget!r} and keywords as well: "
                "put every limit into the Budget"
            )
        return budget

    def allows(self, spent: Spent) -> bool:
        """Whether `spent` stays within every limit."""
        pairs = (
            (self.items, spent.items),
            (self.tokens, spent.tokens),
            (self.bytes, spent.bytes),
        )
        return all(limit is None or used <= limit for limit, used in pairs)


def _limit(name: str, value: object) -> int | None:
    if value is None:
        return None
    try:
        # index() takes every integer type and no float, so 2.5 and NaN end here.
        limit = index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ParameterError(f"{name} must be a whole number or None, got {value!r}") from None
    if limit < 0:
        raise ParameterError(f"{name} must be >= 0, got {limit}")
    return limit
