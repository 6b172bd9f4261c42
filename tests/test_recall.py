"""What comes back from a recall: bounded, dated, explained, and honest about the rest."""

import pytest

import memsieve
from memsieve.recollection import render

TALK = [
    ("s1", "2026-03-02", "Ana", "I moved to Lisbon last spring."),
    ("s1", "2026-03-02", "Tom", "How is the weather over there?"),
    ("s1", "2026-03-02", "Ana", "Windy, and the hills are hard on my knees."),
    ("s2", "2026-04-10", "Tom", "My dog Bruno ran away on Tuesday."),
    ("s2", "2026-04-10", "Ana", "Poor Bruno! Did anybody find him?"),
    ("s2", "2026-04-10", "Tom", "A baker found the dog behind her oven."),
    ("s3", "2026-05-01", "Ana", "Lisbon is full of tourists, so I am moving to Porto."),
]


@pytest.fixture
def memory(tmp_path):
    with memsieve.open(tmp_path / "agent.db") as opened:
        for session, at, speaker, text in TALK:
            opened.add(text, session=session, at=at, speaker=speaker)
        yield opened


def test_the_best_evidence_comes_first(memory):
    assert memory.recall("Who found the dog?", k=1)[0].text == TALK[5][3]
    assert memory.recall("Where did Ana move in spring?", k=1)[0].text == TALK[0][3]


def test_a_context_is_in_time_order_under_the_date_of_each_session(memory):
    found = memory.recall("dog Lisbon", k=3)
    assert {hit.text for hit in found} >= {TALK[5][3]}
    dates = [line for line in found.context().split("\n") if line and ":" not in line]
    assert dates == sorted(dates, key=lambda line: ("March", "April", "May").index(line.split()[2]))
    lines = memory.recall("Bruno dog baker oven", k=2).context().split("\n")
    assert lines[0] == "Friday 10 April 2026"
    assert lines[1:] == [f"Tom: {TALK[3][3]}", f"Tom: {TALK[5][3]}"] or len(lines) == 3


@pytest.mark.parametrize("cite", [False, True])
@pytest.mark.parametrize("budget", [0, 1, 12, 20, 40, 80, 10_000])
def test_a_context_is_never_over_its_budget(memory, budget, cite):
    found = memory.recall("Where is the dog, and where is Ana?", budget_tokens=budget, cite=cite)
    assert found.tokens <= budget
    assert (len(found) == 0) == (budget < 20)


def test_the_room_of_a_budget_is_used(memory):
    found = memory.recall("Where is the dog, and where is Ana?", budget_tokens=10_000)
    assert len(found) == found.n_candidates
    assert not found.left_out


def test_a_counter_that_does_not_add_up_is_obeyed_all_the_same(tmp_path):
    # Counts a whole text 1.5 times its parts, as if joining lines cost tokens.
    def count(text):
        return len(text) if "\n" not in text else len(text) * 3 // 2

    with memsieve.open(tmp_path / "agent.db", count_tokens=count) as memory:
        for session, at, speaker, text in TALK:
            memory.add(text, session=session, at=at, speaker=speaker)
        for budget in (0, 60, 150, 300):
            found = memory.recall("Where is the dog, and where is Ana?", budget_tokens=budget)
            assert count(found.context()) <= budget
        assert len(found) >= 2


def test_both_bounds_hold_together(memory):
    assert len(memory.recall("dog Lisbon Ana Tom", k=2, budget_tokens=10_000)) == 2
    assert len(memory.recall("dog Lisbon Ana Tom", k=0)) == 0


def test_what_was_left_out_says_why(memory):
    found = memory.recall("Who found the dog?", budget_tokens=20)
    assert len(found.left_out) == len(found.reasons) > 0
    assert not set(found.ids) & {hit.id for hit in found.left_out}
    assert all("tokens" in reason for reason in found.reasons)


def test_the_reasons_of_a_hit_add_up_to_its_score(memory):
    for hit in memory.recall("Who found Tom's dog in April?"):
        assert sum(hit.why.values()) == pytest.approx(hit.score)


