"""Chat models by name."""

import re

from memsieve.embed.base import ApiKey
from memsieve.embed.transport import Transport
from memsieve.errors import ParameterError
from memsieve.llm.base import Chat
from memsieve.llm.openai import OpenAI
from memsieve.llm.pydantic_ai import ANTHROPIC_URL, Anthropic

OPENAI_URL = "https://api.openai.com/v1"

_NAMED = re.compile(r"(?P<maker>openai|anthropic):(?P<model>.+?)(?:@(?P<url>https?://.+))?")
_ADDRESS = re.compile(r"(?P<url>https?://[^#]+)#(?P<model>.+)")


def from_spec(spec: str, *, api_key: ApiKey = None, transport: Transport | None = None) -> Chat:
    """The chat model that a spec names. Nothing is sent before it is asked.

    ================================ ==========================================================
    ``http(s)://...#MODEL``          an OpenAI-compatible endpoint, such as a local server
    ``openai:MODEL``                 OpenAI; ``openai:MODEL@http(s)://...`` another address
    ``anthropic:MODEL``              Anthropic, likewise with ``@``; needs the extra ``llm``
    ================================ ==========================================================

    Parameters
    ----------
    api_key
        The key, or a function that returns it: ``lambda: os.environ["MY_KEY"]``. No variable, file
        or keyring is read otherwise, whatever the library behind the adapter is used to.
    transport
        Time-out, retries, proxy.

    Raises
    ------
    ParameterError
        If the spec names no chat model.
    MissingExtraError
        If the adapter's library is not installed.

    Examples
    --------
    >>> from_spec("http://127.0.0.1:11434/v1#qwen3")
    OpenAI('qwen3', 'http://127.0.0.1:11434/v1')
    >>> from_spec("openai:gpt-4o-mini")
    OpenAI('gpt-4o-mini', 'https://api.openai.com/v1')
    """
    found = _NAMED.fullmatch(spec) or _ADDRESS.fullmatch(spec)
    if found is None:
        raise ParameterError(
            "a chat model's spec must be http(s)://...#MODEL, openai:MODEL or anthropic:MODEL, the "
            f"latter two optionally with @http(s)://... at their end, got {spec!r}"
        )
    parts = found.groupdict()
    if parts.get("maker") == "anthropic":
        url = parts["url"] or ANTHROPIC_URL
        return Anthropic(parts["model"], url, api_key=api_key, transport=transport)
    return OpenAI(parts["model"], parts["url"] or OPENAI_URL, api_key=api_key, transport=transport)
