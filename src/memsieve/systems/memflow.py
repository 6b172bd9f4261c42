"""MemFlow: the intent of a question decides how much is done to find its evidence, and what."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from memsieve.errors import ParameterError
from memsieve.score import Features, Scores
from memsieve.search import Block
from memsieve.search.candidates import Found, found_of
from memsieve.select import Budget
from memsieve.stages import Card, Place, Progress, Reading, System
from memsieve.systems import evidence, profile
from memsieve.systems.evidence import KINDS, LIFTS, PRIORITY, Evidence
from memsieve.systems.held import PerBlock
from memsieve.systems.intents import Intent, Route, Tier, route
from memsieve.systems.profile import Groups, Profile, Standing
from memsieve.systems.rounds import search
from memsieve.systems.stated import Fact

BUDGETS = (300, 2_000, 3_000)
"""Tokens of the evidence of each tier: suggestions, the paper states only a mean of 2,223."""
_DEEPER = 2
_MAX_REMARKS = 5
_SHARE_OF_REMARKS = 4
_OF_STATE = frozenset({Intent.PROFILE, Intent.STATE, Intent.CONFLICT})
_LOOKS_BACK = re.compile(
    r"\b(?:used to|before|previously|formerly|originally|earlier|früher|vorher|zuvor)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What was decided for a question.

    until: the last microsecond that says what holds; stood: what holds and what does not of the
    attributes that the question asks for; expired: ids of the rules that were left out.
    """

    route: Route
    tier: Tier
    evidence: Evidence
    transforms: tuple[str, ...] = ()
    rounds: int = 0
    entities: tuple[str, ...] = ()
    until: int = 0
    stood: Standing = field(default_factory=Standing)
    expired: tuple[str, ...] = ()


