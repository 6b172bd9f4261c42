"""Storage that takes new tokens without being copied for each of them."""

from __future__ import annotations

from memsieve.kv.extras import Tensor, torch

SHARE, LEAST = 1 / 32, 8


class Room:
    """Storage [B, H, m, ...] of which a tensor [B, H, n, ...] with n <= m is the front.

    While a gradient may be wanted nothing is written in place, since what has been attended to
    must then stay as it was.
    """

    def __init__(self) -> None:
        self._whole: Tensor | None = None
        self._front: Tensor | None = None  # what was given last

    def appended(self, held: Tensor, new: Tensor, spare: int) -> Tensor:
        """`held` [B, H, n, ...] with `new` [B, H, k, ...] behind it.

        In place where `held` is the front of this room and the room suffices; copied otherwise,
        into a room for `spare` tokens more, but no more than `SHARE` of what is held or `LEAST`.
        """
        n, end = held.shape[2], held.shape[2] + new.shape[2]
        if torch.is_grad_enabled() or not (spare or self.has(held)):
            self.clear()
            return torch.cat([held, new], dim=2)
        whole = self._whole
        if whole is None or not self.has(held) or end > whole.shape[2] or is_locked(whole):
            n_free = min(spare, max(LEAST, int(n * SHARE)))
            whole = held.new_empty((*held.shape[:2], end + n_free, *held.shape[3:]))
            whole.narrow(2, 0, n).copy_(held)
            self._whole = whole
        whole.narrow(2, n, end - n).copy_(new)
        self._front = whole.narrow(2, 0, end)
        return self._front

    def has(self, held: Tensor) -> bool:
        """Whether `held` is the front of this room."""
        whole = self._whole
        return held is self._front or (
            whole is not None
            and held.data_ptr() == whole.data_ptr()
            and held.stride() == whole.stride()
        )

    def clear(self) -> None:
        """Let go of the room."""
        self._whole = self._front = None


def is_locked(whole: Tensor) -> bool:
    """Whether it was made in inference mode, and may not be written to outside of it."""
    return bool(whole.is_inference()) and not torch.is_inference_mode_enabled()
