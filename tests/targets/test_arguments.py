from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import pytest

from blocktool.errors import TargetError, UsageError
from blocktool.targets.arguments import bind_arguments, parse_arguments, parse_value
from blocktool.targets.yaml_values import load_value, plain_scalar

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]

VALUES: list[tuple[str, object]] = [
    ("3", 3),
    ("-3", -3),
    ("010", 10),
    ("0x1F", 31),
    ("0o17", 15),
    ("0.5", 0.5),
    (".5", 0.5),
    ("5.", 5.0),
    ("1e-3", 1e-3),
    ("1E5", 1e5),
    (".inf", math.inf),
    ("-.inf", -math.inf),
    ("true", True),
    ("False", False),
    ("null", None),
    ("~", None),
    ("None", None),
    ("", None),
    ("on", "on"),
    ("no", "no"),
    ("relu", "relu"),
    ("1x3", "1x3"),
    ("a.b-c", "a.b-c"),
    ("1.2.3", "1.2.3"),
    ("'3'", "3"),
    ('"a b"', "a b"),
    ("two words", "two words"),
    ("2020-01-01", "2020-01-01"),
    ("[1, 2]", [1, 2]),
    ("[1, [2e-1, on], null]", [1, [0.2, "on"], None]),
    ("{a: 1, b: [true]}", {"a": 1, "b": [True]}),
    ("[]", []),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_values_are_yaml_1_2(text: str, value: object) -> None:
    got = parse_value(text)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize("text", [text for text, _ in VALUES if text and text[0] not in "'\"[{"])
def test_the_short_way_agrees_with_the_parser(text: str) -> None:
    assert load_value(text) == plain_scalar(text)


def test_nan() -> None:
    assert math.isnan(parse_value(".nan"))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["[1, 2", "{a: 1", '"open', "&a [*a]", "[" * 5000])
def test_half_a_value(text: str) -> None:
    with pytest.raises(UsageError, match=r"argument 'k': .* is not a YAML value") as caught:
        parse_value(text, "k")
    assert "\n" not in caught.value.message


def test_arguments_keep_their_order_and_dots() -> None:
    assert parse_arguments(["b=1", "stages.2.num_blocks=5", "a=x=y"]) == {
        "b": 1,
        "stages.2.num_blocks": 5,
        "a": "x=y",
    }
    assert list(parse_arguments(["b=1", "a=2"])) == ["b", "a"]


@pytest.mark.parametrize(
    ("items", "message", "hint"),
    [
        (["width"], "'width' is not KEY=VALUE", "channels=64"),
        (["1x3x8x8"], "'1x3x8x8' is not KEY=VALUE", "-i 1x3x8x8"),
        (["=3"], "has no key before '='", "channels=64"),
        (["a b=3"], "odd key 'a b'", "channels=64"),
        (["a=3", "a=4"], "'a' is given twice", "once"),
    ],
)
def test_malformed_arguments(items: list[str], message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_arguments(items)
    assert hint in (caught.value.hint or "")


def conv(
    in_channels: int,
    rate: float = 0.0,
    *,
    bias: bool | None = None,
    act: str = "relu",
    size: tuple[int, int] | int = 3,
    widths: list[int] | None = None,
    order: Literal["pre", "post"] = "pre",
    sizes: tuple[int, ...] = (),
    anything: Unknown = None,
    implicit: int = None,  # type: ignore[assignment]  # noqa: RUF013
) -> None: ...


@pytest.mark.parametrize(
    ("values", "bound"),
    [
        ({"in_channels": 3}, {"in_channels": 3}),
        ({"in_channels": 3, "rate": 1}, {"in_channels": 3, "rate": 1.0}),
        ({"in_channels": 3, "bias": None}, {"in_channels": 3, "bias": None}),
        ({"in_channels": 3, "size": [3, 5]}, {"in_channels": 3, "size": (3, 5)}),
        ({"in_channels": 3, "size": 7}, {"in_channels": 3, "size": 7}),
        ({"in_channels": 3, "widths": [1, 2]}, {"in_channels": 3, "widths": [1, 2]}),
        ({"in_channels": 3, "sizes": [1, 2, 3]}, {"in_channels": 3, "sizes": (1, 2, 3)}),
        ({"in_channels": 3, "order": "post"}, {"in_channels": 3, "order": "post"}),
        ({"in_channels": 3, "anything": {"a": 1}}, {"in_channels": 3, "anything": {"a": 1}}),
        ({"in_channels": 3, "implicit": None}, {"in_channels": 3, "implicit": None}),
    ],
)
def test_arguments_that_fit(values: dict[str, object], bound: dict[str, object]) -> None:
    got = bind_arguments(conv, values, "f")
    assert got == bound
    assert {key: type(value) for key, value in got.items()} == {
        key: type(value) for key, value in bound.items()
    }


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({}, "f needs the argument 'in_channels'", "add in_channels=64"),
        ({"in_chanels": 3}, "f takes no argument 'in_chanels'", "did you mean in_channels?"),
        ({"in-channels": 3}, "f takes no argument 'in-channels'", "did you mean in_channels?"),
        ({"zzz": 3}, "f takes no argument 'zzz'", "arguments: in_channels, rate"),
        ({"in_channels": "wide"}, "'in_channels' must be int, got 'wide'", "values are YAML"),
        ({"in_channels": True}, "'in_channels' must be int, got true", "values are YAML"),
        ({"in_channels": 3.5}, "'in_channels' must be int, got 3.5", "values are YAML"),
        ({"in_channels": None}, "'in_channels' must be int, got null", "values are YAML"),
        ({"in_channels": 3, "rate": "x"}, "'rate' must be float", "rate=0.0 is the default"),
        ({"in_channels": 3, "bias": 1}, "'bias' must be bool or null", "bias=null"),
        ({"in_channels": 3, "act": 1}, "'act' must be str, got 1", "act=relu"),
        ({"in_channels": 3, "size": [1, 2, 3]}, r"tuple\[int, int\] or int", "size=3"),
        ({"in_channels": 3, "widths": ["a"]}, r"list\[int\] or null, got \[a\]", "widths=null"),
        ({"in_channels": 3, "order": "mid"}, "'pre' or 'post', got 'mid'", "order=pre"),
        ({"in_channels": 3, "implicit": "x"}, "'implicit' must be int", "implicit=null"),
    ],
)
def test_arguments_that_do_not_fit(values: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        bind_arguments(conv, values, "f")
    assert "\n" not in caught.value.message
    assert hint in (caught.value.hint or "")


def open_ended(*args: int, **kwargs: int) -> None: ...


def positional(x: int, /) -> None: ...


def test_other_kinds_of_callables() -> None:
    class Net:
        def __init__(self, width: int) -> None: ...

    assert bind_arguments(open_ended, {"a": "b"}, "f") == {"a": "b"}
    assert bind_arguments(Net, {"width": 3}, "f") == {"width": 3}
    assert bind_arguments(functools.partial(conv, 3), {"rate": 0.1}, "f") == {"rate": 0.1}
    with pytest.raises(TargetError, match="'width' must be int"):
        bind_arguments(Net, {"width": "a"}, "f")
    with pytest.raises(TargetError, match="by position only"):
        bind_arguments(positional, {}, "f")


def test_without_a_signature_the_call_itself_must_tell() -> None:
    builtin: Callable[..., Any] = type("Odd", (), {"__signature__": 3, "__call__": print})()
    assert bind_arguments(builtin, {"a": 1}, "f") == {"a": 1}
