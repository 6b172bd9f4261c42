"""Training a policy: steps along an objective, stopped by conversations that were put aside."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from memsieve.errors import ParameterError
from memsieve.learn.examples import Example, folds
from memsieve.learn.nets import Adam, LinearNet, MLPNet, Net, joined
from memsieve.learn.objectives import Objective
from memsieve.learn.scoring import Figures, figures
from memsieve.score.fusion import EQUAL_VIEWS
from memsieve.score.policy import Linear, Policy

KINDS = ("linear", "mlp")
_HALF = 0.5
"""Weight at which the heuristic starts: near the scale at which its draws are as sharp as those
of a trained policy, so that the first steps neither explore at random nor not at all."""

Progress = Callable[[str, int, int], None]
"""Called with what is being trained, steps done, and steps in all."""
Named = Sequence[str]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Parameters
    ----------
    kind
        "linear" or "mlp".
    n_steps
        Steps at most; with folds, those that were best on what was put aside are taken.
    n_questions
        Questions in a step.
    learning_rate
        Of Adam. .03 for linear scorers; .01 serves a small network better.
    pull
        Weight decay towards the start: the penalty is pull / 2 times the squared distance.
    n_hidden
        Units of the MLP.
    n_members
        Networks that are trained apart, from seeds of their own, and joined into one that gives
        the mean of their scores. A linear policy has one.
    every
        Steps between two looks at what was put aside.
    seed
        Of the questions drawn, the selections drawn, and the hidden layer's start.

    Raises
    ------
    ParameterError
        If a value lies outside its range.
    """

    kind: str = "linear"
    n_steps: int = 600
    n_questions: int = 32
    learning_rate: float = 0.03
    pull: float = 1e-3
    n_hidden: int = 16
    n_members: int = 1
    every: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ParameterError(f"Recipe.kind must be linear or mlp, got {self.kind!r}")
        for name in ("n_steps", "n_questions", "n_hidden", "n_members", "every"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ParameterError(f"Recipe.{name} must be a whole number >= 1, got {value!r}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ParameterError(f"Recipe.seed must be a whole number >= 0, got {self.seed!r}")
        if self.kind == "linear" and self.n_members > 1:
            raise ParameterError("Recipe.n_members is for an mlp: linear policies add up to one")
        if not 0 < self.learning_rate <= 1:
            raise ParameterError(
                f"Recipe.learning_rate must be in (0, 1], got {self.learning_rate}"
            )
        if not 0 <= self.pull <= 1:
            raise ParameterError(f"Recipe.pull must be in [0, 1], got {self.pull}")


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training gave.

    policy: trained on everything; n_steps: how many steps it took; aside: for each example of the
    training the scores by the policy that did not see its scope, empty without folds; by_scope:
    these policies, each scope with the one that did not see it; curve: steps -> figures on what was
    put aside; seconds: of the whole training.
    """

    policy: Policy
    n_steps: int
    aside: tuple[np.ndarray, ...]
    by_scope: dict[str, Policy]
    curve: dict[int, Figures]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Look:
    """After some steps: the scores of each example, and the nets that gave those of each scope."""

    scores: list[np.ndarray]
    nets: dict[str, list[Net]]


def heuristic(names: Named) -> np.ndarray:
    """The start: every view of the untrained sum at `_HALF`, all else at zero; (d,)."""
    return np.array([_HALF * EQUAL_VIEWS.get(name, 0.0) for name in names])


def train(
    examples: Sequence[Example],
    objective: Objective,
    recipe: Recipe | None = None,
    *,
    besides: Sequence[Example] = (),
    start: Policy | None = None,
    name: str = "trained",
    n_folds: int | None = None,
    stops_early: bool = True,
    progress: Progress | None = None,
) -> Trained:
    """Train a policy.

    With early stopping it is trained once for each fold, watching the questions that were put
    aside, and once more on everything for the number of steps that was best there on average.

    Parameters
    ----------
    besides
        Examples to learn from every time that are never put aside: other data, whose figures do
        not matter.
    start
        Where to start and what `Recipe.pull` pulls to: None for the untrained sum of views.
    n_folds
        How many parts of the scopes to put aside in turn; None leaves out one scope at a time.
    stops_early
        False trains `n_steps` on everything and puts nothing aside.

    Raises
    ------
    ParameterError
        If no example has both evidence and other candidates, features differ, or the scopes are
        too few for folds.
    """
    begin = perf_counter()
    recipe = recipe or Recipe()
    learned = [example for example in (*examples, *besides) if example.teaches]
    if not learned:
        raise ParameterError("there is nothing to learn: no question has evidence and others")
    names = learned[0].names
    if any(example.names != names for example in (*examples, *besides)):
        raise ParameterError("all examples must have the same features in the same order")
    anchor = _weights_of(start, names)
    curve: dict[int, Figures] = {}
    aside: tuple[np.ndarray, ...] = ()
    by_scope: dict[str, Policy] = {}
    n_steps = recipe.n_steps
    if stops_early:
        looks = _put_aside(examples, besides, objective, recipe, anchor, n_folds, progress)
        curve = {step: figures(examples, look.scores) for step, look in looks.items()}
        n_steps = max(curve, key=lambda step: curve[step].goal)
        aside = tuple(looks[n_steps].scores)
        by_scope = {
            scope: joined(nets).policy(f"{name}, without {scope}", names)
            for scope, nets in looks[n_steps].nets.items()
        }
    last = replace(recipe, n_steps=max(n_steps, 1))
    members = _members(last) if n_steps else []
    nets = [_run(learned, objective, member, anchor, "all", progress) for member in members]
    net = joined(nets) if n_steps else LinearNet(anchor)
    policy = net.policy(name, names)
    return Trained(policy, n_steps, aside, by_scope, curve, perf_counter() - begin)


def _put_aside(
    examples: Sequence[Example],
    besides: Sequence[Example],
    objective: Objective,
    recipe: Recipe,
    anchor: np.ndarray,
    n_folds: int | None,
    progress: Progress | None,
) -> dict[int, _Look]:
    """Steps -> how every example is scored by a policy that has not seen its scope."""
    looks: dict[int, _Look] = {}
    parts = folds(examples, n_folds)
    for n, part in enumerate(parts, 1):
        others = (one for one in examples if one.scope not in part)
        inside = [one for one in (*others, *besides) if one.teaches]
        held = [i for i, one in enumerate(examples) if one.scope in part]
        if not inside:
            raise ParameterError(f"nothing is left to learn from without {', '.join(sorted(part))}")

        def look(step: int, net: Net, held: list[int] = held, part: frozenset[str] = part) -> None:
            seen = looks.setdefault(step, _Look([np.zeros(e.gold.size) for e in examples], {}))
            for i in held:
                seen.scores[i] += net.scores(examples[i].z) / recipe.n_members
            kept = deepcopy(net)
            for scope in part:
                seen.nets.setdefault(scope, []).append(kept)

        for member in _members(recipe):
            _run(inside, objective, member, anchor, f"fold {n} of {len(parts)}", progress, look)
    return looks


def _members(recipe: Recipe) -> list[Recipe]:
    return [replace(recipe, seed=recipe.seed + n) for n in range(recipe.n_members)]


def _run(
    learned: Sequence[Example],
    objective: Objective,
    recipe: Recipe,
    anchor: np.ndarray,
    what: str,
    progress: Progress | None,
    look: Callable[[int, Net], None] | None = None,
) -> Net:
    """Train; gives the running mean of the parameters, which wavers less than their last state."""
    rng = np.random.default_rng(recipe.seed)
    net, mean = _net(recipe, anchor), _net(recipe, anchor)
    home = [parameter.copy() for parameter in net.parameters]
    home[1:] = [np.zeros_like(parameter) for parameter in home[1:]]
    adam = Adam(net.parameters, recipe.learning_rate)
    if look is not None:
        look(0, mean)
    for step in range(1, recipe.n_steps + 1):
        drawn = rng.choice(len(learned), min(recipe.n_questions, len(learned)), replace=False)
        gradients = _gradients(net, [learned[i] for i in drawn], objective, rng)
        for gradient, parameter, origin in zip(gradients, net.parameters, home, strict=True):
            gradient += recipe.pull * (parameter - origin)
        adam.step(net.parameters, gradients)
        share = 1 / min(step, 100)  # a plain mean at first, then over about the last 100 steps
        for held, parameter in zip(mean.parameters, net.parameters, strict=True):
            held += share * (parameter - held)
        if progress is not None:
            progress(what, step, recipe.n_steps)
        if look is not None and (step % recipe.every == 0 or step == recipe.n_steps):
            look(step, mean)
    return mean


def _gradients(
    net: Net, batch: Sequence[Example], objective: Objective, rng: np.random.Generator
) -> list[np.ndarray]:
    z = np.concatenate([example.z for example in batch])
    edges = np.cumsum([0, *(len(example.gold) for example in batch)])
    scores = net.scores(z)
    parts = [
        objective.gradient(scores[edges[i] : edges[i + 1]], example, rng)
        for i, example in enumerate(batch)
    ]
    return net.gradients(z, np.concatenate(parts) / len(batch))


def _net(recipe: Recipe, anchor: np.ndarray) -> Net:
    if recipe.kind == "linear":
        return LinearNet(anchor)
    return MLPNet(anchor, recipe.n_hidden, np.random.default_rng(recipe.seed))


def _weights_of(start: Policy | None, names: Named) -> np.ndarray:
    """The weights to start from, in the order of `names`."""
    if start is None:
        return heuristic(names)
    if not isinstance(start, Linear):
        raise ParameterError(f"only a linear policy can be started from, got {start.kind}")
    if unknown := sorted(set(start.features) - set(names)):
        raise ParameterError(f"the start weighs {unknown[0]!r}, which the examples do not have")
    return np.array([start.weights.get(name, 0.0) for name in names])
