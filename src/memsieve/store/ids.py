"""UUID version 7 (RFC 9562): ids that sort by the moment they were made."""

import os
import threading
import time

_lock = threading.Lock()
_last_ms = 0
_counter = 0


def new_ids(count: int) -> list[str]:
    """`count` fresh ids, ascending inside this process.

    48 bits of Unix milliseconds, 12 bits of a counter that starts anew each millisecond (a
    full counter borrows the next millisecond), 62 random bits.
    """
    global _last_ms, _counter
    noise = os.urandom(8 * count)
    found = []
    with _lock:
        now_ms = time.time_ns() // 1_000_000
        if now_ms > _last_ms:
            _last_ms, _counter = now_ms, 0
        for at in range(0, 8 * count, 8):
            tail = int.from_bytes(noise[at : at + 8], "big") >> 2
            found.append(_render(_last_ms, _counter, tail))
            _counter += 1
            if _counter > 0xFFF:
                _last_ms, _counter = _last_ms + 1, 0
    return found


def _render(ms: int, counter: int, tail: int) -> str:
    digits = f"{ms:012x}7{counter:03x}{(2 << 62) | tail:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
