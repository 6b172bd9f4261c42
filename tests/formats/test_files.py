import zipfile

import pytest

from memsieve.errors import FormatError, NotFoundError
from memsieve.formats.files import HEAD_BYTES, Part, chats, named, opened, peek, whole


@pytest.fixture
def zipped(tmp_path):
    """A function that writes a zip of the given names and contents."""

    def write(members, compression=zipfile.ZIP_DEFLATED):
        path = tmp_path / "export.zip"
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path

    return write


def test_a_single_file_is_its_own_part(write):
    path = write("any.json", "[]")
    assert chats(path) == [Part(path)]
    assert whole(Part(path)) == b"[]"


def test_the_numbered_parts_of_an_export_come_in_their_order(zipped):
    path = zipped(
        {
            "export/conversations-10.json": "[]",
            "export/conversations-2.json": "[]",
            "export/user.json": "{}",
            "export/shared_conversations.json": "[]",
            "__MACOSX/export/conversations.json": "",
        }
    )
    assert [part.name for part in chats(path)] == [
        "export.zip/export/conversations-2.json",
        "export.zip/export/conversations-10.json",
    ]


def test_an_unpacked_export_is_read_like_the_zip(write, tmp_path):
    for name in ("conversations-001.json", "conversations-000.json", "user.json"):
        write(f"export/{name}", name)
    assert [whole(part) for part in chats(tmp_path / "export")] == [
        b"conversations-000.json",
        b"conversations-001.json",
    ]
    assert peek(tmp_path / "export") == b"conversations-000.json"


def test_a_zip_is_told_by_its_content_and_not_by_its_name(zipped, tmp_path):
    path = zipped({"conversations.json": "[1]"}).rename(tmp_path / "download")
    assert [whole(part) for part in chats(path)] == [b"[1]"]
    assert peek(path) == b"[1]"


def test_a_zip_without_chats_is_refused(zipped):
    with pytest.raises(FormatError, match=r"export\.zip holds no conversations\.json"):
        peek(zipped({"photos/cat.jpg": "..."}))


def test_a_folder_without_chats_is_refused(tmp_path):
    with pytest.raises(FormatError, match=r"holds no conversations\.json"):
        chats(tmp_path)
    assert peek(tmp_path) == b""


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_zip_that_was_cut_short_is_called_damaged(keep, zipped):
    path = zipped({"conversations.json": "[1]" * 1000})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(FormatError, match=r"export\.zip is a damaged zip"):
        chats(path)


def test_a_zip_with_a_flipped_byte_is_called_damaged(zipped):
    path = zipped({"conversations.json": "[1]" * 1000}, zipfile.ZIP_STORED)
    raw = bytearray(path.read_bytes())
    raw[200] ^= 1
    path.write_bytes(raw)
    with pytest.raises(FormatError, match=r"export\.zip is a damaged zip: Bad CRC-32"):
        whole(chats(path)[0])


def test_a_zip_with_a_password_is_called_locked(zipped):
    path = zipped({"conversations.json": "[1]"})
    raw = bytearray(path.read_bytes())
    central = raw.index(b"PK\x01\x02")
    raw[6] |= 1  # the flag of encryption, in the member's header and in the directory
    raw[central + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(FormatError, match=r"export\.zip cannot be unpacked: .*password"):
        whole(chats(path)[0])


def test_named_files_come_by_name_and_folders_are_left_out(write, tmp_path):
    for name in ("b.json", "a.json", "c.txt", "d.json/inner.txt"):
        write(name, "")
    assert [part.name for part in named(tmp_path, "*.json")] == ["a.json", "b.json"]


def test_peek_reads_no_more_than_the_head(write):
    assert len(peek(write("long.txt", b"x" * (HEAD_BYTES + 1)))) == HEAD_BYTES


def test_a_file_that_went_away_is_not_found(tmp_path):
    with pytest.raises(NotFoundError, match="no such file"), opened(Part(tmp_path / "gone")):
        pass


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    with pytest.raises(FormatError, match="is a folder: name one file"):
        whole(Part(tmp_path))
