"""Trees of keys whose pages are clusters: found by inner product, grown in place (IceCache).

One tree for each row and head; all of them are held as tensors [B, H, n], so that they follow
their rows by `index_select` and grow by joining. A key lives at one level, every level's keys
are data, the children of one parent (a sibling group) are sorted by a projection and cut into
pages.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from math import ceil

from memsieve.errors import ParameterError
from memsieve.kv.checks import whole_number
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.resident import indices_of

BLOCK = 1024
"""How many keys look for their parents at once."""


@dataclass(frozen=True)
class Growth:
    """How trees are built and searched.

    Parameters
    ----------
    page_size
        Most keys of a page, >= 1; 16 in the paper's benchmarks.
    first_ratio, ratio
        Share of the lowest level that the level above it has, and of every higher level, in
        (0, 1); 0.01 and 0.2 in the benchmarks, 0.03 and 0.2 by default in the code.
    seed
        Of the direction that sorts a group.

    Raises
    ------
    ParameterError
        If a value lies outside its range.
    """

    page_size: int = 16
    first_ratio: float = 0.01
    ratio: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        whole_number("Growth.page_size", self.page_size, at_least=1)
        whole_number("Growth.seed", self.seed, at_least=0)
        for name in ("first_ratio", "ratio"):
            if not 0 < getattr(self, name) < 1:
                raise ParameterError(
                    f"Growth.{name} must be in (0, 1), got {getattr(self, name)!r}"
                )


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees over n keys of each head; an entry that is no real key is in none.

    Attributes
    ----------
    level
        [B, H, n] int64, 0 the lowest; -1 for no real key.
    parent
        [B, H, n] int64, index of the parent; ROOT for the top level.
    page
        [B, H, n] int64, from 0; -1 for no real key.
    sort
        [B, H, n] float, place of the lifted key on the sorting direction.
    longest
        [B, H], M2: the greatest squared length of a key.
    order
        [B, H, n] int64, all keys by group and then by `sort`: pages are runs of it.
    page_start, page_count
        [B, H, P] int64, where each page begins in `order`, and how many keys it holds.
    """

    level: Tensor
    parent: Tensor
    page: Tensor
    sort: Tensor
    longest: Tensor
    order: Tensor
    page_start: Tensor
    page_count: Tensor

    @property
    def n(self) -> int:
        """How many keys each head has."""
        return int(self.level.shape[2])

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The parts as `State.row` holds them, each under `name` and its own."""
        return {f"{name}.{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def held_as(cls, name: str, rows: dict[str, Tensor]) -> Forest | None:
        """The forest that `tensors` wrote, None if there is none."""
        if f"{name}.level" not in rows:
            return None
        return cls(*(rows[f"{name}.{field.name}"] for field in fields(cls)))


ROOT = -1
"""The parent of the top level."""


@lru_cache(maxsize=16)
def levels(n: int, first_ratio: float, ratio: float) -> tuple[int, ...]:
    """Level of the first n keys of a tree, in the order of their coming.

    A key goes as high as a level is due: level l + 1 is due while level l holds at least
    ceil(1 / p) keys and level l + 1 fewer than p times that. Rates are rounded to float32, as
    in the code, where 0.2 * 10 asks for a third key above ten.

    Sizes are those of the code for (0.03, 0.2) and (0.01, 0.2) on 1,000 and 10,000 keys; for
    (0.5, 0.5) on 12 the sizes are too, and from the eighth key on their order is not.
    """
    sizes, found = [0], []
    rates = [float(torch.tensor(rate, dtype=torch.float32)) for rate in (first_ratio, ratio)]
    for _ in range(n):
        place = 0
        for low in range(len(sizes) - 1, -1, -1):
            rate = rates[min(low, 1)]
            above = sizes[low + 1] if low + 1 < len(sizes) else 0
            if sizes[low] >= ceil(1 / rate) and above < sizes[low] * rate:
                place = low + 1
                break
        if place == len(sizes):
            sizes.append(0)
        sizes[place] += 1
        found.append(place)
    return tuple(found)


def lifted(x: Tensor, longest: Tensor) -> Tensor:
    """(x, sqrt(M2 - |x|^2)): [..., n, D + 1] from keys [..., n, D] and M2 [...].

    All have length sqrt(M2), so that the nearest ones of a direction are those with the greatest
    inner product (Bachrach et al. 2014).
    """
    rest = (longest[..., None] - x.square().sum(-1)).clamp(min=0).sqrt()
    return torch.cat([x, rest[..., None]], -1)


def dissimilarity(x: Tensor, y: Tensor, longest: Tensor) -> Tensor:
    """Half the squared distance of lifted keys: [..., n, m] from [..., n, D], [..., m, D]."""
    return longest[..., None, None] - lifted(x, longest) @ lifted(y, longest).transpose(-1, -2)


def direction(n_channels: int, seed: int) -> Tensor:
    """The unit vector [n_channels + 1] on which lifted keys are sorted."""
    maker = torch.Generator().manual_seed(seed)
    drawn = torch.randn(n_channels + 1, generator=maker)
    return drawn / drawn.norm()


def grown(old: Forest | None, keys: Tensor, real: Tensor, growth: Growth) -> Forest:
    """The forest over `keys` [B, H, n, D], of which the first `old.n` stand in `old` already.

    `real` [B, H, n] tells which entries are keys at all. New keys find the parent with the
    least dissimilarity (exhaustive), join the page of their neighbour in the group, and a page
    that overflows is cut into even ones; a new group is cut evenly from the start. Where a new
    key is longer than all before, the keys of that tree are sorted and cut anew at once.

    Costs O(m U D) for m new keys and U keys above the lowest level, and one sort of n numbers.

    Differs from the code: promotion and pages as above; several keys that come together see one
    another as parents; a group is sorted anew when M2 grows and not when it is next touched; no
    shortcut through anchors, no tree search above 3,000 upper keys.
    """
    keys, n = keys.float(), keys.shape[2]
    n_old = 0 if old is None else old.n
    square = keys.square().sum(-1).masked_fill(~real, 0.0)
    longest = square.amax(-1)
    if old is None:
        level, parent, page = (real.new_full((*real.shape[:2], 0), -1, dtype=torch.long),) * 3
        again = torch.ones_like(longest, dtype=torch.bool)
    else:
        level, parent, page = old.level, old.parent, old.page
        longest = torch.maximum(longest, old.longest)
        again = longest > old.longest
    level = torch.cat([level, _new_levels(real, n_old, growth)], 2)
    adopted = _adopted(level, n_old)
    parent = _parents(keys, longest, level, _padded(parent, n), adopted)
    page = _padded(page, n).masked_fill(again[..., None] | adopted, -1)
    sort = lifted(keys, longest) @ direction(keys.shape[3], growth.seed).to(keys.device)
    return _paged(level, parent, page, sort, longest, growth.page_size)


def _padded(x: Tensor, n: int) -> Tensor:
    return torch.cat([x, x.new_full((*x.shape[:2], n - x.shape[2]), -1)], 2)


def _new_levels(real: Tensor, n_old: int, growth: Growth) -> Tensor:
    """Levels of the entries from n_old on: a matter of how many keys came before."""
    coming = real.long().cumsum(-1) - 1
    room = 1 << int(coming.max().clamp(min=0)).bit_length()
    table = torch.tensor(levels(room, growth.first_ratio, growth.ratio), device=real.device)
    return torch.where(real, table[coming.clamp(min=0)], -1)[..., n_old:]


def _adopted(level: Tensor, n_old: int) -> Tensor:
    """[B, H, n] bool: keys that need a parent, as new ones or as a former top level."""
    new = torch.arange(level.shape[2], device=level.device) >= n_old
    if not n_old:
        return new.expand_as(level)
    top_before = level[..., :n_old].amax(-1, keepdim=True)
    return new | ((level == top_before) & (level.amax(-1, keepdim=True) > top_before))


def _parents(
    keys: Tensor, longest: Tensor, level: Tensor, parent: Tensor, adopted: Tensor
) -> Tensor:
    """For each adopted key the least dissimilar one of the level above; ROOT at the top."""
    upper, is_upper = indices_of(level > 0)
    parent = parent.masked_fill(adopted, ROOT)
    if not upper.shape[2]:
        return parent
    heights = level.gather(2, upper).masked_fill(~is_upper, -1)
    above = lifted(_at(keys, upper), longest)
    todo, wanted = indices_of(adopted & (level >= 0))
    for start in range(0, todo.shape[2], BLOCK):
        those, asked = todo[..., start : start + BLOCK], wanted[..., start : start + BLOCK]
        closeness = lifted(_at(keys, those), longest) @ above.transpose(-1, -2)
        fits = heights[:, :, None] == level.gather(2, those)[..., None] + 1
        best = closeness.masked_fill(~fits, -torch.inf).max(-1)
        found = torch.where(best.values > -torch.inf, upper.gather(2, best.indices), ROOT)
        parent = parent.scatter(2, those, torch.where(asked, found, parent.gather(2, those)))
    return parent


def _paged(
    level: Tensor, parent: Tensor, page: Tensor, sort: Tensor, longest: Tensor, size: int
) -> Forest:
    """Sort by group, give keys without a page one, cut pages that overflow."""
    n = level.shape[2]
    group = torch.where(level < 0, n + 1, torch.where(parent < 0, n, parent))
    order = sort.argsort(dim=-1, stable=True)
    order = order.gather(2, group.gather(2, order).argsort(dim=-1, stable=True))
    groups, pages, held = (x.gather(2, order) for x in (group, page, level >= 0))
    pages = _joined(groups, pages.masked_fill(~held, -1))
    begins = _changes(pages) | _changes(groups)
    start, count = _runs(begins)
    here = torch.arange(n, device=level.device)
    n_pieces = -(-count // size)
    piece = ((here - start + 1) * n_pieces - 1) // count
    split = (piece > 0) & (begins | _changes(piece))
    fresh = pages.amax(-1, keepdim=True) + split.long().cumsum(-1)
    pages = torch.where(piece > 0, fresh, pages).masked_fill(~held, -1)
    n_pages = int(pages.max()) + 1 if n else 0
    start, count = _runs(_changes(pages) | _changes(groups))
    table = pages.masked_fill(~held, n_pages)
    empty = table.new_zeros((*table.shape[:2], n_pages + 1))
    page_start, page_count = (empty.scatter(2, table, x)[..., :-1] for x in (start, count))
    page = torch.empty_like(page).scatter_(2, order, pages)
    return Forest(level, parent, page, sort, longest, order, page_start, page_count)


def _joined(groups: Tensor, pages: Tensor) -> Tensor:
    """Pages in sorted order, where -1 takes the page before it in its group, or the next.

    A group without any page gets a new one.
    """
    n = groups.shape[-1]
    here = torch.arange(n, device=groups.device).expand_as(groups)
    start, count = _runs(_changes(groups))
    before = torch.where(pages >= 0, here, -1).cummax(-1).values
    behind = torch.where(pages >= 0, here, n).flip(-1).cummin(-1).values.flip(-1)
    has_before, has_behind = before >= start, behind < start + count
    near = torch.where(has_before, before, behind).clamp(0, max(n - 1, 0))
    found = pages.gather(-1, near)
    none = ~has_before & ~has_behind
    new = pages.amax(-1, keepdim=True) + (none & (here == start)).long().cumsum(-1)
    return torch.where(none, new, found)


def _changes(x: Tensor) -> Tensor:
    """Where a run of equal entries of the last axis begins."""
    begins = torch.ones_like(x, dtype=torch.bool)
    begins[..., 1:] = x[..., 1:] != x[..., :-1]
    return begins


def _runs(begins: Tensor) -> tuple[Tensor, Tensor]:
    """First place and length of the run that each place lies in."""
    n = begins.shape[-1]
    here = torch.arange(n, device=begins.device).expand(begins.shape)
    start = torch.where(begins, here, 0).cummax(-1).values
    behind = torch.where(begins, here, n).flip(-1).cummin(-1).values.flip(-1)
    end = torch.cat([behind[..., 1:], behind.new_full((*behind.shape[:-1], 1), n)], -1)
    return start, end - start


def search(
    forest: Forest,
    keys: Tensor,
    query: Tensor,
    growth: Growth,
    *,
    field_of_view: int,
    share: float = 1.0,
) -> Tensor:
    """Score of the best key of each page: [B, H, g, P], -inf where none was looked at.

    From the top down, the members of the groups of the best `field_of_view` keys are scored by
    q.k; of each group only the `share` of members whose place on the sorting direction is
    nearest to the query's. Keys of all levels count. With a field of view of n or more and a
    share of 1 every key is scored, in one product and without walking the tree: on one core,
    with 32,768 keys of 8 heads, in 14 ms against 46 for a view of 49, as the walk reads rows
    here and there. Differs from the code: the query is stretched to the length of the lifted
    keys before it is placed, which orders them alike and places it better.

    Parameters
    ----------
    keys
        [B, H, n, D], as the forest was grown from, on the same device.
    query
        [B, H, g, D]: g queries for each tree.
    """
    n, n_pages = forest.n, forest.page_count.shape[2]
    if field_of_view >= n and share == 1:
        return _of_all(forest, keys, query, n_pages)
    group = torch.where(forest.level < 0, n + 1, forest.parent % (n + 1))  # ROOT becomes n
    sizes = group.new_zeros((*group.shape[:2], n + 2))
    sizes.scatter_add_(2, group, torch.ones_like(group))
    sizes[..., n + 1] = 0  # no real keys: a group without members, for frontiers that are short
    starts = sizes.cumsum(-1) - sizes
    asked = query.to(keys.device).float()
    line = direction(keys.shape[3], growth.seed).to(keys.device)[:-1]
    # A query reaches as far as the lifted keys: shorter, it would lie near the middle of all.
    radius = forest.longest.sqrt()[..., None]
    place = (asked / asked.norm(dim=-1, keepdim=True).clamp(min=1e-30)) @ line * radius
    sorted_places = forest.sort.gather(2, forest.order)
    best = asked.new_full((*asked.shape[:3], n_pages + 1), -torch.inf)
    frontier = torch.full_like(place[..., None], n, dtype=torch.long)
    while True:
        count, start = (_of_groups(x, frontier) for x in (sizes, starts))
        taken = (count * share).ceil().long()
        start = start + _nearest(sorted_places, start, count - taken, taken, place)
        spot, there = _ragged(start, taken)
        if not spot.shape[3]:
            return best[..., :n_pages]
        found = _of_groups(forest.order, spot)
        score = (_at(keys, found).float() @ asked[..., None])[..., 0]
        score = score.masked_fill(~there, -torch.inf)
        page = _of_groups(forest.page, found).masked_fill(~there, n_pages)
        best = best.scatter_reduce(3, page, score, "amax")
        top = score.topk(min(field_of_view, score.shape[3]), dim=-1)
        frontier = found.gather(3, top.indices).masked_fill(top.values == -torch.inf, n + 1)


def _of_all(forest: Forest, keys: Tensor, query: Tensor, n_pages: int) -> Tensor:
    """What `search` gives when it looks at every key."""
    score = (query.to(keys) @ keys.transpose(2, 3)).float()
    best = score.new_full((*score.shape[:3], n_pages + 1), -torch.inf)
    page = forest.page.masked_fill(forest.level < 0, n_pages)[:, :, None].expand_as(score)
    return best.scatter_reduce(3, page, score, "amax")[..., :n_pages]


def _of_groups(x: Tensor, index: Tensor) -> Tensor:
    """Entries of [B, H, n] at [B, H, g, m]."""
    return x.gather(2, index.flatten(2)).view(index.shape)


def _at(x: Tensor, index: Tensor) -> Tensor:
    """Entries [B, H, ..., D] of [B, H, n, D] at [B, H, ...]."""
    (n_rows, n_heads, n, n_channels), stride = x.shape, x.stride()
    if stride[2:] != (n_channels, 1) or stride[0] % n_channels or stride[1] % n_channels:
        return _at(x.contiguous(), index)
    # One list of all keys, whose rows are copied whole: ten times as fast as a gather.
    of_row, of_head = stride[0] // n_channels, stride[1] // n_channels
    n_all = (n_rows - 1) * of_row + (n_heads - 1) * of_head + n
    tail = [1] * (index.dim() - 2)
    row = torch.arange(n_rows, device=index.device).view(-1, 1, *tail) * of_row
    head = torch.arange(n_heads, device=index.device).view(1, -1, *tail) * of_head
    listed = x.as_strided((n_all, n_channels), (n_channels, 1))
    found = listed.index_select(0, (index + row + head).flatten())
    return found.view(*index.shape, n_channels)


def _nearest(places: Tensor, start: Tensor, room: Tensor, taken: Tensor, to: Tensor) -> Tensor:
    """How far to move the window of `taken` sorted members so that it holds those nearest `to`.

    Scanning outward from the query in both directions, as one bisection for each group.
    """
    low, high, last = torch.zeros_like(room), room.clone(), places.shape[2] - 1
    while bool((low < high).any()):
        middle = (low + high) // 2
        first = _of_groups(places, (start + middle).clamp(0, last))
        beyond = _of_groups(places, (start + middle + taken).clamp(0, last))
        onward = (low < high) & (to[..., None] - first > beyond - to[..., None])
        high = torch.where(onward, high, torch.where(low < high, middle, high))
        low = torch.where(onward, middle + 1, low)
    return low


def _ragged(start: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """The places of several runs in one row: [..., M] from [..., F], and which are there."""
    ends = count.cumsum(-1)
    here = torch.arange(int(ends[..., -1].max()), device=start.device)
    here = here.expand(*start.shape[:-1], -1).contiguous()
    run = torch.searchsorted(ends, here, right=True)
    there = run < start.shape[-1]
    run = run.clamp(max=start.shape[-1] - 1)
    spot = start.gather(-1, run) + here - (ends - count).gather(-1, run)
    return spot.masked_fill(~there, 0), there


def best_pages(scores: Tensor, k: int) -> Tensor:
    """The k pages with the highest scores, best first, -1 for none: [..., k] from [..., P]."""
    k = min(k, scores.shape[-1])
    top = scores.topk(k, dim=-1)
    return top.indices.masked_fill(top.values == -torch.inf, -1)


def interleaved(lists: Tensor, k: int) -> Tensor:
    """The first k different pages of g lists read in turn: [..., k] from [..., g, m].

    Every list's first, then every list's second, and so on; -1 is no page. Joining the lists
    end to end would starve the last ones.

    Examples
    --------
    >>> interleaved(torch.tensor([[5, 5, 2, 7], [2, 9, 5, -1]]), 3).tolist()  # doctest: +SKIP
    [5, 2, 9]
    """
    row = lists.transpose(-1, -2).flatten(-2)
    n_pages = max(int(row.max()) + 1 if row.numel() else 0, 1)
    turn = torch.arange(row.shape[-1], device=row.device).expand_as(row)
    late = row.shape[-1]
    first = torch.full((*row.shape[:-1], n_pages + 1), late, device=row.device)
    first = first.scatter_reduce(-1, row.masked_fill(row < 0, n_pages), turn, "amin")[..., :-1]
    early = first.topk(min(k, n_pages), dim=-1, largest=False, sorted=True)
    return early.indices.masked_fill(early.values == late, -1)


def keys_of(forest: Forest, pages: Tensor) -> tuple[Tensor, Tensor]:
    """The keys on `pages` [B, H, k], and which entries are there: two [B, H, k * size]."""
    known = pages >= 0
    count = forest.page_count.gather(2, pages.clamp(min=0)).masked_fill(~known, 0)
    start = forest.page_start.gather(2, pages.clamp(min=0))
    spot, there = _ragged(start, count)
    return forest.order.gather(2, spot), there
