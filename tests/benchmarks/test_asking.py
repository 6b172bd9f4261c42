"""What is asked, answered and counted: on a conversation of four turns, and the lines printed."""

import json

import pytest


@pytest.fixture
def script(bench):
    return bench("asking")


@pytest.fixture
def folder(tmp_path):
    """Two conversations; one asks of the wrong person."""
    for name, thing in (("boats", "boat"), ("cakes", "cake")):
        turns = [
            {"id": "t1", "session": "s", "speaker": "Ana", "text": f"I bought a {thing} in Split."},
            {"id": "t2", "session": "s", "speaker": "Ben", "text": "It rains here."},
        ]
        questions = [
            {"question": f"Where was the {thing} bought?", "evidence": ["t1"], "category": "fact"},
            {"question": "Does it rain here?", "evidence": ["t1"], "category": "fact"},
            {"question": f"Who bought the {thing}?", "evidence": ["t1"], "category": "adversarial"},
        ]
        content = {"id": name, "turns": turns, "questions": questions}
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def test_every_question_is_counted_once_in_its_line(script, folder, capsys):
    script.main(folder)
    assert capsys.readouterr().out.splitlines() == [
        "own questions whose best hit is evidence: 2, answered 1.000",
        "own questions whose best hit is not: 2, answered 1.000",
        "questions that name the wrong person: 2, answered 1.000",
        "questions of another conversation: 6, answered 1.000",
    ]


def test_what_nothing_speaks_of_is_refused(script, folder):
    from memsieve.evaluate import load
    from memsieve.evaluate.scopes import Question

    scope = load(folder).scopes[0]
    foreign = [Question("Which volcano erupted over Iceland?", ("t1",), "fact")]
    *own, last = script.asked(scope, foreign)
    assert [kind for kind, *_ in own] == ["own", "own", "adversarial"]
    assert last == ("foreign", False, False)
