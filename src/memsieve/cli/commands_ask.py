"""ask: an answer that cites its evidence, or none."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from memsieve.cli.door import Door, stretch, when
from memsieve.cli.options import During, KeyEnv, ModelSpec, Session, Speaker, SystemName

if TYPE_CHECKING:
    from memsieve.asking import Answer


def ask(
    door: Door,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What to answer.")],
    model: ModelSpec = None,
    key_env: KeyEnv = None,
    system: SystemName = None,
    budget: Annotated[
        int,
        typer.Option(
            metavar="N", help="The most tokens of evidence for one call; the first try takes fewer."
        ),
    ] = 4_000,
    now: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="The clock of the question: nothing later is looked at."),
    ] = None,
    during: During = None,
    speaker: Speaker = None,
    session: Session = None,
) -> None:
    """Answer a question from the memory, citing the lines that the answer rests on.

    With a chat model it is written, streamed, checked against its evidence, and tried again with
    more where it does not hold; without one the best sentence is quoted. What the evidence does not
    answer is not answered, and the exit code is 1. Nothing is sent unless a model is named.

    With a local server: memsieve ask 'Where does Ana live?' --model http://127.0.0.1:11434/v1#qwen3
    """
    from memsieve.cli import show

    clock = when("--now", now)
    with door.model(model, key_env) as asked, door.memory(system=system, model=asked) as memory:
        answer = memory.ask(
            question,
            budget_tokens=budget,
            now=clock,
            during=stretch("--during", during, clock, memory.timeline_reader),
            speaker=speaker,
            session=session,
            listen=None if door.json or asked is None else show.piece,
            namespace=door.namespace,
        )
    if door.json:
        from memsieve.cli import records

        records.as_json(_record(answer))
    else:
        show.answer(answer, is_streamed=asked is not None)
    if not answer.is_answered:
        raise typer.Exit(1)


def _record(answer: "Answer") -> dict[str, Any]:
    from memsieve.cli import records

    return {
        "question": answer.question,
        "answer": answer.text,
        "is_answered": answer.is_answered,
        "why": answer.why,
        "author": answer.author,
        "cited": {str(number): records.hit(hit) for number, hit in sorted(answer.cited.items())},
        "attempts": [
            {
                "tier": one.tier,
                "text": one.text,
                "why": one.why,
                "tokens": one.recollection.tokens,
                "plan": dict(one.recollection.plan),
            }
            for one in answer.attempts
        ],
        "spent": answer.spent and records.record(answer.spent),
    }
