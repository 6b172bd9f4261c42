"""Files that commands write: refused before the long work, and whole when they appear."""

import os
import uuid
from collections.abc import Sequence
from pathlib import Path

from memsieve.errors import StoreAccessError


def require_room(files: Sequence[str | None], folder: str | None = None) -> None:
    """Fail before the long work, not after it; None and - name no file.

    Raises
    ------
    StoreAccessError
        If a file or the folder cannot be written where it is to be.
    """
    wanted = [(Path(file), False) for file in files if file is not None and file != "-"]
    for place, is_folder in [*wanted, *([(Path(folder), True)] if folder else [])]:
        if not os.access(place.absolute().parent, os.W_OK):
            raise StoreAccessError(f"cannot write {place}: its folder is missing or read-only")
        if place.exists() and place.is_dir() is not is_folder:
            raise StoreAccessError(
                f"cannot write {place}: it is {'a file' if is_folder else 'a folder'}"
            )


def write_whole(target: Path, text: str) -> None:
    """Write a file that appears under its name only when it is complete.

    Raises
    ------
    StoreAccessError
        If it cannot be written; what stood there before stays.
    """
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        raise StoreAccessError(f"cannot write {target}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
