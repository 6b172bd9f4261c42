"""Chat models: a protocol of one method, adapters to endpoints, and `Model`, which asks them.

`Model.ask` gives an answer as a value of a type, `Model.write` as text, `Model.stream` in pieces;
tokens are counted and identical questions answered once. Nothing here is called unless a caller
builds an adapter, perhaps by `from_spec`, and hands it to a part that asks for one. What works
without any model is `memsieve.manage.extractive`.
"""

from memsieve.llm.base import Chat, Completion, SchemaChat, StreamingChat, json_object
from memsieve.llm.model import Model, Spent
from memsieve.llm.openai import OpenAI
from memsieve.llm.pydantic_ai import Anthropic, PydanticAI
from memsieve.llm.shape import json_schema
from memsieve.llm.specs import from_spec

__all__ = [
    "Anthropic",
    "Chat",
    "Completion",
    "Model",
    "OpenAI",
    "PydanticAI",
    "SchemaChat",
    "Spent",
    "StreamingChat",
    "from_spec",
    "json_object",
    "json_schema",
]