class MemFlow(System):
    """Route a question by its intent to one of three tiers, and compile its evidence there.

    Tier 1 looks the user's profile up, without a search; it goes on to tier 2 where no attribute
    fits. Tier 2 searches in rounds: for the question, then for what the best hits name as well;
    every hit brings the turns beside it. Tier 3 does the same with twice the depth, and then what
    the intent asks for: the library's own time machinery puts things in order and counts days for
    temporal questions, what was stated last holds for those of state and of conflict, rules that
    are not in force at the time of the question go, and for an overview the best of each session
    comes first. The budget of the tier is filled by priority: direct hits 1.0, hits by what others
    name 0.8, neighbours 0.6, background 0.2, each times what the search gave.

    Parameters
    ----------
    k
        Hits of each ranking in tier 2; twice as many in tier 3. At least 1.
    max_rounds
        Searches at most, at least 1.
    budgets
        Tokens of the evidence of each tier; a request that states less gets less.
    asks
        Whether a chat model, where the memory has one, is asked for the intent when no rule can
        tell it: one call for such a question. Without it keywords decide.

    Raises
    ------
    ParameterError
        If an option lies outside its rule.

    References
    ----------
    Chen, Li and Wang, arXiv 2605.03312, after summaries of it: the full text was not available,
    and there is no public code. See `CARD.differences`.
    """

    CARD = Card(
        name="memflow",
        paper="Chen, Li and Wang, MemFlow: Intent-Driven Memory Orchestration for Small Language "
        "Model Agents, 2026, arXiv 2605.03312",
        unit="a turn, and an attribute that somebody states",
        written="every turn as it is; attributes are read off the turns, or noted by a chat model",
        scored="the kind of evidence (direct hit, entity hit, neighbour, background) times the "
        "fused rank of BM25 and cosine; by intent what holds, or the best of a session, first",
        selected="the best that fit the budget of the tier: 300, 2,000 or 3,000 tokens",
        managed="nothing; what is superseded or expired is left out or marked when it is read",
        learns="nothing: rules and a frozen model",
        differences=(
            "after MemFlow: the full text was not available, rules, tier map, priorities, "
            "thresholds and the budgets of tiers are suggestions where summaries are silent; the "
            "names of the seven intents are unconfirmed",
            "without a model the second layer of the router is passed over; a model that fails or "
            "names no intent is logged, and keywords decide",
            "where keywords tie the intent is targeted extraction, in the heaviest tier of those "
            "that tie and with what is done for each of them",
            "speakers that a question names have profiles too, not the user alone",
            "the profile is read off by patterns of English and some of German, from slots, or by "
            "a chat model in `enrich`; the paper does not say how it is built",
            "BM25 looks at a turn among its neighbours, one and three on each side, and where a "
            "question names a time a further ranking holds what was said or happened then",
            "priority is multiplied with the fused rank; by priority alone every weak hit would "
            "come before the neighbours of the best one",
            "dates and lengths of time are those of this library: worked out for questions that "
            "name the events, the dates of relative words beside them for all",
            "superseding is done for state questions in tier 2 already; what a question names as "
            "its time decides which value held",
            "of an attribute stated in plain turns the old value is background and remarked on, of "
            "a slot it is left out and remarked on",
            "a refusal is held against the words of the question, not against a score",
        ),
    )

    def __init__(
        self,
        *,
        k: int = 20,
        max_rounds: int = 3,
        budgets: Sequence[int] = BUDGETS,
        asks: bool = True,
    ) -> None:
        for name, value in (("k", k), ("max_rounds", max_rounds)):
            if value < 1:
                raise ParameterError(f"MemFlow.{name} must be >= 1, got {value!r}")
        if len(budgets) != len(Tier) or min(budgets) < 0 or list(budgets) != sorted(budgets):
            raise ParameterError(
                "MemFlow.budgets must be three numbers >= 0, none less than the one before, got "
                f"{budgets!r}"
            )
        self.k, self.max_rounds, self.budgets, self.asks = k, max_rounds, tuple(budgets), asks
        self._profiles = PerBlock(Profile)

    # Deciding

    def plan(self, reading: Reading) -> Plan:
        """Route the question, gather its evidence and compile it."""
        place, block = reading.place, reading.block
        names = [block.speakers.names[n] for n in sorted(reading.question.speakers)]
        model = place.model if self.asks else None
        way = route(reading.request.question, model, names)
        known = self._profiles.of(block).follow(place, block, self.name)
        asked = profile.asked_for(_timeless(reading), known, names, partial(_fit, reading))
        until = _until(reading)
        stood = profile.standing(asked, until)
        tier = max(way.tier, Tier(reading.request.tier)) if reading.request.tier else way.tier
        if tier == Tier.PROFILE and stood.holds:
            injected = _injected(reading, known, stood, until)
            return Plan(way, tier, injected, ("profile",), until=until, stood=stood)
        tier = max(tier, Tier.TARGETED)
        deeper = _DEEPER if tier == Tier.DEEP else 1
        found = search(
            reading, reading.fit, self.k * deeper, self.max_rounds, PRIORITY["entity hit"]
        )
        gathered = Evidence.of(found.docs, found.direct, found.entity)
        gathered = gathered.with_neighbours(block, reading.fit)
        return _compiled(
            reading, Plan(way, tier, gathered, (), found.rounds, found.entities, until, stood)
        )

    # Stages

    def find(self, reading: Reading) -> Found:
        """The evidence."""
        return found_of(reading.block, reading.question, reading.plan.evidence.docs)

    def features(self, reading: Reading, found: Found) -> Features:
        """By kind of evidence priority times worth, and 1 for what comes before the rest."""
        compiled: Evidence = reading.plan.evidence
        values = np.zeros((found.docs.size, len(KINDS) + len(LIFTS)))
        here = np.isin(found.docs, compiled.docs)
        at = np.searchsorted(compiled.docs, found.docs[here])
        values[here] = np.hstack([compiled.values, compiled.lifts])[at]
        return Features((*KINDS, *LIFTS), values)

    def holds_at(self, reading: Reading) -> int | None:
        """The end of the time that the question names, else its clock; None if it looks back."""
        plan: Plan = reading.plan
        if Intent.CONFLICT in plan.route.intents or _LOOKS_BACK.search(reading.request.question):
            return None
        return plan.until

    def budget(self, reading: Reading) -> Budget:
        """The tokens of the tier, or those of the request if they are fewer."""
        own, asked = self.budgets[reading.plan.tier - 1], reading.request.budget_tokens
        return Budget(items=reading.request.k, tokens=own if asked is None else min(own, asked))

    def remarks(self, reading: Reading, found: Found, scores: Scores) -> tuple[str, ...]:
        """What no longer holds of what the question asks for, the latest first.

        At most five lines and a quarter of the budget: they are taken before the evidence.
        """
        plan: Plan = reading.plan
        if "superseding" not in plan.transforms and plan.tier != Tier.PROFILE:
            return ()
        room = (self.budget(reading).tokens or 0) // _SHARE_OF_REMARKS
        lines = dict.fromkeys(evidence.no_longer(fact) for fact in plan.stood.superseded)
        costs = np.cumsum([reading.place.count(line) for line in lines])
        return tuple(list(lines)[: min(int(np.searchsorted(costs, room, "right")), _MAX_REMARKS)])

    def explain(self, reading: Reading) -> Mapping[str, Any]:
        """Intent, layer, tier and what was done; `expired` names rules by id."""
        plan: Plan = reading.plan
        return {
            "intent": str(plan.route.intent),
            "rivals": [str(intent) for intent in plan.route.rivals],
            "layer": plan.route.layer,
            "tier": int(plan.tier),
            "rounds": plan.rounds,
            "entities": list(plan.entities),
            "transforms": list(plan.transforms),
            "expired": list(plan.expired),
            "model_calls": plan.route.calls,
        }

    def allowance(self, tier: int, most: int) -> int:
        """All that may be spent: each tier has a budget of its own."""
        return most

    def enrich(self, place: Place, progress: Progress | None = None) -> int:
        """Have the model note the attributes that each text states; without one nothing is done."""
        if place.model is None:
            return 0
        return profile.enrich(place, self.name, place.model, progress)


