"""Keyformer: attention received, with noise and a rising temperature, decides what stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from math import isfinite
from types import MappingProxyType
from typing import Any, ClassVar

from memsieve.errors import ParameterError
from memsieve.kv.allocation import Allocation
from memsieve.kv.checks import whole_number
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import Step
from memsieve.kv.scored import Scored
from memsieve.kv.scores import column_sums, of_stored_heads, queries_at_once, weights

NOISE = ("resampled", "fixed", "off")


@dataclass(frozen=True)
class Keyformer(Scored):
    """Keep what received most attention, counted through a noisy, ever flatter softmax.

    f[j] += sum over the queries i of a pass of softmax((x_i + zeta_i) / tau)[j], with
    x = scale * q.k the logits and zeta standard Gumbel noise; per layer and head. Attention
    itself is the ordinary softmax: neither noise nor temperature touch the output. The last
    `n_window` tokens stay, and of all others, those that have just left the window among them,
    the `budget_tokens - n_window` with the highest f (promotion). Costs one more q K^T a pass,
    and resampled noise two to three times that again for a prompt; extra memory Hq * block * n
    for logits and noise.

    tau = tau_start + (tau_end - tau_start) * min(t / n_steps, 1), with t = 0 for every pass of
    more than one token, then 1, 2, ... for the single tokens after it.

    Parameters
    ----------
    budget_tokens, n_sink, heads, unit
        As in `Scored`. The code's share of the prompt: see `of_prompt`.
    n_window
        The newest tokens, always kept; None for 30 % of the budget, rounded down (the code's;
        the paper finds 20 to 30 % best).
    tau_start, tau_end
        Temperature at the prompt and after `n_steps` tokens, > 0; 1 and 2 are the paper's.
    n_steps
        How many tokens are planned to be generated (`max_new_tokens`), >= 1; beyond them the
        temperature stays at `tau_end`.
    noise
        "resampled" for every query and key (the code), "fixed" once for each key (the paper's
        text), "off". Which of the two gave the paper's numbers: UNCONFIRMED.
    normalised
        Divide f by the number of real queries that the token has been shown to. Not the
        paper's: its sums favour old tokens.
    seed
        Of the noise, >= 0. Every layer and head has a stream of its own.

    Raises
    ------
    ParameterError
        If a number lies outside its range, or `noise` is none of the three.

    Examples
    --------
    >>> Keyformer.of_prompt(2000, n_steps=200).budget_tokens
    1200
    >>> Keyformer(1200).window(1200)
    360

    References
    ----------
    Adnan et al., MLSys 2024, arXiv 2403.09054, and d-matrix-ai/keyformer-llm. As the paper and
    unlike the code: tokens that were generated can become key tokens, they leave the memory when
    dropped, and rows of a batch are scored each for itself, without their padding. Differs from
    both: query heads that share keys are averaged (the paper names no rule); the noise is a
    function of seed, layer, head, position of the query and position of the key instead of the
    state of a generator, so that it is the same for a row alone, in a batch, behind padding, in
    chunks of any size and after `crop` - rows of a batch therefore see the same noise; it is cut
    at -2.8 and 16.6. With `noise="off"` and both temperatures 1 it is H2O.
    """

    budget_tokens: int | Allocation
    n_sink: int = 0
    _: KW_ONLY
    n_window: int | None = None  # type: ignore[assignment]
    tau_start: float = 1.0
    tau_end: float = 2.0
    n_steps: int = 512
    noise: str = "resampled"
    normalised: bool = False
    seed: int = 0

    token_fields: ClassVar[Mapping[str, float]] = MappingProxyType({"mass": 0.0, "asked": 0.0})

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("tau_start", "tau_end"):
            tau = getattr(self, name)
            if not (tau > 0 and isfinite(tau)):
                raise ParameterError(f"Keyformer.{name} must be > 0 and finite, got {tau!r}")
        whole_number("Keyformer.n_steps", self.n_steps, at_least=1)
        whole_number("Keyformer.seed", self.seed, at_least=0)
        if self.noise not in NOISE:
            raise ParameterError(
                f"Keyformer.noise must be one of {list(NOISE)}, got {self.noise!r}"
            )

    @classmethod
    def of_prompt(cls, n_prompt: int, kept_percent: int = 60, **options: Any) -> Keyformer:
        """With the code's budget: `kept_percent` of the prompt, rounded down.

        It does not grow with the output. 60 is the code's; the paper finds 70 (CNN/DailyMail) or
        50 (GovReport) enough for the full cache's quality.
        """
        return cls(n_prompt * kept_percent // 100, **options)

    def _check_window(self) -> None:
        if self.n_window is not None:
            super()._check_window()

    def window(self, budget: int) -> int:
        """`n_window`, or 30 % of the budget."""
        return budget * 30 // 100 if self.n_window is None else self.n_window

    def temperature(self, n_generated: int) -> float:
        """tau after `n_generated` single tokens."""
        done = min(n_generated / self.n_steps, 1.0)
        return self.tau_start + (self.tau_end - self.tau_start) * done

    def observe(self, step: Step) -> None:
        """Add what this pass showed to f, and one more query to the count of each token."""
        state = step.state
        t = 0 if step.is_prefill else state.layer.get("n_generated", 0) + 1
        state.layer["n_generated"] = t
        state.token["mass"] = state.token["mass"] + self._received(step, self.temperature(t))
        if self.normalised:
            state.token["asked"] = state.token["asked"] + n_asked(step)

    def score(self, step: Step) -> Tensor:
        """f of each stored token, [B, Hkv, n]; never below 0."""
        mass = step.state.token["mass"]
        return mass / step.state.token["asked"].clamp(min=1) if self.normalised else mass

    def _received(self, step: Step, tau: float) -> Tensor:
        if self.noise == "off" and tau == 1:
            return column_sums(step)  # the same bits as H2O
        sums = step.slots.new_zeros(step.slots.shape, dtype=torch.float32)
        for block in blocks(step):
            zeta = 0.0 if self.noise == "off" else self._zeta(block)
            given = perturbed(weights(block, block.query), zeta, tau).sum(3)
            sums[..., : block.n_stored] += of_stored_heads(given, step)
        return sums

    def _zeta(self, step: Step) -> Tensor:
        """Noise for the logits of a pass: [1 or B, Hk, g, 1 or q, n]."""
        asking, asked = query_positions(step), step.positions
        if step.is_whole and step.n_stored == step.n_logical:
            asking, asked = asking[:1], asked[:1, :1]  # the same for all rows and heads
        n_heads, n_shared = step.keys.shape[1], step.n_groups
        heads = torch.arange(n_heads * n_shared, device=asked.device) + n_heads * n_shared
        stream = scrambled(scrambled(heads + self.seed % 2**31) ^ step.layer)
        stream = stream.view(1, n_heads, n_shared, 1, 1)
        if self.noise == "resampled":
            stream = scrambled(stream ^ asking[:, None, None, :, None])
        return gumbel(stream ^ scrambled(asked[:, :, None, None, :] + 1))


def perturbed(weight: Tensor, zeta: Tensor | float, tau: float) -> Tensor:
    """softmax((x + zeta) / tau) over the last axis, from `weight` = softmax(x).

    log(weight) is x up to a constant, which a softmax forgets. Where `weight` is 0, so is the
    result; a row of zeros stays one.
    """
    return ((weight.log() + zeta) / tau).softmax(-1).nan_to_num(0.0)


def blocks(step: Step) -> Iterator[Step]:
    """The pass as one of fewer queries at a time, each shown the tokens up to its last query."""
    n_queries = queries_at_once(step, n_tensors=3)
    n_new = step.query.shape[2]
    for start in range(0, n_new, n_queries):
        query = step.query[:, :, start : start + n_queries]
        later = n_new - start - query.shape[2]
        n, n_logical = step.n_stored - later, step.n_logical - later
        padding = None if step.padding is None else step.padding[:, :n_logical]
        yield replace(
            step,
            query=query,
            keys=step.keys[:, :, :n],
            values=step.values[:, :, :n],
            slots=step.slots[:, :, :n],
            n_logical=n_logical,
            padding=padding,
        )


def query_positions(step: Step) -> Tensor:
    """[B, q] int64: place of each query among the real tokens of its row; padding's is -1 or up."""
    first, n = step.n_logical - step.query.shape[2], step.n_logical
    if step.padding is None:
        return torch.arange(first, n, device=step.slots.device).expand(step.slots.shape[0], -1)
    return (step.padding.long().cumsum(-1) - 1)[:, first:]


