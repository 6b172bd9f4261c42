"""The examples of docs/formats.md, run as they stand there, and its table of formats."""

import doctest
import re
from pathlib import Path

import pytest

from memsieve.formats import FORMATS
from memsieve.formats.record import NAMES

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


def test_the_examples_of_the_page_give_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, PAGE.name, None, 0)
    assert doctest.DocTestRunner().run(example) == (0, len(example.examples))
    assert len(example.examples) > 5


def test_the_page_lists_every_format(page):
    assert sorted(re.findall(r"^\| `(\w+)` \| (?:a|Cha|Cla|the|BF)", page, re.MULTILINE)) == sorted(
        FORMATS
    )
    assert f"auto|{'|'.join(sorted(FORMATS))}]" in page


def test_the_page_lists_every_name_of_every_field(page):
    rows = dict(re.findall(r"^\| (\w+) \| (`[^|]*`) \|", page, re.MULTILINE))
    assert {field: tuple(re.findall(r"`(\w+)`", names)) for field, names in rows.items()} == NAMES
