"""Thoughts and their summaries, read off the token ids of a text that marks them (ZoomR)."""

from __future__ import annotations

from dataclasses import dataclass

from memsieve.kv.extras import Tensor, torch

PADDING, QUESTION, THOUGHT, SUMMARY, DELIMITER = range(-1, 4)
"""What a token is part of. Delimiters are the marks around a summary, and go with it."""


@dataclass(frozen=True, slots=True)
class Marking:
    """How a text marks its segments, in token ids.

    Parameters
    ----------
    begin, end
        The tokens around a summary.
    think
        The token after which thoughts begin; what comes before is the question. None: thoughts
        begin behind the first `n_question` tokens.
    n_question
        The first real tokens, which belong to no segment.
    longest
        A segment that reaches this length is closed without a summary of its own.
    n_last
        How many of its last tokens stand for one then, or where the summary is empty.
    """

    begin: int
    end: int
    think: int | None = None
    n_question: int = 4
    longest: int = 512
    n_last: int = 25


@dataclass(frozen=True, eq=False)
class Segments:
    """What each token of B rows belongs to.

    Attributes
    ----------
    part
        [B, N] int64: PADDING, QUESTION, THOUGHT, SUMMARY or DELIMITER.
    number
        [B, N] int64: the segment, from 0; -1 for padding and question. The one that is not
        closed yet has the number `n_closed`.
    cursor
        [B, 5] int64, on the host: real tokens, closed segments, part of the next token, length
        of the open segment, of its summary.
    """

    part: Tensor
    number: Tensor
    cursor: Tensor

    @property
    def n_closed(self) -> Tensor:
        """[B] int64: how many segments are closed."""
        return self.cursor[:, 1].to(self.part.device)

    def read(self, ids: Tensor, real: Tensor, marking: Marking) -> Segments:
        """With the new tokens `ids` [B, q], where `real` [B, q] is False for padding.

        Costs one step in Python for each token.
        """
        n_before = self.part.shape[1]
        rows = zip(ids.tolist(), real.tolist(), self.cursor.tolist(), strict=True)
        read = [_Row(cursor, n_before).read(words, are, marking) for words, are, cursor in rows]
        parts, numbers = ([getattr(row, name) for row in read] for name in ("part", "number"))
        device = self.part.device
        part = torch.cat([self.part, torch.tensor(parts, dtype=torch.int64).to(device)], 1)
        number = torch.cat([self.number, torch.tensor(numbers, dtype=torch.int64).to(device)], 1)
        for place, row in enumerate(read):
            for closed, end in row.unsummarised:
                own = (number[place, :end] == closed) & (part[place, :end] == THOUGHT)
                part[place, own.nonzero()[-marking.n_last :, 0]] = SUMMARY
        cursor = [row.cursor for row in read]
        return Segments(part, number, torch.tensor(cursor))


def unread(n_rows: int, n: int, device: object) -> Segments:
    """Rows of n tokens that were not read: all of them are question."""
    part = torch.full((n_rows, n), QUESTION, device=device)
    cursor = torch.tensor([[n, 0, QUESTION, 0, 0]] * n_rows)
    return Segments(part, torch.full_like(part, -1), cursor)


class _Row:
    """The reader of one row: what it read, and segments that closed without a summary."""

    def __init__(self, cursor: list[int], n_seen: int) -> None:
        self.n_real, self.n_closed, self.mode, self.length, self.n_summary = cursor
        self.n_seen = n_seen
        self.part: list[int] = []
        self.number: list[int] = []
        self.unsummarised: list[tuple[int, int]] = []

    @property
    def cursor(self) -> list[int]:
        return [self.n_real, self.n_closed, self.mode, self.length, self.n_summary]

    def read(self, words: list[int], real: list[bool], marking: Marking) -> _Row:
        for word, is_real in zip(words, real, strict=True):
            self.n_seen += 1
            part, inside = self._next(word, marking) if is_real else (PADDING, False)
            self.part.append(part)
            self.number.append(self.n_closed if inside else -1)
            if inside:
                self._count(word, part, marking)
        return self

    def _next(self, word: int, marking: Marking) -> tuple[int, bool]:
        self.n_real += 1
        if self.mode == QUESTION and marking.think is None and self.n_real > marking.n_question:
            self.mode = THOUGHT
        if self.mode == QUESTION:
            self.mode = THOUGHT if word == marking.think else QUESTION
            return QUESTION, False
        if self.mode == THOUGHT and word == marking.begin:
            self.mode = SUMMARY
            return DELIMITER, True
        if self.mode == SUMMARY and word == marking.end:
            return DELIMITER, True
        return self.mode, True

    def _count(self, word: int, part: int, marking: Marking) -> None:
        self.length += 1
        self.n_summary += part == SUMMARY
        ends = self.mode == SUMMARY and word == marking.end
        if not ends and self.length < marking.longest:
            return
        if not self.n_summary:
            self.unsummarised.append((self.n_closed, self.n_seen))
        self.n_closed += 1
        self.mode, self.length, self.n_summary = THOUGHT, 0, 0
