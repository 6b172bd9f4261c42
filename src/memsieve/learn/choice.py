"""From the words of a command to an objective, and from a training to a file that says it all."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from memsieve.errors import ParameterError
from memsieve.evaluate.scopes import Dataset
from memsieve.learn.examples import Example, checked_folds
from memsieve.learn.group_relative import (
    BudgetRecall,
    GroupRelative,
    MemoryT1Parts,
    Ranking,
    Reward,
)
from memsieve.learn.objectives import Listwise, Objective, Pairwise, Pointwise
from memsieve.learn.training import Recipe, Trained
from memsieve.score.policy import Linear, Policy, load

_SUPERVISED: Mapping[str, Callable[[], Objective]] = {
    "listwise": lambda: Listwise(1.5),
    "pairwise": Pairwise,
    "pointwise": Pointwise,
}


def reward_named(name: str, budget_tokens: int) -> Reward:
    """A reward by its name.

    Raises
    ------
    ParameterError
        If there is none of that name.
    """
    rewards: Mapping[str, Callable[[], Reward]] = {
        "ranking": Ranking,
        "budget": lambda: BudgetRecall(budget_tokens),
        "memory-t1": MemoryT1Parts,
        "answer": lambda: MemoryT1Parts(1.0, 0.0, 0.0),
        "grounding": lambda: MemoryT1Parts(0.0, 1.0, 0.0),
    }
    if budget_tokens < 1:
        raise ParameterError(f"the budget of a reward must be >= 1 token, got {budget_tokens}")
    if name not in rewards:
        raise ParameterError(f"the reward must be one of {', '.join(rewards)}, got {name!r}")
    return rewards[name]()


def objective(
    method: str, reward: str, budget: int, start: str | None
) -> tuple[Objective, Linear | None]:
    """The objective that a command names, and the policy to start from, None for the untrained.

    Raises
    ------
    ParameterError
        If a name is unknown or the start is not linear.
    NotFoundError, FormatError
        If the start cannot be read.
    """
    policy = None if start is None else load(start)
    if policy is not None and not isinstance(policy, Linear):
        raise ParameterError(f"only a linear policy can be started from, {start} is {policy.kind}")
    worth = reward_named(reward, budget)
    if method == "group-relative":
        return GroupRelative(worth), policy
    if method not in _SUPERVISED:
        known = ", ".join(["group-relative", *_SUPERVISED])
        raise ParameterError(f"the method must be one of {known}, got {method!r}")
    return _SUPERVISED[method](), policy


def checked(datasets: Sequence[Dataset], n_folds: int | None, categories: str | None) -> None:
    """Refuse what the data cannot give, before the long work.

    Raises
    ------
    ParameterError
        If a category is not among them, or there are too few conversations to put some aside.
    """
    known = {name for data in datasets for name in data.categories}
    wanted = known if categories is None else _listed(categories)
    if not wanted:
        raise ParameterError("name at least one category to learn from")
    if unknown := sorted(wanted - known):
        raise ParameterError(
            f"no question has the category {unknown[0]!r}, there are {', '.join(sorted(known))}"
        )
    count = sum(
        any(question.category in wanted for question in scope.questions)
        for data in datasets
        for scope in data.scopes
    )
    checked_folds(count, n_folds)


def of_categories(examples: Sequence[Example], categories: str | None) -> list[Example]:
    """Those of the categories that a list with commas names; None for all."""
    wanted = None if categories is None else _listed(categories)
    return [example for example in examples if wanted is None or example.category in wanted]


def _listed(text: str) -> set[str]:
    return {part.strip() for part in text.split(",") if part.strip()}


def described(
    trained: Trained,
    examples: Sequence[Example],
    sources: Sequence[str],
    recipe: Recipe,
    options: Mapping[str, Any],
) -> Policy:
    """The policy with what it was trained on, how, and what it reached on what was put aside."""
    before, after = trained.curve[0], trained.curve[trained.n_steps]
    return replace(
        trained.policy,
        trained_on={
            "sources": list(sources),
            "questions": len(examples),
            "scopes": len({example.scope for example in examples}),
            "categories": dict(Counter(example.category for example in examples)),
        },
        recipe={**options, **asdict(recipe), "n_steps": trained.n_steps},
        measured={
            "put_aside": {name: round(value, 4) for name, value in asdict(after).items()},
            "start": {name: round(value, 4) for name, value in asdict(before).items()},
        },
    )
