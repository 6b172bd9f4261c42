"""Asking a model: every way to fail over real HTTP, and what is told, counted and kept."""

import threading
from dataclasses import dataclass, make_dataclass
from typing import TypedDict

import pytest

from memsieve.embed import Transport
from memsieve.errors import AnswerError, EndpointError, ParameterError
from memsieve.llm import Chat, Completion, Model, OpenAI, SchemaChat, Spent, StreamingChat

GOOD = '{"subject": "Ana", "year": 2026}'


class Scribe:
    """A chat model without schemas, streams and identity that answers from a list."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def complete(self, messages, *, max_tokens, temperature, top_p):
        self.asked.append([dict(message) for message in messages])
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, Completion) else Completion(answer, 10, 4)


class Typed(TypedDict):
    subject: str
    year: int


@pytest.fixture
def model(chat):
    return Model(chat)


def test_an_answer_becomes_a_value_of_the_type(model, scripted, said, fact):
    scripted.script = [said(GOOD)]
    assert model.ask("Who?", fact) == fact("Ana", 2026)
    assert model.spent == Spent(calls=1, prompt_tokens=10, completion_tokens=4)


def test_the_endpoint_is_given_the_schema_and_the_prompt_asks_for_json(
    model, scripted, said, facts
):
    scripted.script = [said('{"facts": []}')]
    assert model.ask([{"role": "user", "content": "Which?"}], facts, max_tokens=99) == facts(())
    (body,) = scripted.bodies
    assert body["messages"] == [
        {"role": "user", "content": "Which?\n\nWrite one JSON object and nothing else."}
    ]
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (99, 0.0, 1.0)
    form = body["response_format"]["json_schema"]
    assert body["response_format"]["type"] == "json_schema"
    assert form["schema"]["required"] == ["facts"]
    assert form["strict"] is False  # a fact need not name its year


@pytest.mark.parametrize(
    ("options", "form"),
    [({"takes_schemas": False}, {"type": "json_object"}), ({"json_mode": False}, None)],
)
def test_an_endpoint_without_schemas_is_told_in_the_prompt(scripted, said, fact, options, form):
    scripted.script = [(200, said(GOOD))]
    with OpenAI("m", scripted.url, **options) as chat:
        Model(chat).ask("Who?", fact)
    assert scripted.bodies[0].get("response_format") == form
    assert '"required": ["subject"]' in scripted.bodies[0]["messages"][0]["content"]


BAD_ANSWERS = [
    ("{'subject': 'Ana'}", "stop", "broken or cut off"),
    ('{"subject": "Ana", "ye', "length", "broken or cut off.*raise max_tokens, now 512"),
    ('{"subject": 7}', "stop", r"answer\.subject must be text, got 7"),
    ('{"name": "Ana"}', "stop", "the answer lacks 'subject'"),
    ("", "stop", "the answer is empty"),
    ("", "length", "the answer is empty; it was cut off"),
    ("I would rather not.", "stop", "found none"),
]


@pytest.mark.parametrize(("written", "finish", "problem"), BAD_ANSWERS)
def test_a_bad_answer_is_sent_back_once_and_the_next_one_taken(
    model, scripted, said, fact, written, finish, problem
):
    scripted.script = [said(written, finish), said(GOOD)]
    assert model.ask("Who?", fact) == fact("Ana", 2026)
    assert model.spent == Spent(calls=2, failed=1, prompt_tokens=20, completion_tokens=8)
    messages = scripted.bodies[1]["messages"]
    # Endpoints refuse empty messages: nothing written, nothing sent back but the reason.
    assert [one["role"] for one in messages] == ["user", "assistant", "user"][: 3 if written else 1]
    assert "Your answer does not fit: " in messages[-1]["content"]
    assert '"required": ["subject"]' in messages[-1]["content"]


@pytest.mark.parametrize(("written", "finish", "problem"), BAD_ANSWERS)
def test_two_bad_answers_are_one_clear_error(model, scripted, said, fact, written, finish, problem):
    scripted.usual = lambda body: said(written, finish)
    with pytest.raises(AnswerError, match=f"^openai:m@http.* was asked for Fact .*{problem}") as e:
        model.ask("Who?", fact)
    assert e.value.written == written
    assert "\n" not in str(e.value)
    assert model.spent == Spent(calls=2, failed=2, prompt_tokens=20, completion_tokens=8)


@pytest.mark.parametrize(
    ("step", "problem", "n_requests"),
    [
        ((200, "{broken"), "something else than JSON", 1),
        ((200, {"choices": []}), "without a completion", 1),
        ((401, "no"), "answered 401: no", 1),
        ((429, "slow"), "answered 429: slow", 2),
        ((500, "oops"), "answered 500: oops", 2),
        ("silence", "did not answer within 0.3 s", 2),
    ],
)
def test_an_endpoint_that_fails_is_one_clear_error(
    model, scripted, fact, step, problem, n_requests
):
    scripted.script = [step] * 2
    with pytest.raises(EndpointError, match=problem):
        model.ask("Who?", fact)
    assert model.spent == Spent(calls=1, failed=1, unknown=1)
    assert len(scripted.bodies) == n_requests


@pytest.mark.parametrize("step", [(429, "slow"), (500, "oops"), "silence"])
def test_an_endpoint_that_recovers_answers(model, scripted, said, fact, step):
    scripted.script = [step, said(GOOD)]
    assert model.ask("Who?", fact) == fact("Ana", 2026)
    assert model.spent == Spent(calls=1, prompt_tokens=10, completion_tokens=4)


def test_tokens_of_a_useless_answer_are_counted(model, scripted, said, fact):
    scripted.script = [said(None)]
    with pytest.raises(EndpointError, match="content is no text but NoneType"):
        model.ask("Who?", fact)
    assert model.spent == Spent(calls=1, failed=1, prompt_tokens=10, completion_tokens=4)


def test_an_error_of_the_chat_model_itself_is_counted_too(fact):
    model = Model(Scribe(KeyboardInterrupt(), '{"subject": "Ana"}'))
    with pytest.raises(KeyboardInterrupt):
        model.ask("Who?", fact)
    assert model.ask("Who?", fact) == fact("Ana")
    assert model.spent == Spent(2, 0, 1, 10, 4, 1)


def test_tokens_that_are_not_told_are_counted_as_unknown():
    model = Model(Scribe(Completion("a"), Completion("b", 10)))
    assert [model.write("1"), model.write("2")] == ["a", "b"]
    assert model.spent == Spent(calls=2, prompt_tokens=10, unknown=2)


def test_an_object_that_is_whole_counts_in_an_answer_that_is_not(fact):
    assert Model(Scribe(Completion(f"{GOOD} Also", cut_off=True))).ask("?", fact).year == 2026


def test_repairs_can_be_more_or_none(fact):
    scribe = Scribe("a", "b", GOOD, "c")
    assert Model(scribe, repairs=2).ask("Who?", fact) == fact("Ana", 2026)
    # Each repair gives back the latest answer only.
    assert [one["content"] for one in scribe.asked[2]][1] == "b"
    with pytest.raises(AnswerError, match=r"^Scribe was asked for Fact and answered 'c'"):
        Model(scribe, repairs=0).ask("Who?", fact)


def test_a_long_answer_is_shortened_in_the_error_and_whole_beside_it(fact):
    with pytest.raises(AnswerError, match=r"'x{120}'…: there must be") as error:
        Model(Scribe("x" * 500), repairs=0).ask("Who?", fact)
    assert error.value.written == "x" * 500


def test_a_conversation_that_ends_with_the_model_gets_a_message_of_its_own(fact):
    scribe = Scribe(GOOD)
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    Model(scribe).ask(talk, fact)
    assert [one["role"] for one in scribe.asked[0]] == ["user", "assistant", "user"]
    assert len(talk) == 2


def test_typed_dicts_and_pydantic_models_are_types_too(scripted, model, said):
    pydantic = pytest.importorskip("pydantic", reason="the test needs pydantic")
    strict = pydantic.create_model("Strict", subject=str, year=(int, pydantic.Field(ge=2030)))
    scripted.usual = lambda body: said(GOOD)
    assert model.ask("Who?", Typed) == {"subject": "Ana", "year": 2026}
    with pytest.raises(AnswerError, match=r"asked for Strict .* greater than or equal to 2030"):
        model.ask("Who?", strict)


@pytest.mark.parametrize("messages", [[{"content": "?"}], [{"role": "user", "content": ["?"]}]])
def test_messages_that_are_none_are_refused_before_anything_is_sent(
    model, scripted, fact, messages
):
    with pytest.raises(ParameterError, match="a message must have a role of"):
        model.ask(messages, fact)
    assert scripted.bodies == []


def test_what_is_no_schema_is_refused_before_anything_is_sent(model, scripted):
    with pytest.raises(ParameterError, match="a schema must be a dataclass"):
        model.ask("Who?", str)
    assert scripted.bodies == []


def test_text_is_written_without_json_mode(model, scripted, said):
    scripted.script = [said("Ana moved.")]
    assert model.write("Sum up.", max_tokens=9) == "Ana moved."
    assert "response_format" not in scripted.bodies[0]
    assert scripted.bodies[0]["messages"] == [{"role": "user", "content": "Sum up."}]


@pytest.mark.parametrize(("written", "problem"), [(" ", "is empty"), ("Ana mo", "was cut off")])
def test_text_that_is_empty_or_cut_off_is_asked_for_again(model, scripted, said, written, problem):
    scripted.script = [said(written, "length"), said("Ana moved."), *[said(written, "length")] * 2]
    assert model.write("Sum up.") == "Ana moved."
    with pytest.raises(AnswerError, match=f"asked for text .*{problem}") as error:
        model.write("Sum up!")
    assert error.value.written == written


def test_an_identical_question_is_asked_once(model, scripted, said, fact, facts):
    scripted.script = [said("nonsense"), said(GOOD), said("nonsense"), said(GOOD)]
    first = model.ask("Who?", fact)
    assert model.ask("Who?", fact) == first
    assert model.spent.calls == 2
    assert model.spent.cached == 1
    model.clear()
    assert model.ask("Who?", fact) == first
    assert model.spent.calls == 4


@pytest.mark.parametrize(
    "change",
    [
        {"messages": "Who else?"},
        {"messages": [{"role": "system", "content": "Who?"}]},
        {"max_tokens": 99},
        {"temperature": 0.5},
        {"schema": make_dataclass("Other", [("subject", str)])},
    ],
)
def test_whatever_changes_the_answer_makes_another_question(fact, change):
    scribe = Scribe(GOOD, GOOD)
    model = Model(scribe)
    asked = {"messages": "Who?", "schema": fact}
    model.ask(**asked)
    model.ask(**asked | change)
    assert len(scribe.asked) == 2


def test_above_temperature_zero_every_question_is_asked():
    scribe = Scribe("a", "b")
    model = Model(scribe)
    assert [model.write("?", temperature=1.0), model.write("?", temperature=1.0)] == ["a", "b"]


@dataclass
class Loose:
    subject: str


@dataclass
class Strict:
    subject: str

    def __post_init__(self):
        if not self.subject:
            raise ValueError("a subject must be named")


def test_a_kept_answer_that_breaks_a_rule_of_another_type_is_asked_for_again():
    model = Model(Scribe('{"subject": ""}', '{"subject": "Ana"}'))
    assert model.ask("Who?", Loose).subject == ""
    assert model.ask("Who?", Strict).subject == "Ana"
    assert model.spent.cached == 0


def test_kept_answers_are_not_the_same_object():
    noted = make_dataclass("Noted", [("names", list[str])])
    model = Model(Scribe('{"names": []}'))
    model.ask("Who?", noted).names.append("Ana")
    assert model.ask("Who?", noted).names == []


def test_threads_share_a_model_and_nothing_is_miscounted(scripted, said, fact, chat):
    scripted.usual = lambda body: said(GOOD)
    model = Model(chat)

    def work(name):
        for n in range(10):
            assert model.ask(f"{name} {n}", fact) == fact("Ana", 2026)
            assert model.ask(f"{name} {n}", fact) == fact("Ana", 2026)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert model.spent == Spent(40, 40, 0, 400, 160, 0)


@pytest.mark.parametrize("options", [{"repairs": -1}, {"n_recent": -1}])
def test_options_outside_their_rules_are_refused(options):
    with pytest.raises(ParameterError, match=r"Model\.\w+ must be >= 0, got -1"):
        Model(Scribe(), **options)


def test_the_adapters_keep_their_protocols(chat):
    assert isinstance(chat, Chat)
    assert isinstance(chat, SchemaChat)
    assert isinstance(chat, StreamingChat)
    assert not isinstance(Scribe(), SchemaChat | StreamingChat)


def test_nothing_is_sent_before_a_question_is_asked(scripted):
    Model(OpenAI("m", scripted.url, transport=Transport()))
    assert scripted.connections == 0
