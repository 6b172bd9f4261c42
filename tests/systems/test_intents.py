"""The router of MemFlow: seven intents, three layers, and its rule for temporal questions."""

import json
import logging
from collections import Counter
from pathlib import Path

import pytest

from memsieve.errors import EndpointError
from memsieve.llm import Model
from memsieve.systems.intents import TIER_OF, Intent, Tier, by_keywords, named, route

LOCOMO = Path(__file__).parents[3] / "shared" / "data" / "locomo" / "dev.json"
TABLE = {
    Intent.PROFILE: (
        "What is my name?",
        "What's my favourite food?",
        "Tell me my job.",
        "What are my hobbies?",
        "What do I like?",
        "Am I allergic to nuts?",
        "What does the user prefer?",
        "Do you know the user's birthday?",
        "What do I do for a living?",
        "Wie heiße ich?",
    ),
    Intent.TEMPORAL: (
        "When did Ana move to Lisbon?",
        "How long did the trip take?",
        "How many days passed between the exam and the party?",
        "How many months did the course last?",
        "What date was the concert?",
        "What time does the train leave?",
        "Since when has Tom been a vegetarian?",
        "Which month did she start in?",
        "Can you say how long ago they met?",
        "Wann ist Ana umgezogen?",
    ),
    Intent.STATE: (
        "Where do I live now?",
        "Who is currently the head of the team?",
        "What is the latest price of the boat?",
        "Does Tom still own the van?",
        "Where did we used to swim?",
        "Which phone do I have now?",
        "Is the shop still open?",
        "What is Ana currently reading?",
        "Which of the two bikes is the latest?",
        "Wo wohne ich jetzt?",
    ),
    Intent.CONFLICT: (
        "Who changed the plan?",
        "Did we order tea instead of coffee?",
        "Do Ana and Tom contradict each other?",
        "Was it actually Ben that called?",
        "Where was the office before and where is it now?",
        "What has changed in the contract?",
        "Which statements contradicted the report?",
        "Did she actually sell the car?",
        "Which colour did they take instead of blue?",
        "Was wurde am Vertrag geändert?",
    ),
    Intent.SUMMARY: (
        "Summarise the talks about the garden.",
        "Please summarize our trip.",
        "Give me an overview of the project.",
        "Tell me everything about Rex.",
        "List all books that Ana read.",
        "How many times did they meet?",
        "I need an overview.",
        "Everything about the boat, please.",
        "Can you list all the guests?",
        "Fasse den Urlaub zusammen.",
    ),
    Intent.CONSTRAINT: (
        "Are dogs allowed in the yard?",
        "What must a visitor wear?",
        "Which rule applies to bikes?",
        "Is there a policy on gifts?",
        "Should I pay in cash?",
        "What is the limit for parcels?",
        "Who is allowed to sign?",
        "What are the rules of the pool?",
        "Must the door be locked?",
        "Ist Parken im Hof erlaubt?",
    ),
    Intent.TARGETED: (
        "What is the name of Ana's dog?",
        "Who painted the blue door?",
        "Where did Tom buy the lamp?",
        "Which book did she lend to Ben?",
        "Why was the meeting moved?",
        "What colour is the kettle?",
        "Who called about the invoice?",
        "What did the doctor say?",
        "How did Ana get home from the fair?",
        "Wer hat die Lampe gekauft?",
    ),
}


@pytest.mark.parametrize(
    ("intent", "question"),
    [(intent, question) for intent, questions in TABLE.items() for question in questions],
)
def test_the_table_of_the_router(intent, question):
    found = route(question)
    layer = "keywords" if intent is Intent.TARGETED else "rules"
    assert (found.intent, found.layer, found.calls) == (intent, layer, 0)
    assert found.tier == TIER_OF[intent]


def test_the_table_has_ten_questions_for_each_of_seven_intents():
    assert {intent: len(set(questions)) for intent, questions in TABLE.items()} == dict.fromkeys(
        Intent, 10
    )
    assert Counter(TIER_OF.values()) == {Tier.PROFILE: 1, Tier.TARGETED: 2, Tier.DEEP: 4}


