"""Whether an answer stands on its evidence: what an answering loop asks before it answers."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memsieve.errors import AnswerError, ParameterError
from memsieve.recollection import Recollection
from memsieve.search.words import words

if TYPE_CHECKING:
    from memsieve.llm import Model

SHORT_WORDS = 5
"""An answer of at most so many words is not held against the evidence."""
LEAST_OVERLAP = 0.5
UNSURE = (0.3, 0.7)
"""Between these overlaps a model is asked, if there is one."""
KNOWN = 0.5
"""A refusal is wrong if the evidence holds this share of the question's content words."""

# At its beginning, or a sentence's: "she was unable to come" and "an unknown caller" are answers.
_REFUSAL = re.compile(
    r"^\W*(?:(?:it|that|this|the answer) (?:is |was )?)?(?:unknown|unanswerable|unclear|unable to"
    r"|(?:not|never|isn['’]t|wasn['’]t|nicht) (?:mentioned|stated|specified|known|available"
    r"|provided|erwähnt|bekannt))\b"
    r"|(?:^\W*|[.!?;:]\s+|\b(?:sorry|but|so|and),? )i (?:do not|don['’]t|cannot|can['’]t|could not"
    r"|couldn['’]t|am unable to|am not able to) (?:know|tell|say|find|answer|determine)\b"
    r"|\bno (?:information|mention)\b|\b(?:not enough|insufficient) (?:information|evidence"
    r"|context|detail)"
    r"|\b(?:evidence|context|memory|conversations?|lines) (?:does|do)(?: not|n['’]t)\b"
    r"|\bas an ai\b|\bkeine (?:angaben?|information(?:en)?)\b|\bich weiß (?:es |das )?nicht\b"
    r"|^\W*(?:das )?weiß ich nicht\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+(?:['’]\w+)?")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an answer.

    ok: whether it passes; overlap: share of its content words that the evidence holds, in [0, 1],
    1.0 for an answer without any; why: "empty", "refusal", "short", "supported", "unsupported", or
    "supported by the model", "unsupported by the model".
    """

    ok: bool
    overlap: float
    why: str


def grounded(
    answer: str, recollection: Recollection, model: "Model | None" = None, *, known: float = KNOWN
) -> Verdict:
    """Hold an answer against the evidence it was given, by checks in rising cost.

    It fails if it has no word; if it refuses although the evidence speaks of what was asked; and
    if it is longer than five words and shares less than half of its content words, stemmed, with
    `recollection.context()`. Shorter ones pass. With a `model` it decides between 0.3 and 0.7, one
    call; an answer of it that cannot be read leaves the decision to the words.

    Parameters
    ----------
    known
        From which share of the question's content words, in [0, 1], the evidence speaks of it.

    Raises
    ------
    ParameterError
        If `known` lies outside [0, 1].
    EndpointError
        From the model.

    References
    ----------
    After MemFlow, arXiv 2605.03312, which has these checks in this order. The thresholds are
    suggestions, the paper states none. Differs: a refusal is held against words of the question,
    not against a score of the evidence, whose unit is another for every system.
    """
    if not 0 <= known <= 1:
        raise ParameterError(f"known must be in [0, 1], got {known!r}")
    said = _WORD.findall(answer)
    evidence = set(words(recollection.context()))
    overlap = _share(answer, evidence)
    if not said:
        return Verdict(False, 0.0, "empty")
    if _REFUSAL.search(answer):
        is_known = len(recollection) > 0 and _share(recollection.question, evidence) >= known
        return Verdict(not is_known, overlap, "refusal")
    if len(said) <= SHORT_WORDS:
        return Verdict(True, overlap, "short")
    if model is not None and UNSURE[0] <= overlap <= UNSURE[1]:
        judged = _judged(answer, recollection, model)
        if judged is not None:
            why = "supported by the model" if judged else "unsupported by the model"
            return Verdict(judged, overlap, why)
    ok = overlap >= LEAST_OVERLAP
    return Verdict(ok, overlap, "supported" if ok else "unsupported")


def _share(text: str, evidence: set[str]) -> float:
    """Share of the different content words of a text that the evidence holds; 1.0 for none."""
    own = set(words(text))
    return len(own & evidence) / len(own) if own else 1.0


@dataclass(frozen=True)
class Judgement:
    """What a model says of an answer."""

    supported: bool


def _judged(answer: str, recollection: Recollection, model: "Model") -> bool | None:
    prompt = (
        "Does the evidence support every claim of the answer? Other words for the same thing do.\n"
        f"\nEvidence:\n{recollection.context()}\n\nQuestion: {recollection.question}\n"
        f"Answer: {answer}"
    )
    try:
        return model.ask(prompt, Judgement, max_tokens=64).supported
    except AnswerError:
        return None
