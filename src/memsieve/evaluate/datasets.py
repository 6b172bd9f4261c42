"""Data sets of remembered conversations with questions and their evidence, as scopes.

`load` reads four formats:

    locomo         a JSON file of LoCoMo samples; categories by name, malformed evidence mended
    bfcl           the folder of BFCL v4 memory: one scope for each of its five scenarios
    conversations  the open format: a folder of JSON files, or one file, one scope for each
    tau2           the folder of tau2-bench's banking knowledge: one scope, a question a task

The messages come from `memsieve.formats`, so what is measured is what `import` would store.
Questions that cannot be scored, having no evidence, are left out and listed in `skipped`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from memsieve import formats
from memsieve.errors import FormatError, NotFoundError, ParameterError
from memsieve.evaluate.placement import place
from memsieve.evaluate.scopes import Dataset, Question, Scope, SessionView, Skipped
from memsieve.formats.base import listing, mapping, moment
from memsieve.formats.files import Part, named, whole
from memsieve.formats.jsonl import numbered_lines
from memsieve.formats.stream import parse
from memsieve.formats.tau2 import NAMESPACE as TAU2
from memsieve.types import Message

__all__ = ["DATASETS", "Dataset", "Question", "Scope", "Skipped", "load", "locomo_evidence"]

LOCOMO_CATEGORIES = {
    1: "multi-hop",
    2: "temporal",
    3: "open-domain",
    4: "single-hop",
    5: "adversarial",
}
_DIA_ID = re.compile(r"D:?(\d+):(\d+)", re.ASCII)

_Asked = Question | Skipped
_Read = tuple[str, Sequence[Message], list[_Asked], Mapping[str, SessionView]]


def load(path: str | PathLike[str], dataset: str = "auto") -> Dataset:
    """Read a data set of one of the four formats above.

    Parameters
    ----------
    path
        A file or a folder.
    dataset
        "locomo", "bfcl", "conversations", "tau2", or "auto" to tell by the content.

    Raises
    ------
    NotFoundError
        If there is nothing at `path`.
    ParameterError
        If `dataset` is none of the five names.
    FormatError, DateError
        If the content is not of that format, or of none where it should be told.
    """
    root = Path(path)
    if not root.exists():
        raise NotFoundError(f"no data set at {str(root)!r}: name a file or a folder that exists")
    if dataset not in ("auto", *DATASETS):
        known = ", ".join(["auto", *DATASETS])
        raise ParameterError(f"dataset must be one of {known}, got {dataset!r}")
    name = formats.detect(root).name if dataset == "auto" else dataset
    if name not in _READERS:
        raise FormatError(
            f"{root} is of the format {name}, which has no questions with evidence: "
            f"measure on one of {', '.join(DATASETS)}"
        )
    return _gathered(name, _READERS[name](root))


def _gathered(name: str, scopes: Iterable[_Read]) -> Dataset:
    kept: list[Scope] = []
    skipped: list[Skipped] = []
    for scope_id, messages, asked, views in scopes:
        questions = tuple(one for one in asked if isinstance(one, Question))
        skipped.extend(one for one in asked if isinstance(one, Skipped))
        kept.append(Scope(scope_id, tuple(messages), questions, views))
    return Dataset(name, tuple(kept), tuple(skipped))


def _locomo(root: Path) -> Iterator[_Read]:
    for part in _json_parts(root):
        spoken = _by_namespace(formats.read(part.path, "locomo"))
        for sample in parse(whole(part), part.name):
            scope = str(sample["sample_id"])
            messages = spoken.get(scope, [])
            keys = _keys(messages)
            asked = partial(_locomo_question, scope=scope, keys=keys)
            questions = _each(f"{part.name}, {scope}", sample.get("qa"), asked)
            views = _locomo_views(sample, messages, f"{part.name}, {scope}", keys)
            yield scope, messages, questions, views


def _locomo_views(
    sample: Mapping[str, Any], messages: Iterable[Message], place: str, keys: frozenset[str]
) -> dict[str, SessionView]:
    """The summaries and observations that LoCoMo ships, of sessions that have turns.

    They were written by a model from the conversation alone; observations name their turns.
    """
    summaries = mapping(sample.get("session_summary"))
    observations = mapping(sample.get("observation"))
    views = {}
    for session in dict.fromkeys(str(message.session) for message in messages):
        told = mapping(observations.get(f"{session}_observation"))
        statements = [
            _statement(entry, f"{place}, {session}", keys)
            for said in told.values()
            for entry in listing(said)
        ]
        summary = str(summaries.get(f"{session}_summary") or "")
        if summary or statements:
            views[session] = SessionView(summary, tuple(statements))
    return views


def _statement(entry: Any, place: str, keys: frozenset[str]) -> tuple[str, tuple[str, ...]]:
    match entry:
        case [str() as text, str() as named]:
            return text, locomo_evidence([named], keys)
        case [str() as text, list() as named]:
            return text, locomo_evidence(map(str, named), keys)
    raise FormatError(f"{place}: an observation must be a text and its turns, got {entry!r:.80}")


def _locomo_question(row: Mapping[str, Any], scope: str, keys: frozenset[str]) -> _Asked:
    evidence = locomo_evidence(row.get("evidence") or (), keys)
    if not evidence:
        why = f"no turn of the conversation among its evidence {row.get('evidence')}"
        return Skipped(scope, row["question"], why)
    category = LOCOMO_CATEGORIES.get(row["category"], str(row["category"]))
    return Question(row["question"], evidence, category, answer=_text(row.get("answer")))


def locomo_evidence(written: Iterable[str], keys: frozenset[str]) -> tuple[str, ...]:
    """The turns that LoCoMo's evidence strings name, in order, each once.

    A few strings are malformed: every D?:?number:number in them counts, leading zeros do
    not, and ids that do not exist are dropped.

    Examples
    --------
    >>> locomo_evidence(["D8:6; D9:17", "D:11:26", "D30:05", "D", "D1:99"],
    ...                 frozenset({"D8:6", "D9:17", "D11:26", "D30:5"}))
    ('D8:6', 'D9:17', 'D11:26', 'D30:5')
    """
    named_turns = (
        f"D{int(session)}:{int(turn)}"
        for text in written
        for session, turn in _DIA_ID.findall(text)
    )
    return tuple(dict.fromkeys(key for key in named_turns if key in keys))


def _bfcl(root: Path) -> Iterator[_Read]:
    answers = {str(row.get("id")): row for row in _json_lines(root / "answers.jsonl")}
    questions: dict[str, list[Any]] = {}
    for row in _json_lines(root / "questions.jsonl"):
        questions.setdefault(str(row.get("scenario")), []).append(row)
    spoken = _by_namespace(formats.read(root, "bfcl"))
    for scope, rows in questions.items():
        messages = spoken.get(scope, [])
        texts = {m.key: m.text for m in messages if m.key is not None}
        asked = partial(_bfcl_question, scope=scope, answers=answers, texts=texts)
        yield scope, messages, _each(f"questions.jsonl, {scope}", rows, asked), {}


def _bfcl_question(
    row: Mapping[str, Any], scope: str, answers: Mapping[str, Any], texts: Mapping[str, str]
) -> _Asked:
    question = str(row["question"][0][0]["content"])
    answer = answers.get(row["id"])
    if answer is None:
        return Skipped(scope, question, f"no answer with the id {row['id']!r}")
    key = place(answer["source"], texts)
    if key is None:
        return Skipped(scope, question, f"no one message holds {answer['source']!r}")
    return Question(question, (key,), scope, answer=" | ".join(answer["ground_truth"]))


def _conversations(root: Path) -> Iterator[_Read]:
    spoken = _by_namespace(formats.read(root, "conversations"))
    for part in _json_parts(root):
        content = parse(whole(part), part.name)
        scope = str(content["id"])
        messages = spoken.get(scope, [])
        asked = partial(_open_question, name=part.name, scope=scope, keys=_keys(messages))
        yield scope, messages, _each(part.name, content.get("questions"), asked), {}


def _open_question(row: Mapping[str, Any], name: str, scope: str, keys: frozenset[str]) -> _Asked:
    question = str(row["question"])
    evidence = tuple(dict.fromkeys(str(key) for key in row.get("evidence") or ()))
    if not evidence:
        return Skipped(scope, question, "no evidence")
    strange = [key for key in evidence if key not in keys]
    if strange:
        raise FormatError(
            f"{name}: the evidence of {question!r} must be ids of turns of the same file, "
            f"got {', '.join(strange)}"
        )
    return Question(
        question,
        evidence,
        str(row.get("category") or "uncategorised"),
        asked_at=moment(row.get("asked_at"), f"{name}, asked_at of {question!r}"),
        answer=_text(row.get("answer")),
    )


def _tau2(root: Path) -> Iterator[_Read]:
    messages = list(formats.read(root, "tau2"))
    part = Part(root / "tasks.json")
    tasks = parse(whole(part), part.name)
    if not isinstance(tasks, list):
        raise FormatError(f"{part.name}: expected a JSON array of tasks, got {tasks!r:.60}")
    asked = partial(_tau2_question, name=part.name, keys=_keys(messages))
    yield TAU2, messages, _each(part.name, tasks, asked), {}


def _tau2_question(row: Mapping[str, Any], name: str, keys: frozenset[str]) -> _Asked:
    question, required = row["user_scenario"]["instructions"], row.get("required_documents")
    # Other domains of tau2-bench write instructions as objects, and require no documents.
    has_words = isinstance(question, str) and bool(question.strip())
    if not has_words or not isinstance(required, list | None):
        raise FormatError(
            f"{name}: the task {row.get('id')!r} must have instructions, text that is not blank, "
            "and required_documents, a list of ids"
        )
    evidence = tuple(dict.fromkeys(key for key in required or () if key in keys))
    if not evidence:
        return Skipped(TAU2, question, f"no document among its required_documents {required}")
    return Question(question, evidence, "policy")


def _each(name: str, rows: Any, asked: Callable[[Any], _Asked]) -> list[_Asked]:
    """Every row of `rows` as a question; a row of another shape is named by its number."""
    found = []
    for number, row in enumerate(rows or (), 1):
        try:
            found.append(asked(row))
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise FormatError(
                f"{name}, question {number}: not as the format writes questions "
                f"({type(error).__name__}: {error}): mend it or take it out"
            ) from error
    return found


def _json_parts(root: Path) -> list[Part]:
    return named(root, "*.json") if root.is_dir() else [Part(root)]


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    part = Part(path)
    for number, line in numbered_lines(part):
        yield mapping(parse(line, part.name, line=number))


def _by_namespace(messages: Iterable[Message]) -> dict[str, list[Message]]:
    grouped: dict[str, list[Message]] = {}
    for message in messages:
        grouped.setdefault(str(message.namespace), []).append(message)
    return grouped


def _keys(messages: Iterable[Message]) -> frozenset[str]:
    return frozenset(message.key for message in messages if message.key is not None)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


_READERS: Mapping[str, Callable[[Path], Iterator[_Read]]] = {
    "bfcl": _bfcl,
    "conversations": _conversations,
    "locomo": _locomo,
    "tau2": _tau2,
}
DATASETS = tuple(_READERS)
