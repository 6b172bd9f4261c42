"""Recall as of a moment of the past: what was known and held then."""

import pytest


@pytest.fixture
def shop(opened):
    """A shop that opens at nine, from February at ten, from March at eleven."""
    memory = opened(embedder="none")
    memory.add("The baker is next door.", at="2025-01-01", session="s")
    for at, hour in (("2025-01-01", "nine"), ("2025-02-01", "ten"), ("2025-03-01", "eleven")):
        memory.add(f"The shop opens at {hour}.", key="shop", at=at, metadata={"hour": hour})
    memory.add("The shop has a cat.", at="2025-02-15")
    return memory


def as_of(memory, at, **options):
    """The texts recalled as of a moment, in the order they were written."""
    found = memory.recall("When does the shop open, baker?", as_of=at, k=50, **options)
    return [hit.text for hit in sorted(found, key=lambda hit: hit.item.seq)]


def hours(memory, at, **options):
    """The last word of every shop's hour recalled as of a moment."""
    texts = as_of(memory, at, **options)
    return [text.split()[-1].rstrip(".") for text in texts if "opens" in text]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2024-12-31", []),
        ("2025-01-01", ["nine"]),
        ("2025-01-31T23:59:59Z", ["nine"]),
        ("2025-02-01", ["ten"]),
        ("2025-02-28T23:59:59Z", ["ten"]),
        ("2025-03-01", ["eleven"]),
        ("2100-01-01", ["eleven"]),
        ("9999-12-31T23:59:59.999999Z", ["eleven"]),
    ],
)
def test_as_of_gives_the_version_that_held_then(shop, at, expected):
    assert hours(shop, at) == expected
    assert hours(shop, None) == ["eleven"]
    assert shop.check() == []


def test_as_of_gives_nothing_that_was_said_later(shop):
    assert as_of(shop, "2025-01-15") == ["The baker is next door.", "The shop opens at nine."]
    assert "The shop has a cat." in as_of(shop, "2025-02-15")
    assert as_of(shop, "2024-01-01") == []


def test_as_of_is_the_clock_of_the_question(shop):
    shop.add("The shop was shut.", at="2025-01-20")
    found = shop.recall("What of the shop two weeks ago?", as_of="2025-02-03T10:00:00Z", k=1)
    assert found[0].text == "The shop was shut."
    hard = {"during": "last month", "window": "hard"}
    assert hours(shop, "2025-02-15", **hard) == []
    assert as_of(shop, "2025-02-15", **hard)[-1] == "The shop was shut."


def test_now_may_lie_before_as_of_and_bounds_what_was_said(shop):
    assert as_of(shop, "2025-02-20", now="2025-02-10") == [
        "The baker is next door.", "The shop opens at ten.",
    ]  # fmt: skip
    assert hours(shop, "2025-02-20", until="2025-01-15") == []


def test_a_second_counts_as_a_whole_for_versions_too(opened):
    memory = opened(embedder="none")
    memory.add("It opens at nine.", key="k", at="2025-01-01T10:00:00.200Z")
    memory.add("It opens at ten.", key="k", at="2025-01-01T10:00:00.700Z")
    memory.add("It opens at eleven.", key="k", at="2025-01-01T10:00:01Z")

    def at(second):
        return [hit.text for hit in memory.recall("opens", as_of=f"2025-01-01T{second}Z")]

    assert at("09:59:59") == []
    assert at("10:00:00") == at("10:00:00.9") == ["It opens at ten."]
    assert at("10:00:01") == ["It opens at eleven."]


def test_a_successor_said_earlier_replaces_when_it_was_written(opened):
    memory = opened(embedder="none")
    memory.add("The shop opens at nine.", key="shop", at="2025-03-01")
    memory.add("The shop opens at ten.", key="shop", at="2025-02-01")
    assert hours(memory, "2025-01-15") == []
    assert hours(memory, "2025-02-15") == ["ten"]
    assert hours(memory, "2025-03-15") == ["nine"]  # replaced at the moment of the test
    assert hours(memory, "2100-01-01") == ["ten"]


