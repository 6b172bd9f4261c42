"""MemGAS: four views, links, weights, walk; its notes, its filter, and what it was made for."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import memsieve
from memsieve.embed import NoEmbedder
from memsieve.errors import AnswerError, EndpointError, ParameterError
from memsieve.evaluate import load
from memsieve.evaluate.metrics import recall_all
from memsieve.llm import Completion, Model
from memsieve.systems.memgas import Digest, Linking, MemGAS

ASKED = "2024-08-01"


class Scripted:
    """A chat model that answers by what stands in the prompt, and keeps the prompts."""

    identity = "scripted"

    def __init__(self, answer):
        self.answer, self.prompts = answer, []

    def complete(self, messages, *, max_tokens, temperature, top_p):
        self.prompts.append(messages[-1]["content"])
        found = self.answer(self.prompts[-1])
        if isinstance(found, Exception):
            raise found
        return Completion(json.dumps(found))


def described(prompt):
    """A digest that names the session by the capital words in it."""
    names = [name for name in ("Rex", "Lisbon", "vet", "piano") if name in prompt]
    return {"summary": f"They spoke of {' and '.join(names)}.", "keywords": names}


@pytest.fixture
def memgas(tmp_path):
    """Opens the same file with a MemGAS of these options."""
    memories = []

    def open_(model=None, embedder=None, path="memgas.db", **options):
        system = MemGAS(**options)
        memories.append(
            memsieve.open(tmp_path / path, system=system, model=model, embedder=embedder)
        )
        return memories[-1]

    yield open_
    for memory in memories:
        memory.close()


def turns(*sessions):
    """Messages of sessions that are given as lists of texts, a session a day."""
    return [
        {"text": text, "session": f"s{i}", "at": f"2024-03-{i + 1:02}T10:{j:02}Z", "speaker": "Ana"}
        for i, texts in enumerate(sessions)
        for j, text in enumerate(texts)
    ]


def ranked(memory, question, **options):
    """Sessions with their scores, best first."""
    found = memory.recall(question, now=ASKED, **options)
    return {hit.session: hit.score for hit in found.sessions}


def planned(memory, question):
    """What was decided for a question."""
    return memory.weigh(question, now=ASKED).reading.plan


SMALL_TALK = "Well that was a long and rather ordinary weekday evening again"


def two_hops(n_chains=6, n_others=18, talk=SMALL_TALK):
    """Chains of two sessions: the second shares words with the first alone, others with nothing.

    Every session begins with the same small talk.
    """
    sessions, gold = [], {}
    for i in range(max(n_chains, n_others)):
        if i < n_others:
            sessions.append([f"{talk} with other{i} thing{i} stuff{i}.", f"More of extra{i} too."])
        if i < n_chains:
            shared = " ".join(f"bridge{i}{letter}" for letter in "abcd")
            gold[f"topic{i} detail{i}"] = {f"s{len(sessions)}", f"s{len(sessions) + 1}"}
            sessions.append([f"{talk} about topic{i} and detail{i}.", f"It has {shared}."])
            sessions.append([f"{talk} where {shared} came up.", f"So answer{i} it is."])
    return turns(*sessions), gold


@pytest.mark.parametrize("talk", ["", SMALL_TALK], ids=["no small talk", "small talk"])
def test_a_second_session_is_reached_over_its_link_to_the_first(memgas, talk):
    """recall_all@2, by links: where all links are alike, what all sessions share leads astray."""
    messages, gold = two_hops(talk=talk)
    found = {}
    for links, options in {
        "ours": {},
        "published": {"linking": Linking(weighted=False, min_gap=0, max_degree=None)},
        "none": {"graph": False},
    }.items():
        memory = memgas(path=f"{links}.db", **options)
        memory.add(messages)
        orders = {question: list(ranked(memory, question)) for question in gold}
        found[links] = np.mean([recall_all(orders[q], gold[q], 2) for q in gold])
    assert (found["ours"], found["none"]) == (1.0, 0.0)
    if not talk:
        assert found["published"] == 1.0


def test_the_walk_prefers_near_neighbours_unless_links_are_alike(memgas):
    talk, gold = two_hops()
    margins = {}
    for weighted in (True, False):
        memory = memgas(path=f"{weighted}.db", linking=Linking(weighted=weighted))
        memory.add(talk)
        for question, sessions in gold.items():
            scores = ranked(memory, question)
            others = max(score for session, score in scores.items() if session not in sessions)
            margins.setdefault(weighted, []).append(min(map(scores.get, sessions)) / others)
    assert min(margins[True]) > 1.5
    assert min(margins[False]) < 1.3
    assert (np.array(margins[True]) > margins[False]).all()


def test_the_second_hop_outranks_sessions_that_have_nothing_to_do_with_it(memgas):
    talk, gold = two_hops()
    memory = memgas(damping=0.1)
    memory.add(talk)
    for question, sessions in gold.items():
        scores = ranked(memory, question)
        assert min(scores[session] for session in sessions) > max(
            (score for session, score in scores.items() if session not in sessions), default=0
        )


def test_without_links_and_with_all_seeds_it_is_the_weighted_sum_of_the_views(memgas):
    talk, _ = two_hops()
    memory = memgas(damping=0.0, n_seeds=None)
    memory.add(talk)
    reading = memory.weigh("a weekday evening with topic1", now=ASKED).reading
    plan = reading.plan
    near = plan.sessions.similarities(reading.question)
    expected = plan.weights @ near
    order = np.argsort(-plan.ranks, kind="stable")
    assert (np.diff(expected[order]) <= 1e-9).all()
    assert plan.ranks / plan.ranks.sum() == pytest.approx(expected / expected.sum())
    assert plan.ranks.sum() == pytest.approx(1, abs=2e-6)


def test_all_sessions_that_share_a_word_are_ranked(memgas):
    memory = memgas(n_sessions=100)
    memory.add(turns(*[[f"The boat {i} sails."] for i in range(30)]))
    weighed = memory.weigh("boat", now=ASKED)
    assert (weighed.reading.plan.ranks > 0).all()
    assert len(weighed.found.docs) == 30


def test_weights_favour_the_view_that_is_surer_and_are_told(memgas):
    memory = memgas(router="normalised")
    memory.add(turns(*[["The garden is green.", f"word{i} other{i}"] for i in range(8)]))
    views = memory.recall("word3 garden", now=ASKED).plan["views"]
    assert set(views) == {"session", "turns", "summary", "keywords"}
    assert sum(views.values()) == pytest.approx(1, abs=1e-3)
    equal = memgas(router="equal").recall("word3 garden", now=ASKED).plan["views"]
    assert set(equal.values()) == {0.25}


def test_the_temperature_fits_any_scale_of_similarities_unless_one_is_given(memgas):
    filler = [" ".join(f"filler{i}{j}" for j in range(40)) for i in range(8)]
    talk = turns(*[[f"key{i} {filler[i]}"] for i in range(8)], ["key0 key1 key2", filler[0]])
    spread = {}
    for temperature in (None, 0.2):
        memory = memgas(path=f"{temperature}.db", temperature=temperature)
        memory.add(talk)
        question = " ".join(f"key{i}" for i in range(8))
        spread[temperature] = np.ptp(planned(memory, question).weights)
    assert spread[None] > 2 * spread[0.2] > 0


def test_seeds_are_few_and_the_rest_follows_by_links_and_likeness(memgas):
    memory = memgas(n_seeds=1)
    memory.add(turns(["apple pie"], ["apple pie with cream"], ["apple", "stone"], ["no fruit"]))
    scores = list(ranked(memory, "apple pie with cream").values())
    assert scores[0] > 0.8
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 0.15


def test_equal_sessions_score_alike_and_come_in_their_order(memgas):
    memory = memgas(graph=False)
    memory.add(turns(["red boat"], ["red boat"], ["red boat"]))
    scores = ranked(memory, "boat")
    assert list(scores) == ["s0", "s1", "s2"]
    assert list(scores.values()) == pytest.approx([1 / 3] * 3, rel=1e-5)


def test_one_session_is_all_there_is(memgas):
    memory = memgas()
    memory.add(turns(["A red boat.", "It sails."]))
    assert ranked(memory, "boat") == {"s0": pytest.approx(1, abs=1e-5)}
    assert planned(memory, "boat").weights == pytest.approx([0.25] * 4)
    assert len(memory.recall("zeppelin", now=ASKED)) == 0


def test_items_without_a_session_stand_for_themselves(memgas):
    memory = memgas()
    texts = ("A red boat.", "A green car.", "A blue kite.")
    memory.add([{"text": text, "at": "2024-03-01"} for text in texts])
    found = memory.recall("Is there a car?", now=ASKED)
    assert [hit.item.text for hit in found] == ["A green car."]
    assert found.sessions == ()


@pytest.mark.parametrize("similarity", ["words", "meaning", "both"])
@pytest.mark.parametrize("view", ["best", "mean"])
def test_what_grew_step_by_step_answers_as_what_was_written_at_once(
    memgas, letters, similarity, view
):
    options = {
        "embedder": letters(dimensions=24),
        "similarity": similarity,
        "turns": view,
        "linking": Linking(max_degree=7),
    }
    talk, gold = two_hops(3, 5)
    grown = memgas(path="grown.db", **options)
    for message in talk[1:]:
        grown.add(message)
        if message["session"] in ("s3", "s7"):
            ranked(grown, "topic1")
    late = talk[0] | {"at": "2024-03-01T09:00Z"}  # the first session goes on at last
    grown.add(late)
    gone = [grown.add(turns(["Something about topic1 to forget."])[0] | {"session": "x"})]
    ranked(grown, "topic1")
    gone += [item.id for item in grown.list() if "thing2" in item.text]
    grown.forget(gone)
    again = memgas(path="grown.db", **options)
    for question in [*gold, "a long weekday evening", "answer2"]:
        before, after = planned(grown, question), planned(again, question)
        assert before.ranks == pytest.approx(after.ranks, rel=1e-5, abs=1e-12)
        assert before.weights == pytest.approx(after.weights, rel=1e-5)
        degrees = (before.sessions.graph.degrees, after.sessions.graph.degrees)
        assert np.array_equal(*degrees)
        assert degrees[0].max() <= 7


def test_a_question_of_the_past_is_answered_over_the_sessions_of_then(memgas):
    talk, _ = two_hops()
    memory, early = memgas(path="all.db"), memgas(path="early.db")
    memory.add(talk)
    early.add([message for message in talk if message["at"] < "2024-03-10"])
    question, then = "a weekday evening with topic1", "2024-03-09T23:00Z"
    found, expected = (one.recall(question, now=then) for one in (memory, early))
    assert {hit.session for hit in found.sessions} == {hit.session for hit in expected.sessions}
    assert "s9" not in {hit.session for hit in found.sessions}


def test_links_lead_to_earlier_sessions_only_within_reach_and_limits(memgas):
    talk, _ = two_hops()
    for linking in (Linking(reach=2), Linking(n_nearest=1), Linking(max_degree=0)):
        memory = memgas(path=f"{linking}.db"[:40].replace("/", ""), linking=linking)
        memory.add(talk)
        graph = planned(memory, "topic1").sessions.graph
        later, earlier = (
            np.maximum(graph.source, graph.target),
            np.minimum(graph.source, graph.target),
        )
        apart = later // 4 - earlier // 4
        assert (apart >= 1).all()
        assert (apart <= linking.reach).all()
        if linking.n_nearest == 1:
            assert np.bincount(later[: later.size // 2]).max() == 1
        if linking.max_degree == 0:
            assert graph.source.size == 0


def test_the_embedder_finds_what_shares_no_word(memgas):
    class Topics:
        """Two dimensions: animals and boats."""

        identity, dimensions = "topics", 2
        words = (("dog", "cat", "pets"), ("boat", "sail", "harbour"))

        def embed(self, texts):
            rows = [[sum(w in t.lower() for w in topic) for topic in self.words] for t in texts]
            rows = np.array(rows, np.float32).reshape(-1, 2)
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            return rows / np.where(lengths > 0, lengths, 1)

    talk = turns(["My dog sleeps.", "My cat too."], ["A boat.", "It can sail."])
    for similarity, found in (("words", []), ("meaning", ["s0"]), ("both", ["s0"])):
        memory = memgas(path=f"{similarity}.db", embedder=Topics(), similarity=similarity)
        memory.add(talk)
        assert list(ranked(memory, "Which pets are there?"))[:1] == found


def test_a_search_by_meaning_needs_an_embedder(memgas):
    memory = memgas(embedder=NoEmbedder(), similarity="meaning")
    memory.add("A boat.", session="s0")
    with pytest.raises(ParameterError, match="needs an embedder"):
        memory.recall("boat")
    both = memgas(path="both.db", embedder=NoEmbedder(), similarity="both")
    both.add("A boat.", session="s0")
    assert len(both.recall("boat")) == 1


def test_sessions_first_is_the_order_of_the_paper(memgas):
    memory = memgas(order="sessions")
    memory.add(turns(["A red boat.", "Nothing else."], ["A boat and more words here.", "Hm."]))
    found = memory.recall("red boat", now=ASKED)
    assert [hit.item.session for hit in found] == ["s0", "s0", "s1", "s1"]
    assert [hit.item.text for hit in found][::2] == ["A red boat.", "A boat and more words here."]
    three = memgas(order="sessions", n_sessions=1).recall("red boat", now=ASKED)
    assert {hit.item.session for hit in three} == {"s0"}
    assert list(three.sessions) == list(found.sessions)


def test_a_model_writes_one_note_a_session_and_goes_on_where_it_stopped(memgas, talk):
    chat = Scripted(lambda prompt: EndpointError("down") if "vet" in prompt else described(prompt))
    memory = memgas(model=Model(chat))
    memory.add(talk)
    assert len(memory.notes()) == 0
    seen = []
    with pytest.raises(EndpointError):
        memory.enrich(progress=lambda done, total: seen.append((done, total)))
    assert [note.unit for note in memory.notes()] == ["s1", "s2"]
    assert seen == [(1, 3), (2, 3)]
    chat.answer = described
    assert memory.enrich() == 1
    assert memory.enrich() == 0
    notes = {note.unit: note for note in memory.notes()}
    assert Digest.of(notes["s3"]) == Digest("They spoke of Rex and vet.", ("Rex", "vet"))
    assert notes["s3"].author == "scripted"
    assert len(chat.prompts) == 4
    assert "Ana: I adopted a dog, his name is Rex." in chat.prompts[0]
    assert "2 April 2024" in chat.prompts[0]


def test_a_session_that_grew_is_described_anew(memgas, talk):
    chat = Scripted(described)
    memory = memgas(model=Model(chat))
    memory.add(talk)
    memory.enrich()
    memory.add("Tom bought a piano.", session="s2", at="2024-05-21T19:00Z")
    assert memory.enrich() == 1
    assert [note.body["keywords"] for note in memory.notes("s2")][-1] == ["Lisbon", "piano"]


def test_what_a_note_says_is_searched(memgas, talk):
    memory = memgas(model=Model(Scripted(lambda _: {"summary": "A zeppelin.", "keywords": []})))
    memory.add(talk)
    assert not ranked(memory, "zeppelin")
    memory.enrich()
    assert set(ranked(memory, "zeppelin")) == {"s1", "s2", "s3"}
    memory.forget([item.id for item in memory.list() if item.session == "s1"][:1])
    assert set(ranked(memory, "zeppelin")) == {"s2", "s3"}


def test_an_empty_digest_is_asked_for_again_and_then_refused(memgas, talk):
    chat = Scripted(lambda _: {"summary": " ", "keywords": []})
    memory = memgas(model=Model(chat))
    memory.add(talk)
    with pytest.raises(AnswerError):
        memory.enrich()
    assert len(chat.prompts) == 2
    assert memory.notes() == []


def test_given_digests_are_stored_once_and_never_replaced_by_a_model(memgas, talk):
    chat = Scripted(described)
    digest = Digest("They adopted a zeppelin.", ("zeppelin", "mast"))
    given = {"default": {"s1": digest, "nowhere": digest}}
    memory = memgas(given=given)
    memory.add(talk)
    assert memory.enrich() == 1
    assert memory.enrich() == 0
    assert [(note.unit, note.author) for note in memory.notes()] == [("s1", "given")]
    assert list(ranked(memory, "mast")) == ["s1"]
    memory.add("More of it.", session="s1", at="2024-04-02T12:00Z")
    assert memory.enrich() == 1  # sources follow the session, so that forgetting takes the note
    with_model = memgas(model=Model(chat))
    assert with_model.enrich() == 2
    authors = {note.unit: note.author for note in with_model.notes()}
    assert authors == {"s1": "given", "s2": "scripted", "s3": "scripted"}


def test_the_filter_keeps_what_is_verbatim_and_counts_the_rest(memgas, talk):
    parts = ["his name is Rex", "Rex is a beagle", "his name is Rex", "Ana: A beagle"]
    chat = Scripted(lambda _: {"parts": parts})
    memory = memgas()
    memory.add(talk)
    found = memory.recall("What is the name of Ana's dog Rex, the beagle?", k=9, now=ASKED)
    digests = {"s1": Digest("About a dog.", ("dog",))}
    kept = memory.system.relevant(found, Model(chat), digests)
    assert [quote.text for quote in kept.quotes] == ["his name is Rex", "A beagle"]
    assert (kept.n_invented, kept.n_repeated) == (1, 1)
    (prompt,) = chat.prompts
    assert prompt.count("his name is Rex") == 1
    assert "About a dog." in prompt
    assert found.question in prompt


def test_the_filter_shows_the_best_sessions_only(memgas):
    chat = Scripted(lambda _: {"parts": []})
    memory = memgas(n_sessions=2)
    memory.add(turns(*[[f"boat boat{i}"] for i in range(5)]))
    found = memory.recall("boat boat1 boat2", now=ASKED)
    assert memory.system.relevant(found, Model(chat)).quotes == ()
    assert [f"boat{i}" in chat.prompts[0].partition("\n\n")[2] for i in (0, 3, 4)] == [False] * 3


def test_without_a_model_the_filter_quotes_a_sentence_of_each_hit(memgas):
    memory = memgas()
    memory.add(turns(["It rains. The boat is red. Bye."], ["No boat here! Really none."]))
    kept = memory.system.relevant(memory.recall("Is the boat red?", now=ASKED))
    assert [quote.text for quote in kept.quotes] == ["The boat is red.", "No boat here!"]
    nothing = memory.system.relevant(memory.recall("zeppelin", now=ASKED))
    assert nothing.quotes == ()


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"similarity": "bm25"}, "similarity must be one of words, meaning, both"),
        ({"turns": "all"}, "turns must be one of best, mean"),
        ({"router": "script"}, "router must be one of paper, normalised, equal"),
        ({"order": "time"}, "order must be one of turns, sessions"),
        ({"temperature": 0.0}, "temperature must be > 0"),
        ({"damping": 1.0}, r"damping must be in \[0, 1\)"),
        ({"n_seeds": 0}, "n_seeds must be >= 1"),
        ({"n_sessions": 0}, "n_sessions must be >= 1"),
    ],
)
def test_options_outside_their_rules_are_refused(options, rule):
    with pytest.raises(ParameterError, match=rf"MemGAS\.{rule}"):
        MemGAS(**options)


@pytest.mark.parametrize("name", ["n_nearest", "min_gap", "otherwise", "max_degree", "reach"])
def test_linking_refuses_negative_numbers(name):
    with pytest.raises(ParameterError, match=rf"Linking\.{name} must be >= "):
        Linking(**{name: -1})


def test_its_repr_rebuilds_it_and_options_can_be_replaced():
    system = MemGAS(n_seeds=60, linking=Linking(reach=9))
    assert repr(eval(repr(system))) == repr(system)
    assert replace(system, damping=0.3).n_seeds == 60


def test_a_digest_says_something():
    with pytest.raises(ParameterError, match="a summary or keywords"):
        Digest("", (" ",))


@pytest.fixture
def shared_data():
    """The real data beside the repository; the test is skipped where they are not."""
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets (../shared/data) are not here")
    return folder


def test_on_locomo_three_of_four_questions_have_all_their_sessions_in_the_first_three(
    shared_data, tmp_path
):
    data = load(shared_data / "locomo" / "dev.json")
    all_there = {3: [], 10: []}
    for scope in data.scopes:
        path = tmp_path / f"{scope.id}.db"
        with memsieve.open(path, system="memgas", timeline="none") as memory:
            memory.add([replace(message, namespace=None) for message in scope.messages])
            for question in scope.questions:
                plan = memory.weigh(question.question, now=scope.last_at).reading.plan
                names = [f"session_{i + 1}" for i in np.argsort(-plan.ranks, kind="stable")]
                for k, found in all_there.items():
                    found.append(recall_all(names, question.evidence_sessions, k))
    assert np.mean(all_there[3]) >= 0.75
    assert np.mean(all_there[10]) >= 0.88
