"""What a value may be: one checker for all that files and people say, by the annotations of frozen dataclasses.

A field's annotation is the only definition of a setting: its type and, as in `Annotated[float, Between(0, 1)]`, its
range. The same one serves TOML and JSON (`made`, `read`), words after flags and in fields of forms (`parsed`), and
values from code (`require`). Known are numbers, words, None, Path, Literal, unions, tuples, mappings, dataclasses, and
what `isinstance` tells. It needs no torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Mapping, Sized
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from .errors import FileError, LorunError

_T = TypeVar("_T")
_LONGEST = 60  # letters of a wrong value in a sentence


@dataclass(frozen=True)
class Between:
    """A finite number from `least` to `most`; `least` itself is left out where it is `above` that."""

    least: float = -math.inf
    most: float = math.inf
    above: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number lies in the range."""
        is_high = value > self.least if self.above else value >= self.least
        return is_high and value <= self.most and math.isfinite(value)

    def __str__(self) -> str:
        most = "" if self.most == math.inf else str(self.most)
        if self.above:
            return f"above {self.least}" + (most and f" and up to {most}")
        if self.least == -math.inf:
            return most and f"up to {most}"
        return f"from {self.least}" + (most and f" to {most}")


@dataclass(frozen=True)
class Entries:
    """A list of `least` to `most` entries."""

    least: int = 1
    most: int = 64

    def holds(self, value: Sized) -> bool:
        """Whether a list is neither too short nor too long."""
        return self.least <= len(value) <= self.most

    def __str__(self) -> str:
        return f"{self.least} to {self.most} of them"


@dataclass(frozen=True)
class Among:
    """One of some values."""

    choices: tuple[Any, ...]

    def holds(self, value: Any) -> bool:
        """Whether a value is one of them."""
        return value in self.choices

    def __str__(self) -> str:
        return _listing(self.choices)


_WORDS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "a word",
    bool: "true or false",
    Path: "the name of a file",
}
Rule = Between | Entries | Among

# what several settings are
Count = Annotated[int, Between(1, 1_000_000_000)]
Number = Annotated[int, Between(0, 1_000_000_000)]  # that may be none
Size = Annotated[int, Between(1, 65_536)]  # pixels, bands, features
Place = Annotated[int, Between(0, 1_000_000)]  # a row or a column, or a number of them
Depth = Annotated[int, Between(1, 64)]  # repetitions of a part
Iterations = Annotated[int, Between(1, 100_000)]
Stages = Annotated[int, Between(1, 256)]
Threads = Annotated[int, Between(1, 1024)]
Seed = Annotated[int, Between(0, 2**63 - 1)]
Finite = Annotated[float, Between()]
Positive = Annotated[float, Between(0, above=True)]
NotNegative = Annotated[float, Between(0)]
Share = Annotated[float, Between(0, 1)]
Factor = Annotated[float, Between(-1000, 1000)]  # of the differences of a set
Seconds = Annotated[float, Between(0, 1e10)]  # of work
Percent = Annotated[float, Between(0, 100, above=True)]


