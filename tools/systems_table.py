"""Write the cards in docs/systems.md from the systems' own, so that page and program agree.

python tools/systems_table.py            # write it
python tools/systems_table.py --check    # exit 1 if it is not up to date
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from memsieve import registry
from memsieve.stages import Card

PAGE = Path(__file__).resolve().parents[1] / "docs" / "systems.md"
MARK = "<!-- From here on written by tools/systems_table.py from the systems' own cards. -->\n"
_QUESTIONS = ("unit", "written", "scored", "selected", "managed", "learns")


def page() -> str:
    """The whole page: what stands above the mark is kept."""
    return PAGE.read_text(encoding="utf-8").split(MARK)[0] + MARK + "".join(_cards())


def _cards() -> Iterator[str]:
    cards = [registry.card(name) for name in registry.BUILT_IN]
    yield "\n## Cards\n\n| | " + " | ".join(_QUESTIONS) + " |\n"
    yield "|---" * (len(_QUESTIONS) + 1) + "|\n"
    for card in cards:
        answers = (getattr(card, question) for question in _QUESTIONS)
        yield f"| `{card.name}` | " + " | ".join(map(_cell, answers)) + " |\n"
    for card in cards:
        if card.differences:
            yield from _differences(card)


def _differences(card: Card) -> Iterator[str]:
    yield f"\n### Where `{card.name}` departs\n\n{card.paper}.\n\n"
    for difference in card.differences:
        yield f"- {difference}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write the page, or tell whether it is up to date."""
    new = page()
    if "--check" in sys.argv[1:]:
        return int(new != PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
