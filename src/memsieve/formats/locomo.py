"""LoCoMo: long two-person conversations with dated sessions and shared pictures."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from memsieve.errors import FormatError
from memsieve.formats.array import ConversationArray
from memsieve.formats.base import listing, mapping, moment, string
from memsieve.types import Message

_SESSION = re.compile(r"session_(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class LoCoMo(ConversationArray):
    """The samples of the LoCoMo benchmark.

    A sample is a namespace, `session_N` a session, `dia_id` the key. Every turn of a session
    carries the session's one date, read as UTC; the order of turns is theirs in the file. A
    picture's caption follows the text as " [picture: CAPTION]", because many questions are
    answered by it, and stands in the metadata; addresses and search words are left out. Turns
    with neither text nor caption are skipped, and so are dates without a session.

    References
    ----------
    Maharana and others, Evaluating very long-term conversational memory of LLM agents, ACL
    2024. Differs: the paper shows models the picture or its caption, here it is always the
    caption.
    """

    name: ClassVar[str] = "locomo"
    description: ClassVar[str] = "the LoCoMo benchmark: a JSON array of two-person conversations"
    # The questions come first and may fill the head: their evidence is a mark too.
    marks: ClassVar[re.Pattern[bytes]] = re.compile(
        rb'"(?:dia_id|speaker_a)"\s*:|"evidence"\s*:\s*\[\s*"D'
    )

    def turns(self, conversation: dict[str, Any], place: str) -> Iterator[tuple[str, Message]]:
        namespace = conversation.get("sample_id")
        if not isinstance(namespace, str) or not namespace:
            raise FormatError(f"{place}: sample_id must be a string, got {namespace!r}")
        content = mapping(conversation.get("conversation"))
        numbers = sorted(int(found[1]) for name in content if (found := _SESSION.fullmatch(name)))
        keys: set[str] = set()
        for session in (f"session_{number}" for number in numbers):
            at = moment(content.get(f"{session}_date_time"), f"{place}, {session}")
            if at is None:
                raise FormatError(f"{place}: {session} has no {session}_date_time")
            for turn in listing(content[session]):
                message = _message(mapping(turn), f"{place}, {session}", namespace, session, at)
                if message.key in keys:
                    raise FormatError(f"{place}: the dia_id {message.key} is taken twice")
                keys.add(str(message.key))
                if message.text.strip():
                    yield f"{place}, {message.key}", message


def _message(
    turn: dict[str, Any], place: str, namespace: str, session: str, at: datetime
) -> Message:
    fields = [turn.get(name) for name in ("dia_id", "speaker", "text")]
    if not all(isinstance(field, str) for field in fields):
        raise FormatError(f"{place}: a turn must have dia_id, speaker and text, got {turn!r:.80}")
    key, speaker, text = map(str, fields)
    caption = string(turn.get("blip_caption"))
    shown = [text] if text.strip() or not caption else []
    return Message(
        " ".join([*shown, f"[picture: {caption}]"] if caption else shown),
        at=at,
        speaker=speaker,
        session=session,
        key=key,
        source="import",
        metadata={"caption": caption} if caption else {},
        namespace=namespace,
    )
