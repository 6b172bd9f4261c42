"""The four formats, the mending of evidence, and the real data where they are at hand."""

import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from memsieve.errors import DateError, FormatError, NotFoundError, ParameterError
from memsieve.evaluate.datasets import load, locomo_evidence
from memsieve.evaluate.scopes import Question, Scope, SessionView, Skipped
from memsieve.types import Message

TURNS = [
    {
        "id": "t1",
        "session": "s1",
        "at": "2026-03-02T10:00:00Z",
        "speaker": "Ana",
        "text": "Lisbon.",
    },
    {"id": "t2", "session": "s2", "at": "2026-03-05", "speaker": "Ben", "text": "Porto."},
]


def conversation(folder, questions, name="one"):
    content = {"id": name, "turns": TURNS, "questions": questions}
    (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_the_open_format_is_read_with_its_questions(tmp_path):
    asked = {
        "question": "Where does Ana live?",
        "evidence": ["t1", "t2", "t1"],
        "category": "fact",
        "asked_at": "2026-05-01T12:00:00+02:00",
        "answer": "Lisbon",
    }
    data = load(conversation(tmp_path, [asked]))
    assert data.name == "conversations"
    assert [scope.id for scope in data.scopes] == ["one"]
    assert [message.key for message in data.scopes[0].messages] == ["t1", "t2"]
    assert data.scopes[0].questions == (
        Question(
            "Where does Ana live?",
            ("t1", "t2"),
            "fact",
            asked_at=datetime(2026, 5, 1, 10, tzinfo=UTC),
            answer="Lisbon",
            evidence_sessions=("s1", "s2"),
        ),
    )


def test_a_folder_holds_one_scope_a_file_and_a_file_is_one_scope(tmp_path):
    asked = [{"question": "Where?", "evidence": ["t1"]}]
    conversation(tmp_path, asked, name="one")
    conversation(tmp_path, asked, name="two")
    both = load(tmp_path)
    assert [scope.id for scope in both.scopes] == ["one", "two"]
    assert (both.n_messages, both.n_questions) == (4, 2)
    assert both.categories == ("uncategorised",)
    assert [scope.id for scope in load(tmp_path / "two.json").scopes] == ["two"]


def test_questions_without_evidence_are_skipped_and_listed(tmp_path):
    data = load(conversation(tmp_path, [{"question": "Who?", "evidence": []}, {"question": "Eh?"}]))
    assert data.n_questions == 0
    assert data.skipped == (
        Skipped("one", "Who?", "no evidence"),
        Skipped("one", "Eh?", "no evidence"),
    )


@pytest.mark.parametrize(
    ("question", "error", "rule"),
    [
        (
            {"question": "?", "evidence": ["t9"]},
            FormatError,
            "ids of turns of the same file, got t9",
        ),
        ({"evidence": ["t1"]}, FormatError, "one.json, question 1: not as the format writes"),
        ("Where?", FormatError, "one.json, question 1: not as the format writes"),
        ({"question": "?", "evidence": 7}, FormatError, "one.json, question 1"),
        (
            {"question": "?", "evidence": ["t1"], "asked_at": "soon"},
            DateError,
            "one.json, asked_at of '.'",
        ),
    ],
)
def test_a_question_that_is_not_in_the_format_is_named(tmp_path, question, error, rule):
    with pytest.raises(error, match=rule):
        load(conversation(tmp_path, [question]))


def test_a_path_a_name_and_a_format_are_checked(tmp_path):
    with pytest.raises(NotFoundError, match="no data set at"):
        load(tmp_path / "nothing")
    with pytest.raises(
        ParameterError, match="one of auto, bfcl, conversations, locomo, tau2, got 'squad'"
    ):
        load(tmp_path, "squad")
    (tmp_path / "chat.jsonl").write_text('{"text": "Hello.", "at": "2026-03-02"}\n')
    with pytest.raises(FormatError, match="format jsonl, which has no questions with evidence"):
        load(tmp_path / "chat.jsonl")


def locomo_sample(qa):
    turns = [
        {"speaker": "Ana", "dia_id": "D1:1", "text": "I moved."},
        {"speaker": "Ben", "dia_id": "D1:2", "text": "Where?", "blip_caption": "a tram"},
    ]
    return {
        "sample_id": "conv-1",
        "conversation": {
            "speaker_a": "Ana",
            "speaker_b": "Ben",
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": turns,
            "session_2_date_time": "2:00 pm on 9 May, 2023",
        },
        "qa": qa,
    }


def test_locomo_categories_have_names_and_answers_are_text(tmp_path):
    qa = [
        {"question": f"q{c}", "answer": 2022, "evidence": ["D1:1"], "category": c}
        for c in range(1, 6)
    ]
    qa[4] = {"question": "q5", "adversarial_answer": "yes", "evidence": ["D1:2"], "category": 5}
    (tmp_path / "dev.json").write_text(json.dumps([locomo_sample(qa)]))
    data = load(tmp_path / "dev.json")
    assert data.name == "locomo"
    (scope,) = data.scopes
    assert [question.category for question in scope.questions] == [
        "multi-hop",
        "temporal",
        "open-domain",
        "single-hop",
        "adversarial",
    ]
    assert [question.answer for question in scope.questions] == ["2022"] * 4 + [None]
    assert {question.asked_at for question in scope.questions} == {None}
    assert scope.last_at == datetime(2023, 5, 8, 13, 56, tzinfo=UTC)


def test_locomo_questions_left_without_evidence_are_skipped(tmp_path):
    qa = [
        {"question": "gone", "answer": "?", "evidence": ["D10:19", "D"], "category": 1},
        {"question": "bare", "answer": "?", "evidence": [], "category": 3},
        {"question": "kept", "answer": "?", "evidence": ["D:1:02; D9:9"], "category": 1},
    ]
    (tmp_path / "dev.json").write_text(json.dumps([locomo_sample(qa)]))
    data = load(tmp_path)
    assert [question.evidence for question in data.scopes[0].questions] == [("D1:2",)]
    assert [skipped.question for skipped in data.skipped] == ["gone", "bare"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (["D8:6; D9:17"], ("D8:6", "D9:17")),
        (["D:11:26"], ("D11:26",)),
        (["D30:05"], ("D30:5",)),
        (["D8:6", "D8:6"], ("D8:6",)),
        (["D", "", "D1:1"], ()),
    ],
)
def test_malformed_evidence_is_mended_as_the_data_say(written, meant):
    keys = frozenset({"D8:6", "D9:17", "D11:26", "D30:5"})
    assert locomo_evidence(written, keys) == meant


