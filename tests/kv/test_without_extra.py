"""Without PyTorch the package imports, options can be made, and any use names the extra."""

import pytest

BLOCKED = """
import sys
sys.modules["torch"] = sys.modules["transformers"] = None
from memsieve import kv
from memsieve.errors import MissingExtraError
print(kv.SnapKV(64))
for use in (
    lambda: kv.MemoryCache(None, kv.H2O(8)),
    lambda: kv.enable(None).__enter__(),
    lambda: kv.archive.torch.arange(3),
):
    try:
        use()
    except MissingExtraError as error:
        print(error)
"""


def test_a_missing_extra_is_named_at_its_use_and_not_before(elsewhere):
    first, *errors = elsewhere(BLOCKED).splitlines()
    assert first.startswith("SnapKV(budget_tokens=64")
    said = "memory inside a model needs an optional dependency: pip install 'memsieve[kv]'"
    assert errors == [said] * 3


def test_nothing_else_of_the_package_loads_it(elsewhere):
    code = (
        "import sys, memsieve, memsieve.memory, memsieve.cli; print('memsieve.kv' in sys.modules)"
    )
    assert elsewhere(code) == "False"


@pytest.mark.torch
def test_what_is_offered_is_there():
    from memsieve import kv

    assert len(set(kv.__all__)) == len(kv.__all__)
    assert all(hasattr(kv, name) for name in kv.__all__)
