"""The stores under measurement keep one contract: they find, they persist, they name what lacks."""

import pytest

from memsieve.types import Message


@pytest.fixture(scope="module")
def peers(bench):
    return bench("peers")


@pytest.fixture(params=["memsieve", "fts5", "sqlite-vec+fts5", "lancedb", "chroma"])
def kind(request, peers):
    kind = peers.PEERS[request.param]
    if reason := kind.missing():
        pytest.skip(reason)
    return kind


TURNS = [
    Message("I moved to Lisbon last spring.", speaker="Ana", session="s1", key="t0"),
    Message("My studio faces the river.", speaker="Ana", session="s1", key="t1"),
    Message("We adopted a puppy, he is called Bolt.", speaker="Ben", session="s2", key="t2"),
]


def test_finds_what_was_added_in_bulk_and_singly_and_after_opening_again(kind, tmp_path):
    store = kind(tmp_path)
    store.add_many(TURNS[:2])
    store.add(TURNS[2])
    assert store.search("Which puppy did Ben adopt?", 1) == [("t2", TURNS[2].text)]
    store.close()
    again = kind(tmp_path)
    best, *_ = again.search("the studio at the river", 2)
    assert best == ("t1", TURNS[1].text)
    again.close()


def test_gives_no_more_than_was_asked_for(kind, tmp_path):
    store = kind(tmp_path)
    store.add_many(TURNS)
    assert len(store.search("Ana and Ben, the puppy, the river, Lisbon", 2)) == 2
    store.close()


def test_a_question_of_stop_words_alone_is_still_a_query(peers, tmp_path):
    assert peers._any_word("What is it?") == '"what" OR "is" OR "it"'
    assert peers._any_word('What is "Bolt" like? bolt!') == '"bolt" OR "like"'


def test_rank_fusion_of_the_paper_by_hand(peers):
    """1/61 + 1/62 for 1, 1/63 + 1/61 for 3, 1/62 for 2."""
    assert peers.fused([[1, 2, 3], [3, 1]]) == [1, 3, 2]


def test_a_peer_that_cannot_run_is_left_out_with_the_way_to_get_it(peers, monkeypatch):
    monkeypatch.setattr(peers.Chroma, "missing", lambda: "optional: pip install chromadb")
    names, skipped = peers.present(["memsieve", "chroma"])
    assert names == ["memsieve"]
    assert skipped == ["skipped chroma: optional: pip install chromadb"]