def bfcl(folder, source):
    def row(name, text, **more):
        turn = {"role": "user", "content": text}
        return json.dumps({"id": name, "question": [[turn]], "scenario": "student", **more})

    told = [
        row("p1", "Our golden retriever, Archie, sleeps."),
        row("p2", "I like to sail in Maine."),
    ]
    (folder / "conversation_student.jsonl").write_text("\n".join(told))
    (folder / "questions.jsonl").write_text(row("q1", "What's my dog's name?"))
    answer = {"id": "q1", "ground_truth": ["Archie", "archie"], "source": source}
    (folder / "answers.jsonl").write_text(json.dumps(answer))
    return folder


def test_bfcl_evidence_is_the_message_that_holds_the_source(tmp_path):
    data = load(bfcl(tmp_path, "...our golden retriever, Archie..."))
    assert data.name == "bfcl"
    assert data.scopes[0].questions == (
        Question(
            "What's my dog's name?",
            ("p1:0",),
            "student",
            answer="Archie | archie",
            evidence_sessions=("p1",),
        ),
    )


def test_bfcl_questions_whose_source_stands_nowhere_are_skipped(tmp_path):
    data = load(bfcl(tmp_path, "My cat is called Tom."))
    assert data.n_questions == 0
    assert data.skipped[0].why == "no one message holds 'My cat is called Tom.'"


