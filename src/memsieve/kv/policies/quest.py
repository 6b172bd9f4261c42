"""Quest: attend to the pages whose keys might match the query, and delete nothing."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from memsieve.kv.archive import highest
from memsieve.kv.checks import whole_number
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import ROOM_TOKENS, Attend, Policy, Step
from memsieve.kv.room import Room
from memsieve.kv.scores import widened


@dataclass(frozen=True)
class Quest(Policy):
    """Look at the best pages by an upper bound of their logits; each query head its own.

    bound of a page = sum_d max(q_d * min_d, q_d * max_d), min and max over the keys of the page.
    Single tokens only; a prompt sees everything. Costs n / page_tokens bounds for each query
    head instead of n logits; nothing leaves the device.

    Parameters
    ----------
    budget_tokens
        Attended tokens of each query head, in whole pages, at least 3 pages as in the code.
    page_tokens
        16 in paper and code.
    n_full_layers
        The first layers see everything; 2 in paper and code.
    shares
        Whether the query heads that share keys look at the same pages, by the largest of their
        bounds. Not the paper's, whose models share no keys: a page is then read once for all.

    References
    ----------
    Tang et al., arXiv 2406.10774; mit-han-lab/Quest. Differs: the newest page is always among
    the chosen (it holds the token itself). UNCONFIRMED whether the paper's figures do so.
    Padding counts for no bound. Bounds are products in the type of the keys, rounded as it is.
    """

    budget_tokens: int
    page_tokens: int = 16
    _: KW_ONLY
    n_full_layers: int = 2
    shares: bool = False

    def __post_init__(self) -> None:
        whole_number("Quest.budget_tokens", self.budget_tokens, at_least=1)
        whole_number("Quest.page_tokens", self.page_tokens, at_least=1)
        whole_number("Quest.n_full_layers", self.n_full_layers, at_least=0)

    def attend(self, step: Step) -> Attend | None:
        """The tokens of the best pages, for a single new token."""
        if step.layer < self.n_full_layers or step.is_prefill:
            return None
        n, size = step.n_stored, self.page_tokens
        n_pages, n_chosen = -(-n // size), max(3, self.budget_tokens // size)
        if n_chosen >= n_pages:
            return None
        bound = self.bounds(step)
        if self.shares:
            bound = bound.unflatten(1, (step.keys.shape[1], -1)).amax(2)
        pages = highest(bound, n_chosen - 1)
        index = pages[..., None] * size + torch.arange(size, device=pages.device)
        newest = torch.arange((n_pages - 1) * size, n, device=pages.device)
        return Attend(torch.cat([index.flatten(2), newest.expand(*pages.shape[:2], -1)], dim=2))

    def bounds(self, step: Step) -> Tensor:
        """[B, Hq, pages - 1], of all but the newest: no key of the page has a larger q . k."""
        low, high = self._extremes(step)
        query = step.query[:, :, -1].unflatten(1, (low.shape[1], -1))
        above, below = query.clamp(min=0), query.clamp(max=0)
        bound = widened(above @ high.transpose(2, 3)) + widened(below @ low.transpose(2, 3))
        if step.padding is not None:  # a page of padding alone bounds nothing
            real = step.real[:, :, : low.shape[2] * self.page_tokens]
            blank = ~real.unflatten(2, (-1, self.page_tokens)).any(3)
            bound = bound.masked_fill(blank[:, :, None], -torch.inf)
        return bound.flatten(1, 2)

    def _extremes(self, step: Step) -> tuple[Tensor, Tensor]:
        """[B, Hkv, pages - 1, D] smallest and largest of each channel; only new pages are read."""
        rows, size = step.state.row, self.page_tokens
        rooms = step.state.layer.setdefault("rooms", (Room(), Room()))
        n_known = rows["low"].shape[2] if "low" in rows else 0
        n_pages = (step.n_stored - 1) // size
        if n_known < n_pages:
            new = _of_pages(step, n_known * size, n_pages * size, size)
            for name, room, pages in zip(("low", "high"), rooms, new, strict=True):
                old = rows[name] if n_known else pages[:, :, :0]
                rows[name] = room.appended(old, pages, spare=ROOM_TOKENS)
        return rows["low"], rows["high"]


def _of_pages(step: Step, start: int, end: int, size: int) -> tuple[Tensor, Tensor]:
    """Smallest and largest keys of the pages of tokens [start, end); 0 where nothing is real."""
    keys = step.keys[:, :, start:end]
    if step.is_whole:
        pages = keys.unflatten(2, (-1, size))
        return pages.amin(3), pages.amax(3)
    real = step.real[:, :, start:end, None]
    low = keys.masked_fill(~real, torch.inf).unflatten(2, (-1, size)).amin(3)
    high = keys.masked_fill(~real, -torch.inf).unflatten(2, (-1, size)).amax(3)
    return low.masked_fill(low == torch.inf, 0.0), high.masked_fill(high == -torch.inf, 0.0)
