"""Chat models: a protocol of one method, and the adapter to endpoints that speak OpenAI's.

Nothing here is called unless a caller builds an adapter and hands it to a part that asks for one.
"""

from memsieve.llm.base import Chat, Completion, json_object
from memsieve.llm.openai import OpenAI

__all__ = ["Chat", "Completion", "OpenAI", "json_object"]