def task(name, required, instructions="You want a card without a fee."):
    return {
        "id": name,
        "user_scenario": {"persona": None, "instructions": instructions},
        "required_documents": required,
    }


def tau2(folder, tasks):
    documents = [
        {"id": "doc_card", "title": "Gold card", "content": "No annual fee."},
        {"id": "doc_loan", "title": "Loans", "content": "Ask for an income statement."},
    ]
    (folder / "documents.jsonl").write_text("\n".join(json.dumps(one) for one in documents))
    (folder / "tasks.json").write_text(json.dumps(tasks))
    return folder


def test_tau2_is_one_scope_of_documents_and_a_question_for_each_task(tmp_path):
    tasks = [task("t1", ["doc_loan", "doc_card", "doc_loan"]), task("t2", ["doc_card"], "A loan?")]
    data = load(tau2(tmp_path, tasks))
    assert data.name == "tau2"
    (scope,) = data.scopes
    assert scope.id == "tau2-banking"
    assert [message.key for message in scope.messages] == ["doc_card", "doc_loan"]
    assert scope.last_at is None
    assert scope.questions == (
        Question("You want a card without a fee.", ("doc_loan", "doc_card"), "policy"),
        Question("A loan?", ("doc_card",), "policy"),
    )


def test_tau2_documents_that_do_not_exist_are_dropped_and_tasks_left_without_any_skipped(tmp_path):
    bare = task("t4", None, "Nothing asked for.")
    tasks = [
        task("t1", ["doc_gone", "doc_card"]),
        task("t2", ["doc_gone"], "Gone?"),
        task("t3", [], "None?"),
        bare,
        {name: value for name, value in bare.items() if name != "required_documents"},
    ]
    data = load(tau2(tmp_path, tasks))
    assert [question.evidence for question in data.scopes[0].questions] == [("doc_card",)]
    assert data.skipped[:2] == (
        Skipped("tau2-banking", "Gone?", "no document among its required_documents ['doc_gone']"),
        Skipped("tau2-banking", "None?", "no document among its required_documents []"),
    )
    assert len(data.skipped) == 4


@pytest.mark.parametrize(
    ("tasks", "rule"),
    [
        ({"id": "t1"}, "tasks.json: expected a JSON array of tasks, got {'id': 't1'}"),
        (["t1"], "tasks.json, question 1: not as the format writes questions"),
        ([task("t1", []), {"id": "t2"}], "tasks.json, question 2: not as .*'user_scenario'"),
        ([task("t1", [{}])], "tasks.json, question 1: not as the format writes questions"),
        ([task("t1", "doc_card")], "tasks.json: the task 't1' must have instructions, text"),
        ([task("t1", [], {"reason": "fee"})], "tasks.json: the task 't1' must have instructions"),
        ([task("t1", [], " ")], "the task 't1' must have instructions, text that is not blank"),
    ],
)
def test_a_tau2_task_that_is_not_in_the_format_is_named(tmp_path, tasks, rule):
    with pytest.raises(FormatError, match=rule):
        load(tau2(tmp_path, tasks), "tau2")


def test_a_scope_refuses_evidence_that_is_not_its_own():
    turn = Message("Lisbon.", key="t1")
    with pytest.raises(ParameterError, match=r"must be turns of the scope, got \['t2'\]"):
        Scope("ana", (turn,), (Question("?", ("t2",), "fact"),))
    with pytest.raises(ParameterError, match="must be turns of the scope, got none"):
        Scope("ana", (turn,), (Question("?", (), "fact"),))
    with pytest.raises(ParameterError, match="holds the key 't1' twice"):
        Scope("ana", (turn, turn))
    with pytest.raises(ParameterError, match="every message must have a key, message 1 has none"):
        Scope("ana", (turn, Message("Porto.")))


