"""Where the fixture files and the real data sets of these tests lie."""

from pathlib import Path

import pytest


@pytest.fixture
def files():
    """The small files beside these tests, one per format, written by hand."""
    return Path(__file__).parent / "files"


@pytest.fixture
def write(tmp_path):
    """A function that writes one file and returns its path."""

    def written(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


@pytest.fixture(scope="session")
def shared_data():
    """The real data sets, which are not part of the project."""
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the data sets of ../shared/data are not here")
    return folder