def _timeless(reading: Reading) -> str:
    """The question without the times that it names."""
    question, clock = reading.request.question, reading.request.clock
    for mention in reversed(reading.place.timeline.mentions(question, clock, looks_back=True)):
        question = f"{question[: mention.first]} {question[mention.last :]}"
    return question


def _until(reading: Reading) -> int:
    """The last microsecond that says what holds: of the time that the question names, or of now."""
    now = reading.request.truth_at
    window = reading.question.window
    if window is None:
        return now
    return min(now, int(window.ends[int(np.argmax(window.weights))]) - 1)


def _fit(reading: Reading, facts: Sequence[Fact]) -> list[Fact]:
    """The facts of items that may be recalled."""
    docs = reading.block.documents(sorted({fact.seq for fact in facts}))
    seqs = set(reading.block.seq[docs[reading.fit[docs]]].tolist())
    return [fact for fact in facts if fact.seq in seqs]


def _injected(reading: Reading, known: Groups, stood: Standing, until: int) -> Evidence:
    """The profile: what is asked for, then the rest of what those subjects state of themselves."""
    subjects = {fact.subject for fact in stood.holds}
    theirs = [fact for (whose, _), group in known.items() if whose in subjects for fact in group]
    rest = profile.standing(_fit(reading, theirs), until).holds
    block = reading.block
    return evidence.NONE.stating(_docs(block, stood.holds)).with_background(_docs(block, rest))


def _docs(block: Block, facts: Sequence[Fact]) -> np.ndarray:
    """The documents that state facts, in the order of these, each once."""
    return block.documents(list(dict.fromkeys(fact.seq for fact in facts)))


def _compiled(reading: Reading, plan: Plan) -> Plan:
    """The plan with what its intents ask for done to its evidence."""
    intents, done, block = plan.route.intents, list[str](), reading.block
    compiled = plan.evidence
    expired: tuple[str, ...] = ()
    if Intent.TEMPORAL in intents:
        done += ["chronology", *(["arithmetic"] if reading.timing.computed else [])]
    is_dated = reading.question.window is not None and bool(plan.stood.holds)
    if is_dated or _OF_STATE.intersection(intents):
        done.append("superseding")
        compiled = _superseded(reading, compiled, plan.stood, both=Intent.CONFLICT in intents)
    if Intent.CONSTRAINT in intents:
        done.append("rules in force")
        over = _expired(reading, compiled)
        compiled = compiled.without(block.documents(sorted(over)))
        expired = tuple(over.values())
    if Intent.SUMMARY in intents:
        done.append("best of each session")
        compiled = compiled.one_of_each(block.session)
    return replace(plan, evidence=compiled, transforms=tuple(done), expired=expired)


def _superseded(reading: Reading, found: Evidence, stood: Standing, *, both: bool) -> Evidence:
    """What states what is asked for comes first; what it superseded goes behind, unless asked for.

    With `both` it follows what holds, for who asks what changed; in questions that look back it
    comes first.
    """
    holds, old = (_docs(reading.block, facts) for facts in (stood.holds, stood.superseded))
    if both:
        return found.stating(np.concatenate([holds, old]))
    if _LOOKS_BACK.search(reading.request.question):
        return found.stating(np.concatenate([old, holds]))
    return found.stating(holds).demoted(old)


def _expired(reading: Reading, found: Evidence) -> dict[int, str]:
    """The rules among the evidence that do not hold at the time of the question: seq -> id."""
    clock, window = reading.request.clock, reading.question.window
    items = reading.place.store.items(reading.block.seq[found.docs].tolist())
    over = {}
    for item in items:
        rule = evidence.validity(item)
        if rule is not None and not evidence.is_in_force(rule, clock, window):
            over[item.seq] = item.id
    return over
