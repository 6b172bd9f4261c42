"""Learned policies: a score from features, kept in a file that a person can read.

    Linear   one weight a feature
    MLP      the same plus a small hidden layer, for what holds in some questions only

Both score standardised features, cut at `CLIP` deviations, and say exactly what each feature gave.
A policy is data: `load` reads a shipped one by its name or any file, and refuses what is malformed.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from memsieve.errors import FormatError, NotFoundError, ParameterError
from memsieve.score.features import CLIP, NAMES, Features
from memsieve.score.fusion import Scores

SCHEMA = 1
"""Version of the file. A file of another version is refused: its features may mean other things."""
SHIPPED = Path(__file__).parent / "policies"
DEFAULT = "default"
_FORMAT = "memsieve-policy"
_LARGEST = 1e6


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Policy(ABC):
    """What every learned policy has beside its weights.

    name: under which it is reported; trained_on, recipe, measured: what the file says of its data
    and their licences, of its training, and of its figures; free JSON, for readers.
    """

    name: str
    trained_on: Mapping[str, Any] = field(default_factory=_nothing, kw_only=True, repr=False)
    recipe: Mapping[str, Any] = field(default_factory=_nothing, kw_only=True, repr=False)
    measured: Mapping[str, Any] = field(default_factory=_nothing, kw_only=True, repr=False)

    kind = ""

    @property
    @abstractmethod
    def features(self) -> tuple[str, ...]:
        """The features that it reads, in its own order."""

    @abstractmethod
    def parts(self, z: np.ndarray) -> np.ndarray:
        """What each feature gives to the score: (n, d) from standardised (n, d); rows add up."""

    @abstractmethod
    def numbers(self) -> dict[str, Any]:
        """The weights as JSON."""

    def score(self, features: Features) -> Scores:
        """Score every candidate. O(n d), or O(n d hidden)."""
        at = [features.names.index(name) for name in self.features]
        z = features.standardised(CLIP)[:, at]
        parts = self.parts(z)
        return Scores(parts.sum(axis=1), self.features, parts)

    def named(self, name: str) -> "Policy":
        """The same policy under another name."""
        return replace(self, name=name)

    def to_json(self) -> dict[str, Any]:
        """The content of its file."""
        return {
            "format": _FORMAT,
            "schema": SCHEMA,
            "name": self.name,
            "kind": self.kind,
            **self.numbers(),
            "trained_on": dict(self.trained_on),
            "recipe": dict(self.recipe),
            "measured": dict(self.measured),
        }

    def text(self) -> str:
        """What stands in its file.

        Raises
        ------
        ParameterError
            If what it says of itself is no JSON, or could not be read again.
        """
        try:
            written = json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
            parse(written, f"the policy {self.name!r}")
        except (ValueError, TypeError) as error:
            raise ParameterError(f"the policy {self.name!r} cannot be written: {error}") from error
        return f"{written}\n"

    def save(self, path: str | Path) -> None:
        """Write the file, complete or not at all.

        Raises
        ------
        ParameterError
            As `text`.
        OSError
            If it cannot be written there.
        """
        target, text = Path(path), self.text()
        part = target.with_name(f"{target.name}.part")
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(target)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def __eq__(self, other: object) -> bool:
        """Whether two policies say and weigh the same."""
        return isinstance(other, Policy) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.kind, self.name))


@dataclass(frozen=True, eq=False)
class Linear(Policy):
    """score[i] = sum over f of weight[f] * z[i, f]. O(n d).

    Parameters
    ----------
    weights
        Feature to weight, finite. The unit of a score is a log-odds where the policy was trained
        to choose: one more unit makes a candidate e times as likely to be drawn.

    Raises
    ------
    ParameterError
        If a feature is unknown or a weight not finite.

    Examples
    --------
    >>> policy = Linear("words only", {"words": 2.0})
    >>> two = Features(NAMES, np.eye(2, len(NAMES)))  # the first matches by words, one by the next
    >>> policy.score(two).values.tolist()
    [2.0, -2.0]
    """

    weights: Mapping[str, float] = field(default_factory=_nothing, repr=False)

    kind = "linear"

    def __post_init__(self) -> None:
        _check_names("Linear", self.weights)
        _check_numbers("Linear.weights", list(self.weights.values()), (len(self.weights),))

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def parts(self, z: np.ndarray) -> np.ndarray:
        return z * np.array(list(self.weights.values()))

    def numbers(self) -> dict[str, Any]:
        return {"weights": {name: _short(weight) for name, weight in self.weights.items()}}


@dataclass(frozen=True, eq=False)
class MLP(Policy):
    """A linear score plus a hidden layer of tanh units.

    score[i] = z_i . w + sum over h of out[h] (tanh(z_i . hidden[:, h] + bias[h]) - tanh(bias[h])).
    O(n d n_hidden). What a feature gave is z_ij (w_j + sum over h of out[h] slope_ih hidden[j, h]),
    slope_ih being the mean slope of unit h between the mean candidate and this one: the parts add
    up to the score exactly.

    Parameters
    ----------
    weights
        Feature to its direct weight, finite; (d,).
    hidden, bias, out
        (d, h), (h,) and (h,), finite; rows of `hidden` in the order of `weights`.

    Raises
    ------
    ParameterError
        If a feature is unknown, a number not finite, or shapes disagree.

    References
    ----------
    Shrikumar, Greenside and Kundaje, Learning Important Features Through Propagating Activation
    Differences (DeepLIFT), 2017, arXiv 1704.02685: the rescale rule, with the mean candidate of
    the question as the reference.
    """

    weights: Mapping[str, float] = field(default_factory=_nothing, repr=False)
    hidden: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)), repr=False)
    bias: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    out: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)

    kind = "mlp"

    def __post_init__(self) -> None:
        _check_names("MLP", self.weights)
        d, h = len(self.weights), np.size(self.out)
        _check_numbers("MLP.weights", list(self.weights.values()), (d,))
        for name, shape in (("hidden", (d, h)), ("bias", (h,)), ("out", (h,))):
            value = _check_numbers(f"MLP.{name}", getattr(self, name), shape)
            object.__setattr__(self, name, value)

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def parts(self, z: np.ndarray) -> np.ndarray:
        change = z @ self.hidden
        rise = np.tanh(change + self.bias) - np.tanh(self.bias)
        flat = np.abs(change) < 1e-6  # where the quotient loses its digits, the slope is the limit
        slope = np.where(flat, 1 - np.tanh(self.bias) ** 2, rise / np.where(flat, 1.0, change))
        direct = np.array(list(self.weights.values()))
        return z * (direct + (slope * self.out) @ self.hidden.T)

    def numbers(self) -> dict[str, Any]:
        return {
            "weights": {name: _short(weight) for name, weight in self.weights.items()},
            "hidden": [[_short(x) for x in row] for row in self.hidden],
            "bias": [_short(x) for x in self.bias],
            "out": [_short(x) for x in self.out],
        }


def shipped() -> tuple[str, ...]:
    """The names of the policies that come with the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.json")))


