"""Rewards against numbers worked by hand, from the paper's formulas and from the public code's."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsieve.errors import ParameterError
from memsieve.evaluate.metrics import budget_recall, ndcg, recall
from memsieve.learn.recall_rewards import budget_reward, ranking_reward
from memsieve.learn.rewards import (
    Drawn,
    Known,
    MemoryT1Reward,
    answer_reward,
    grounding_reward,
)
from memsieve.learn.task_scores import (
    duration_f1,
    options_exact,
    options_f1,
    order_f1,
    timestamp_score,
)
from memsieve.learn.time_rewards import (
    Event,
    Session,
    days_of,
    event_reward,
    fidelity_reward,
    gap_days,
    proximity_reward,
    temporal_reward,
    word_overlap,
)
from memsieve.types import Interval

APRIL = (date(2020, 4, 1), date(2020, 4, 9))
ASKED = Interval(datetime(2020, 4, 1, tzinfo=UTC), datetime(2020, 4, 10, tzinfo=UTC))
QUESTION = "Who went hiking and sketching in the park?"


def event(first, last, summary="went hiking and sketching in the park"):
    """An event of April 2020, from one day of it to another; None is unknown."""
    days = [day and date(2020, 4, day) for day in (first, last)]
    return Event(summary, *days)


def session(*utterances, id_="s", day=date(2020, 4, 2)):
    return Session(id_, day, utterances)


HIKE = session((event(1, 1),), id_="session_1")
FAR = session(
    (Event("bought a red bicycle", date(2020, 5, 20), date(2020, 5, 20)),),
    id_="session_2",
    day=date(2020, 5, 21),
)
KNOWN = Known(QUESTION, ASKED, (HIKE, FAR), frozenset({"session_1"}))


@pytest.mark.parametrize(
    ("gap", "reward"),
    [(0, 0.99863), (3, 0.97302), (6, 0.59659), (7, 0.25), (8, -0.09659), (14, -0.49863),
     (30, -0.5), (10**6, -0.5)],
)  # fmt: skip
def test_proximity_by_the_formula_of_the_paper(gap, reward):
    assert proximity_reward(gap) == pytest.approx(reward, abs=5e-6)


@pytest.mark.parametrize(
    ("share", "reward"),
    [(0, 1), (0.1, 0.23125), (0.5, 0.15674), (1, 0.06631), (2, -0.09659), (10, -0.48996),
     (10**6, -0.5)],
)  # fmt: skip
def test_proximity_of_the_code_goes_by_the_share_of_the_range(share, reward):
    for length in (1, 40):
        found = proximity_reward(share * length, "code", range_days=length)
        assert found == pytest.approx(reward, abs=5e-6)


def test_proximity_of_the_code_at_the_dates_worked_by_hand():
    length = (APRIL[1] - APRIL[0]).days
    assert length == 8
    for day, reward in ((date(2020, 4, 10), 0.22657), (date(2020, 5, 21), -0.39868)):
        found = proximity_reward(gap_days(day, APRIL), "code", range_days=length)
        assert found == pytest.approx(reward, abs=5e-6)
    assert proximity_reward(1, "code", range_days=0) == proximity_reward(1, "code", range_days=1)


@pytest.mark.parametrize("variant", ["paper", "code"])
@given(gaps=st.tuples(st.integers(0, 10**5), st.integers(0, 10**5)), length=st.integers(0, 10**4))
def test_proximity_never_rises_with_the_gap(variant, gaps, length):
    near, far = (proximity_reward(gap, variant, range_days=length) for gap in sorted(gaps))
    assert -0.5 <= far <= near <= 1


@pytest.mark.parametrize(
    ("day", "gap"), [(1, 0), (9, 0), (5, 0), (10, 1), (30, 21)],
)  # fmt: skip
def test_the_gap_is_counted_from_the_nearest_day(day, gap):
    assert gap_days(date(2020, 4, day), APRIL) == gap
    assert gap_days(date(2020, 3, 30), APRIL) == 2


def test_grounding_of_the_figure_in_the_paper():
    assert grounding_reward([16, 3, 1], [3]) == pytest.approx(-1 / 3)
    assert grounding_reward([16, 3, 1], [3], "code") == 0.5


@given(selected=st.sets(st.integers(0, 5)), gold=st.sets(st.integers(0, 5), min_size=1))
def test_grounding_is_one_for_the_same_set_only_and_minus_one_for_disjoint_sets_only(
    selected, gold
):
    for variant in ("paper", "code"):
        reward = grounding_reward(selected, gold, variant)
        assert -1 <= reward <= 1
        assert (reward == 1) == (selected == gold)
        assert (reward == -1) == selected.isdisjoint(gold)


def test_selecting_everything_pays_in_the_code_and_not_in_the_paper():
    everything, gold = range(20), [3]
    assert grounding_reward(everything, gold, "code") == 0.5
    assert grounding_reward(everything, gold) == pytest.approx(-0.9)
    assert grounding_reward([], []) == grounding_reward([], [], "code") == 1


@pytest.mark.parametrize(
    ("first", "last", "reward"),
    [(1, 9, 1), (3, 3, 1), (9, 20, 0.5), (1, 10, 0.5), (10, 12, -1), (6, 5, -1)],
)
def test_an_event_is_inside_or_touches_or_is_outside(first, last, reward):
    assert event_reward(APRIL, event(first, last).days()) == reward


def test_an_event_around_the_time_asked_about_is_partly_inside():
    assert event_reward(APRIL, (date(2020, 3, 1), date(2020, 5, 1))) == 0.5
    assert event_reward(APRIL[::-1], APRIL) == -1


def test_unknown_ends_of_an_event_are_open_in_the_paper_and_fixed_in_the_code():
    begun, ended = event(5, None), event(None, 5)
    assert begun.days() == (date(2020, 4, 5), date.max)
    assert begun.days("code") == (date(2020, 4, 5), date(2025, 8, 1))
    assert ended.days("code") == (date(2020, 1, 1), date(2020, 4, 5))
    assert event_reward(APRIL, begun.days()) == event_reward(APRIL, ended.days("code")) == 0.5
    # the code's last day comes before the first here, which makes the event inverted
    late = Event("", date(2025, 9, 1), None)
    asked = (date(2025, 1, 1), date(2025, 12, 31))
    assert event_reward(asked, late.days("code")) == -1
    assert event_reward(asked, late.days()) == 0.5


def test_fidelity_of_the_paper_averages_over_utterances_not_over_events():
    inside, outside, touching = event(2, 3), event(20, 21), event(8, 12)
    one = session((inside, outside, outside), (inside,))  # (1 - 1 - 1) / 3 and 1
    assert fidelity_reward([one], QUESTION, APRIL) == pytest.approx((-1 / 3 + 1) / 2)
    both = [one, session((touching,))]
    assert fidelity_reward(both, QUESTION, APRIL) == pytest.approx((-1 / 3 + 1 + 0.5) / 3)


def test_fidelity_of_the_code_averages_over_events_and_then_over_sessions():
    inside, outside, touching = event(2, 3), event(20, 21), event(8, 12)
    one = session((inside, outside, outside), (inside,))
    assert fidelity_reward([one], QUESTION, APRIL, "code") == pytest.approx(0)
    both = [one, session((touching,))]
    assert fidelity_reward(both, QUESTION, APRIL, "code") == pytest.approx(0.5 / 2)


def test_fidelity_of_the_code_weighs_by_the_overlap():
    # words: made dinner park friends; one of them in the question, the last of its five words
    weak = event(2, 3, "made dinner in the park with friends")
    weight = 1 / 4 + 0.2 * (1 - 4 / 5)
    assert word_overlap(weak.summary, QUESTION) == pytest.approx(weight)
    assert fidelity_reward([session((weak,))], QUESTION, APRIL, "code") == pytest.approx(weight)
    assert fidelity_reward([session((weak,))], QUESTION, APRIL) == 1


@pytest.mark.parametrize("variant", ["paper", "code"])
@pytest.mark.parametrize(
    "utterances",
    [
        (),
        ((),),
        ((event(2, 3, "bought a red bicycle"),),),
        # one of ten words, the last of the question's five: 0.1 + 0.2 * (1 - 4 / 5) < 0.2
        ((event(2, 3, "park one two three four five six seven eight nine"),),),
        ((event(None, None),),),
    ],
    ids=["no utterance", "no event", "nothing shared", "too little shared", "no date"],
)
def test_fidelity_is_nothing_where_nothing_speaks(variant, utterances):
    assert fidelity_reward([session(*utterances)], QUESTION, APRIL, variant) == 0
    assert fidelity_reward([], QUESTION, APRIL, variant) == 0


@pytest.mark.parametrize(
    ("summary", "question", "overlap"),
    [
        ("red blue", "blue red", 1.0),  # 1 + 0.3 + 0.1, cut
        # 2 of 4 words, in a row: 0.3 * 2 / 4; places 1 and 2 of 4: 0.2 * (1 - 1.5 / 4)
        ("one two three four", "zero two three nine", 0.5 + 0.15 + 0.125),
        # not in a row, a run of one: 0.3 * 1 / 4; places 0 and 2 of 3
        ("one two three four", "one nine three", 0.5 + 0.075 + 0.2 * (1 - 1 / 3)),
        ("one two three four", "one", 0.25 + 0.2),  # a single match has no run
        ("Rome", "ROME!", 1.0),
        ("red", "blue", 0.0),
        ("to be in it", "to be in it", 0.0),  # short words and stop words only
        ("the and with", "the and with", 0.0),
        ("red", "", 0.0),
    ],
)
def test_overlap_of_words_worked_by_hand(summary, question, overlap):
    assert word_overlap(summary, question) == pytest.approx(overlap)


def test_an_interval_is_read_in_days_of_its_own_clock():
    assert days_of(ASKED) == days_of(ASKED, "code") == APRIL
    west = timezone(timedelta(hours=-8))
    evening = datetime(2020, 4, 9, 21, tzinfo=west)
    assert days_of(Interval(evening, evening)) == (APRIL[1], APRIL[1])
    midnight = datetime(2020, 4, 9, tzinfo=west)
    assert days_of(Interval(midnight, midnight)) == (APRIL[1], APRIL[1])
    assert days_of(Interval(midnight, midnight + timedelta(hours=30)))[1] == date(2020, 4, 10)


def test_unknown_bounds_are_open_in_the_paper_and_fixed_in_the_code():
    anytime = Interval(None, None)
    assert days_of(anytime) == (date.min, date.max)
    assert days_of(anytime, "code") == (date(2020, 1, 1), date(2025, 8, 1))
    known = Known(QUESTION, anytime, (HIKE, FAR), frozenset({"session_2"}))
    for variant, inside in (("paper", 1.5 / (1 + np.exp(-7)) - 0.5), ("code", 1.0)):
        parts = MemoryT1Reward(variant=variant).parts(Drawn(("session_2",), 1.0), known)
        assert parts.proximity == pytest.approx(inside)
        assert parts.fidelity == 0
    since = Interval(datetime(2020, 5, 1, tzinfo=UTC), None)
    assert gap_days(HIKE.day, days_of(since)) == 29
    assert gap_days(FAR.day, days_of(since)) == 0


@pytest.mark.parametrize(
    ("drawn", "total"),
    [
        (Drawn(("session_1",), 1.0), 1.0),
        (Drawn(("session_1", "session_2"), 1.0), 0.780066),
        (Drawn(("session_2",), 1.0), 0.360132),
        (Drawn(("session_1",), 0.0), 0.4),
        (Drawn((), 1.0), 0.4),
        (Drawn((), parsed=False), -1.0),
    ],
)
def test_the_variant_of_the_code_gives_what_the_public_code_gives(drawn, total):
    assert MemoryT1Reward(variant="code").parts(drawn, KNOWN).total == pytest.approx(total)


def test_the_paper_s_variant_on_the_same_case_worked_by_hand():
    right = MemoryT1Reward().parts(Drawn(("session_1",), 1.0), KNOWN)
    assert (right.answer, right.grounding, right.fidelity) == (1, 1, 1)
    assert right.total == pytest.approx(0.8 + 0.2 * (0.5 * 0.99863 + 0.5), abs=1e-6)
    # 42 days away: R_s = (0.99863 - 0.5) / 2; R_f looks at relevant utterances only: 1
    both = MemoryT1Reward().parts(Drawn(("session_1", "session_2"), 1.0), KNOWN)
    assert both.proximity == pytest.approx(0.249315, abs=1e-5)
    assert both.temporal == pytest.approx(temporal_reward(both.proximity, 1.0))
    assert both.total == pytest.approx(0.6 + 0 + 0.2 * both.temporal)
    wrong = MemoryT1Reward().parts(Drawn(("session_1",), 0.0), KNOWN)
    assert wrong.total == pytest.approx(right.total - 1.2)
    none = MemoryT1Reward().parts(Drawn((), 1.0), KNOWN)
    assert (none.temporal, none.grounding) == (0, -1)
    assert none.total == pytest.approx(0.4)


def test_a_sample_that_does_not_parse_gets_the_penalty_alone():
    drawn = Drawn(("session_1",), 1.0, parsed=False)
    assert MemoryT1Reward().parts(drawn, KNOWN).total == -0.5
    assert MemoryT1Reward(variant="code", parse_failure=-0.2).parts(drawn, KNOWN).total == -0.2
    parts = MemoryT1Reward().parts(drawn, KNOWN)
    assert (parts.answer, parts.grounding, parts.temporal) == (0, 0, 0)


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_an_invented_session_dilutes_the_reward_of_time(variant):
    reward = MemoryT1Reward(variant=variant)
    alone = reward.parts(Drawn(("session_1",)), KNOWN)
    beside = reward.parts(Drawn(("session_1", "session_99")), KNOWN)
    assert beside.proximity == pytest.approx(alone.proximity / 2)
    # the paper's average runs over utterances, of which an invented session has none
    assert beside.fidelity == pytest.approx(alone.fidelity / (2 if variant == "code" else 1))
    assert beside.grounding == (0.5 if variant == "code" else 0)
    assert reward.parts(Drawn(("session_99",)), KNOWN).temporal == 0


def test_a_session_named_twice_counts_twice_in_the_code_only():
    twice = Drawn(("session_1", "session_1", "session_2"))
    once = Drawn(("session_1", "session_2"))
    assert MemoryT1Reward().parts(twice, KNOWN) == MemoryT1Reward().parts(once, KNOWN)
    code = MemoryT1Reward(variant="code")
    assert code.parts(twice, KNOWN).proximity == pytest.approx((1 + 1 - 0.398680) / 3, abs=1e-5)
    assert code.parts(twice, KNOWN).fidelity == pytest.approx(2 / 3)


def test_the_weights_make_the_ablations():
    drawn = Drawn(("session_1", "session_2"), 0.5)
    parts = MemoryT1Reward().parts(drawn, KNOWN)
    assert MemoryT1Reward((1, 0, 0)).parts(drawn, KNOWN).total == 0.5
    assert MemoryT1Reward((0, 1, 0)).parts(drawn, KNOWN).total == parts.grounding
    assert MemoryT1Reward((0, 0, 1)).parts(drawn, KNOWN).total == parts.temporal
    assert (answer_reward(0.0), answer_reward(0.0, "code"), answer_reward(1)) == (-1, 0, 1)


@pytest.mark.parametrize(
    ("build", "rule"),
    [
        (lambda: MemoryT1Reward((0.5, 0.5)), r"MemoryT1Reward\.weights must be three numbers"),
        (lambda: MemoryT1Reward((1, 1, -1)), r"MemoryT1Reward\.weights must be three numbers"),
        (lambda: MemoryT1Reward((1, 1, float("nan"))), r"MemoryT1Reward\.weights must"),
        (lambda: MemoryT1Reward(variant="thesis"), "variant must be paper or code, got 'thesis'"),
        (lambda: MemoryT1Reward(parse_failure=float("inf")), "parse_failure must be finite"),
        (lambda: answer_reward(1.5), r"score must be in \[0, 1\], got 1.5"),
        (lambda: proximity_reward(-1), "gap_days must be >= 0, got -1"),
        (lambda: proximity_reward(1, "thesis"), "variant must be paper or code"),
        (lambda: grounding_reward([1], [2], "thesis"), "variant must be paper or code"),
        (lambda: days_of(ASKED, "thesis"), "variant must be paper or code"),
        (lambda: Session("s", datetime(2020, 4, 1, tzinfo=UTC)), r"Session\.day must be a date"),
        (lambda: Session("s", None), r"Session\.day must be a date"),
        (lambda: Event("e", None, "2020-04-01"), r"Event\.last must be a date"),
    ],
)
def test_rejects_what_has_no_reward(build, rule):
    with pytest.raises(ParameterError, match=rule):
        build()


@pytest.mark.parametrize(
    ("answer", "gold", "f1", "exact"),
    [
        ("A", "A", 1, 1),
        ("C A", "A C", 1, 1),
        ("A, C.", "A C", 1, 1),
        ("A", "A C E", 0.5, 0),
        ("A B", "A C", 0.5, 0),
        ("B", "A", 0, 0),
        ("", "A", 0, 0),
        ("(1)(3)(2)", "(1)(2)(3)", 1, 1),
    ],
)
def test_options_are_compared_as_sets(answer, gold, f1, exact):
    assert options_f1(answer, gold) == pytest.approx(f1)
    assert options_exact(answer, gold) == exact


@pytest.mark.parametrize(
    ("answer", "gold", "score"),
    [
        ("02:30:00 pm, March 22, 2024", "02:30:00 pm, March 22, 2024", 1),
        ("March 23, 2024", "02:30:00 pm, March 22, 2024", 1),
        ("2024-03-21T14:30:00", "02:30:00 pm, March 22, 2024", 1),
        ("2024-03-21T14:29:59", "02:30:00 pm, March 22, 2024", 0),
        ("March 22, 2023", "March 22, 2024", 0),
        ("2024-03-22T14:30:00Z", "2024-03-22T14:30:00", 1),
        ("2024-03-22T14:30:00Z", "2024-03-20T23:30:00-10:00", 0),
        ("3 pm EST, March 22, 2024", "March 22, 2024", 1),
        ("March 2024", "March 22, 2024", 0),
        ("March 22", "March 22, 2024", 0),
        ("Friday", "March 22, 2024", 0),
        ("", "March 22, 2024", 0),
        ("unknown", "unknown", 0),
        ("March 22, 2024" + " " * 100, "March 22, 2024", 0),
    ],
)
def test_moments_may_be_a_day_apart(answer, gold, score):
    assert timestamp_score(answer, gold) == timestamp_score(gold, answer) == score


@given(answer=st.text(max_size=40))
def test_no_answer_is_too_strange_to_be_scored(answer):
    scores = (options_f1, options_exact, timestamp_score, duration_f1, order_f1)
    assert all(0 <= score(answer, "March 22, 2024") <= 1 for score in scores)


@pytest.mark.parametrize(
    ("answer", "gold", "f1"),
    [
        ("1 year 2 months", "1 year 2 months", 1),
        ("2 months, 1 year", "1 year 2 months", 1),
        ("1 year", "1 year 2 months", 2 / 3),
        ("1 year 3 months", "1 year 2 months", 0.5),
        ("365 days", "1 year", 1),
        ("31 days", "1 month", 1),
        ("32 days", "1 month", 0),
        ("2 weeks", "14 days", 1),
        ("23 hours", "1 Day", 1),
        ("1 day 1 day", "1 day", 2 / 3),
        ("about 1.5 years", "547 days", 1),
        ("a while", "some time", 0),
        ("", "1 day", 0),
    ],
)
def test_durations_are_compared_pair_by_pair(answer, gold, f1):
    assert duration_f1(answer, gold) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("answer", "f1"),
    [("(1)(2)(3)(4)", 1), ("( 1 ) (2) (4) (3)", 0.5), ("(2)(1)(4)(3)", 0), ("(1)(2)", 2 / 3),
     ("(1)(2)(3)(4)(5)", 8 / 9), ("1 2 3 4", 0), ("", 0)],
)  # fmt: skip
def test_an_order_is_compared_place_by_place(answer, f1):
    assert order_f1(answer, "(1)(2)(3)(4)") == pytest.approx(f1)


def test_budget_reward_packs_in_the_drawn_order_and_passes_over_misfits():
    tokens, gold = [30, 20, 10, 40], [True, False, True, True]
    orders = [[0, 2, 3], [3, 0, 2], [1, 3, 2], [2, -1, -1], [-1, -1, -1]]
    # 30 + 10; 40; 20 + 10 past the 40; 10; nothing
    found = budget_reward(orders, tokens, gold, budget_tokens=40)
    assert found == pytest.approx([2 / 3, 1 / 3, 1 / 3, 1 / 3, 0])
    assert budget_reward(orders, tokens, gold, 40, n_gold=4)[0] == pytest.approx(2 / 4)


@given(seed=st.integers(0, 10**6), budget=st.integers(0, 200))
def test_budget_reward_is_the_recall_of_what_a_plain_loop_packs(seed, budget):
    rng = np.random.default_rng(seed)
    tokens, gold = rng.integers(0, 50, size=9), rng.random(9) < 0.4
    gold[seed % 9] = True
    orders = np.array([rng.permutation(9)[:6] for _ in range(4)])
    found = budget_reward(orders, tokens, gold, budget)
    for order, reward in zip(orders.tolist(), found, strict=True):
        packed, spent = set(), 0
        for i in order:
            if spent + tokens[i] <= budget:
                packed.add(i)
                spent += tokens[i]
        assert reward == pytest.approx(budget_recall(packed, set(np.flatnonzero(gold))))


@given(seed=st.integers(0, 10**6), k=st.integers(1, 12), beyond=st.integers(0, 15))
def test_ranking_reward_is_the_mean_of_three_measures(seed, k, beyond):
    hits = np.random.default_rng(seed).random((5, k)) < 0.3
    n_gold = max(int(hits.sum(axis=1).max()) + beyond, 1)
    for row, reward in zip(hits, ranking_reward(hits, n_gold), strict=True):
        ranked = [f"gold {i}" if hit else f"other {i}" for i, hit in enumerate(row)]
        found = [key for key in ranked if key.startswith("gold")]
        gold = {*found, *(f"missed {i}" for i in range(n_gold - len(found)))}
        expected = (ndcg(ranked, gold, k) + recall(ranked, gold, 5) + recall(ranked, gold, k)) / 3
        assert reward == pytest.approx(expected)


def test_ranking_reward_knows_better_orders_and_its_ends():
    hits = np.array([[1, 1, 0, 0], [1, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0]], dtype=bool)
    found = ranking_reward(hits, n_gold=2)
    assert (found[0], found[3]) == (1, 0)
    assert found[0] > found[1] > found[2] > found[3]
    # six of the ten find no place: the ideal of NDCG is cut at four, the recalls are not
    assert ranking_reward(np.ones((1, 4), bool), n_gold=10) == pytest.approx((1 + 0.4 + 0.4) / 3)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: budget_reward([[0]], [5], [False], 9), "n_gold must be >= 1, got 0: skip"),
        (lambda: budget_reward([[0]], [5], [True], 9, n_gold=0), "n_gold must be >= 1, got 0"),
        (lambda: budget_reward([[0, 1]], [5, 5], [True, True], 9, n_gold=1), "n_gold must count"),
        (lambda: budget_reward([[0]], [5, 6], [True], 9), "tokens and gold must both have"),
        (lambda: budget_reward([[0]], [5], [1], 9), "gold must say True or False"),
        (lambda: budget_reward([[0]], [-5], [True], 9), "tokens must be whole numbers >= 0"),
        (lambda: budget_reward([[0]], [5], [True], -9), "budget_tokens must be >= 0, got -9"),
        (lambda: budget_reward([[1]], [5], [True], 9), "chosen must hold indices below 1"),
        (lambda: ranking_reward([[True]], 0), "n_gold must be >= 1, got 0: skip the question"),
        (lambda: ranking_reward([[True, True]], 1), "n_gold must count all hits of a sample, 2"),
        (lambda: ranking_reward([True], 1), "hits must be True or False, of the shape"),
        (lambda: ranking_reward([[1]], 1), "hits must be True or False"),
        (lambda: ranking_reward(np.empty((3, 0), bool), 1), "with k >= 1"),
    ],
)
def test_rejects_selections_that_cannot_be_judged(call, rule):
    with pytest.raises(ParameterError, match=rule):
        call()
