"""The language of the gate's rules: every form, its units, and what is said of wrong ones."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocktool.analysis.gate_rules import Budget, Change, Rule, read_rule
from blocktool.analysis.matched_cases import labels
from blocktool.errors import UsageError
from blocktool.results.profile import ProfileCase
from blocktool.results.specs import TensorSpec


@pytest.mark.parametrize(
    ("text", "direction", "amount", "relative"),
    [
        ("macs:+1%", "+", "1/100", True),
        ("macs: + 1.5 %", "+", "3/200", True),
        ("macs:+250%", "+", "5/2", True),
        ("throughput:-5%", "-", "1/20", True),
        ("throughput:−5%", "-", "1/20", True),
        ("macs:+-1%", "+-", "1/100", True),
        ("macs:-+1%", "+-", "1/100", True),
        ("macs:+/-1%", "+-", "1/100", True),
        ("macs:±1%", "+-", "1/100", True),
        ("params:0", "+-", "0", False),
        ("params:0%", "+-", "0", True),
        ("params:+0", "+", "0", False),
        ("macs:+2M", "+", "2000000", False),
        ("macs:+2k", "+", "2000", False),
        ("macs:-.5G", "-", "500000000", False),
        ("macs:+1e9", "+", "1000000000", False),
        ("macs:+1_000", "+", "1000", False),
        ("peak_live_bytes:+64MiB", "+", "67108864", False),
        ("peak_live_bytes:+64 mb", "+", "64000000", False),
        ("activation_bytes:+512B", "+", "512", False),
        ("latency_ms.p50:+0.5ms", "+", "1/2", False),
        ("latency_ms.p50:+250us", "+", "1/4", False),
        ("latency_ms.p50:+250µs", "+", "1/4", False),
        ("total_ms:+2s", "+", "2000", False),
        ("latency_ms.p50:+3", "+", "3", False),
    ],
)
def test_limits_of_a_change(text: str, direction: str, amount: str, relative: bool) -> None:
    limit = read_rule(text).limit
    assert isinstance(limit, Change)
    assert (limit.direction, limit.amount, limit.relative) == (
        direction,
        Fraction(amount),
        relative,
    )


@pytest.mark.parametrize(
    ("text", "operator", "value"),
    [
        ("macs<=5G", "<=", 5 * 10**9),
        ("macs < 5.5G", "<", 5500 * 10**6),
        ("macs>=1", ">=", 1),
        ("throughput>100", ">", 100),
        ("macs==4089184256", "==", 4089184256),
        ("macs≤5T", "<=", 5 * 10**12),
        ("sqnr_db>=-3", ">=", -3),
        ("peak_bytes<=8GiB", "<=", 8 * 2**30),
        ("peak_bytes<=8GB", "<=", 8 * 10**9),
        ("latency_ms.p50<=16ms", "<=", 16),
        ("output_shapes==1x1000", "==", None),
        ("param_dtype == 'bfloat16'", "==", None),
        ("outputs==1x1000:float32", "==", None),
    ],
)
def test_budgets(text: str, operator: str, value: int | None) -> None:
    limit = read_rule(text).limit
    assert isinstance(limit, Budget)
    assert (limit.operator, limit.value) == (operator, value)


def test_the_text_of_a_budget_has_no_quotes() -> None:
    assert read_rule("param_dtype=='bfloat16'").limit == Budget("==", None, "bfloat16")


@pytest.mark.parametrize(
    ("text", "glob", "metric", "case"),
    [
        ("macs:+1%", None, "macs", ()),
        ("peak-live-bytes:0", None, "peak_live_bytes", ()),
        ("layer1.*:macs:+1%", "layer1.*", "macs", ()),
        ("*.attn:params<=1M", "*.attn", "params", ()),
        ("layer[12].*:macs:0", "layer[12].*", "macs", ()),
        ("layer[!12].[]x]:macs:0", "layer[!12].[]x]", "macs", ()),
        ("a:b:macs:0", "a:b", "macs", ()),
        ("macs[batch=8]:0", None, "macs", (("batch", "8"),)),
        (
            "l*:total_ms[batch = 8, dtype=bfloat16]<=3",
            "l*",
            "total_ms",
            (("batch", "8"), ("dtype", "bfloat16")),
        ),
    ],
)
def test_what_a_rule_is_about(
    text: str, glob: str | None, metric: str, case: tuple[tuple[str, str], ...]
) -> None:
    rule = read_rule(text)
    assert (rule.glob, rule.metric, rule.case) == (glob, metric, case)


def test_cases_are_called_as_rules_choose_them() -> None:
    inputs = (TensorSpec((8, 3, 32, 64), "float32"),), (TensorSpec((8, 3, 32, 32), "float32"),)
    cases = [
        ProfileCase(0, 8, each, "bfloat16", "training", "eager", True, "passed") for each in inputs
    ]
    wide, square = labels(cases)
    rule = read_rule("x[batch=8,size=3x32x64,dtype=bfloat16,mode=training,variant=eager]:0")
    assert (rule.takes(wide), rule.takes(square)) == (True, False)
    for autocast in ("dtype=bfloat16 amp", "dtype=bfloat16"):
        assert read_rule(f"x[{autocast}]:0").takes(wide)


def test_a_rule_keeps_its_text() -> None:
    assert read_rule("  macs:  +1%\n").text == "macs: +1%"


CASE = "batch 8 · 3x224x224 · bfloat16 · amp · training · fused+compile"


@pytest.mark.parametrize(
    ("chosen", "taken"),
    [
        ("batch=8", True),
        ("batch=80", False),
        ("batch=8,mode=training,variant=fused+compile,dtype=bfloat16,size=3x224x224", True),
        ("dtype=float16", False),
        ("variant=fused", False),
        ("batch=8,mode=inference", False),
        ("mode=8", False),
        # Each of these words stands in the label, for something else.
        ("mode=bfloat16", False),
        ("variant=training", False),
        ("dtype=amp", False),
        ("size=bfloat16", False),
        ("variant=3x224x224", False),
        ("dtype=bfloat16 amp", True),
    ],
)
def test_cases_are_chosen_by_whole_words(chosen: str, taken: bool) -> None:
    rule = read_rule(f"latency_ms.p50[{chosen}]:+5%")
    assert rule.takes(CASE) is taken
    assert not rule.takes(None)
    assert read_rule("latency_ms.p50:+5%").takes(CASE)


def test_cases_without_a_size_and_without_autocast() -> None:
    label = "batch 8 · float32 · inference · eager"
    for chosen in ("batch=8", "dtype=float32", "mode=inference", "variant=eager"):
        assert read_rule(f"x[{chosen}]:0").takes(label)
    for chosen in ("mode=float32", "variant=inference", "size=float32", "dtype=float32 amp"):
        assert not read_rule(f"x[{chosen}]:0").takes(label)
    assert not read_rule("x[batch=8]:0").takes("no batch · float32 · inference · eager")


@pytest.mark.parametrize(
    ("text", "why", "hint"),
    [
        ("", "it has no limit", "for example macs:+1%"),
        ("macs", "it has no limit", "for example macs:+1%"),
        ("macs:", "'' is no limit", "for example macs:+1%"),
        ("macs:much", "'much' is no limit", "for example macs:+1%"),
        ("macs:1%", "does not say which way", "+1% limits a rise, -1% a fall, +-1% both"),
        ("macs:+1e999999999", "is no limit", "for example"),
        ("macs=5G", "= is no comparison", "did you mean macs==5G?"),
        ("latency_ms.p50[batch=8]=3", "= is no comparison", "p50[batch=8]==3?"),
        ("macs!=5", "there is no !=", "there are <=, <, >=, > and =="),
        ("macs != 5", "there is no !=", "params:0 for no change"),
        ("body.[:macs:0", "its pattern has a [ without a ]", "layer[12].*:macs:+1%"),
        ("body.[]:macs<=1", "its pattern has a [ without a ]", "layer[12].*"),
        ("body.[!]:macs:0", "its pattern has a [ without a ]", "layer[12].*"),
        ("[ab].[c:macs:0", "its pattern has a [ without a ]", "layer[12].*"),
        ("macs=<5G", "no comparison that there is", "write <=, <"),
        ("macs<=", "'' is no number", "macs<=5G"),
        ("macs<=five", "'five' is no number", "macs<=5G"),
        ("macs<=5%", "a budget has no %", "macs:+5% limits a change"),
        (":macs:0", "its pattern of modules is empty", "leave it out"),
        (":0", "it names no metric", "METRIC:LIMIT or GLOB:METRIC:LIMIT"),
        ("some macs:0", "it names no metric", "METRIC:LIMIT"),
        ("macs[batch]:0", "'batch' chooses no case", "[batch=8"),
        ("macs[]:0", "'' chooses no case", "[batch=8"),
        ("macs[bach=1]:0", "not told apart by 'bach'", "did you mean batch?"),
        ("macs[x=1]:0", "not told apart by 'x'", "by batch, size, dtype, mode, variant"),
        ("macs:+5ms", "'ms' is no unit of macs", "K, M, G and T"),
        ("macs:+5m", "'m' is no unit of macs", "K, M, G and T"),
        ("latency_ms.p50:+5MiB", "'MiB' is no unit of latency_ms.p50", "ns, us, ms or s"),
        ("peak_bytes<=8G", "'G' is no unit of peak_bytes", "8GB is in powers of 1000, 8GiB"),
        ("peak_bytes<=8ms", "'ms' is no unit of peak_bytes", "bytes are in B, KB"),
    ],
)
def test_wrong_rules(text: str, why: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_rule(text)
    assert raised.value.message.startswith(f"the rule '{text}' cannot be read: ")
    assert why in raised.value.message
    assert hint in (raised.value.hint or "")


def test_the_rules_in_the_documentation_can_be_read() -> None:
    text = (Path(__file__).parents[2] / "docs" / "compare.md").read_text(encoding="utf-8")
    section = text.partition("\n### Rules\n")[2].partition("\n#")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    rules = [rule for row in rows for rule in re.findall(r"`(\w[^`]+|\*[^`]+)`", row)]
    asked = re.findall(r'--fail-on "([^"]+)"', text)
    assert len(rules) > 10
    assert [read_rule(rule) for rule in (*rules, *asked)]


def test_what_is_said_of_a_long_rule_is_short() -> None:
    with pytest.raises(UsageError) as raised:
        read_rule("macs:+" + "9" * 5000)
    assert len(raised.value.message) < 300


METRICS = st.from_regex(r"[a-z][a-z_]{0,8}(\.p[0-9]{1,2})?", fullmatch=True)
GLOBS = st.none() | st.from_regex(r"([a-z*?0-9.]|\[!?[a-z0-9]{1,3}\]){1,12}", fullmatch=True)
CASES = st.lists(
    st.tuples(
        st.sampled_from(["batch", "dtype", "mode", "variant"]),
        st.from_regex(r"[a-z0-9+-]{1,8}", fullmatch=True),
    ),
    max_size=3,
)
NUMBERS = st.decimals(0, 10**12, allow_nan=False, places=3)


def _figure(glob: str | None, metric: str, case: list[tuple[str, str]]) -> str:
    chosen = f"[{','.join(f'{key}={value}' for key, value in case)}]" if case else ""
    return f"{'' if glob is None else glob + ':'}{metric}{chosen}"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(GLOBS, METRICS, CASES, st.sampled_from(["+", "-", "+-"]), NUMBERS, st.booleans())
def test_a_change_reads_back(glob, metric, case, direction, number, relative) -> None:
    text = f"{_figure(glob, metric, case)}:{direction}{number:f}{'%' if relative else ''}"
    amount = Fraction(number) / (100 if relative else 1)
    limit = f"{direction}{number:f}{'%' if relative else ''}"
    expected = Rule(text, metric, Change(direction, amount, relative, limit), glob, tuple(case))
    assert read_rule(text) == expected


@settings(max_examples=60, deadline=None, derandomize=True)
@given(GLOBS, METRICS, CASES, st.sampled_from(["<=", "<", ">=", ">", "=="]), NUMBERS)
def test_a_budget_reads_back(glob, metric, case, operator, number) -> None:
    text = f"{_figure(glob, metric, case)}{operator}{number:f}"
    limit = Budget(operator, Fraction(number), f"{number:f}")
    assert read_rule(text) == Rule(text, metric, limit, glob, tuple(case))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=30) | st.text("macs:+-0195%<=>[]batch*. GMiBKks", max_size=24))
def test_any_text_is_a_rule_or_an_error_in_one_line(text: str) -> None:
    try:
        assert read_rule(text).metric
    except UsageError as error:
        told = error
    else:
        return
    assert told.hint
    assert len(told.message.splitlines()) == 1
