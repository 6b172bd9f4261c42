"""What reads time out of texts: the contract, and the reader that reads nothing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from memsieve.types import Mention


class Reader(Protocol):
    """Finds the times that a text names.

    `identity` names the reader and its settings as `timeline.from_spec` takes them; a file
    remembers whose readings it holds.
    """

    @property
    def identity(self) -> str: ...

    def mentions(
        self, text: str, clock: datetime, *, looks_back: bool = False
    ) -> tuple[Mention, ...]:
        """The times in `text`, read against the aware `clock`, in the order of the text.

        A sentence that looks neither ahead nor back is read with `looks_back` as one that looks
        back, as questions do. One reading of each stretch of words, the likeliest; stretches do
        not overlap. Never raises on any text.
        """
        ...


@dataclass(frozen=True, slots=True)
class NoTimeline:
    """Reads no time at all: for texts in a language without a reader, or to compare with."""

    identity: str = "none"

    def mentions(
        self, text: str, clock: datetime, *, looks_back: bool = False
    ) -> tuple[Mention, ...]:
        """Nothing."""
        return ()
