"""One entry for several alike tokens: means of keys, turned to one place, and of values."""

from __future__ import annotations

from memsieve.errors import ParameterError
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.rotary import Rotary


def sums_by(x: Tensor, number: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Sums [B, H, n, D] of x [B, H, m, D] by number [B, H, m], and counts [B, H, n].

    Numbers lie in [0, n]; what has the number n is left out.
    """
    sums = x.new_zeros((*x.shape[:2], n + 1, x.shape[3]))
    sums.scatter_add_(2, number[..., None].expand(x.shape), x)
    counts = x.new_zeros(sums.shape[:3]).scatter_add_(2, number, torch.ones_like(number).to(x))
    return sums[:, :, :n], counts[:, :, :n]


def means_by(x: Tensor, number: Tensor, n: int) -> Tensor:
    """Means [B, H, n, D] by number, 0 where there is none; as `sums_by`."""
    sums, counts = sums_by(x, number, n)
    return sums / counts.clamp(min=1)[..., None]


def turned_to_middle(
    keys: Tensor, places: Tensor, number: Tensor, n: int, rotary: Rotary | None
) -> Tensor:
    """Keys [B, H, m, D] as if each stood at the middle place of its number; as `sums_by`.

    Means of keys at different places blur: what rotates fast cancels. Only differences of
    `places` [B, H, m] count. Without a rotary embedding keys stay as they are.
    """
    if rotary is None or not keys.shape[2]:
        return keys
    middle = means_by(places[..., None].double(), number, n)[..., 0].round().long()
    middle = torch.cat([middle, torch.zeros_like(middle[..., :1])], 2)
    return rotary.forward(keys, middle.gather(2, number) - places)


def pooled_on_grid(x: Tensor, grid: tuple[int, ...], window: tuple[int, ...]) -> Tensor:
    """Means over windows of tokens that lie on a grid: [..., m, D] from [..., prod(grid), D].

    A window that does not fit at the end of an axis is cut off. Keys and values pooled so stand
    for their tokens if log(tokens of a window) is added to the logit of each: exactly where a
    window is constant.

    Raises
    ------
    ParameterError
        If the tokens do not fill the grid, or grid and window differ in their axes.
    """
    n = x.shape[-2]
    if len(grid) != len(window) or torch.Size(grid).numel() != n:
        raise ParameterError(f"grid {grid} with window {window} does not hold {n} tokens")
    lead = x.shape[:-2]
    x = x.reshape(*lead, *grid, x.shape[-1])
    for axis, size in enumerate(window, len(lead)):
        fit = x.shape[axis] // size
        x = x.narrow(axis, 0, fit * size).unflatten(axis, (fit, size)).mean(axis + 1)
    return x.flatten(len(lead), -2)


def turned_channels(x: Tensor, by: Tensor, frequencies: Tensor, start: int = 0) -> Tensor:
    """x [..., n, D] turned by `by` [..., n] places, on 2 F channels from `start` on.

    The other channels are the same bits: with several axes (time, height, width) one is moved
    alone. Channels are paired by halves, as in most decoders; `frequencies` [F].
    """
    half = frequencies.shape[0]
    angle = by[..., None].to(frequencies) * frequencies
    cos, sin = angle.cos().to(x), angle.sin().to(x)
    first, second = x[..., start : start + half], x[..., start + half : start + 2 * half]
    out = x.clone()
    out[..., start : start + half] = first * cos - second * sin
    out[..., start + half : start + 2 * half] = second * cos + first * sin
    return out
