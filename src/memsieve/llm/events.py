"""Server-sent events: what an endpoint sends while its model writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from memsieve.embed.transport import SHOWN_CHARACTERS
from memsieve.errors import EndpointError

if TYPE_CHECKING:
    import httpx

_DATA = "data:"
_END = "[DONE]"


def data_of(client: httpx.Client, url: str, body: dict[str, Any], key: str | None) -> Iterator[Any]:
    """The JSON of each event that answers one request, as they come in.

    An answer that is no stream of events counts as one event. Nothing is tried again: what was
    handed on cannot be taken back.

    Raises
    ------
    EndpointError
        If the endpoint cannot be reached, refuses, falls silent or sends something else; the text
        never holds the key.
    """
    import httpx

    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        with client.stream("POST", url, json=body, headers=headers) as answer:
            if answer.status_code != httpx.codes.OK:
                shown = _shown(answer.read().decode(errors="replace"), key)
                raise EndpointError(f"endpoint {url} answered {answer.status_code}: {shown}")
            if "text/event-stream" in answer.headers.get("Content-Type", ""):
                for data in _data(answer.iter_lines()):
                    yield _read(data, url, key)
            else:
                yield _read(answer.read().decode(errors="replace"), url, key)
    except httpx.TimeoutException as error:
        raise EndpointError(f"endpoint {url} fell silent: raise timeout_s") from error
    except httpx.RequestError as error:
        raise EndpointError(
            f"endpoint {url} cannot be reached or broke off: {error}; check that the server runs"
        ) from error


def _data(lines: Iterator[str]) -> Iterator[str]:
    """The data of each event. OpenAI's interface writes one line of it per event."""
    for line in lines:
        if not line.startswith(_DATA):  # comments that keep the connection alive, event names
            continue
        data = line.removeprefix(_DATA).strip()
        if data == _END:
            return
        yield data


def _read(data: str, url: str, key: str | None) -> Any:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EndpointError(
            f"endpoint {url} sent something else than JSON: {_shown(data, key)!r}"
        ) from error
    if isinstance(event, dict) and event.get("error"):
        raise EndpointError(f"endpoint {url} broke off: {_shown(str(event['error']), key)}")
    return event


def _shown(text: str, key: str | None) -> str:
    text = " ".join(text.split())
    return (text.replace(key, "***") if key else text)[:SHOWN_CHARACTERS]
