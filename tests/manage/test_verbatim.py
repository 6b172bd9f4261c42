"""Quotations: what stands in a text, what does not, and nothing twice."""

import pytest

from memsieve.manage.verbatim import quotes


@pytest.fixture
def items(opened):
    memory = opened(timeline="none")
    memory.add(
        [
            {"text": "I adopted a dog, his name is Rex.", "speaker": "Ana", "session": "s1"},
            {"text": "A dog!  What a\n party.", "speaker": "Tom", "session": "s1"},
            {"text": "The dog sees the vet.", "speaker": "Ana", "session": "s2"},
        ]
    )
    return memory.list()


def texts(found):
    return [quote.text for quote in found.quotes]


def test_parts_come_in_the_order_of_the_items_as_they_stand_there(items):
    found = quotes(["sees the vet", "his name is Rex."], items)
    assert texts(found) == ["his name is Rex.", "sees the vet"]
    assert [quote.item.session for quote in found.quotes] == ["s1", "s2"]
    assert (found.n_invented, found.n_repeated) == (0, 0)


def test_white_space_and_the_name_in_front_do_not_matter(items):
    found = quotes(["Tom: A dog! What a party.", "ana:  The dog"], items)
    assert texts(found) == ["A dog!  What a\n party.", "The dog"]


@pytest.mark.parametrize(
    "part",
    ["his name was Rex", "a par", "og, his", "", "  ", "Ana:", "name is Rex. A dog", "(a+)+$"],
)
def test_what_is_not_whole_words_of_one_item_is_dropped_and_counted(items, part):
    found = quotes([part], items)
    assert (found.quotes, found.n_invented) == ((), 1)


def test_nothing_is_given_twice(items):
    found = quotes(["his name", "his name", "his name is Rex", "name is"], items)
    assert texts(found) == ["his name is Rex"]
    assert found.n_repeated == 3
    assert found.n_invented == 0


def test_the_same_words_in_another_item_are_another_quotation(items):
    found = quotes(["dog", "dog", "dog", "dog"], items)
    assert texts(found) == ["dog", "dog", "dog"]
    assert len({quote.item.id for quote in found.quotes}) == 3
    assert found.n_repeated == 1
