"""Write corpus/dated: conversations in which the same things happen on many days.

    python tools/dated_corpus.py

Generated from word lists, always the same. Nothing but the date tells the turns of one kind apart,
and a good part of them is told later than it happened: from these a policy learns what a date in a
question is worth, and that the day of telling is not the day of the event.
"""

import json
import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "corpus" / "dated"
N_SCOPES = 16
N_DAYS = 46
PEOPLE = (
    ("Ana", "Tom"), ("Ida", "Ben"), ("Mira", "Leo"), ("Noor", "Max"), ("Eva", "Jon"),
    ("Lena", "Paul"), ("Rosa", "Karl"), ("Tara", "Finn"),
)  # fmt: skip
# What is done, in the past and as a question asks for it, and the details that differ.
DOINGS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("ran {} by the river", "How far did {who} run by the river {when}?",
     ("four kilometres", "seven kilometres", "nine kilometres", "twelve kilometres", "a mile")),
    ("cooked {} for the neighbours", "What did {who} cook for the neighbours {when}?",
     ("lentil soup", "a fish pie", "dumplings", "paella", "an onion tart")),
    ("watched {} at the old cinema", "Which film did {who} see at the old cinema {when}?",
     ("a western", "a silent film", "a thriller", "a cartoon", "a film about bees")),
    ("met {} at the station", "Whom did {who} meet at the station {when}?",
     ("my cousin", "the piano teacher", "an old schoolmate", "our landlord", "two nurses")),
    ("bought {} at the flea market", "What did {who} buy at the flea market {when}?",
     ("a brass lamp", "a chess set", "three records", "a raincoat", "a globe")),
    ("repaired {} in the shed", "What was repaired in the shed by {who} {when}?",
     ("the bicycle", "a chair", "the radio", "a kite", "the lawn mower")),
    ("took the children to {}", "Where did {who} take the children {when}?",
     ("the zoo", "the lake", "a puppet show", "the swimming pool", "the library")),
    ("read {} in one evening", "Which book did {who} finish in one evening {when}?",
     ("a crime novel", "a book of poems", "a history of salt", "a travel diary", "a comic")),
)  # fmt: skip
CHAT = (
    "How are things over there?", "Sounds good to me.", "Ha, I can picture that!",
    "And did you enjoy it?", "We should do that together some day.", "Oh, how nice.",
    "I am tired today, to be honest.", "The weather is a mess again.", "Say hello to everybody.",
    "You always find something to do.", "Tell me more when we meet.", "I have to run, talk soon.",
)  # fmt: skip
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December")  # fmt: skip


def spelled(day: date) -> str:
    """'3 May 2024'."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def told(doing: str, happened: date, said: date, rng: random.Random) -> str:
    """A sentence of the speaker who did it, as people put the day."""
    days = (said - happened).days
    if days == 0:
        lead = rng.choice(
            ("Today I {}.", "This morning I {}.", "I {} today.", "I {} a moment ago.")
        )
    elif days == 1:
        lead = rng.choice(("Yesterday I {}.", "I {} yesterday."))
    elif days < 7:
        lead = f"Last {happened:%A} I {{}}."
    else:
        lead = rng.choice((f"On {spelled(happened)} I {{}}.", f"I {{}} on {spelled(happened)}."))
    return lead.format(doing)


def scope(number: int) -> dict[str, Any]:
    """One conversation with its questions."""
    rng = random.Random(number)
    people = PEOPLE[number % len(PEOPLE)]
    doings = rng.sample(DOINGS, 4)
    start = date(2022 + number % 3, 1 + number % 5, 3)
    turns: list[dict[str, Any]] = []
    events: list[tuple[str, str, date, str]] = []
    for n in range(N_DAYS):
        said = start + timedelta(days=7 * n + rng.randrange(5))
        who, other = rng.sample(people, 2)
        form, question, details = rng.choice(doings)
        happened = said - timedelta(days=rng.choice((0, 0, 1, 3, 5, rng.randrange(20, 60))))
        sentence = told(form.format(rng.choice(details)), happened, said, rng)
        lines = [(other, rng.choice(CHAT)), (who, sentence), (other, rng.choice(CHAT))]
        for place, (speaker, text) in enumerate(lines):
            turns.append({"id": f"{n}:{place}", "session": str(n), "speaker": speaker, "text": text,
                          "at": f"{said.isoformat()}T{9 + place}:00:00"})  # fmt: skip
        events.append((who, question, happened, f"{n}:1"))
    return {"id": f"dated-{number}", "turns": turns, "questions": asked(events, rng)}


def asked(events: list[tuple[str, str, date, str]], rng: random.Random) -> list[dict[str, Any]]:
    """Questions that name a day or a month in which one thing, or two, of the kind happened."""
    found = []
    for who, question, day, _key in rng.sample(events, 14):
        alike = [(d, k) for w, q, d, k in events if (w, q) == (who, question)]
        if rng.random() < 0.6:
            when, gold = f"on {spelled(day)}", [k for d, k in alike if d == day]
        else:
            month = (day.year, day.month)
            when = f"in {MONTHS[day.month - 1]} {day.year}"
            gold = [k for d, k in alike if (d.year, d.month) == month]
        found.append({"question": question.format(who=who, when=when), "evidence": gold,
                      "category": "temporal"})  # fmt: skip
    return found


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for number in range(N_SCOPES):
        text = json.dumps(scope(number), indent=1, ensure_ascii=False)
        (FOLDER / f"dated-{number:02}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
