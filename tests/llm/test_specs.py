"""Chat models by name; and what importing them costs."""

import pytest

from memsieve.embed import Transport
from memsieve.errors import ParameterError
from memsieve.llm import OpenAI, from_spec


@pytest.mark.parametrize(
    ("spec", "identity"),
    [
        ("openai:gpt-4o-mini", "openai:gpt-4o-mini@https://api.openai.com/v1"),
        ("openai:a/b:free@https://router.ai/api/v1", "openai:a/b:free@https://router.ai/api/v1"),
        ("http://127.0.0.1:11434/v1#qwen3", "openai:qwen3@http://127.0.0.1:11434/v1"),
        ("https://host/v1/#org/model", "openai:org/model@https://host/v1"),
    ],
)
def test_a_spec_names_an_endpoint_and_its_model(spec, identity):
    chat = from_spec(spec)
    assert isinstance(chat, OpenAI)
    assert chat.identity == identity


@pytest.mark.parametrize("address", ["", "@http://127.0.0.1:9"])
def test_anthropic_is_reached_through_its_library(address):
    pytest.importorskip("pydantic_ai", reason="the adapter needs pydantic-ai-slim")
    chat = from_spec(f"anthropic:claude-sonnet-4-5{address}", api_key="sk-secret")
    where = address or "@https://api.anthropic.com"
    assert chat.identity == f"anthropic:claude-sonnet-4-5{where}"
    assert "secret" not in repr(chat)


def test_key_and_transport_are_handed_on(scripted):
    scripted.script = [(200, {"choices": [{"message": {"content": "OK"}}]})]
    patient = Transport(timeout_s=9)
    with from_spec(f"{scripted.url}#m", api_key="sk", transport=patient) as chat:
        chat.complete([{"role": "user", "content": "?"}])
    assert chat.transport is patient
    assert scripted.headers[0]["Authorization"] == "Bearer sk"


@pytest.mark.parametrize(
    "spec", ["", "gpt-4o", "openai:", "anthropic:", "mistral:x", "http://h/v1", "#m", "ftp://h#m"]
)
def test_what_names_no_model_is_refused(spec):
    with pytest.raises(ParameterError, match="a chat model's spec must be"):
        from_spec(spec)


def test_no_key_of_the_environment_is_sent(scripted, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    scripted.script = [(200, {"choices": [{"message": {"content": "OK"}}]})]
    with from_spec(f"{scripted.url}#m") as chat:
        chat.complete([{"role": "user", "content": "?"}])
    assert "sk-of" not in str(scripted.headers)


def test_importing_the_room_loads_no_library_of_an_adapter(elsewhere):
    heavy = "{'httpx', 'httpx2', 'pydantic', 'pydantic_ai', 'anthropic', 'asyncio', 'sqlite3'}"
    code = f"import sys, memsieve.llm\nprint(sorted({heavy} & sys.modules.keys()))"
    assert elsewhere(code) in ("[]", "['sqlite3']")
