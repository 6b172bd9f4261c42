"""What the code blocks of docstrings find in their namespace."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _path_of_a_new_memory(doctest_namespace: dict[str, Any], tmp_path: Path) -> None:
    doctest_namespace["path"] = tmp_path / "agent.db"
