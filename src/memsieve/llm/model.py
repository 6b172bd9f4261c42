"""Asking any chat model: typed answers, mended once, paid for once, and counted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from operator import add, sub
from pathlib import Path
from threading import Lock
from typing import Any, Self, TypeVar

from memsieve.errors import AnswerError, EndpointError, ParameterError
from memsieve.llm.answer import only_object
from memsieve.llm.base import Chat, Completion, Messages, SchemaChat, StreamingChat
from memsieve.llm.cache import Answers
from memsieve.llm.shape import fit, json_schema

T = TypeVar("T")

_SHOWN_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class Spent:
    """What the questions to a model cost so far.

    Parameters
    ----------
    calls
        Messages asked of the chat model; what its transport tried again is one call.
    cached
        Questions answered without a call.
    failed
        Calls that ended in an error, or in an answer that did not fit.
    prompt_tokens, completion_tokens
        Read and written, as far as the endpoint told; those of failed calls included.
    unknown
        Calls whose tokens were not told.
    """

    calls: int = 0
    cached: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unknown: int = 0

    @classmethod
    def of_call(cls, read: int | None, written: int | None, *, is_failed: bool = False) -> Spent:
        """One call with the tokens that were told."""
        return cls(1, 0, int(is_failed), read or 0, written or 0, int(None in (read, written)))

    def __add__(self, more: Spent) -> Spent:
        return Spent(*map(add, astuple(self), astuple(more)))

    def __sub__(self, before: Spent) -> Spent:
        return Spent(*map(sub, astuple(self), astuple(before)))


class Model:
    """A chat model that is asked for values instead of messages. Threads may share it.

    An answer that does not fit is sent back with the reason, `repairs` times. At temperature 0 an
    answer that fitted is kept, and the same question again costs nothing.

    Parameters
    ----------
    chat
        What answers: `OpenAI`, `Anthropic`, `PydanticAI`, what `from_spec` gives, or anything else
        with the method of `Chat`.
    repairs
        How often an answer that does not fit is asked for again, >= 0.
    cache
        Path of a file that keeps answers for other processes too; None keeps them in memory.
    n_recent
        Answers kept in memory, >= 0.
    identity
        Names the model in the cache; None takes `chat.identity`.

    Raises
    ------
    ParameterError
        If an option lies outside its rule, or a file must tell models apart that have no identity.
    StoreError
        If the file is no cache of answers, or is damaged, or cannot be written.

    Examples
    --------
    >>> class Parrot:
    ...     def complete(self, messages, *, max_tokens, temperature, top_p):
    ...         return Completion('{"city": "Lisbon"}', 40, 8)
    >>> @dataclass(frozen=True)
    ... class Home:
    ...     city: str
    >>> model = Model(Parrot())
    >>> model.ask("Where does Ana live?", Home), model.ask("Where does Ana live?", Home)
    (Home(city='Lisbon'), Home(city='Lisbon'))
    >>> model.spent.calls, model.spent.cached, model.spent.prompt_tokens
    (1, 1, 40)
    """

    def __init__(
        self,
        chat: Chat,
        *,
        repairs: int = 1,
        cache: str | Path | None = None,
        n_recent: int = 1024,
        identity: str | None = None,
    ) -> None:
        for name, value in (("repairs", repairs), ("n_recent", n_recent)):
            if value < 0:
                raise ParameterError(f"Model.{name} must be >= 0, got {value!r}")
        named = identity or getattr(chat, "identity", None)
        if cache is not None and named is None:
            raise ParameterError(
                f"Model.cache needs to know which model answered and {type(chat).__name__} has no "
                "identity: pass one"
            )
        self.chat, self.repairs, self.identity = chat, repairs, named or type(chat).__name__
        self._answers = Answers(n_recent, cache)
        self._spent, self._lock = Spent(), Lock()

    @property
    def spent(self) -> Spent:
        """What was spent since the model was made."""
        return self._spent

    def ask(
        self,
        messages: Messages | str,
        schema: type[T],
        *,
        max_tokens: int = 512,
        temperature: float = 0.0,
    ) -> T:
        """The model's answer as a value of `schema`.

        Parameters
        ----------
        messages
            Messages as `Chat.complete` takes them, or the text of one.
        schema
            A dataclass, TypedDict or pydantic model; see `shape`. It is given to the endpoint, or
            stated in the prompt where the endpoint takes none.

        Raises
        ------
        AnswerError
            If no answer fitted; `written` holds the last one.
        EndpointError
            From the chat model.
        ParameterError
            If the schema is none.
        """
        question = _Question.of(messages, max_tokens, temperature, schema)
        return self._settle(question, lambda text: _typed(text, schema))

    def write(
        self, messages: Messages | str, *, max_tokens: int = 512, temperature: float = 0.0
    ) -> str:
        """The model's answer as plain text.

        Raises
        ------
        AnswerError
            If it is empty or was cut off; `written` holds what came.
        EndpointError
            From the chat model.
        """
        return self._settle(_Question.of(messages, max_tokens, temperature), _not_blank)

    def stream(
        self, messages: Messages | str, *, max_tokens: int = 512, temperature: float = 0.0
    ) -> Iterator[str]:
        """The same as `write`, piece by piece; in one piece if it is cached or cannot be streamed.

        Raises
        ------
        AnswerError, EndpointError
            Like `write`, but perhaps after some pieces; they are not asked for again.
        """
        question = _Question.of(messages, max_tokens, temperature)
        if isinstance(self.chat, StreamingChat) and self._recalled(question) is None:
            return self._streamed(self.chat, question)
        return iter((self._settle(question, _not_blank),))

    def close(self) -> None:
        """Let go of the connections of the chat model, if it keeps any."""
        close = getattr(self.chat, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def clear(self) -> None:
        """Forget the answers that were kept, in the file too."""
        self._answers.clear()

    def _settle(self, question: _Question, read: Callable[[str], T]) -> T:
        """The first answer that can be read, kept or asked for."""
        kept = self._recalled(question)
        if kept is not None:
            # One that another type of the same schema accepted may still break a rule of this one.
            with suppress(ValueError):
                value = read(kept)
                self._count(Spent(cached=1))
                return value
        is_told = isinstance(self.chat, SchemaChat) and self.chat.takes_schemas
        messages = _stated(question.messages, question.form, in_full=not is_told)
        repairs = 0
        while True:
            answer = self._asked(question, messages)
            try:
                value = question.read(answer, read)
            except ValueError as problem:
                self._count(Spent(failed=1))
                if repairs == self.repairs:
                    raise self._refusal(question, answer.text, problem) from problem
                returned = _returned(question.messages, answer.text, problem)
                messages = _stated(returned, question.form, in_full=True)
                repairs += 1
            else:
                self._keep(question, answer.text)
                return value

    def _asked(self, question: _Question, messages: Messages) -> Completion:
        """One call, counted whatever becomes of it."""
        max_tokens, temperature = question.max_tokens, question.temperature
        try:
            if isinstance(self.chat, SchemaChat):
                answer = self.chat.complete_as(
                    question.form,
                    messages,
                    max_tokens=max_tokens,
                    temperature=temperature,
                    top_p=1.0,
                )
            else:
                answer = self.chat.complete(
                    messages, max_tokens=max_tokens, temperature=temperature, top_p=1.0
                )
        except BaseException as error:
            charged = error.charged if isinstance(error, EndpointError) else (None, None)
            self._count(Spent.of_call(*charged, is_failed=True))
            raise
        self._count(Spent.of_call(answer.prompt_tokens, answer.completion_tokens))
        return answer

    def _streamed(self, chat: StreamingChat, question: _Question) -> Iterator[str]:
        text, last, is_whole = "", Completion(""), False
        try:
            for last in chat.stream(
                question.messages,
                max_tokens=question.max_tokens,
                temperature=question.temperature,
                top_p=1.0,
            ):
                text += last.text
                if last.text:
                    yield last.text
            is_whole = True
        finally:  # a reader that leaves early has spent what was written until then
            tokens = (last.prompt_tokens, last.completion_tokens)
            self._count(Spent.of_call(*tokens, is_failed=not is_whole))
        try:
            question.read(replace(last, text=text), _not_blank)
        except ValueError as problem:
            self._count(Spent(failed=1))
            raise self._refusal(question, text, problem) from problem
        self._keep(question, text)

    def _recalled(self, question: _Question) -> str | None:
        return None if question.temperature else self._answers.get(question.key(self.identity))

    def _keep(self, question: _Question, text: str) -> None:
        if not question.temperature:
            self._answers.put(question.key(self.identity), text)

    def _count(self, more: Spent) -> None:
        with self._lock:
            self._spent += more

    def _refusal(self, question: _Question, written: str, problem: ValueError) -> AnswerError:
        shown = repr(written[:_SHOWN_CHARACTERS]) + (
            "…" if len(written) > _SHOWN_CHARACTERS else ""
        )
        error = AnswerError(
            f"{self.identity} was asked for {question.expected} and answered {shown}: "
            f"{_line(problem)}"
        )
        error.written = written
        return error


@dataclass(frozen=True, slots=True)
class _Question:
    """All that an answer depends on, but for the model."""

    messages: Messages
    max_tokens: int
    temperature: float
    form: dict[str, Any] | None = None
    expected: str = "text"

    @classmethod
    def of(
        cls,
        messages: Messages | str,
        max_tokens: int,
        temperature: float,
        schema: Any = None,
    ) -> _Question:
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        if schema is None:
            return cls(messages, max_tokens, temperature)
        return cls(messages, max_tokens, temperature, json_schema(schema), schema.__name__)

    def key(self, identity: str) -> str:
        messages = [dict(message) for message in self.messages]
        parts = [identity, messages, self.max_tokens, self.form]
        written = json.dumps(parts, sort_keys=True).encode()
        return hashlib.blake2b(written, digest_size=20).hexdigest()

    def read(self, answer: Completion, read: Callable[[str], T]) -> T:
        """The value of an answer; a ValueError says what is wrong with it.

        An object that is whole may stand in an answer that is not; a text that was cut off is none.
        """
        cut_off = f"cut off: raise max_tokens, now {self.max_tokens}"
        try:
            value = read(answer.text)
        except ValueError as problem:
            if answer.cut_off:
                raise ValueError(f"{_line(problem)}; it was {cut_off}") from problem
            raise
        if answer.cut_off and self.form is None:
            raise ValueError(f"the text was {cut_off}")
        return value


def _typed(text: str, schema: type[T]) -> T:
    value: T = fit(only_object(text), schema)
    return value


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("the answer is empty")
    return text


def _stated(messages: Messages, form: dict[str, Any] | None, *, in_full: bool) -> Messages:
    """Messages that end with what the answer must look like."""
    if form is None:
        return messages
    asked = "Write one JSON object and nothing else"
    return _with_note(
        messages, f"{asked}, of this schema: {json.dumps(form)}" if in_full else asked
    )


def _returned(messages: Messages, written: str, problem: ValueError) -> Messages:
    """Messages that give an answer back with the reason; endpoints refuse empty messages."""
    if written.strip():
        messages = [*messages, {"role": "assistant", "content": written}]
    return _with_note(messages, f"Your answer does not fit: {_line(problem)}. Answer again")


def _with_note(messages: Messages, note: str) -> Messages:
    """Messages with a sentence at the end of the last one, if that is the user's."""
    last = messages[-1] if messages else {}
    if last.get("role") != "user" or not isinstance(last.get("content"), str):
        return [*messages, {"role": "user", "content": f"{note}."}]
    return [*messages[:-1], {"role": "user", "content": f"{last['content']}\n\n{note}."}]


def _line(problem: ValueError) -> str:
    return " ".join(str(problem).split())
