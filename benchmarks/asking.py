"""What `ask` answers without a model, and what it refuses.

    python benchmarks/asking.py dev.json

Every conversation is asked its own questions, and some of the next conversation, which nothing in
it answers. An answer is right if the turn that it quotes is evidence. Adversarial questions (of one
person what another did) are counted apart.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from memsieve.evaluate import load
from memsieve.evaluate.scopes import Question, Scope
from memsieve.memory import Memory

ADVERSARIAL = "adversarial"
N_FOREIGN = 100


def asked(scope: Scope, other: Sequence[Question]) -> Iterator[tuple[str, bool, bool]]:
    """Kind of each question, whether it was answered, and whether the best hit is evidence."""
    with TemporaryDirectory() as folder, Memory(Path(folder) / "asking.db") as memory:
        memory.add([replace(message, namespace=None) for message in scope.messages])
        for kind, questions in (("own", scope.questions), ("foreign", other)):
            for one in questions:
                answer = memory.ask(one.question)
                best = answer.recollection.hits[:1]
                is_right = kind == "own" and any(hit.item.key in one.evidence for hit in best)
                shown = ADVERSARIAL if kind == "own" and one.category == ADVERSARIAL else kind
                yield shown, answer.is_answered, is_right


def main(path: str) -> None:
    """Ask, count, print."""
    scopes = load(path).scopes
    rows = [
        row
        for n, scope in enumerate(scopes)
        for row in asked(scope, scopes[(n + 1) % len(scopes)].questions[:N_FOREIGN])
    ]
    for what, kind, rights in (
        ("own questions whose best hit is evidence", "own", (True,)),
        ("own questions whose best hit is not", "own", (False,)),
        ("questions that name the wrong person", ADVERSARIAL, (True, False)),
        ("questions of another conversation", "foreign", (False,)),
    ):
        found = [answered for k, answered, right in rows if k == kind and right in rights]
        share = f"{sum(found) / len(found):.3f}" if found else "-"
        print(f"{what}: {len(found):,}, answered {share}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", help="LoCoMo samples, or conversations in the open format")
    main(parser.parse_args().path)
