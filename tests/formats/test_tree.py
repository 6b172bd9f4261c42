from hypothesis import given
from hypothesis import strategies as st

from memsieve.formats.tree import current, depth_first, path_to

# a - b - c      (b answered again by d, which leads to e)
#       \ d - e
EDITED = {"a": None, "b": "a", "c": "b", "d": "b", "e": "d"}


def test_the_path_leads_from_the_start_to_the_leaf():
    assert path_to(EDITED, "c") == ["a", "b", "c"]
    assert path_to(EDITED, "e") == ["a", "b", "d", "e"]


def test_there_is_no_path_to_a_message_that_is_not_there():
    assert path_to(EDITED, "z") == path_to(EDITED, None) == []


def test_a_circle_of_parents_is_walked_once():
    assert path_to({"a": "b", "b": "a"}, "b") == ["a", "b"]
    assert current({"a": "b", "b": "a"}, "b") == ["a", "b"]


def test_the_current_branch_is_the_one_that_leads_to_the_leaf():
    assert current(EDITED, "c") == ["a", "b", "c"]
    assert current(EDITED, "e") == ["a", "b", "d", "e"]


def test_of_branches_without_a_leaf_the_last_stays():
    assert current(EDITED, None) == ["a", "b", "d", "e"]


def test_a_first_message_that_was_edited_is_replaced_by_its_new_version():
    assert current({"a": "root", "b": "a", "c": "root", "d": "c"}, "d") == ["c", "d"]


def test_what_answers_a_lost_message_stays():
    assert current({"a": None, "b": "a", "c": "lost", "d": "c"}, "d") == ["a", "b", "c", "d"]


def test_messages_that_answer_nothing_all_stay():
    assert current({"a": "root", "b": "root", "c": "root"}, "c") == ["a", "b", "c"]


def test_depth_first_lists_every_branch_after_its_question():
    assert depth_first(EDITED) == ["a", "b", "c", "d", "e"]
    assert depth_first({"c": "b", "b": None, "x": "lost"}) == ["b", "c", "x"]


@given(st.lists(st.integers(0, 30), max_size=30))
def test_in_a_tree_without_gaps_the_current_branch_is_the_path_to_the_last_message(answered):
    parents = {"0": None}
    for number, to in enumerate(answered, 1):
        parents[str(number)] = str(to % number)
    last = str(len(answered))
    assert set(current(parents, last)) == set(path_to(parents, last))
    assert sorted(depth_first(parents)) == sorted(parents)