def test_a_speaker_that_is_named_has_a_profile_as_the_user_has():
    names = ["Ana Maria", "Tom"]
    assert route("What is Ana's job?", names=names).intent is Intent.PROFILE
    assert route("What does Tom like?", names=names).intent is Intent.PROFILE
    assert route("What is the name of Ana's dog?", names=names).intent is Intent.TARGETED
    assert route("What is Ana's job?").intent is Intent.TARGETED


def test_a_rule_costs_no_call_and_everything_else_one(spoken):
    chat = spoken("state-tracking")
    model = Model(chat)
    assert route("When did Ana move?", model).calls == 0
    assert chat.prompts == []
    found = route("Whose turn is it?", model)
    assert (found.intent, found.layer, found.calls) == (Intent.STATE, "model", 1)
    (prompt,) = chat.prompts
    assert prompt.endswith("Question: Whose turn is it?")
    assert all(str(intent) in prompt for intent in Intent)


@pytest.mark.parametrize(
    ("written", "intent"),
    [
        ("TEMPORAL-REASONING", Intent.TEMPORAL),
        ("It is a Summarization? No: broad-summarization", Intent.SUMMARY),
        ("state-tracking, not temporal", Intent.STATE),
        ("profile", Intent.PROFILE),
        ("statement", None),
        ("", None),
    ],
)
def test_the_first_tag_in_what_a_model_wrote_counts(written, intent):
    assert named(written) is intent


@pytest.mark.parametrize("written", ["banana banana", "{", "?!", "\n"])
def test_a_model_that_writes_garbage_leaves_it_to_the_keywords(written, caplog, spoken):
    with caplog.at_level(logging.WARNING, logger="memsieve.systems.intents"):
        found = route("What is required of current members?", Model(spoken(written), repairs=0))
    assert (found.intent, found.layer, found.calls) == (Intent.TARGETED, "keywords", 1)
    assert "named no intent" in caplog.text


def test_a_model_that_cannot_be_reached_leaves_it_to_the_keywords_and_is_logged(caplog, spoken):
    model = Model(spoken(EndpointError("no answer")))
    with caplog.at_level(logging.WARNING, logger="memsieve.systems.intents"):
        found = route("Is a permission required?", model)
    assert (found.intent, found.layer, found.calls) == (Intent.CONSTRAINT, "keywords", 1)
    assert "no answer" in caplog.text


def test_two_rules_that_match_are_none_and_a_tie_goes_to_the_heavier_tier():
    found = route("When did I move, and where do I live now?")
    assert (found.intent, found.layer) == (Intent.TARGETED, "keywords")
    assert (set(found.rivals), found.tier) == ({Intent.TEMPORAL, Intent.STATE}, Tier.DEEP)
    assert by_keywords("xyzzy") == (Intent.TARGETED, ())
    assert by_keywords("What is the current, the latest price this year?")[0] is Intent.STATE


# The rule for temporal questions on real ones


@pytest.fixture(scope="module")
def fired():
    """By category of LoCoMo's questions: how often the rule fires, and of how many."""
    if not LOCOMO.exists():
        pytest.skip("LoCoMo is not here")
    counts = {category: [0, 0] for category in (1, 2, 3, 4, 5)}
    for sample in json.loads(LOCOMO.read_text(encoding="utf-8")):
        for asked in sample["qa"]:
            found = route(asked["question"])
            counts[asked["category"]][1] += 1
            counts[asked["category"]][0] += (found.intent, found.layer) == (
                Intent.TEMPORAL,
                "rules",
            )
    return {category: tuple(pair) for category, pair in counts.items()}


def test_the_temporal_rule_on_the_five_conversations_for_development(fired):
    # All ten have 275/321 temporal, 6/282 multi-hop, 0/96 open, 21/841 single, 8/446 adversarial.
    assert fired == {2: (140, 156), 1: (4, 142), 3: (0, 46), 4: (8, 418), 5: (3, 237)}


def test_its_precision_and_recall_are_near_those_of_all_ten(fired):
    precision = fired[2][0] / sum(n for n, _ in fired.values())
    recall = fired[2][0] / fired[2][1]
    assert precision == pytest.approx(0.887, abs=0.02)
    assert recall == pytest.approx(0.857, abs=0.05)