def json_of(text: str | bytes) -> Any:
    """What JSON says; a ValueError for what is none, and for what is nested too deeply to be of ours."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def made(kind: type[_T], table: Any, *, drops_unknown: bool = False) -> _T:
    """The dataclass of a table; a ValueError says which entry is missing, unknown or wrong.

    With `drops_unknown` entries that this version does not know are passed over, here and below.
    """
    hints = hints_of(cast(Hashable, kind))
    if not isinstance(table, Mapping):
        raise ValueError(f"{_short(table)} was found; a table was expected")
    if not drops_unknown and (unknown := [name for name in table if name not in hints]):
        names = ", ".join(sorted(map(str, unknown)))
        raise ValueError(f"the unknown setting {names} was found; known are {', '.join(sorted(hints))}")
    if missing := [name for name in _required(cast(Hashable, kind)) if name not in table]:
        raise ValueError(f"{', '.join(missing)} is missing")
    return kind(
        **{name: value_of(table[name], hint, name, drops_unknown) for name, hint in hints.items() if name in table}
    )


def read(
    kind: type[_T],
    table: Any,
    *,
    source: str,
    remedy: str = "Correct the file.",
    error: type[LorunError] = FileError,
    drops_unknown: bool = False,
) -> _T:
    """`made`, with a sentence of kind `error`; it begins with `source`, as "a.toml [data]", and ends with a remedy."""
    try:
        return made(kind, table, drops_unknown=drops_unknown)
    except ValueError as wrong:
        raise error(f"{source}: {wrong}. {remedy}") from wrong


def salvaged(kind: type[_T], table: Any) -> _T:
    """The dataclass of those entries of a table that fit; what does not is as if it were not there."""
    kept = {}
    for name, hint in hints_of(cast(Hashable, kind)).items():
        if isinstance(table, Mapping) and name in table:
            try:
                kept[name] = value_of(table[name], hint, name, drops_unknown=True)
            except ValueError:
                continue
    return kind(**kept)


def require(config: Any, error: type[LorunError] = LorunError) -> None:
    """Refuses a dataclass with a value that its annotation does not allow, with an `error` that names it."""
    for name, hint in hints_of(cast(Hashable, type(config))).items():
        try:
            value_of(getattr(config, name), hint, name)
        except ValueError as wrong:
            raise error(f"The setting {wrong}. Correct it.") from wrong


def value_of(value: Any, hint: Any, name: str = "", drops_unknown: bool = False) -> Any:
    """`value` as its annotation has it: lists as tuples, names of files as Paths, tables as dataclasses."""
    try:
        return _taker(hint, drops_unknown)(value)
    except _Wrong as wrong:
        within = ": ".join(filter(None, (name, str(wrong))))
        own = f"{name or 'it'} is {_short(value)}; {wanted(hint)} was expected"
        raise ValueError(within if str(wrong) else own) from None


def parsed(text: str, hint: Any) -> Any:
    """The value that a word stands for, as "3", "yes" and "2,5" do; a ValueError says what was expected."""
    for kind in _alternatives(hint):
        try:
            return value_of(_from_text(text.strip(), kind), kind)
        except ValueError:
            continue
    raise ValueError(f"{text!r} was given; {wanted(hint)} was expected")


@cache
def hints_of(kind: Hashable) -> dict[str, Any]:
    """The annotations of the fields of a dataclass, ranges and all."""
    every = get_type_hints(cast(type, kind), include_extras=True)
    return {entry.name: every[entry.name] for entry in fields(cast(Any, kind)) if entry.init}


def wanted(hint: Any) -> str:
    """What an annotation expects, in words."""
    bare, rules = _unwrapped(hint)
    origin, parts = get_origin(bare), get_args(bare)
    if origin in (Union, UnionType):
        return " or ".join(wanted(part) for part in parts if part is not NoneType)
    if origin is Literal:
        return _listing(parts)
    if rules and isinstance(rules[0], Among):
        return str(rules[0])
    if origin is tuple:
        count = f"{len(parts)} " if Ellipsis not in parts else ""
        return f"{count}{_plural(parts[0])} with commas between them" + "".join(f" ({rule})" for rule in rules)
    if origin is not None and issubclass(origin, Mapping):
        return "a table"
    return " ".join([_WORDS.get(bare, "a table"), *filter(None, map(str, rules))])


def _plural(hint: Any) -> str:
    return wanted(hint).replace("number", "numbers").replace("word", "words").removeprefix("a ")


# ---- how --------------------------------------------------------------------------------------------------------


class _Wrong(Exception):
    """A value is not what its annotation says; with words where something in it is not."""


@cache
def _required(kind: Hashable) -> tuple[str, ...]:
    every = fields(cast(Any, kind))
    return tuple(e.name for e in every if e.init and e.default is MISSING and e.default_factory is MISSING)


def _unwrapped(hint: Any) -> tuple[Any, tuple[Rule, ...]]:
    if get_origin(hint) is not Annotated:
        return hint, ()
    bare, *rules = get_args(hint)
    return bare, tuple(rule for rule in rules if isinstance(rule, Rule))


@cache
def _taker(hint: Any, drops_unknown: bool) -> Callable[[Any], Any]:
    """What gives a value as an annotation has it, or raises _Wrong."""
    bare, rules = _unwrapped(hint)
    origin, parts = get_origin(bare), get_args(bare)
    if rules:
        return _ranged(_taker(bare, drops_unknown), rules)
    if origin in (Union, UnionType):
        return _either([_taker(part, drops_unknown) for part in parts])
    if origin is Literal:
        return _listed(parts)
    if origin is tuple:
        return _in_order([_taker(part, drops_unknown) for part in parts if part is not Ellipsis], Ellipsis in parts)
    if origin is not None and issubclass(origin, Mapping):
        return _mapped(_taker(parts[1], drops_unknown))
    if is_dataclass(bare):
        return _nested(cast(type, bare), drops_unknown)
    return _PLAIN.get(bare) or _instance(bare)


def _ranged(take: Callable[[Any], Any], rules: tuple[Rule, ...]) -> Callable[[Any], Any]:
    def taken(value: Any) -> Any:
        value = take(value)
        if not all(rule.holds(value) for rule in rules):
            raise _Wrong
        return value

    return taken


def _either(takers: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def taken(value: Any) -> Any:
        said = ""
        for take in takers:
            try:
                return take(value)
            except _Wrong as wrong:
                said = said or str(wrong)
        raise _Wrong(said)

    return taken


def _listed(choices: tuple[Any, ...]) -> Callable[[Any], Any]:
    def taken(value: Any) -> Any:
        if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices):
            raise _Wrong
        return value

    return taken


def _in_order(takers: list[Callable[[Any], Any]], is_open: bool) -> Callable[[Any], Any]:
    def taken(value: Any) -> Any:
        if not isinstance(value, list | tuple) or (len(value) != len(takers) and not is_open):
            raise _Wrong
        own = takers * len(value) if is_open else takers
        return tuple(take(entry) for take, entry in zip(own, value, strict=True))

    return taken


def _mapped(take: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def taken(value: Any) -> Any:
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise _Wrong
        return {name: take(entry) for name, entry in value.items()}

    return taken


def _nested(kind: type, drops_unknown: bool) -> Callable[[Any], Any]:
    def taken(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        try:
            return made(kind, value, drops_unknown=drops_unknown)
        except ValueError as wrong:
            raise _Wrong(str(wrong)) from wrong

    return taken


def _instance(kind: Any) -> Callable[[Any], Any]:
    def taken(value: Any) -> Any:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise _Wrong
        return value

    return taken


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Wrong
    try:
        float(value)
    except OverflowError:
        raise _Wrong from None
    return value


def _path(value: Any) -> Path:
    if not isinstance(value, str | Path) or "\0" in str(value) or not str(value):
        raise _Wrong
    return Path(value)


_PLAIN: Mapping[Any, Callable[[Any], Any]] = {Any: lambda value: value, float: _number, Path: _path}


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The kinds of a union but None, or the one kind."""
    is_union = get_origin(hint) in (Union, UnionType)
    return tuple(part for part in get_args(hint) if part is not NoneType) if is_union else (hint,)


def _from_text(text: str, hint: Any) -> Any:
    """What a word may mean for one kind; a ValueError where it cannot."""
    bare, _ = _unwrapped(hint)
    parts = get_args(bare)
    if get_origin(bare) is Literal:
        return {str(choice): choice for choice in parts}.get(text, text)
    if get_origin(bare) is tuple:
        words = text.strip("[]() ").replace("×", ",").replace("x", ",").split(",")
        words = words if text.strip("[]() ") else []
        kinds = [parts[0]] * len(words) if Ellipsis in parts else parts
        return tuple(_from_text(word.strip(), kind) for word, kind in zip(words, kinds, strict=True))
    if bare is bool:
        return {"true": True, "yes": True, "false": False, "no": False}.get(text.lower(), text)
    return bare(text) if bare in (int, float) else text


def _listing(choices: tuple[Any, ...]) -> str:
    *first, last = map(str, choices)
    return f"{', '.join(first)} or {last}" if first else last


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
