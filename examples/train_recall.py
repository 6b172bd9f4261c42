"""A small decoder learns to recall facts, then answers under every policy at every budget."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from memsieve.errors import MemsieveError, ParameterError
from memsieve.kv import enable
from memsieve.kv.bench import settings, table
from memsieve.kv.bench.measuring import fed
from memsieve.kv.extras import need_extra, torch

ABOUT = """\
Train a two-layer Llama on recall and measure what each key-value policy leaves of it.

A text is a row of tokens, some of which are facts (one token says "key 7 has value 3"), the others
filler. Behind it the model is asked for keys, one after another, and answers with their values.
Nothing in the text tells which key will be asked for, so a policy that forgets has to be lucky,
while one that retrieves can look the fact up when the question comes.

  python examples/train_recall.py                       # trains for about a minute on one core
  python examples/train_recall.py --budget 16 --budget 32 --policy quest --policy h2o

Needs the extra kv (pip install 'memsieve[kv]').
"""
# Short texts first: what to look for is learned there, to find it among many tokens afterwards.
SHORT, N_SHORT = 48, 200


@dataclass(frozen=True, slots=True)
class Task:
    """Facts, questions and filler as token ids; at least one of each.

    A fact of key k and value v is token k * n_values + v; then come the questions, one for each
    key, the answers, one for each value, and the filler.
    """

    n_keys: int = 32
    n_values: int = 8
    n_filler: int = 16

    def __post_init__(self) -> None:
        if min(self.n_keys, self.n_values, self.n_filler) < 1:
            raise ParameterError("Task.n_keys, .n_values and .n_filler must be >= 1")

    @property
    def first_question(self) -> int:
        """Id of the question for key 0."""
        return self.n_keys * self.n_values

    @property
    def first_answer(self) -> int:
        """Id of the answer "value 0"."""
        return self.first_question + self.n_keys

    @property
    def first_filler(self) -> int:
        """Id of the first filler."""
        return self.first_answer + self.n_values

    @property
    def vocabulary(self) -> int:
        """How many ids there are."""
        return self.first_filler + self.n_filler

    def texts(self, n_rows: int, n_tokens: int, n_facts: int, n_asked: int, draws: Any) -> Any:
        """[n_rows, n_tokens + 2 * n_asked] ids: texts, then questions with their answers."""
        ids = self.first_filler + torch.randint(self.n_filler, (n_rows, n_tokens), generator=draws)
        keys = torch.rand(n_rows, self.n_keys, generator=draws).argsort(1)[:, :n_facts]
        values = torch.randint(self.n_values, (n_rows, n_facts), generator=draws)
        places = torch.rand(n_rows, n_tokens, generator=draws).argsort(1)[:, :n_facts]
        ids.scatter_(1, places, keys * self.n_values + values)
        asked = torch.rand(n_rows, n_facts, generator=draws).argsort(1)[:, :n_asked]
        questions = self.first_question + keys.gather(1, asked)
        answers = self.first_answer + values.gather(1, asked)
        return torch.cat([ids, torch.stack([questions, answers], 2).flatten(1)], 1)


def new_model(task: Task, seed: int = 0) -> Any:
    """Two layers, four query and two key-value heads of 32 channels."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=task.vocabulary,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            max_position_embeddings=4096,
            rope_theta=1e8,  # facts are to be found by what they say, not by where they stand
            initializer_range=0.05,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=None,
        )
    )