def test_locomo_dev_has_the_figures_its_readme_states(shared_data):
    data = load(shared_data / "locomo" / "dev.json")
    assert [scope.id for scope in data.scopes] == [f"conv-{n}" for n in (26, 30, 41, 42, 43)]
    assert data.n_messages == 2760
    assert data.n_questions + len(data.skipped) == 999
    assert Counter(q.category for scope in data.scopes for q in scope.questions) == {
        "single-hop": 418,
        "adversarial": 237,
        "temporal": 156,
        "multi-hop": 142,
        "open-domain": 44,
    }
    assert len(data.skipped) == 2


def test_all_155_bfcl_sources_are_placed(shared_data):
    data = load(shared_data / "bfcl_memory")
    assert (len(data.scopes), data.n_messages) == (5, 323)
    assert (data.n_questions, len(data.skipped)) == (155, 0)


def test_bfcl_placements_hold_what_was_asked_for(shared_data):
    """The message holds an accepted answer, but for 11 answers worked out or written anew."""
    data = load(shared_data / "bfcl_memory")
    texts = {m.key: m.text.casefold() for scope in data.scopes for m in scope.messages}
    held = [
        any(answer.casefold() in texts[q.evidence[0]] for answer in q.answer.split(" | "))
        for scope in data.scopes
        for q in scope.questions
    ]
    assert (sum(held), len(held)) == (144, 155)


def test_tau2_banking_has_the_figures_its_readme_states(shared_data):
    data = load(shared_data / "tau2_banking")
    assert data.name == "tau2"
    assert (len(data.scopes), data.n_messages) == (1, 698)
    assert (data.n_questions, len(data.skipped)) == (97, 0)
    assert data.categories == ("policy",)
    counts = [len(question.evidence) for question in data.scopes[0].questions]
    assert sum(counts) / len(counts) == pytest.approx(9.8, abs=0.05)


def test_what_locomo_tells_of_sessions_comes_as_views(tmp_path):
    turn = {"speaker": "Ana", "dia_id": "D1:1", "text": "Hello."}
    other = turn | {"dia_id": "D2:1"}
    sample = {
        "sample_id": "conv-1",
        "qa": [{"question": "Who?", "evidence": ["D1:1"], "category": 4, "answer": "Ana"}],
        "conversation": {
            "speaker_a": "Ana",
            "speaker_b": "Ben",
            **{f"session_{n}_date_time": f"1:00 pm on {n} May, 2023" for n in (1, 2, 3)},
            "session_1": [turn],
            "session_2": [other],
            "session_3": [],
        },
        "session_summary": {"session_1_summary": "They met.", "session_3_summary": "Nobody."},
        "observation": {
            "session_1_observation": {
                "Ana": [["Ana says hello.", "D1:1"]],
                "Ben": [["Ben listens.", ["D1:1", "D1:9", "D2:1"]]],
            }
        },
    }
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([sample]), encoding="utf-8")
    (scope,) = load(path, "locomo").scopes
    statements = (("Ana says hello.", ("D1:1",)), ("Ben listens.", ("D1:1", "D2:1")))
    assert scope.views == {"session_1": SessionView("They met.", statements)}
    sample["observation"]["session_1_observation"]["Ana"] = ["no pair"]
    path.write_text(json.dumps([sample]), encoding="utf-8")
    with pytest.raises(FormatError, match="conv-1, session_1: an observation must be a text and"):
        load(path, "locomo")


def test_the_real_locomo_tells_of_all_its_sessions(shared_data):
    data = load(shared_data / "locomo" / "dev.json")
    assert [len(scope.views) for scope in data.scopes] == [19, 19, 32, 29, 29]
    n_statements = sum(len(v.statements) for scope in data.scopes for v in scope.views.values())
    assert n_statements == 1210
    assert load(shared_data / "bfcl_memory").scopes[0].views == {}
