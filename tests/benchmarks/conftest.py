"""The scripts of benchmarks/ as modules; they import one another by their bare names."""

import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
NAMES = (
    "table",
    "machine",
    "corpus",
    "peers",
    "scale",
    "locomo_peers",
    "startup",
    "time_windows",
    "time_reading",
    "date_arithmetic",
    "policies",
    "a_mem",
    "memgas",
    "asking",
    "kv_decoding",
    "kv_record",
    "kv_gpu",
)


@pytest.fixture(scope="session")
def bench():
    """Gives a script by its name."""
    pytest.importorskip("psutil", reason="the benchmarks need the extra 'bench'")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        for name in NAMES:
            spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
            found[name] = importlib.util.module_from_spec(spec)
            patch.setitem(sys.modules, name, found[name])
            spec.loader.exec_module(found[name])
        yield found.__getitem__
