"""Which variant is recommended, from figures made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from blocktool.analysis.verdicts import unacceptable, verdicts
from blocktool.results.profile import Latency, ProfileCase, VariantError, Verdict
from blocktool.results.specs import TensorSpec

MIB = 1024**2


def latency(p50: float, half: float) -> Latency:
    return Latency(
        p50=p50,
        p5=p50 - half,
        p95=p50 + half,
        iqr=half,
        low=p50 - half,
        high=p50 + half,
        calls_per_sample=1,
        samples=(p50,) * 9,
    )


def error(largest: float | None, sqnr_db: float | None, eager: float = 1e-7) -> VariantError:
    return VariantError("float64", largest, sqnr_db, eager)


EXACT = error(3e-7, 120.0)


def case(
    variant: str,
    p50: float = 10.0,
    *,
    half: float = 0.1,
    found: VariantError | None = EXACT,
    memory: int | None = 100 * MIB,
    batch: int = 8,
) -> ProfileCase:
    return ProfileCase(
        index=0,
        batch=batch,
        inputs=(TensorSpec((batch, 3, 32, 32)),),
        dtype="float32",
        mode="inference",
        variant=variant,
        amp=False,
        outcome="passed",
        latency_ms=latency(p50, half),
        peak_bytes=memory,
        error=found,
    )


def only(*cases: ProfileCase) -> Verdict:
    (found,) = verdicts(cases)
    return found


def test_the_fastest() -> None:
    found = only(
        case("eager", 10.0),
        case("fused", 8.0),
        case("channels-last", 5.0, found=error(2.7e-3, 52.0), memory=88 * MIB),
    )
    assert (found.use, found.speedup, found.significant) == ("channels-last", 2.0, True)
    assert found.reason == "2x as fast as eager, error 3e-3, 12% less memory"
    assert (found.batch, found.dtype, found.mode) == (8, "float32", "inference")
    assert found.inputs == (TensorSpec((8, 3, 32, 32)),)


def test_more_memory_is_told_and_a_little_is_not() -> None:
    much = only(case("eager"), case("fused", 8.0, memory=150 * MIB, found=error(0.0, None)))
    assert much.reason == "1.25x as fast as eager, error 0, 50% more memory"
    little = only(case("eager"), case("fused", 8.0, memory=100 * MIB + 900))
    assert little.reason == "1.25x as fast as eager, error 3e-7"
    unknown = only(case("eager", memory=None), case("fused", 8.0, found=None))
    assert unknown.reason == "1.25x as fast as eager"


def test_a_difference_within_the_noise_is_none() -> None:
    found = only(case("eager", 10.0, half=0.4), case("fused", 9.5, half=0.2))
    assert (found.use, found.speedup, found.significant) == ("eager", 1.0, False)
    assert found.reason == "no variant is clearly faster: fused takes 0.95x the time of eager"


def test_all_are_slower() -> None:
    found = only(case("eager", 10.0), case("bf16", 200.0), case("compile", 12.5))
    assert found.use == "eager"
    assert found.reason == "eager is the fastest: compile, the next, takes 1.25x its time"


def test_of_equals_the_one_with_fewest_changes_is_used() -> None:
    found = only(
        case("eager", 10.0),
        case("fused+channels-last", 5.0),
        case("channels-last", 5.15),
        case("fused", 6.0),
    )
    assert found.use == "channels-last"
    assert found.speedup == pytest.approx(10 / 5.15)
    assert found.reason.endswith("; fused+channels-last is as fast within the noise")


def test_of_equals_with_as_many_changes_the_more_exact_one_is_used() -> None:
    found = only(
        case("eager", 10.0),
        case("bf16", 5.0, found=error(1e-2, 45.0)),
        case("channels-last", 5.1),
        case("fused", 5.15, found=error(1e-6, 110.0)),
    )
    assert found.use == "channels-last"
    assert found.reason.endswith("; bf16 and fused are as fast within the noise")


def test_a_faster_one_with_a_large_error_is_passed_over_and_named() -> None:
    found = only(
        case("eager", 10.0),
        case("bf16", 3.0, found=error(0.4, 12.0)),
        case("int8-dynamic", 2.5, found=error(0.9, 3.04)),
        case("fused", 5.0),
    )
    assert found.use == "fused"
    assert found.reason.endswith(
        "; int8-dynamic is 4x as fast, but its error is too large (3.0 dB)"
    )


def test_a_slower_one_with_a_large_error_is_not_named() -> None:
    found = only(case("eager"), case("bf16", 7.0, found=error(0.4, 12.0)), case("fused", 5.0))
    assert found.reason == "2x as fast as eager, error 3e-7"


def test_nothing_is_good_enough() -> None:
    found = only(case("eager", 10.0), case("bf16", 5.0, found=error(None, None)))
    assert (found.use, found.significant) == ("eager", False)
    assert found.reason == (
        "no variant has outputs that are good enough; "
        "bf16 is 2x as fast, but its outputs are not finite"
    )


@pytest.mark.parametrize(
    ("variant", "found", "expected"),
    [
        ("bf16", error(0.09, 20.0), None),
        ("bf16", error(0.09, 19.9), "its error is too large (19.9 dB)"),
        ("fused", error(0.19, 15.0, eager=0.1), None),  # eager in that dtype is no better
        ("fused", error(0.21, 15.0, eager=0.1), "its error is too large (15.0 dB)"),
        ("bf16", error(None, None), "its outputs are not finite"),
        ("bf16", error(0.0, None), None),
        ("bf16", None, "its error is not known"),
        ("fused+amp-bf16+compile", None, "its error is not known"),
        ("fused+channels-last+compile", None, None),
        ("eager", None, None),
    ],
)
def test_what_is_acceptable(variant: str, found: VariantError | None, expected: str | None) -> None:
    assert unacceptable(case(variant, found=found)) == expected


def test_each_group_has_its_own_verdict() -> None:
    small, large = case("eager", batch=1), case("eager", batch=32)
    found = verdicts(
        [
            small,
            case("fused", 5.0, batch=1),
            large,
            case("fused", 15.0, batch=32),
            replace(small, dtype="bfloat16"),
            replace(small, dtype="bfloat16", variant="fused", latency_ms=latency(2.0, 0.1)),
            replace(small, mode="training"),
            replace(small, amp=True),
        ]
    )
    assert [(one.batch, one.dtype, one.use) for one in found] == [
        (1, "float32", "fused"),
        (32, "float32", "eager"),
        (1, "bfloat16", "fused"),
    ]


def test_without_eager_or_anything_beside_it_there_is_none() -> None:
    eager, fused = case("eager"), case("fused", 5.0)
    failed = replace(eager, outcome="failed", kind="out-of-memory", latency_ms=None)
    skipped = replace(fused, outcome="skipped", kind="unavailable", latency_ms=None)
    assert verdicts([]) == ()
    assert verdicts([eager]) == ()
    assert verdicts([failed, fused]) == ()
    assert verdicts([eager, skipped]) == ()
