"""Files that commands write: refused before the long work, not after it."""

import os
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
