"""Arrays that grow, and numbers for strings."""

from collections.abc import Sequence

import numpy as np

_GROWTH = 1.5


class Column:
    """A NumPy array that grows by appending in amortised constant time."""

    def __init__(self, dtype: type[np.generic]) -> None:
        self._data = np.empty(0, dtype)
        self.size = 0

    @property
    def values(self) -> np.ndarray:
        """The filled part, a writable view."""
        return self._data[: self.size]

    def extend(self, more: np.ndarray) -> None:
        """Append entries."""
        need = self.size + len(more)
        if need > len(self._data):
            grown = np.empty(need if not self.size else int(need * _GROWTH), self._data.dtype)
            grown[: self.size] = self.values
            self._data = grown
        self._data[self.size : need] = more
        self.size = need


class Names:
    """Numbers for strings in order of first appearance; None is the number -1."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.number: dict[str, int] = {}

    def name(self, number: int) -> str | None:
        """The string of a number; None for -1."""
        return self.names[number] if number >= 0 else None

    def codes(self, values: Sequence[str | None]) -> np.ndarray:
        """The number of each value, new ones added: shape (n,), int32."""
        number = self.number
        for value in dict.fromkeys(values):
            if value is not None and value not in number:
                number[value] = len(self.names)
                self.names.append(value)
        return np.array([-1 if v is None else number[v] for v in values], dtype=np.int32)
