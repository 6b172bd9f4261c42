"""Train the policy of Memory-T1 by GRPO: a chat model learns which sessions answer a question."""

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any

from memsieve.embed import WordPiece
from memsieve.errors import InputError, MemsieveError, MissingExtraError, ParameterError
from memsieve.evaluate import Scope, load
from memsieve.learn.rewards import Known
from memsieve.learn.time_rewards import Event
from memsieve.learn.time_rewards import Session as DatedSession
from memsieve.learn.trl import SCORES, GRPOReward, columns
from memsieve.systems.date_range import FIRST_DAY, RuleRange
from memsieve.systems.memory_t1 import Session, prompt, sessions_of
from memsieve.timeline import DEFAULT_TIMELINE, from_spec
from memsieve.types import Interval, Message

ABOUT = """\
Train the policy of Memory-T1 (Du et al., arXiv 2512.20092) on conversations with known evidence.

For each question the model sees some sessions, writes G = 8 answers of the form
  {"selected_memory": ["session_3"], "answer": "..."}
and each is graded: 0.6 for the answer, 0.2 for the sessions it named against the evidence, 0.2 for
their dates and events against the time that the question is about, -0.5 if it cannot be read.
Answers above the mean of their eight become likelier. No critic, no labelled output.

DATA is what `memsieve bench` reads: a LoCoMo file, or a folder of the open format. Questions
without an answer, or whose evidence has no date, are left out. See first what the model is shown:
  python examples/train_memory_t1.py DATA --show
then train, with the extra `training` installed (pip install 'memsieve[training]'):
  python examples/train_memory_t1.py DATA --model Qwen/Qwen2.5-3B-Instruct --out policy
and put the result behind any OpenAI-compatible server for `memsieve.systems.MemoryT1`.
"""
SOURCES = """\
From the paper: group, beta, learning rate, batch, the weights of the reward, and advantages that
are the reward minus the mean of the group, not divided by its spread. From the public code: the
sessions of the evidence first, then others at random while they fit, all shuffled; 15,000 tokens;
128 tokens of answer. Ours, because neither says: epsilon, temperature, a constant learning rate,
the time of a question that names none (the days of its evidence), and the events (every time that
a turn names, read by rules; the day on which it was said if it names none).
Tested with TRL 1.16 on a tiny random model; the paper's models need GPUs.
"""
_READER = from_spec(DEFAULT_TIMELINE)


