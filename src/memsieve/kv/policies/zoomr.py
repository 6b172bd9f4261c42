"""ZoomR: summaries of thoughts stand for them, and heads vote which come back in full."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from memsieve.errors import InputError, ParameterError
from memsieve.kv.archive import Archive
from memsieve.kv.ballots import agreement, elected, votes, weights
from memsieve.kv.checks import ModelFacts, whole_number
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import Attend, Keep, Policy, Step
from memsieve.kv.pooling import means_by, turned_to_middle
from memsieve.kv.resident import brought, indices_of
from memsieve.kv.rotations import refuse_latent, remember, rotary_of
from memsieve.kv.scores import widened
from memsieve.kv.segments import DELIMITER, QUESTION, SUMMARY, Marking, Segments, unread

ELECTIONS = ("votes", "softmax")
OUT, IN_SHORT, IN_FULL = range(3)
"""How much of a segment is looked at."""
_ENDS_SENTENCE = re.compile(r"[.!?]\s*$|\n")


def sentence_ends(texts: Iterable[str]) -> tuple[int, ...]:
    """Which of a vocabulary's texts, in the order of their ids, end a sentence or a line.

    >>> sentence_ends(["a", ".", "b.c", "?\\n", " so", "!"])
    (1, 3, 5)
    """
    return tuple(place for place, text in enumerate(texts) if _ENDS_SENTENCE.search(text))


@dataclass(frozen=True)
class ZoomR(Policy):
    """Look at question, window, the open thought, and what the heads of all layers vote for.

    A segment is a thought and the summary behind it, read off the token ids (`Marking`). When a
    sentence ends, every query head of every managed layer scores the mean key of each summary
    with its query, and votes for the k best; the c segments with most votes are looked at in
    full from the next token on, other voted ones as their summaries, the rest not at all. Until
    the next sentence ends the choice stands; what is newer than it is looked at. A prompt sees
    everything, and its last query votes.

    It needs a model that writes summaries between two tokens; the paper trains one. Any model,
    or a text made by a program, that has such tokens will do; segments without a summary are
    closed at `longest_segment`, and their last tokens stand for them.

    With `MemoryCache(..., leaving="archive", positions="keep")` closed segments go to the host
    when the window has passed, and only what is chosen is on the device; with `leaving="drop"`
    nothing leaves, and only attention is restricted. Nothing is ever lost.

    Parameters
    ----------
    begin, end
        Token ids of the marks around a summary.
    n_votes
        k, summaries that each head votes for, >= 0; 2 in the paper (1 loses 3 points).
    n_restored
        c, segments that come back in full, >= 0; 2 in the paper. 0 with k >= segments gives
        summaries alone (SumR), k = c = 0 sink and window beside the open thought.
    n_sink, n_window
        First real tokens, and newest ones. Not stated in the paper; 4 and 256 are ours.
    think
        Token id after which thoughts begin; all before it is the question, and stays. None: the
        question is the first `n_sink` tokens.
    ends_sentence
        Token ids at which the choice is made anew; see `sentence_ends`.
    n_refresh
        The choice is made anew after so many tokens without a sentence end, >= 1.
    elect
        "votes" as in the paper, or "softmax": the c segments are those with the highest mean
        softmax of the scores, which found a segment that few heads ask for more often.
    voted_share
        A segment counts as voted if it has at least this times the mean number of votes, >= 0.
        0: one vote is enough, as the paper reads; with many heads then nothing leaves, and 2
        is advised.
    turns
        Average summary keys as if all stood at the middle of the summary, which long summaries
        need; the paper seems to average them as they are rotated.
    longest_segment, n_last
        See `Marking`.

    Raises
    ------
    ParameterError
        If a value lies outside its range; in `bind`, if the model caches latents, or with
        `turns` if its rotation is not known.
    InputError
        In `attend`, if a pass brings no token ids (`inputs_embeds`).

    References
    ----------
    Yang et al., ACL 2026, arXiv 2604.10898; no public code. Reconstructed from prose: q . mean
    key, unscaled ranks. Ours: every query head votes against its key-value head's summaries
    (GQA is not stated); queries of the token that ends the sentence decide, for the next token
    (the order is UNCONFIRMED); original positions (UNCONFIRMED); each row for itself; equal
    votes go to the earlier segment; `n_refresh`, `voted_share`, `turns`, "softmax",
    `longest_segment`. Transfers are not overlapped with computing. Host memory is not saved.
    After `crop` what was read is forgotten: all of it counts as question.
    """

    begin: int
    end: int
    _: KW_ONLY
    n_votes: int = 2
    n_restored: int = 2
    n_sink: int = 4
    n_window: int = 256
    think: int | None = None
    ends_sentence: tuple[int, ...] = ()
    n_refresh: int = 64
    elect: str = "votes"
    voted_share: float = 0.0
    turns: bool = False
    longest_segment: int = 512
    n_last: int = 25

    needs: ClassVar[frozenset[str]] = frozenset({"input_ids"})
    keeps_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("begin", "end", "n_votes", "n_restored", "n_sink", "n_window"):
            whole_number(f"ZoomR.{name}", getattr(self, name), at_least=0)
        for name in ("n_refresh", "n_last"):
            whole_number(f"ZoomR.{name}", getattr(self, name), at_least=1)
        whole_number("ZoomR.longest_segment", self.longest_segment, at_least=self.n_last)
        if self.begin == self.end:
            raise ParameterError(f"ZoomR.begin and .end must differ, got {self.begin} twice")
        if self.elect not in ELECTIONS:
            raise ParameterError(f"ZoomR.elect must be one of {ELECTIONS}, got {self.elect!r}")
        if not 0 <= self.voted_share < float("inf"):
            raise ParameterError(f"ZoomR.voted_share must be >= 0, got {self.voted_share!r}")

    @property
    def marking(self) -> Marking:
        """How segments are told apart."""
        return Marking(
            self.begin, self.end, self.think, self.n_sink, self.longest_segment, self.n_last
        )

    def bind(self, facts: ModelFacts) -> None:
        """Refuse latents; with `turns`, look for the rotation."""
        refuse_latent(facts, "ZoomR")
        if self.turns:
            remember(facts, "ZoomR.turns")

    # What is looked at.

    def attend(self, step: Step) -> Attend | None:
        """The stored ones that are looked at, and those brought back."""
        self._open_pass(step)
        archive = step.archive
        if step.is_prefill:
            if archive is None or not archive.n:
                return None
            held = archive.slots >= 0
            return Attend(extra=brought(step.state, archive, *indices_of(held)))
        seen = step.shared.row["seen"]
        here = step.real & _at(seen, step.slots)
        extra = None
        if archive is not None and archive.n:
            extra = brought(step.state, archive, *indices_of(_seen_on_host(seen, archive)))
            extra = extra if extra.slots.shape[2] else None
        if bool((here == step.real).all()):
            return None if extra is None else Attend(extra=extra)
        return Attend(*indices_of(here), extra=extra)

    def _open_pass(self, step: Step) -> None:
        """Once for all layers: read the new tokens, count the votes of the pass before."""
        shared = step.shared
        if shared.layer.get("pass") == step.n_logical and "seen" in shared.row:
            return
        shared.layer["pass"] = step.n_logical
        segments = self._read(step)
        if "votes" in shared.row:
            self._decide(step)
        rows = shared.row
        rows["seen"] = looked_at(segments, rows["level"], rows["judged"], self.n_window)
        rows["due"] = self._due(step)

    def _read(self, step: Step) -> Segments:
        ids, rows, n_new = step.input_ids, step.shared.row, step.query.shape[2]
        if ids is None or ids.shape[1] != n_new:
            raise InputError("ZoomR reads token ids, and this pass has none: give input_ids")
        if "part" in rows:
            segments = Segments(rows["part"], rows["number"], rows["cursor"])
        else:
            n_rows, device = step.query.shape[0], step.slots.device
            segments = unread(n_rows, step.n_logical - n_new, device)
            rows["level"] = torch.zeros((n_rows, 0), dtype=torch.int64, device=device)
            rows["judged"] = torch.zeros(n_rows, dtype=torch.int64, device=device)
            rows["since"] = torch.zeros(n_rows, dtype=torch.int64, device=device)
        real = torch.ones_like(ids, dtype=torch.bool)
        if step.padding is not None:
            real = step.padding[:, -n_new:]
        segments = segments.read(ids, real, self.marking)
        rows["part"], rows["number"] = segments.part, segments.number
        rows["cursor"] = segments.cursor
        return segments

    def _due(self, step: Step) -> Tensor:
        """[B] bool: rows whose choice is made anew after this pass."""
        rows, last = step.shared.row, step.input_ids[:, -1]  # type: ignore[index]
        ends = torch.isin(last, torch.tensor(self.ends_sentence).long().to(last.device))
        since = rows["since"] + step.query.shape[2]
        due = ends | (since >= self.n_refresh) | step.is_prefill
        rows["since"] = since.masked_fill(due, 0)
        return due

    # Votes.

    def observe(self, step: Step) -> None:
        """Take the mean keys of new summaries; where a choice is due, vote."""
        rows = step.shared.row
        n_closed = rows["cursor"][:, 1].to(step.slots.device)
        self._summarise(step, n_closed)
        means: Tensor = step.state.row["summaries"]
        if not means.shape[2] or not bool(rows["due"].any()):
            return
        there = torch.arange(means.shape[2], device=n_closed.device) < n_closed[:, None]
        query = widened(step.query[:, :, -1]).unflatten(1, (means.shape[1], -1))
        scores = (query @ means.transpose(2, 3)).flatten(1, 2) * step.scale
        rows["voted_on"] = n_closed
        for name, given in (
            ("votes", votes(scores, self.n_votes, there)),
            ("weights", weights(scores, there)),
        ):
            rows[name] = rows[name] + given if name in rows else given

    def _summarise(self, step: Step, n_closed: Tensor) -> None:
        """Keep `state.row["summaries"]` [B, Hkv, S, D], the mean key of each summary."""
        rows, of_layer = step.shared.row, step.state.row
        means: Tensor | None = of_layer.get("summaries")
        n_before = 0 if means is None else means.shape[2]
        if means is not None and bool((of_layer["n_summaries"] == n_closed).all()):
            return
        known = of_layer.get("n_summaries", torch.zeros_like(n_closed))
        of_layer["n_summaries"] = n_closed
        n_rows, n_heads, _, n_channels = step.keys.shape
        n = int(n_closed.max())
        room = step.keys.new_zeros((n_rows, n_heads, n - n_before, n_channels))
        room = widened(room) if means is None else torch.cat([means, room.to(means.dtype)], 2)
        number, part = _at(rows["number"], step.slots), _at(rows["part"], step.slots)
        fresh = (number >= known[:, None, None]) & (number < n_closed[:, None, None])
        index, valid = indices_of(step.real & fresh & (part == SUMMARY))
        keys = widened(step.keys.gather(2, index[..., None].expand(*index.shape, n_channels)))
        number = number.gather(2, index).masked_fill(~valid, n)
        if self.turns:
            places = step.positions.gather(2, index)
            keys = turned_to_middle(keys, places, number, n, rotary_of(step.module))
        of_layer["summaries"] = room + means_by(keys, number, n)

    def _decide(self, step: Step) -> None:
        """Turn the votes of the pass before into what is looked at, in rows that were due."""
        rows = step.shared.row
        given, mass, due = rows.pop("votes"), rows.pop("weights"), rows["due"]
        n = given.shape[1]
        support = given if self.elect == "votes" else mass
        level, chosen = choice(given, support, self.n_restored, voted_share=self.voted_share)
        agreed = agreement(given, chosen)
        old, judged = rows["level"], rows["judged"]
        old = torch.cat([old, old.new_zeros((old.shape[0], n - old.shape[1]))], 1)
        rows["level"] = torch.where(due[:, None], level, old)
        rows["judged"] = torch.where(due, rows["voted_on"], judged)
        before = rows.get("agreement", torch.zeros_like(agreed))
        rows["agreement"] = torch.where(due, agreed, before)

    # What stays.

    def keep(self, step: Step) -> Keep | None:
        """With an archive: all but judged segments that the window has passed."""
        rows = step.shared.row
        if step.archive is None or "part" not in rows:
            return None
        segments = Segments(rows["part"], rows["number"], rows["cursor"])
        none = torch.full_like(rows["level"], OUT)
        stays = step.real & _at(
            looked_at(segments, none, rows["judged"], self.n_window), step.slots
        )
        if bool((stays == step.real).all()):
            return None
        return Keep(*indices_of(stays))


def choice(
    given: Tensor, support: Tensor, n_restored: int, *, voted_share: float
) -> tuple[Tensor, Tensor]:
    """How much of each segment is looked at, and which are chosen: two [B, S].

    `given` [B, S] votes, `support` [B, S] > 0 by which the first are chosen: the votes again, or
    weights.
    """
    mean = given.sum(-1, keepdim=True) / (support > 0).sum(-1, keepdim=True).clamp(min=1)
    voted = (given > 0) & (given >= voted_share * mean)
    chosen = elected(support, n_restored, support > 0)
    level = torch.where(chosen, IN_FULL, torch.where(voted, IN_SHORT, OUT))
    return level, chosen


def looked_at(segments: Segments, level: Tensor, judged: Tensor, n_window: int) -> Tensor:
    """[B, N] bool: question, window, unjudged segments, and what `level` [B, S] says of others.

    `judged` [B]: how many of the first segments a choice was made of.
    """
    part, number = segments.part, segments.number
    real = part >= QUESTION
    age = real.long().flip(1).cumsum(1).flip(1) - 1
    free = (part == QUESTION) | (age < n_window) | (number >= judged[:, None])
    if not level.shape[1]:
        return real & free
    of_token = level.gather(1, number.clamp(0, level.shape[1] - 1))
    short = (part == SUMMARY) | (part == DELIMITER)
    wanted = (of_token == IN_FULL) | ((of_token == IN_SHORT) & short)
    return real & (free | wanted)


def _at(of_rows: Tensor, slots: Tensor) -> Tensor:
    """Entries of [B, N] at slots [B, H, n]."""
    of_rows = of_rows.to(slots.device)
    return of_rows[:, None].expand(-1, slots.shape[1], -1).gather(2, slots.clamp(min=0))


def _seen_on_host(seen: Tensor, archive: Archive) -> Tensor:
    return (archive.slots >= 0) & _at(seen, archive.slots)
