"""The synthetic conversations: the same every time, shaped like talk, with facts to be found."""

from collections import Counter
from itertools import islice, pairwise

import pytest

from memsieve.search.words import STOP_WORDS, words


@pytest.fixture(scope="module")
def module(bench):
    return bench("corpus")


@pytest.fixture(scope="module")
def turns(module):
    return list(module.Corpus(n_turns=3_000).turns())


def test_the_same_seed_gives_the_same_turns_and_questions(module, turns):
    again = module.Corpus(n_turns=3_000)
    assert list(again.turns()) == turns
    assert again.questions(20) == module.Corpus(n_turns=3_000).questions(20)


def test_another_seed_gives_others(module, turns):
    other = list(module.Corpus(n_turns=3_000, seed=1).turns())
    assert sum(a.text == b.text for a, b in zip(other, turns, strict=True)) == 0


def test_keys_are_unique_and_time_runs_forward_over_two_years(module, turns):
    assert len({turn.key for turn in turns}) == 3_000
    moments = [turn.at for turn in turns]
    assert moments == sorted(moments)
    assert 720 < (moments[-1] - moments[0]).days <= 730


def test_two_speakers_of_forty_talk_in_turns_through_sessions_of_twenty(module, turns):
    assert len({turn.speaker for turn in turns}) == len(module.NAMES) == 40
    for number in range(0, 3_000, 20):
        session = turns[number : number + 20]
        assert {turn.session for turn in session} == {f"s{number // 20}"}
        assert len({turn.speaker for turn in session}) == 2
        assert all(a.speaker != b.speaker for a, b in pairwise(session))


def test_words_occur_about_as_often_as_in_real_talk(turns):
    """The shares are those of the module's docstring, at three hundredths of the size."""
    spoken = [turn.text.lower().strip(".").replace(",", "").split() for turn in turns]
    lengths = [len(text) for text in spoken]
    assert 21 < sum(lengths) / len(lengths) < 24
    assert max(lengths) <= 41
    n_stop = sum(word in STOP_WORDS for text in spoken for word in text)
    assert n_stop / sum(lengths) == pytest.approx(0.5, abs=0.03)
    frequent = Counter(word for turn in turns for word in set(words(turn.text))).most_common()
    shares = [frequent[rank - 1][1] / len(turns) for rank in (1, 10, 100)]
    assert shares == pytest.approx([0.19, 0.10, 0.013], rel=0.25)


def test_every_planted_fact_stands_where_its_question_says(module, turns):
    corpus = module.Corpus(n_turns=3_000)
    by_key = {turn.key: turn for turn in turns}
    planted = [asked for asked in corpus.questions(200) if asked.evidence]
    assert len({asked.evidence for asked in planted}) == 100
    for asked in planted:
        turn = by_key[asked.evidence]
        assert turn.speaker in asked.question
        shared = set(words(turn.text)) & set(words(asked.question))
        assert 1 <= len(shared) <= 3, (turn.text, asked.question)


def test_topical_questions_have_four_to_twelve_words_and_no_known_answer(module):
    topical = module.Corpus(n_turns=3_000).questions(200)[1::2]
    assert {asked.evidence for asked in topical} == {None}
    lengths = {len(asked.question.split()) for asked in topical}
    assert min(lengths) == 5
    assert max(lengths) == 12


def test_later_turns_are_new_and_do_not_repeat(module, turns):
    corpus = module.Corpus(n_turns=3_000)
    first, second = corpus.later(50), corpus.later(50, skip=60)
    keys = {turn.key for turn in [*turns, *first, *second]}
    assert len(keys) == 3_100


def test_a_corpus_smaller_than_a_session_is_cut_and_its_facts_fit(module):
    corpus = module.Corpus(n_turns=7)
    assert [turn.key for turn in corpus.turns()] == [f"t{i}" for i in range(7)]
    assert len({asked.evidence for asked in corpus.questions(14)[::2]}) == 7


def test_a_large_corpus_begins_without_being_made_whole(module):
    assert len(list(islice(module.Corpus(n_turns=10**9).turns(), 3))) == 3
