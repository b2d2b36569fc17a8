"""What the user may call a variant, and what its normal form is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from blocktool.errors import UsageError
from blocktool.measure.variant_names import ALL, VARIANTS, joined, parse_variants, parts


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], "eager"),
        (["eager"], "eager"),
        (["fused,compile"], "eager fused compile"),
        (["compile", "fused , bf16"], "eager compile fused bf16"),
        (["fused", "eager", "fused"], "eager fused"),
        (["bf16+fused+channels-last"], "eager fused+channels-last+bf16"),
        (["compile+BF16+Channels_Last+fused"], "eager fused+channels-last+bf16+compile"),
        (["fused+fused", "eager+fused"], "eager fused"),
        (["eager+eager"], "eager"),
        (["bfloat16", "half,float16,fp16"], "eager bf16 fp16"),
        (["amp", "amp_bfloat16", "amp-float16"], "eager amp-bf16 amp-fp16"),
        (["reduce-overhead", "max_autotune"], "eager compile-reduce-overhead compile-max-autotune"),
        (["int8-static"], "eager int8-static+compile"),
        (["max-autotune+int8-static"], "eager int8-static+compile-max-autotune"),
        (["int8-weight-only+bf16"], "eager bf16+int8-weight-only"),
    ],
)
def test_normal_form(texts: list[str], expected: str) -> None:
    assert " ".join(parse_variants(texts)) == expected


def test_all_is_in_normal_form_and_what_is_added_comes_behind() -> None:
    assert parse_variants([",".join(ALL)]) == ALL
    assert parse_variants(["ALL"]) == ALL
    assert parse_variants(["fp16,all"]) == ("eager", "fp16", *ALL[1:])
    assert parse_variants(["all", "fp16"]) == (*ALL, "fp16")


def test_every_name_is_a_variant_and_described() -> None:
    for name, description in VARIANTS.items():
        assert set(parts(parse_variants([name])[-1])) - {"compile"} == {name} - {
            "eager",
            "compile",
        }
        assert len(description) > 10
        assert "\n" not in description


def test_parts_and_joined_are_inverse() -> None:
    assert parts("eager") == ()
    assert parts("fused+bf16") == ("fused", "bf16")
    assert joined(()) == "eager"
    assert all(joined(reversed(parts(variant))) == variant for variant in ALL)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("fusd", "unknown variant 'fusd'", "did you mean fused?"),
        ("fused+chanels-last", "unknown variant 'chanels-last'", "did you mean channels-last?"),
        ("int8-dynmic", "unknown variant 'int8-dynmic'", "did you mean int8-dynamic?"),
        ("xyz", "unknown variant 'xyz'", "variants: eager, fused, channels-last, bf16"),
        ("", "a variant has no name", "for example"),
        ("fused,,bf16", "a variant has no name", "for example"),
        ("fused+", "a variant has no name in 'fused+'", "for example"),
        ("all+bf16", "variant 'all+bf16' joins all with something", "stands for itself"),
        ("bf16+fp16", "variant 'bf16+fp16' joins bf16 and fp16", "in one dtype"),
        ("half+amp", "variant 'half+amp' joins fp16 and amp-bf16", "in one dtype"),
        ("int8-dynamic+int8-static", "joins int8-dynamic and int8-static", "quantized once"),
        ("compile+max-autotune", "joins compile and compile-max-autotune", "compiled once"),
        ("bf16+int8-static", "joins bf16 and int8-static", "starts from float32"),
    ],
)
def test_what_makes_no_sense(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as found:
        parse_variants([text])
    assert message in found.value.message
    assert "\n" not in found.value.message
    assert hint in str(found.value.hint)


def test_it_needs_no_torch() -> None:
    code = "import blocktool.measure.variant_names, sys; print('torch' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert found.stdout.strip() == "False"