def train(
    task: Task, *, n_steps: int = 500, n_rows: int = 32, most_tokens: int = 128, seed: int = 0
) -> Iterator[tuple[int, float, Any]]:
    """Train; gives step, loss and the model after every 50 steps, and after the last."""
    model, draws = new_model(task, seed), torch.Generator().manual_seed(seed + 1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    for step in range(1, n_steps + 1):
        n_tokens = SHORT
        if step > N_SHORT:
            n_tokens = int(torch.randint(SHORT, most_tokens, (), generator=draws))
        n_facts = task.n_keys * 3 // 4
        ids = task.texts(n_rows, n_tokens, n_facts, n_facts, draws)
        labels = ids.clone()
        labels[:, :n_tokens] = -100
        labels[:, n_tokens::2] = -100  # questions cannot be foreseen
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * min(1.0, step / 50) * min(1.0, 4 * (1.05 - step / n_steps))
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if step % 50 == 0 or step == n_steps:
            yield step, float(loss.detach()), model


def accuracy(
    model: Any, task: Task, ids: Any, n_tokens: int, setting: settings.Setting
) -> tuple[float, int]:
    """Share of right answers, and bytes on the device at the end.

    The text is fed at once, questions and right answers one by one.
    """
    with torch.no_grad(), enable(model) as memory:
        cache = memory.cache(setting.policy, leaving=setting.leaving)
        fed(model, ids[:, :n_tokens], cache)
        n_right, n_asked = 0, 0
        for at in range(n_tokens, ids.shape[1] - 1, 2):
            said = fed(model, ids[:, at : at + 1], cache).argmax(-1)
            n_right += int((said == ids[:, at + 1]).sum())
            n_asked += len(said)
            fed(model, ids[:, at + 1 : at + 2], cache)
        return n_right / n_asked, cache.stats.bytes_device


def compare(
    model: Any, task: Task, *, n_tokens: int, budgets: Sequence[int], policies: Sequence[str],
    n_rows: int = 64, n_asked: int = 12, seed: int = 10_000,
) -> dict[tuple[str, int | None], tuple[float, int]]:  # fmt: skip
    """Accuracy and bytes by policy and budget; the full cache has no budget."""
    draws = torch.Generator().manual_seed(seed)
    ids = task.texts(n_rows, n_tokens, task.n_keys, n_asked, draws)
    found = {}
    for name in dict.fromkeys(("full", *policies)):
        for budget in (None,) if name in (settings.FULL, settings.FRAME) else budgets:
            # A model of two layers has none to leave alone.
            setting = settings.setting(name, budget or 1, n_full_layers=0)
            found[name, budget] = accuracy(model.eval(), task, ids, n_tokens, setting)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(
        description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--steps", type=int, default=500, help="training steps (default 500)")
    add("--length", type=int, default=128, help="tokens of the texts asked about (default 128)")
    add("--budget", type=int, action="append", help="repeatable; default 1/8, 1/4 and 1/2 of them")
    add("--policy", action="append", help="repeatable; default all")
    add("--seed", type=int, default=0, help="same seed, same weights and texts")
    add("--out", help="save the model into this folder, for 'memsieve kv bench FOLDER'")
    asked = parser.parse_args(arguments)
    try:
        need_extra()
        _run(asked)
    except MemsieveError as error:
        print(f"train_recall: {error}", file=sys.stderr)
        return 1
    return 0


def _run(asked: argparse.Namespace) -> None:
    task, start = Task(), time.perf_counter()
    for step, loss, trained in train(task, n_steps=asked.steps, seed=asked.seed):
        print(f"step {step}: loss {loss:.3f}, {time.perf_counter() - start:.0f} s", flush=True)
        model = trained
    if asked.out:
        model.save_pretrained(asked.out)
    budgets = asked.budget or [asked.length // part for part in (8, 4, 2)]
    found = compare(
        model,
        task,
        n_tokens=asked.length,
        budgets=budgets,
        policies=asked.policy or settings.names(),
    )
    full = found[settings.FULL, None][0]
    lines = [
        (
            name,
            table.UNKNOWN if budget is None else f"{budget}",
            f"{right:.3f}",
            f"{right / full:.2f}",
            f"{n_bytes / 1e6:.2f}",
        )
        for (name, budget), (right, n_bytes) in found.items()
    ]
    print(f"\n{asked.length} tokens, {task.n_keys} facts")
    print(table.text(("policy", "budget", "accuracy", "of full", "device MB"), lines))


if __name__ == "__main__":
    sys.exit(main())
