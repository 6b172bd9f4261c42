"""Every block of the page about selection runs and prints what the page shows."""

import doctest
import inspect
import re
from pathlib import Path

from memsieve import select
from memsieve.select import Selector

PAGE = Path(__file__).resolve().parents[2] / "docs" / "select.md"


def test_the_page_about_selection_runs_as_written():
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted > 10
    assert result.failed == 0


def test_the_page_lists_every_method_with_its_options():
    written = re.findall(r"^\| `([A-Z]\w+)\((.*?)\)` \|", PAGE.read_text(encoding="utf-8"), re.M)
    exported = [getattr(select, name) for name in select.__all__]
    methods = {
        thing.__name__: ", ".join(
            str(option).replace(": 'Selector'", "").split(":")[0] + _default(option)
            for option in inspect.signature(thing).parameters.values()
        )
        for thing in exported
        if inspect.isclass(thing) and issubclass(thing, Selector) and not inspect.isabstract(thing)
    }
    assert dict(written) == methods


def _default(option):
    return "" if option.default is option.empty else f"={option.default!r}"
