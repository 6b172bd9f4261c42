"""ChatGPT's data export: conversations.json, in which every chat is a tree of messages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from memsieve.errors import FormatError
from memsieve.formats.array import ConversationArray
from memsieve.formats.base import listing, mapping, moment, string
from memsieve.formats.tree import depth_first, path_to
from memsieve.types import Message

# The other kinds are reasoning, tool output, browsing and instructions that were not said.
_SPOKEN = ("text", "multimodal_text", "code")


@dataclass(frozen=True, slots=True)
class ChatGPT(ConversationArray):
    """What a person and ChatGPT said to one another, from the export that OpenAI mails.

    Reads the zip as it came, the unpacked folder, or conversations.json (in newer exports
    conversations-000.json and so on). Of the tree only the path to the current message is
    read; versions that were edited or regenerated away are not. Skipped in silence are system
    and tool messages, calls to tools, hidden messages, reasoning, and messages without text;
    of a spoken message its transcript is the text. The session is the conversation, its title
    stands in the metadata, the key is the message's id, the date its own or, where it has
    none, the conversation's.

    Parameters
    ----------
    all_branches
        Read the versions that were edited away as well, branch after branch.

    References
    ----------
    OpenAI publishes no schema: this follows exports of 2023 to 2026 as others describe them.
    """

    all_branches: bool = False

    name: ClassVar[str] = "chatgpt"
    description: ClassVar[str] = "ChatGPT's data export: the zip, its folder or conversations.json"
    marks: ClassVar[re.Pattern[bytes]] = re.compile(rb'"mapping"\s*:\s*\{')

    def turns(self, conversation: dict[str, Any], place: str) -> Iterator[tuple[str, Message]]:
        nodes = conversation.get("mapping")
        if not isinstance(nodes, dict):
            raise FormatError(f"{place}: mapping must be an object, got {nodes!r:.60}")
        nodes = {node_id: mapping(node) for node_id, node in nodes.items()}
        parents = {node_id: string(node.get("parent")) for node_id, node in nodes.items()}
        order = depth_first(parents) if self.all_branches else path_to(parents, _leaf(conversation))
        session = _session(conversation, order)
        title = string(conversation.get("title"))
        for node_id in order:
            message = mapping(nodes[node_id].get("message"))
            if not (text := _text(message)):
                continue
            role = message["author"]["role"]
            where = f"{place}, message {node_id}"
            yield (
                where,
                Message(
                    text,
                    at=moment(message.get("create_time") or conversation.get("create_time"), where),
                    speaker=role,
                    role=role,
                    session=session,
                    key=str(message.get("id") or node_id),
                    source=role,
                    metadata={"title": title} if title else {},
                ),
            )


def _leaf(conversation: dict[str, Any]) -> str | None:
    """The current message; in a conversation that names none, the newest."""
    nodes = conversation["mapping"]
    leaf = string(conversation.get("current_node"))
    if leaf in nodes:
        return leaf
    return max(reversed(nodes), key=lambda node_id: _created(nodes[node_id]), default=None)


def _created(node: object) -> float:
    created = mapping(mapping(node).get("message")).get("create_time")
    return float(created) if isinstance(created, int | float) else 0.0


def _session(conversation: dict[str, Any], order: list[str]) -> str | None:
    given = conversation.get("conversation_id") or conversation.get("id")
    # The oldest exports name the conversation only by the root of its tree.
    return str(given) if given else next(iter(order), None)


def _text(message: dict[str, Any]) -> str | None:
    """What was said; None for all that is not said by one of the two, or holds no words."""
    content = mapping(message.get("content"))
    hidden = mapping(message.get("metadata")).get("is_visually_hidden_from_conversation")
    if (
        mapping(message.get("author")).get("role") not in ("user", "assistant")
        or message.get("recipient", "all") not in ("all", None)
        or content.get("content_type", "text") not in _SPOKEN
        or hidden
    ):
        return None
    parts = [_words(part) for part in [content.get("text"), *listing(content.get("parts"))]]
    text = "\n".join(part for part in parts if part)
    return text if text.strip() else None


def _words(part: object) -> str:
    """A part that is a string, or the transcript of one that was spoken; "" for pictures."""
    words = part.get("text") if isinstance(part, dict) else part
    return words if isinstance(words, str) else ""
