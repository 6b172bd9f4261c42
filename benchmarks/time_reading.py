"""How long reading time takes: per turn at import, per question, beside dateparser.

    python benchmarks/time_reading.py ../shared/data/locomo/dev.json

Milliseconds per text on one core. Most turns name no time and end at a first look, so the median
says how much a turn costs and the mean what an import pays. dateparser (`search_dates`, English)
reads a sample of the same turns in this run; the ratio is its time over ours on that sample.

    python benchmarks/time_reading.py ../shared/data/locomo/dev.json --show 2000

prints instead every time read in so many turns, drawn with a fixed seed: look for false ones.
"""

import argparse
import json
import random
import statistics
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from time import perf_counter

from machine import company

from memsieve.evaluate import load
from memsieve.intake import Addable
from memsieve.memory import Memory
from memsieve.timeline import Reader, from_spec, spell
from memsieve.timeline.asking import ask
from memsieve.types import Message

DEFAULT_PATH = Path("../shared/data/locomo/dev.json")
N_SAMPLE = 200
WARM_UP = 100
SEED = 20261126


def timed(call: Callable[[int], object], n: int) -> list[float]:
    """Milliseconds of each of n calls, after some that do not count."""
    for i in range(min(WARM_UP, n)):
        call(i)
    found = []
    for i in range(n):
        start = perf_counter()
        call(i)
        found.append((perf_counter() - start) * 1e3)
    return found


def summary(times_ms: Sequence[float]) -> dict[str, float]:
    """Median, mean and 95th percentile."""
    ordered = sorted(times_ms)
    return {
        "median": statistics.median(ordered),
        "mean": statistics.fmean(ordered),
        "p95": ordered[int(0.95 * (len(ordered) - 1))],
    }


def imported_per_s(turns: Sequence[Message], timeline: str) -> float:
    """Turns a second into a new file, in one call."""
    plain: list[Addable] = [
        Message(t.text, at=t.at, speaker=t.speaker, session=t.session) for t in turns
    ]
    with (
        tempfile.TemporaryDirectory(prefix="memsieve-reading-") as folder,
        Memory(Path(folder) / "one.db", timeline=timeline) as memory,
    ):
        memory.add(list(plain[:WARM_UP]))
        start = perf_counter()
        memory.add(plain)
        return len(plain) / (perf_counter() - start)


def dateparser_ms(said: Sequence[tuple[str, datetime]]) -> list[float] | None:
    """The same for dateparser; None if it is not installed."""
    try:
        from dateparser.search import search_dates
    except ImportError:
        return None
    return timed(lambda i: search_dates(said[i][0], languages=["en"]), len(said))


def show(said: Sequence[tuple[str, datetime]], n: int, reader: Reader) -> None:
    """Print each time read in n turns drawn with a fixed seed, in its words."""
    drawn = random.Random(SEED).sample(said, min(n, len(said)))
    read = [(text, at, reader.mentions(text, at)) for text, at in drawn]
    for text, at, mentions in read:
        for one in mentions:
            around = f"{text[: one.first]}<<{text[one.first : one.last]}>>{text[one.last :]}"
            begin = max(0, one.first - 40)
            piece = " ".join(around[begin : one.last + 44].split())
            print(f"{at:%d %b %Y}  {piece}  = {spell(one.interval)}")
    print(f"{sum(bool(mentions) for *_, mentions in read)} of {len(drawn)} turns name a time")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("path", type=Path, nargs="?", default=DEFAULT_PATH)
    parser.add_argument("--json", type=Path, default=None, help="also write the figures here")
    parser.add_argument("--show", type=int, metavar="N", help="print the times read in N turns")
    options = parser.parse_args(arguments)
    data, reader = load(options.path), from_spec("english")
    turns = [m for scope in data.scopes for m in scope.messages if m.at is not None]
    said = [(m.text, m.at) for m in turns if isinstance(m.at, datetime)]
    if options.show is not None:
        show(said, options.show, reader)
        return
    asked = [(q.question, s.last_at) for s in data.scopes if s.last_at for q in s.questions]
    sample = said[:: max(1, len(said) // N_SAMPLE)][:N_SAMPLE]
    figures: dict[str, object] = {"turns": len(turns), "questions": len(asked)}
    with company() as others:
        of_turns = timed(lambda i: reader.mentions(*said[i]), len(said))
        figures["turn_ms"] = summary(of_turns)
        figures["question_ms"] = summary(timed(lambda i: ask(*asked[i], reader), len(asked)))
        figures["import_per_s"] = {
            spec: max(imported_per_s(turns, spec) for _ in range(3)) for spec in ("none", "english")
        }
        ours = timed(lambda i: reader.mentions(*sample[i]), len(sample))
        theirs = dateparser_ms(sample)
        if theirs is not None:
            figures["sample"] = {
                "turns": len(sample),
                "mean_ms": statistics.fmean(ours),
                "dateparser_mean_ms": statistics.fmean(theirs),
                "ratio": statistics.fmean(theirs) / statistics.fmean(ours),
            }
    print(f"other programs took {others.share:.0%} meanwhile")
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