def parser() -> argparse.ArgumentParser:
    """The options, with the paper's values as defaults."""
    made = argparse.ArgumentParser(
        description=ABOUT, epilog=SOURCES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("data", help="a data set with evidence: LoCoMo JSON, or a folder of conversations")
    add("--model", help="a causal chat model: a name on the hub, or a local folder")
    add("--out", default="memory-t1-policy", help="folder of the trained model")
    add("--show", action="store_true", help="print the first training example and stop")
    add("--steps", type=int, default=-1, help="optimizer steps; -1 goes by --epochs")
    add("--epochs", type=float, default=1.0, help="passes over the questions")
    add("--group", type=int, default=8, help="answers drawn for each question, G")
    add("--questions-per-step", type=int, default=32, help="batch of one optimizer step")
    add("--per-device", type=int, default=8, help="answers in memory at once, a multiple of G")
    add("--beta", type=float, default=0.1, help="weight of the KL distance to the first model")
    add("--learning-rate", type=float, default=1e-6)
    add("--epsilon", type=float, default=0.2, help="how far the ratio may move; not in the paper")
    add("--temperature", type=float, default=1.0, help="of the drawn answers; not in the paper")
    add("--prompt-tokens", type=int, default=15_000, help="length of the sessions in a prompt")
    add("--answer-tokens", type=int, default=128, help="length of an answer")
    add("--limit", type=int, help="use the first so many questions")
    add("--task", default="words", choices=sorted(SCORES), help="how answers are graded where the "
        "category of a question does not say")  # fmt: skip
    add("--seed", type=int, default=0)
    return made


@dataclass(frozen=True, slots=True)
class Told:
    """The dated sessions of a scope: their lengths in tokens, and what the reward looks at."""

    sessions: tuple[Session, ...]
    tokens: Mapping[str, int]
    dated: Mapping[str, DatedSession]

    @classmethod
    def of(cls, scope: Scope, count: Callable[[str], int]) -> "Told":
        """Read every session once: many questions look at it."""
        sessions = tuple(s for s in sessions_of(scope.messages) if s.day is not None)
        tokens = {session.id: count(session.text) for session in sessions}
        return cls(sessions, tokens, {session.id: dated(session) for session in sessions})


def rows_of(
    scope: Scope,
    *,
    count: Callable[[str], int],
    prompt_tokens: int,
    task: str,
    rng: random.Random,
) -> Iterator[dict[str, Any]]:
    """One row for each question that has an answer and dated evidence."""
    told = Told.of(scope, count)
    for question in scope.questions:
        gold = [one for one in told.sessions if one.name in question.evidence_sessions]
        if question.answer is None or not len(gold) == len(question.evidence_sessions) > 0:
            continue
        now = question.asked_at or scope.last_at or datetime.now(UTC)
        shown = pool(gold, told.sessions, told.tokens, prompt_tokens, rng)
        known = Known(
            question=question.question,
            asked=asked_time(question.question, now, gold),
            sessions=tuple(told.dated[session.id] for session in shown),
            gold=frozenset(session.id for session in gold),
        )
        named = question.category.lower()
        answer = question.answer.split(" | ")[0]  # of several accepted ones the first
        row = columns(known, answer, named if named in SCORES else task)
        yield {"prompt": prompt(question.question, now, shown), **row}


def pool(
    gold: Sequence[Session],
    sessions: Sequence[Session],
    tokens: Mapping[str, int],
    limit_tokens: int,
    rng: random.Random,
) -> list[Session]:
    """The gold sessions and others at random, up to the first that does not fit, shuffled."""
    shown = list(gold)
    ids = {session.id for session in gold}
    others = [session for session in sessions if session.id not in ids]
    rng.shuffle(others)
    used = sum(tokens[session.id] for session in gold)
    for other in others:
        used += tokens[other.id]
        if used > limit_tokens:
            break
        shown.append(other)
    rng.shuffle(shown)
    return shown


def asked_time(question: str, now: datetime, gold: Sequence[Session]) -> Interval:
    """The time that a question names, else the days of its evidence."""
    named = RuleRange().range_of(question, now)
    first = None if named.start == FIRST_DAY else named.start
    last = named.end
    if named.is_open:
        days = [session.day for session in gold if session.day is not None]
        first, last = min(days), max(days)
    start = None if first is None else _midnight(first)
    return Interval(start, None if last is None else Interval.day_of(_midnight(last)).end)


def dated(session: Session) -> DatedSession:
    """A session as the reward looks at it."""
    assert session.day is not None
    return DatedSession(
        session.id, session.day, tuple(events(turn, session.day) for turn in session.turns)
    )


def events(turn: Message, day: date) -> tuple[Event, ...]:
    """What a turn tells of: one event for each time that it names, else one on its own day."""
    clock = turn.at or _midnight(day)
    found = [mention.interval for mention in _READER.mentions(turn.text, clock)]
    bounds = [(one.start, one.end) for one in found] or [(clock, clock)]
    return tuple(
        Event(
            turn.text,
            start and start.date(),
            # An interval ends before its end, unless it is a moment.
            end and (end if end == start else end - timedelta(microseconds=1)).date(),
        )
        for start, end in bounds
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def examples(options: argparse.Namespace, count: Callable[[str], int]) -> Iterator[dict[str, Any]]:
    """The rows of the training set, with the prompt as text."""
    rng = random.Random(options.seed)
    rows = (
        row
        for scope in load(options.data).scopes
        for row in rows_of(
            scope,
            count=count,
            prompt_tokens=options.prompt_tokens,
            task=options.task,
            rng=rng,
        )
    )
    return islice(rows, options.limit)


def _some(rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    found = list(rows)
    if not found:
        raise InputError(
            "the data set must hold a question with an answer and dated evidence, got none: "
            "look at it with 'memsieve bench'"
        )
    return found


def train(options: argparse.Namespace) -> Any:
    """Train, save to `options.out`, and give the trainer, whose state holds the log."""
    try:
        import torch
        from datasets import Dataset
        from transformers import AutoTokenizer
        from trl import GRPOConfig, GRPOTrainer
    except ImportError as error:
        raise MissingExtraError.of("training", "training") from error

    drawn = options.questions_per_step * options.group
    if drawn % options.per_device:
        raise ParameterError(
            f"--per-device must divide --questions-per-step times --group, {drawn}, "
            f"got {options.per_device}"
        )
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    rows = _some(examples(options, lambda text: len(tokenizer(text)["input_ids"])))
    if len(rows) < options.questions_per_step:  # TRL would end at step 0, without an error
        raise ParameterError(
            f"--questions-per-step must be at most the number of questions, {len(rows)}, "
            f"got {options.questions_per_step}"
        )
    if tokenizer.chat_template:
        rows = [row | {"prompt": [{"role": "user", "content": row["prompt"]}]} for row in rows]
    has_gpu = torch.cuda.is_available()
    settings = GRPOConfig(
        output_dir=options.out,
        max_steps=options.steps,
        num_train_epochs=options.epochs,
        learning_rate=options.learning_rate,
        lr_scheduler_type="constant",
        # TRL counts answers, the paper questions.
        per_device_train_batch_size=options.per_device,
        gradient_accumulation_steps=drawn // options.per_device,
        num_generations=options.group,
        max_completion_length=options.answer_tokens,
        temperature=options.temperature,
        beta=options.beta,
        epsilon=options.epsilon,
        loss_type="grpo",
        scale_rewards="none",
        bf16=has_gpu,
        use_cpu=not has_gpu,
        gradient_checkpointing=has_gpu,
        seed=options.seed,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
    )
    trainer = GRPOTrainer(
        model=options.model,
        reward_funcs=[GRPOReward()],
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    trainer.train()
    trainer.save_model(options.out)
    return trainer


def show(options: argparse.Namespace) -> str:
    """The first example: what the model reads, and what only its reward knows."""
    first, *_ = _some(islice(examples(options, WordPiece.shipped().count), 1))
    known = "\n".join(f"{name}: {first[name]}" for name in first if name not in _LONG)
    return f"{first['prompt']}\n\n--- known to the reward\n{known}"


_LONG = {"prompt", "session_events"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 0 if it worked, 1 with one clear line if not."""
    made = parser()
    options = made.parse_args(arguments)
    if not options.show and not options.model:
        made.error("name a model to train with --model, or look at the data with --show")
    try:
        if options.show:
            print(show(options))
        else:
            train(options)
    except MemsieveError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