def test_numbered_lines_can_be_cited(memory):
    found = memory.recall("Who found the dog?", k=3, cite=True)
    line = next(line for line in found.context().split("\n") if "baker" in line)
    number = int(line.split("]")[0].removeprefix("["))
    assert found.cited(number).text == TALK[5][3]


def test_neighbours_come_along_if_asked(memory):
    alone = memory.recall("baker oven", k=3, budget_tokens=40)
    beside = memory.recall("baker oven", budget_tokens=40, neighbours=1)
    assert beside[0].text == alone[0].text == TALK[5][3]
    assert TALK[4][3] in [hit.text for hit in beside]


def test_neighbours_reach_as_far_as_the_windows_do(memory):
    with pytest.raises(memsieve.ParameterError, match="neighbours must be at most 3, got 4"):
        memory.recall("baker oven", neighbours=4)


def test_a_calendar_word_lifts_what_was_said_then(memory):
    assert memory.recall("What did they say about Lisbon in May 2026?", k=1)[0].text == TALK[6][3]


def test_sessions_are_ranked_as_wholes(memory):
    assert memory.recall("Who found the dog?").sessions[0].session == "s2"


def test_nothing_said_after_the_clock_of_the_question_is_recalled(memory):
    found = memory.recall("Lisbon Porto dog", now="2026-03-31")
    assert {hit.item.session for hit in found} == {"s1"}
    assert "s3" in {hit.item.session for hit in memory.recall("Lisbon", now="2026-05-01")}


@pytest.mark.parametrize(
    ("filters", "sessions"),
    [
        ({"speaker": "Tom"}, {"s1", "s2"}),
        ({"session": "s3"}, {"s3"}),
        ({"since": "2026-04-01"}, {"s2", "s3"}),
        ({"since": "2026-04-01", "until": "2026-05-01"}, {"s2"}),
        ({"speaker": "Tom", "since": "2026-04-01"}, {"s2"}),
        ({"speaker": "nobody"}, set()),
        ({"kind": "fact"}, set()),
    ],
)
def test_filters(memory, filters, sessions):
    found = memory.recall("dog Lisbon weather", **filters)
    assert {hit.item.session for hit in found} == sessions


def test_metadata_filters(memory):
    id_ = memory.add("The dog likes cheese.", metadata={"source": "vet", "visit": 3})
    assert memory.recall("dog", metadata={"visit": 3}).ids == (id_,)
    assert memory.recall("dog", metadata={"visit": 3, "source": "vet"}).ids == (id_,)
    assert len(memory.recall("dog", metadata={"visit": 4})) == 0


def test_an_empty_memory_recalls_nothing(tmp_path):
    with memsieve.open(tmp_path / "agent.db") as memory:
        found = memory.recall("Where does Ana live?")
        assert (len(found), found.context(), found.tokens, found.sessions) == (0, "", 0, ())


def test_a_memory_of_one_item(tmp_path):
    with memsieve.open(tmp_path / "agent.db") as memory:
        id_ = memory.add("The key is under the pot.", at="2026-01-05")
        found = memory.recall("Where is the key?", budget_tokens=50)
        assert found.ids == (id_,)
        assert found.context() == "Monday 5 January 2026\nThe key is under the pot."


def test_a_context_keeps_the_turns_of_a_day_together_when_sessions_cross(tmp_path):
    with memsieve.open(tmp_path / "agent.db") as memory:
        for minute, session in enumerate("abab"):
            at = f"2026-01-05T10:0{minute}:00"
            memory.add(f"the dog of {session} {minute}", session=session, at=at)
        lines = render(memory.recall("dog").hits).split("\n")
    heading = "Monday 5 January 2026"
    assert lines == [
        heading, "the dog of a 0", "the dog of a 2", "", heading, "the dog of b 1", "the dog of b 3"
    ]  # fmt: skip


def test_words_alone_find_it_without_an_embedder(tmp_path):
    with memsieve.open(tmp_path / "agent.db", embedder="none") as memory:
        id_ = memory.add("The key is under the pot.")
        assert memory.recall("key").ids == (id_,)
        assert len(memory.recall("cupboard")) == 0
