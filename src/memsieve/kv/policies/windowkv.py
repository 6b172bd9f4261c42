"""WindowKV: whole windows of the prompt stay, chosen once for each group of layers."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import NamedTuple

from memsieve.errors import ParameterError
from memsieve.kv.allocation import Pyramid
from memsieve.kv.archive import highest
from memsieve.kv.checks import whole_number
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import ROOM_TOKENS, Keep, Policy, Step
from memsieve.kv.scores import weights
from memsieve.kv.tasks import LOCALIZATION, TASKS, RuleTasks, TaskClassifier


@dataclass(frozen=True)
class WindowKV(Policy):
    """Keep runs of consecutive prompt tokens, scored as the task asks for.

    After a pass of more than one token, for each row: t[j] = attention that token j received
    from the last `n_observed` tokens; the tokens before those are cut into windows of
    `window_tokens`, aligned to the row's first real token; a window's score is the mean of its
    `n_best` largest t, and the mean of that over the query heads. With r tokens before the
    observed ones, the ceil((r - budget) / window_tokens) windows with the lowest scores leave
    (of equal ones the later), the rest and the observed tokens stay, for all heads alike; where
    all would leave, the observed tokens alone stay. The first layer of a group chooses, and the
    others of the group take over its choice: one [n_observed, n] product for each group.

    What is generated afterwards is appended and never leaves: the memory grows with the output,
    and is cut again by the next prompt. Decode long outputs under another policy.

    Parameters
    ----------
    budget_tokens
        Mean over the layers of the prompt tokens that stay besides the observed ones, >= 1. The
        first groups get more and the last less, see `Pyramid`; a layer thus stores up to
        `budgets(n_layers)[layer] + n_observed` tokens of the prompt.
    task
        "localization" (find one place: questions) scores a window by all of its tokens,
        "aggregation" (summaries, several examples, code) by its strongest. `of_text` decides by
        the prompt. It holds for all rows and all prompts of a cache.
    window_tokens
        Length of a window; None: 8 for localization, 16 for aggregation.
    n_observed
        Last tokens of the prompt, which score the others and stay; None: 16 and 32.
    n_best
        Tokens of a window that count; None: all for localization, half (rounded down, at least
        1) for aggregation, which is the code's number - the paper states none.
    layers_per_group
        Layers that share a choice; 1: every layer for itself. Sharing is free up to about a
        quarter of the layers (paper).
    beta
        How steep the pyramid is, >= 1: the last group gets budget * layers_per_group / beta.
    keeps_first
        Whether the first window always stays, as a sink; not in the paper.

    Raises
    ------
    ParameterError
        If `task` is neither of the two, or a number lies below 1.

    Examples
    --------
    >>> WindowKV(2048).budgets(32)[::8]
    [2926, 2341, 1756, 1170]
    >>> WindowKV.of_text("Summarise the report above.", 512).task
    'aggregation'

    References
    ----------
    Zuo et al. 2025, arXiv 2503.17922v2, and optim996/WindowKV. The defaults are the paper's for
    Llama-3-8B; for Qwen2.5-1.5B it has layers_per_group 7, window_tokens 32, n_observed 4 and 16.
    As the code: the short last window is divided by its own length (the paper's formula divides
    by n_best), and the budgets (the paper's formulas read literally give another vector).
    As the paper and unlike the code's demonstration: questions are scored by the mean and the
    rest by the strongest tokens. Differs from the code: key-value heads are stored once, rows
    are scored each for itself and without padding, kept windows stay in their order, state lies
    in the cache, a group that lost every window says so to its followers, `n_layers` need not
    be divisible by `layers_per_group`, and groups of more than `beta` layers give a flat
    pyramid instead of one on its head. Not stated there and chosen here: a later prompt in the
    same cache is handled like a first one, with windows cut over what is still stored.
    """

    budget_tokens: int
    task: str = LOCALIZATION
    _: KW_ONLY
    window_tokens: int | None = None
    n_observed: int | None = None
    n_best: int | None = None
    layers_per_group: int = 8
    beta: int = 14
    keeps_first: bool = False

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ParameterError(f"WindowKV.task must be one of {list(TASKS)}, got {self.task!r}")
        for name in ("budget_tokens", "layers_per_group", "beta"):
            whole_number(f"WindowKV.{name}", getattr(self, name), at_least=1)
        for name in ("window_tokens", "n_observed", "n_best"):
            if getattr(self, name) is not None:
                whole_number(f"WindowKV.{name}", getattr(self, name), at_least=1)

    @classmethod
    def of_text(
        cls, text: str, budget_tokens: int, *, classifier: TaskClassifier | None = None
    ) -> WindowKV:
        """For this prompt: the task is what `classifier` says, by default `RuleTasks()`.

        Further options: `dataclasses.replace`. A policy is made for a prompt, so that no task
        outlives it.
        """
        return replace(cls(budget_tokens), task=(classifier or RuleTasks()).task(text))

    @property
    def omega(self) -> int:
        """Length of a window, defaults resolved."""
        return self.window_tokens or (8 if self.task == LOCALIZATION else 16)

    @property
    def n_recent(self) -> int:
        """alpha, how many tokens observe, defaults resolved."""
        return self.n_observed or (16 if self.task == LOCALIZATION else 32)

    @property
    def n_spare(self) -> int:
        """As where nothing leaves: nothing does until the next prompt."""
        return ROOM_TOKENS

    @property
    def n_counted(self) -> int:
        """p, how many tokens of a window count, defaults resolved."""
        default = self.omega if self.task == LOCALIZATION else max(1, self.omega // 2)
        return min(self.n_best or default, self.omega)

    def budgets(self, n_layers: int) -> list[int]:
        """Prompt tokens that each layer keeps besides the observed ones."""
        pyramid = Pyramid(self.budget_tokens, self.layers_per_group, self.beta)
        return [pyramid.tokens(layer, n_layers) for layer in range(n_layers)]

    def keep(self, step: Step) -> Keep | None:
        """After a prompt, the best windows and the observed tokens; nothing leaves after others."""
        budget = self.budgets(step.n_layers)[step.layer]
        if not step.is_prefill or step.n_stored <= budget + self.n_recent:
            return None
        # The leader is the first layer of the group that this cache manages: others may belong
        # to a sliding window. It leads on every prompt, so that no choice is taken over twice.
        key = f"WindowKV {step.layer // self.layers_per_group}"
        led: _Choice | None = step.shared.layer.get(key)
        if led is None or led.layer >= step.layer:
            led = _Choice(step.layer, self._choose(step, budget))
            step.shared.layer[key] = led
        return led.keep

    def received(self, step: Step) -> Tensor:
        """t, what each token received from the observed ones, [B, Hq, n]; computed by leaders."""
        recent = step.query if step.recent is None else step.recent
        return weights(step, recent[:, :, -self.n_recent :]).sum(3).flatten(1, 2)

    def _choose(self, step: Step, budget: int) -> Keep:
        # All heads store the same tokens here, so the first speaks for all.
        real, age = step.real[:, 0], step.age[:, 0]
        reviewed = real & (age >= self.n_recent)
        n_reviewed = reviewed.sum(-1, keepdim=True)  # [B, 1]
        n_windows = -(-step.n_stored // self.omega)
        # Reviewed tokens come first among the real ones: move them to the left, padding away.
        place = torch.where(reviewed, real.cumsum(-1) - 1, n_windows * self.omega)
        t = self.received(step)
        aligned = t.new_zeros((*t.shape[:2], n_windows * self.omega + 1))
        aligned = aligned.scatter(2, place[:, None].expand_as(t), t)[..., :-1]
        score = window_scores(aligned, n_reviewed, self.omega, self.n_counted)
        if self.keeps_first:
            score[:, 0] = torch.inf
        n_gone = (-(-(n_reviewed - budget) // self.omega)).clamp(min=0)
        n_kept = -(-n_reviewed // self.omega) - n_gone
        rank = score.argsort(dim=-1, descending=True, stable=True).argsort(-1)
        stays = torch.cat([rank < n_kept, rank.new_zeros((len(rank), 1), dtype=torch.bool)], 1)
        stays = stays.gather(1, place // self.omega) | (real & ~reviewed)
        index = highest(stays.float(), int(stays.sum(-1).max()))
        n_heads = step.slots.shape[1]
        return Keep(
            index[:, None].expand(-1, n_heads, -1),
            stays.gather(1, index)[:, None].expand(-1, n_heads, -1),
        )


class _Choice(NamedTuple):
    """What a group's leader chose."""

    layer: int
    keep: Keep


def window_scores(received: Tensor, n_tokens: Tensor, omega: int, n_best: int) -> Tensor:
    """Score of each window, [B, W] from [B, H, W * omega], of rows with `n_tokens` [B, 1].

    The mean of a window's `n_best` largest values, or of all it has where it is shorter; the
    mean over heads of that. -inf for windows that a row does not have. Values must be >= 0 and
    0 from `n_tokens` on.
    """
    windows = received.unflatten(2, (-1, omega))
    strongest = windows.topk(n_best, dim=-1).values.sum(-1).mean(1)
    starts = torch.arange(windows.shape[2], device=received.device) * omega
    sizes = (n_tokens - starts).clamp(min=0, max=n_best)
    return (strongest / sizes.clamp(min=1)).masked_fill(sizes == 0, -torch.inf)
