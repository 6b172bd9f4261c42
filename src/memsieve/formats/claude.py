"""Claude's data export: conversations.json, in which every chat is a list of messages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from memsieve.errors import FormatError
from memsieve.formats.array import ConversationArray
from memsieve.formats.base import listing, mapping, moment, string
from memsieve.formats.tree import current
from memsieve.types import Message

_ROLES = {"human": "user", "assistant": "assistant"}
# What `text` holds in the place of a tool call; `content` then holds the words apart from it.
_PLACEHOLDER = re.compile(
    r"(?:```\s*)?This block is not supported on your current device yet\.(?:\s*```)?"
)


@dataclass(frozen=True, slots=True)
class Claude(ConversationArray):
    """What a person and Claude said to one another, from the export that Anthropic mails.

    Reads the zip as it came, the unpacked folder, or conversations.json. Messages that were
    edited away or answered anew stand in the list like all others; where the messages say
    which one they answer, only the branch of the current (else the newest) message is read.
    Words come from `text` or, where that is empty or holds placeholders for tool calls, from
    the text blocks of `content`; messages without words are skipped in silence. The session is
    the conversation, its name stands in the metadata as title, the key is the message's uuid,
    the date its own or, where it has none, the conversation's.

    Parameters
    ----------
    all_branches
        Read the messages that were edited away as well.

    References
    ----------
    Anthropic publishes no schema: this follows exports of 2024 to 2026 as others describe them.
    """

    all_branches: bool = False

    name: ClassVar[str] = "claude"
    description: ClassVar[str] = "Claude's data export: the zip, its folder or conversations.json"
    marks: ClassVar[re.Pattern[bytes]] = re.compile(rb'"chat_messages"\s*:\s*\[')

    def turns(self, conversation: dict[str, Any], place: str) -> Iterator[tuple[str, Message]]:
        session = conversation.get("uuid")
        messages = conversation.get("chat_messages")
        if not isinstance(session, str) or not isinstance(messages, list):
            raise FormatError(f"{place}: a conversation must have a uuid and a chat_messages list")
        by_key = {
            str(mapping(message).get("uuid") or f"{session}:{number}"): mapping(message)
            for number, message in enumerate(messages)
        }
        title = string(conversation.get("name"))
        for key in list(by_key) if self.all_branches else _branch(conversation, by_key):
            message = by_key[key]
            role = _ROLES.get(str(message.get("sender")))
            text = _text(message)
            if role is None or not text:
                continue
            where = f"{place}, message {key}"
            yield (
                where,
                Message(
                    text,
                    at=moment(message.get("created_at") or conversation.get("created_at"), where),
                    speaker=role,
                    role=role,
                    session=session,
                    key=key,
                    source=role,
                    metadata={"title": title} if title else {},
                ),
            )


def _branch(conversation: dict[str, Any], by_key: dict[str, dict[str, Any]]) -> list[str]:
    parents = {key: string(one.get("parent_message_uuid")) for key, one in by_key.items()}
    leaf = string(conversation.get("current_leaf_message_uuid"))
    return current(parents, leaf if leaf in by_key else next(reversed(by_key), None))


def _text(message: dict[str, Any]) -> str | None:
    text = message.get("text")
    if not isinstance(text, str) or not text.strip() or _PLACEHOLDER.search(text):
        blocks = [mapping(block) for block in listing(message.get("content"))]
        words = [block.get("text") for block in blocks if block.get("type") == "text"]
        text = "\n\n".join(word for word in words if isinstance(word, str)) or text
    if not isinstance(text, str):
        return None
    spoken = _PLACEHOLDER.sub("", text) if _PLACEHOLDER.search(text) else text
    return spoken if spoken.strip() else None
