"""docs/systems.md says what the cards say."""

import runpy
from pathlib import Path

from memsieve import registry

ROOT = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "systems_table.py"))


def test_the_page_is_up_to_date():
    assert (ROOT / "docs" / "systems.md").read_text(encoding="utf-8") == TOOL["page"]()


def test_every_system_and_every_difference_stands_there():
    text = TOOL["page"]().split(TOOL["MARK"])[1]
    for name in registry.BUILT_IN:
        card = registry.card(name)
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
        assert len(row.replace("\\|", "").split("|")) == 9
        assert all(f"- {difference}\n" in text for difference in card.differences)
        assert card.paper in text or not card.differences
