"""Date arithmetic: how long from one day to another, with its working."""

from dataclasses import dataclass
from datetime import date, datetime, time

from memsieve.timeline.wall import add


@dataclass(frozen=True, slots=True)
class Length:
    """From one day to another: counted by the calendar.

    Never negative: the earlier day comes first.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            earlier, later = self.last, self.first
            object.__setattr__(self, "first", earlier)
            object.__setattr__(self, "last", later)

    @property
    def days(self) -> int:
        return (self.last - self.first).days

    @property
    def months(self) -> int:
        """Whole months: 31 January to 28 February is one."""
        months = (self.last.year - self.first.year) * 12 + self.last.month - self.first.month
        return months - (_later(self.first, months) > self.last)

    @property
    def days_past(self) -> int:
        """Days beyond the whole months."""
        return (self.last - _later(self.first, self.months)).days

    def count(self, unit: str) -> int:
        """Whole units: hours (24 a day), days, weeks, months or years."""
        return {
            "hour": 24 * self.days,
            "day": self.days,
            "week": self.days // 7,
            "month": self.months,
            "year": self.months // 12,
        }[unit]

    def spelled(self, unit: str | None = None) -> str:
        """In the unit asked for with what is left over, and in days.

        >>> Length(date(2025, 3, 8), date(2025, 10, 19)).spelled()
        '225 days (7 months and 11 days)'
        >>> Length(date(2025, 2, 2), date(2026, 1, 18)).spelled("week")
        '50 weeks (350 days)'
        """
        days = _counted(self.days, "day")
        if unit == "hour":
            return f"{24 * self.days:,} hours ({days})"
        if unit in (None, "day"):
            wide = self._in("week" if not self.months else "month" if self.months < 24 else "year")
            return days if wide == days else f"{days} ({wide})"
        counted = self._in(unit)
        return days if counted == days else f"{counted} ({days})"

    def spelled_to(self, longest: "Length", unit: str) -> str:
        """From this to a longer length, where the days are not known.

        >>> low, high = Length(date(2013, 12, 31), date(2023, 10, 22)), Length(
        ...     date(2013, 1, 1), date(2023, 10, 22)
        ... )
        >>> low.spelled_to(high, "year")
        '9 years and 9 months to 10 years and 9 months (3,582 to 3,946 days)'
        >>> Length(date(2025, 3, 2), date(2025, 4, 8)).spelled_to(
        ...     Length(date(2025, 2, 24), date(2025, 4, 8)), "day"
        ... )
        '37 to 43 days'
        """
        days = f"{self.days:,} to {_counted(longest.days, 'day')}"
        if unit == "day":
            return days
        if unit == "hour":
            return f"{24 * self.days:,} to {24 * longest.days:,} hours ({days})"
        return f"{self._roughly_in(unit)} to {longest._roughly_in(unit)} ({days})"

    def _roughly_in(self, unit: str) -> str:
        """Without the days beyond the months where years are counted."""
        if unit == "year":
            return _joined(*zip(divmod(self.months, 12), ("year", "month"), strict=True))
        return self._in(unit)

    def _in(self, unit: str | None) -> str:
        if unit == "week":
            over = self.days % 7
            return _joined((self.days // 7, "week"), (over, "day"))
        if unit == "year":
            years, months = divmod(self.months, 12)
            return _joined((years, "year"), (months, "month"), (self.days_past, "day"))
        return _joined((self.months, "month"), (self.days_past, "day"))


def _later(day: date, months: int) -> date:
    return add(datetime.combine(day, time.min), "month", months).date()


def _counted(count: int, unit: str) -> str:
    return f"{count:,} {unit}" + ("" if count == 1 else "s")


def _joined(*parts: tuple[int, str]) -> str:
    """The parts that are not zero; the last one where all are."""
    said = [_counted(*part) for part in parts if part[0]] or [_counted(*parts[-1])]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