def load(name: str | Path) -> Policy:
    """A shipped policy by its name, or the policy in a file.

    Raises
    ------
    NotFoundError
        If there is neither.
    FormatError
        If the file is malformed, of another schema, or holds what is no finite number.
    """
    path = SHIPPED / f"{name}.json" if str(name) in shipped() else Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(
            f"{path} is no policy: not UTF-8 ({error.reason}); name a file that 'memsieve train"
            " policy' wrote"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: what can be no path
        known = ", ".join(shipped())
        why = getattr(error, "strerror", None) or "no path"
        raise NotFoundError(
            f"no policy {str(name)!r}: name one of {known}, or a file that can be read ({why})"
        ) from error
    return parse(text, str(path))


def parse(text: str, where: str) -> Policy:
    """The policy that a text holds; `where` names it in errors.

    Raises
    ------
    FormatError
        As `load`.
    """
    try:
        given = json.loads(text, parse_constant=_refuse_constant)
        return _of_json(given)
    except (ValueError, RecursionError) as error:  # ParameterError is a ValueError
        raise FormatError(
            f"{where} is no policy: {error}; write it anew with 'memsieve train policy'"
        ) from error
    except (KeyError, TypeError, AttributeError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise FormatError(
            f"{where} is no policy: {what}; write it anew with 'memsieve train policy'"
        ) from error


def _of_json(given: Any) -> Policy:
    if not isinstance(given, dict) or given.get("format") != _FORMAT:
        raise ParameterError(f"it does not say 'format': {_FORMAT!r}")
    if type(given.get("schema")) is not int or given["schema"] != SCHEMA:
        raise ParameterError(
            f"it has the schema {given.get('schema')!r}, this memsieve reads {SCHEMA}"
        )
    about = {name: dict(given.get(name) or {}) for name in ("trained_on", "recipe", "measured")}
    name, weights = given["name"], given["weights"]
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise ParameterError("its name must be one line of text")
    if not isinstance(weights, dict):
        raise ParameterError("its weights must be an object of features and numbers")
    if given["kind"] == "linear":
        return Linear(name, weights, **about)
    if given["kind"] == "mlp":
        hidden, bias, out = (_array(given[part]) for part in ("hidden", "bias", "out"))
        return MLP(name, weights, hidden, bias, out, **about)
    raise ParameterError(f"its kind must be linear or mlp, got {given['kind']!r}")


def _array(value: Any) -> np.ndarray:
    """Numbers, or rows of numbers, as an array; what they are is checked with the rest."""
    return np.array(value, dtype=object)


def _refuse_constant(word: str) -> float:
    raise ParameterError(f"it holds {word}, a weight must be finite")


def _check_names(who: str, weights: Mapping[str, float]) -> None:
    if not weights:
        raise ParameterError(f"{who}.weights must name at least one feature")
    for name in weights:
        if name not in NAMES:
            raise ParameterError(f"{who}.weights: no feature is called {name!r}")


def _check_numbers(what: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """An array of finite numbers of a shape, or the error that names it."""
    given = np.array(value, dtype=object)
    flat = given.ravel().tolist()
    if any(isinstance(x, bool) or not isinstance(x, int | float | np.number) for x in flat):
        raise ParameterError(f"{what} must hold numbers, in rows of one length")
    if given.shape != shape:
        raise ParameterError(f"{what} must have the shape {shape}, got {given.shape}")
    # Before they become floats, which large whole numbers do not; NaN is below nothing.
    if not all(abs(x) <= _LARGEST for x in flat):
        raise ParameterError(f"{what} must be finite and at most {_LARGEST:g} in size")
    return given.astype(float)


def _short(number: float) -> float:
    """Five decimals: a weight is known to fewer."""
    return round(float(number), 5)
