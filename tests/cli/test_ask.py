"""memsieve ask, enrich and systems: with a scripted endpoint over real HTTP, and with none."""

import json

import pytest

from memsieve import registry

QUESTION = "Where did Tom move?"


@pytest.fixture
def talk(good):
    good("add", "I moved to Lisbon last week.", "--speaker", "Tom", "--at", "2024-05-21")
    good("add", "My dog is called Rex.", "--speaker", "Ana", "--at", "2024-05-22")


@pytest.fixture
def endpoint(scripted):
    """The spec of an endpoint that streams the texts of its script."""

    def stream(step):
        if isinstance(step, tuple):
            return step
        events = [{"choices": [{"delta": {"content": piece}}]} for piece in step]
        events.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        events.append({"choices": [], "usage": {"prompt_tokens": 80, "completion_tokens": 7}})
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
        return (200, text + "data: [DONE]\n\n", {"Content-Type": "text/event-stream"})

    scripted.as_step = stream
    scripted.spec = f"{scripted.url}#qwen3"
    return scripted


def test_without_a_model_the_best_sentence_is_quoted(good, talk):
    said, cited, id_, cost = good("ask", QUESTION).lines
    assert said == 'Tom, Tuesday 21 May 2024: "I moved to Lisbon last week." [1]'
    assert "I moved to Lisbon last week [13 to 19 May]." in cited
    assert good("get", id_.strip()).out
    assert cost == "extractive: no model was asked"


def test_what_is_not_answered_exits_with_one(cli, talk):
    found = cli("ask", "Which volcano erupted?")
    assert found.code == 1
    assert found.lines[:2] == [
        "The memory does not answer this.", "because the evidence does not answer it",
    ]  # fmt: skip


def test_an_answer_is_streamed_cited_and_counted(good, talk, endpoint):
    endpoint.script = [["To Lis", "bon [1]."]]
    lines = good("ask", QUESTION, "--model", endpoint.spec).lines
    assert lines[0] == "To Lisbon [1]."
    assert lines[1].startswith("[1]  21 May 2024  Tom: I moved to Lisbon")
    assert lines[-1].endswith(": 1 call, 80 tokens read, 7 written")
    assert endpoint.bodies[0]["model"] == "qwen3"
    assert endpoint.bodies[0]["stream"] is True


def test_the_model_may_stand_in_the_environment_with_its_key(cli, talk, endpoint):
    endpoint.script = [["Lisbon [1]."]]
    found = cli(
        "ask", QUESTION, MEMSIEVE_MODEL=endpoint.spec, MEMSIEVE_MODEL_KEY="k-1", OPENAI_API_KEY="no"
    )
    assert found.code == 0, found.err
    assert endpoint.headers[0]["Authorization"] == "Bearer k-1"


def test_a_key_goes_where_it_was_named_for_and_nowhere_else(cli, talk, endpoint):
    endpoint.script = [["Lisbon [1]."]] * 2
    assert cli("ask", QUESTION, "--model", endpoint.spec, OPENAI_API_KEY="no").code == 0
    assert "Authorization" not in endpoint.headers[0]
    named = ("--model", endpoint.spec, "--key-env", "MINE")
    assert cli("ask", QUESTION, *named, MINE="k-2").code == 0
    assert endpoint.headers[1]["Authorization"] == "Bearer k-2"
    assert cli("ask", QUESTION, *named).error == (
        "memsieve: --key-env: the environment has no variable MINE"
    )


@pytest.mark.parametrize(
    ("step", "line"),
    [
        ((500, "down"), "answered 500"),
        ((429, "slow"), "answered 429"),
        ((200, "data: nonsense\n\n", {"Content-Type": "text/event-stream"}), "endpoint"),
    ],
)
def test_an_endpoint_that_fails_is_one_line(cli, talk, endpoint, step, line):
    endpoint.usual = step
    found = cli("ask", QUESTION, "--model", endpoint.spec)
    assert found.code == 1
    assert line in found.error


def test_json_holds_every_attempt_and_what_was_spent(cli, talk, scripted):
    said = {"role": "assistant", "content": "To Lisbon."}
    usage = {"prompt_tokens": 80, "completion_tokens": 7}
    scripted.usual = (200, {"choices": [{"message": said}], "usage": usage})
    found = cli("ask", QUESTION, "--json", "--model", f"{scripted.url}#qwen3")
    assert found.code == 1
    assert found.json["why"] == "it cites nothing"
    assert [(one["text"], one["tier"]) for one in found.json["attempts"]] == [("To Lisbon.", 1)]
    assert found.json["spent"]["prompt_tokens"] == 80
    quoted = cli("ask", QUESTION, "--json").json
    assert quoted["cited"]["1"]["text"] == "I moved to Lisbon last week."
    assert (quoted["is_answered"], quoted["spent"], quoted["author"]) == (True, None, "extractive")


def test_a_spec_that_names_no_model_is_refused(cli, talk):
    error = cli("ask", QUESTION, "--model", "gpt").error
    assert error.startswith("memsieve: a chat model's spec must be http(s)://...#MODEL")


@pytest.mark.parametrize("name", registry.names())
def test_every_system_answers(good, talk, name):
    assert "Lisbon" in good("ask", QUESTION, "--system", name).out


def test_systems_are_listed_with_their_six_answers(good):
    out = good("systems").out
    for name in registry.names():
        assert name in out
        assert registry.card(name).unit in out
    assert [card["name"] for card in good("systems", "--json").json] == list(registry.names())


def test_one_system_is_shown_with_all_its_differences(good):
    out = good("systems", "memory-t1").out
    assert out.count("ours  ") == len(registry.card("memory-t1").differences)
    assert good("systems", "memory-t1", "--json").json[0]["differences"]


def test_an_unknown_system_is_named_with_those_there_are(cli, talk):
    for command in (("systems", "mem0"), ("recall", "x", "--system", "mem0")):
        assert cli(*command).error.startswith(
            "memsieve: no system is called 'mem0'; there are: memsieve, "
        )


def test_enrich_needs_a_model(cli, talk):
    assert cli("enrich").error == (
        "memsieve: enrich needs a chat model: --model SPEC, or MEMSIEVE_MODEL"
    )


def test_a_system_that_writes_no_notes_says_so(good, talk, scripted):
    found = good("enrich", "--model", f"{scripted.url}#m", "--json").json
    assert (found["system"], found["notes"], found["spent"]["calls"]) == ("memsieve", 0, 0)
    lines = good("enrich", "--model", f"{scripted.url}#m").lines
    assert lines == ["0 notes written by memsieve", "0 calls, 0 tokens read, 0 written"]
