"""Times that hang on other times: beside them, parts of them, from one to another."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from memsieve.timeline.nodes import Again, Context, Node
from memsieve.timeline.recurring import Recurring, Weekday, Weekend
from memsieve.timeline.wall import DAY, MINUTE, PRECISION_OF, Span, add, begin, midnight, whole

_THIRDS = {
    "month": (0, 10, 20), "year": (0, 4, 8), "season": (0, 1, 2), "week": (0, 2, 4),
    "decade": (0, 4, 7), "century": (0, 33, 66),
}  # fmt: skip
_STEP = {
    "month": "day", "year": "month", "season": "month", "week": "day", "decade": "year",
    "century": "year",
}  # fmt: skip
_HALVES = {"month": 15, "year": 6, "decade": 5, "century": 50}


DAYPARTS = {
    "early morning": (5, 8), "morning": (6, 12), "midday": (12, 13), "lunchtime": (12, 14),
    "afternoon": (12, 18), "evening": (18, 24), "night": (18, 30),
}  # fmt: skip
"""Hours of the parts of a day; the night ends at six on the next morning."""


@dataclass(frozen=True, slots=True)
class Hanging(Node):
    """A time that hangs on another: relative if that is."""

    inner: Node

    @property
    def is_relative(self) -> bool:
        return self.inner.is_relative


@dataclass(frozen=True, slots=True)
class Shifted(Hanging):
    """So many units after another time, before it if negative."""

    count: int
    unit: str

    def spans(self, context: Context) -> list[Span]:
        return [self._moved(span) for span in self.inner.spans(context)]

    def _moved(self, span: Span) -> Span:
        # "Two weeks after the trip" counts from its end, "two weeks before it" from its start.
        if span.start is None or span.end is None:
            raise ValueError("cannot count from an unknown moment")
        fine = self.unit in ("minute", "hour")
        from_end = self.count > 0 and span.end - span.start > DAY
        base = span.end - DAY if from_end else span.start
        at = add(base if fine else midnight(base), self.unit, self.count)
        return Span(at, at + (MINUTE if fine else DAY), PRECISION_OF[self.unit])


@dataclass(frozen=True, slots=True)
class Beside(Hanging):
    """The week, weekend, month, ... or weekday next to another time, before or after it."""

    what: str | int
    step: int  # -1 before, 1 after

    @property
    def unit(self) -> str:
        return self.what if isinstance(self.what, str) else "day"

    def spans(self, context: Context) -> list[Span]:
        (start, end, _), *_ = self.inner.spans(context)
        if start is None or end is None:
            raise ValueError("nothing lies beside an unknown moment")
        if isinstance(self.what, int) or self.what == "weekend":
            return [self._recurring(start, end)]
        if self.what == "day":
            edge = midnight(start) - DAY if self.step < 0 else midnight(end - MINUTE) + DAY
            return [Span(edge, edge + DAY, "day")]
        calendar_unit = whole(add(begin(start, self.what), self.what, self.step), self.what)
        if end - start > DAY:
            edge = start if self.step < 0 else end - MINUTE
            return [whole(add(begin(edge, self.what), self.what, self.step), self.what)]
        edge = midnight(start) if self.step < 0 else midnight(end - MINUTE) + DAY
        far = add(edge, self.what, self.step)
        rolling = Span(min(edge, far), max(edge, far), PRECISION_OF[self.what])
        return [rolling, calendar_unit] if self.what == "week" else [calendar_unit, rolling]

    def _recurring(self, start: datetime, end: datetime) -> Span:
        found: Recurring = Weekday(self.what) if isinstance(self.what, int) else Weekend()
        if self.step < 0:
            return found.before(start)
        return found.first(end, lambda begins, _: begins >= end)


@dataclass(frozen=True, slots=True)
class Holding(Hanging):
    """The unit of the calendar that holds another time: "the week of 9 June"."""

    unit: str

    def spans(self, context: Context) -> list[Span]:
        return [whole(start, self.unit) for start in self.inner.starts(context)]


@dataclass(frozen=True, slots=True)
class Part(Hanging):
    """A third or a half of a stretch: early (0), mid (1), late (2); first or second half."""

    number: int
    of: int = 3

    @property
    def unit(self) -> str:
        return "week" if self.inner.unit != "decade" else "year"

    def spans(self, context: Context) -> list[Span]:
        return [self._cut(span) for span in self.inner.spans(context)]

    def _cut(self, span: Span) -> Span:
        start, end, precision = span
        step = _STEP.get(precision)
        if start is None or end is None or step is None:
            raise ValueError(f"no parts of {span!r}")
        counts = _THIRDS[precision] if self.of == 3 else (0, _HALVES[precision])
        edges = [add(start, step, count) for count in counts] + [end]
        finer = "season" if precision == "year" else "year" if precision == "decade" else "week"
        return Span(edges[self.number], edges[self.number + 1], finer)


@dataclass(frozen=True, slots=True)
class Lasting(Hanging):
    """So many units from another time on."""

    count: int
    unit: str

    def spans(self, context: Context) -> list[Span]:
        return [
            Span(start, add(start, self.unit, self.count), PRECISION_OF[self.unit])
            for start in self.inner.starts(context)
        ]


@dataclass(frozen=True, slots=True)
class Within(Hanging):
    """What recurs every year, in a year that the clock decides: "March of last year"."""

    what: Recurring
    unit: str = "day"

    def spans(self, context: Context) -> list[Span]:
        (start, *_) = self.inner.starts(context)
        found = self.what.occurrence(start.year)
        if found is None:
            raise ValueError(f"{self.what!r} is not in {start.year}")
        return [found]


@dataclass(frozen=True, slots=True)
class Nth(Hanging):
    """The n-th weekday, weekend, day, week, month, ... of a stretch; -1 is the last."""

    n: int
    what: str | int

    @property
    def unit(self) -> str:
        return self.what if isinstance(self.what, str) else "day"

    def spans(self, context: Context) -> list[Span]:
        return [self._pick(span) for span in self.inner.spans(context)]

    def _pick(self, span: Span) -> Span:
        start, end = span.start, span.end
        if start is None or end is None:
            raise ValueError("nothing is first in an unknown stretch")
        if isinstance(self.what, str) and self.what != "weekend":
            at = add(end, self.what, self.n) if self.n < 0 else add(start, self.what, self.n - 1)
            found = Span(at, min(add(at, self.what, 1), end), PRECISION_OF[self.what])
        else:
            one: Recurring = Weekday(self.what) if isinstance(self.what, int) else Weekend()
            found = (
                one.latest(end, lambda begins, _: begins < end)
                if self.n < 0
                else one.first(start, lambda begins, _: begins >= start)
            )
            assert found.start is not None
            assert found.end is not None
            by = 7 * (self.n + 1 if self.n < 0 else self.n - 1) * DAY
            found = Span(found.start + by, found.end + by, found.precision)
        assert found.start is not None
        if not start <= found.start < end:
            raise ValueError(f"{span!r} has no such part")
        return found


@dataclass(frozen=True, slots=True)
class Daypart(Hanging):
    """A part of a day: "last Friday evening"."""

    part: str
    unit: str = "part of day"

    def spans(self, context: Context) -> list[Span]:
        first, last = (timedelta(hours=hour) for hour in DAYPARTS[self.part])
        return [
            Span(start + first, start + last, "part of day") for start in self.inner.starts(context)
        ]


@dataclass(frozen=True, slots=True)
class Clock(Hanging):
    """A minute of a day. `after` counts minutes from midnight; 1440 is the next midnight."""

    after: int
    unit: str = "minute"

    def spans(self, context: Context) -> list[Span]:
        by = self.after * MINUTE
        return [
            Span(midnight(start) + by, midnight(start) + by + MINUTE, "minute")
            for start in self.inner.starts(context)
        ]


@dataclass(frozen=True, slots=True)
class Range(Node):
    """From the start of one time to the end of another, each borrowing what it leaves out."""

    first: Node
    last: Node

    @property
    def unit(self) -> str:
        return self.last.unit

    @property
    def is_relative(self) -> bool:
        return self.first.is_relative and self.last.is_relative

    def spans(self, context: Context) -> list[Span]:
        first, last = self.first, self.last
        if isinstance(first, Again) and first.floats and not self._floats(last):
            (end, *_) = last.spans(context)
            limit = end.start or context.now
            begin = first.what.latest(limit, lambda start, _: start <= limit)
            return [self._join(begin, end)]
        begins = first.spans(context)
        if self._floats(last):
            assert isinstance(last, Again)
            ends = [self._first_from(last, span.start or context.now) for span in begins]
        else:
            ends = last.spans(context)
            ends = ends if len(ends) == len(begins) else ends[:1] * len(begins)
        pairs = list(zip(begins, ends, strict=True))
        ordered = [pair for pair in pairs if _in_order(*pair)]
        return [self._join(*pair) for pair in ordered or pairs]

    @staticmethod
    def _first_from(last: Again, low: datetime) -> Span:
        return last.what.first(low, lambda start, _: start >= low)

    @staticmethod
    def _floats(node: Node) -> bool:
        return isinstance(node, Again) and node.floats

    @staticmethod
    def _join(begins: Span, ends: Span) -> Span:
        if not _in_order(begins, ends):
            raise ValueError("a range must not end before it begins")
        if ends.precision == "minute" and begins.precision == "minute":
            return Span(begins.start, ends.start, "part of day")  # nine to five is over at five
        return Span(begins.start, ends.end, ends.precision)


def _in_order(begins: Span, ends: Span) -> bool:
    return begins.start is None or ends.end is None or begins.start < ends.end


@dataclass(frozen=True, slots=True)
class Open(Hanging):
    """Everything on one side of a time: since, from, until, by, before, after."""

    side: str

    @property
    def unit(self) -> str:
        return self.inner.unit

    def spans(self, context: Context) -> list[Span]:
        # One has waited since a past Friday, and works until a coming one.
        ahead = {"since": False, "until": context.ahead is not False, "by": True}.get(
            self.side, context.ahead
        )
        spans = self.inner.spans(replace(context, ahead=ahead))
        return [self._cut(span) for span in spans]

    def _cut(self, span: Span) -> Span:
        start, end, precision = span
        if self.side in ("since", "from", "after"):
            return Span(end if self.side == "after" else start, None, precision)
        return Span(None, end if self.side in ("until", "by") else start, precision)