def test_one_version_holds_at_a_time_however_their_dates_lie(opened):
    memory = opened(embedder="none")
    for at, hour in (("2025-01-01", "nine"), ("2025-03-01", "ten"), ("2025-02-01", "eleven")):
        memory.add(f"The shop opens at {hour}.", key="shop", at=at)
    moments = ("2025-01-15", "2025-02-15", "2025-03-15", "2100-01-01")
    assert [hours(memory, at) for at in moments] == [["nine"], ["nine"], ["ten"], ["eleven"]]


def test_metadata_filters_the_version_that_held(shop):
    assert hours(shop, "2025-01-15", metadata={"hour": "nine"}) == ["nine"]
    assert hours(shop, "2025-01-15", metadata={"hour": "eleven"}) == []
    assert hours(shop, "2025-03-15", metadata={"hour": "nine"}) == []
    assert hours(shop, None, metadata={"hour": "nine"}) == []


def test_an_old_version_stands_in_the_place_of_its_successor(opened):
    memory = opened(embedder="none")
    said = ("Ask me.", "The shop opens at nine.", "Thank you.")
    for n, text in enumerate(said):
        memory.add(text, key=str(n), session="s", at="2025-01-01")
    memory.add("The shop opens at ten.", key="1", at="2025-02-01")
    found = memory.recall("When does the shop open?", as_of="2025-01-15", k=3, neighbours=1)
    assert {hit.text for hit in found} == set(said)
    assert found.context().split("\n")[1:] == list(said)


def test_what_was_forgotten_is_not_remembered_as_of_any_time(shop):
    assert hours(shop, "2025-01-15") == ["nine"]
    (living,) = shop.list(metadata={"hour": "eleven"})
    shop.forget(living.id)
    assert [hours(shop, at) for at in ("2025-01-15", "2025-02-15", None)] == [[], [], []]
    assert as_of(shop, "2025-01-15") == ["The baker is next door."]
    assert shop.check() == []


def test_forgetting_an_old_version_leaves_its_successor(shop):
    (ten,) = shop.list(metadata={"hour": "ten"}, with_superseded=True)
    shop.forget(ten.id)
    moments = ("2025-01-15", "2025-02-15", "2025-03-15")
    assert [hours(shop, at) for at in moments] == [[], [], ["eleven"]]


def test_what_another_object_writes_is_there_at_once(shop, opened):
    other = opened(embedder="none")
    assert hours(shop, "2025-01-15") == ["nine"]
    id_ = other.add("The shop opens at noon on Sundays.", key="sunday", at="2025-01-10")
    assert hours(shop, "2025-01-15") == ["nine", "Sundays"]
    other.add("The shop opens never on Sunday.", key="sunday", at="2025-04-01")
    assert hours(shop, "2025-01-15") == ["nine", "Sundays"]
    assert hours(shop, "2025-04-15") == ["eleven", "Sunday"]
    other.forget(id_)
    assert hours(shop, "2025-01-15") == ["nine"]
    assert hours(shop, "2025-04-15") == ["eleven", "Sunday"]


def test_what_another_process_writes_is_there_at_once(shop, elsewhere, database):
    assert hours(shop, "2025-01-15") == ["nine"]
    elsewhere(
        "import sys, memsieve\n"
        "with memsieve.open(sys.argv[1]) as memory:\n"
        "    memory.add('The shop opens at one.', key='shop', at='2025-05-01')\n"
        "    memory.add('The shop opens at two.', at='2025-01-02')\n",
        database,
    )
    assert hours(shop, "2025-01-15") == ["nine", "two"]
    assert hours(shop, "2025-03-15") == ["eleven", "two"]
    assert hours(shop, "2025-05-15") == ["one", "two"]


def test_moments_may_alternate_and_namespaces_too(shop):
    shop.add("The shop opens at six.", key="shop", at="2025-01-01", namespace="other")
    shop.add("The shop opens at seven.", key="shop", at="2025-02-01", namespace="other")
    for _ in range(2):
        assert hours(shop, "2025-01-15") == ["nine"]
        assert hours(shop, "2025-01-15", namespace="other") == ["six"]
        assert hours(shop, "2025-02-15") == ["ten"]
        assert hours(shop, None, namespace="other") == ["seven"]
    assert shop.stats()["loaded_bytes"].keys() == {"default", "other"}
