"""The bytes behind a path: a file, the chats inside an export's zip, or a folder of files."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from memsieve.errors import FormatError, InputError, NotFoundError

if TYPE_CHECKING:  # zipfile costs 14 ms, which only a zip is worth
    from zipfile import ZipFile

HEAD_BYTES = 64 * 1024
_ZIP_MAGIC = b"PK\x03\x04"
# Large exports come in numbered parts: conversations-000.json, conversations-001.json, ...
_CHATS = re.compile(r"(?P<folder>.*/)?conversations(?:-(?P<part>\d+))?\.json", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """One file to read: `path` itself or, with `member`, one file inside the zip at `path`."""

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """What error messages call it."""
        return self.path.name if self.member is None else f"{self.path.name}/{self.member}"


def present(path: str | Path) -> Path:
    """`path` as a `Path`, known to exist.

    Raises
    ------
    NotFoundError
        If nothing is there.
    """
    path = Path(path)
    if not path.exists():
        raise NotFoundError(f"no such file or folder: {path}")
    return path


@contextmanager
def opened(part: Part) -> Iterator[BinaryIO]:
    """The bytes of `part`, and its troubles as errors of this project.

    Raises
    ------
    NotFoundError, InputError, FormatError
        If it is gone, cannot be read, or lies in a zip that is damaged or locked.
    """
    try:
        if part.member is None:
            with part.path.open("rb") as file:
                yield file
        else:
            with _unzipped(part.path, part.member) as file:
                yield file
    except FileNotFoundError:
        raise NotFoundError(f"no such file: {part.path}") from None
    except IsADirectoryError:
        raise FormatError(f"{part.path} is a folder: name one file") from None
    except OSError as error:
        raise InputError(f"{part.path} cannot be read: {error.strerror or error}") from error


def whole(part: Part) -> bytes:
    """All bytes of `part`."""
    with opened(part) as file:
        return file.read()


def chats(path: Path) -> list[Part]:
    """The parts of a data export, in order: `path` itself, or the chats in a zip or a folder.

    Raises
    ------
    FormatError
        If the zip or the folder holds no conversations.json.
    """
    if path.is_dir():
        parts = [Part(path / name) for name in _chats_among([p.name for p in path.iterdir()])]
    elif _head(Part(path), len(_ZIP_MAGIC)) == _ZIP_MAGIC:
        parts = [Part(path, name) for name in _chats_among(_members(path))]
    else:
        return [Part(path)]
    if not parts:
        raise FormatError(
            f"{path} holds no conversations.json: name the file that holds the conversations"
        )
    return parts


def named(folder: Path, pattern: str) -> list[Part]:
    """The files of `folder` whose names match the glob `pattern`, by name."""
    return [Part(file) for file in sorted(folder.glob(pattern)) if file.is_file()]


def peek(path: Path) -> bytes:
    """The first 64 KiB by which a format is told; of a folder or a zip, those of its first file."""
    if path.is_dir():
        parts = [Part(path / name) for name in _chats_among([p.name for p in path.iterdir()])]
        parts = parts or named(path, "*.json") or named(path, "*.jsonl")
    else:
        parts = chats(path)
    return _head(parts[0], HEAD_BYTES) if parts else b""


def _head(part: Part, n_bytes: int) -> bytes:
    with opened(part) as file:
        return file.read(n_bytes)


def _chats_among(names: list[str]) -> list[str]:
    found = [match for name in names if (match := _CHATS.fullmatch(name))]
    found = [match for match in found if not match.string.startswith("__MACOSX/")]
    found.sort(key=lambda match: (match["folder"] or "", int(match["part"] or -1)))
    return [match.string for match in found]


def _members(path: Path) -> list[str]:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except zipfile.BadZipFile as error:
        raise FormatError(f"{path} is a damaged zip: {error}") from error


@contextmanager
def _unzipped(path: Path, member: str) -> Iterator[BinaryIO]:
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(path) as archive, _member(archive, member) as file:
            yield file
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FormatError(f"{path} is a damaged zip: {error}") from error


def _member(archive: "ZipFile", member: str) -> BinaryIO:
    try:
        return cast(BinaryIO, archive.open(member))
    except RuntimeError as error:  # a password, or a compression that Python does not know
        raise FormatError(f"{archive.filename} cannot be unpacked: {error}") from error