def n_asked(step: Step) -> Tensor:
    """[B, Hkv, n] float32: how many real queries of this pass each stored token was shown to."""
    n_new = step.query.shape[2]
    first = step.n_logical - n_new
    asking = step.slots.new_ones((step.slots.shape[0], n_new))
    if step.padding is not None:
        asking = step.padding[:, first:].long()
    behind = asking.flip(-1).cumsum(-1).flip(-1)[:, None].expand(-1, step.slots.shape[1], -1)
    return behind.gather(2, (step.slots - first).clamp(min=0)).float() * step.real


def scrambled(number: Tensor) -> Tensor:
    """31 bits, int32, that look unrelated to those of `number` (only its lower 31 bits count).

    Shift, xor and multiply, as the finalisers of hash functions do; both factors are odd. Products
    keep their lower 32 bits.
    """
    low = 2**31 - 1
    mixed = (number & low).to(torch.int32)
    for shift, factor in ((15, 0x9E3779B1), (13, 0x85EBCA6B)):
        mixed ^= mixed >> shift
        mixed *= factor - 2**32
        mixed &= low
    mixed ^= mixed >> 16
    return mixed


def gumbel(number: Tensor) -> Tensor:
    """Standard Gumbel noise (mean 0.5772, deviation 1.2825), a function of whole numbers."""
    uniform = (scrambled(number) >> 8).float().add_(0.5).div_(2**23)  # exact, inside (0, 1)
    return uniform.log_().neg_().log_().neg_()
