"""Which figures break a rule: by hand, case by case, and what is said of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocktool.analysis.figures import exact
from blocktool.analysis.gate import judged
from blocktool.analysis.gate_rules import read_rule
from blocktool.errors import UsageError
from blocktool.render.comparison_figures import NAMES
from blocktool.results.comparison import MetricChange, RuleOutcome, Verdict

EAGER = "batch 8 · float32 · inference · eager"
SMALL = "batch 1 · float32 · inference · eager"


def measured(
    old: float | None,
    new: float | None,
    verdict: Verdict,
    bounds: tuple[float, float] | None = None,
    *,
    metric: str = "latency_ms.p50",
    case: str = EAGER,
    reason: str | None = None,
    change: float | None = None,
) -> MetricChange:
    low, high = bounds or (None, None)
    if change is None and old and new is not None:
        change = new / old - 1
    return MetricChange(
        metric, old, new, change, verdict, "measured", None, case, low, high, reason
    )


def outcome(rule: str, *changes: MetricChange, **options: Any) -> RuleOutcome:
    (found,), findings = judged([read_rule(rule)], changes, **options)
    assert (found.outcome == "failed") == bool(findings)
    return found


def fails(rule: str, *changes: MetricChange) -> bool:
    return outcome(rule, *changes).outcome == "failed"


def said(rule: str, *changes: MetricChange) -> list[str]:
    return [finding.message for finding in judged([read_rule(rule)], changes)[1]]


@pytest.mark.parametrize(
    ("limit", "old", "new", "breaks"),
    [
        ("+1%", 1000, 1010, False),
        ("+1%", 1000, 1011, True),
        ("+1%", 1000, 1, False),
        ("-1%", 1000, 990, False),
        ("-1%", 1000, 989, True),
        ("-1%", 1000, 5000, False),
        ("+-1%", 1000, 1011, True),
        ("+-1%", 1000, 989, True),
        ("+-1%", 1000, 1005, False),
        ("+150%", 1000, 2500, False),
        ("+150%", 1000, 2501, True),
        ("0", 7, 7, False),
        ("0", 7, 8, True),
        ("0", 7, 6, True),
        ("+0", 7, 6, False),
        ("+0", 7, 8, True),
        ("+2K", 10, 2010, False),
        ("+2K", 10, 2011, True),
        # From nothing every rise is infinite; an amount is what it is.
        ("+1000000%", 0, 1, True),
        ("-1%", 0, 1, False),
        ("+1%", 0, 0, False),
        ("+5", 0, 5, False),
        ("0", 0, 0, False),
        # Counts beyond the digits of a float, and decimals that no float is.
        ("+1%", 10**22, 10**22 + 10**20, False),
        ("+1%", 10**22, 10**22 + 10**20 + 1, True),
        ("+10%", 0.1, 0.11, False),
        ("+10%", 0.3, 0.33, False),
        ("+10%", 0.1, 0.1101, True),
        ("+0.1", 0.2, 0.3, False),
        # Of a negative figure, up is still up.
        ("+10%", -10.0, -9.0, False),
        ("+10%", -10.0, -8.9, True),
        ("-10%", -10.0, -11.1, True),
        ("-10%", -10.0, -8.0, False),
        # What is not finite.
        ("+1%", 1, math.inf, True),
        ("-1%", math.inf, 1, True),
        ("+1%", math.inf, 1, False),
        ("0", math.inf, math.inf, False),
        ("-1%", 1, -math.inf, True),
    ],
)
def test_counted_figures(limit: str, old: float, new: float, breaks: bool) -> None:
    change = MetricChange("macs", old, new, None, "changed")
    assert fails(f"macs:{limit}", change) is breaks


@pytest.mark.parametrize(
    ("budget", "new", "breaks"),
    [
        ("macs<=5K", 5000, False),
        ("macs<=5K", 5001, True),
        ("macs<5K", 5000, True),
        ("macs>=5K", 5000, False),
        ("macs>5K", 5000, True),
        ("macs==5K", 5000, False),
        ("macs==5K", 5001, True),
        ("macs<=0.3", 0.3, False),
        ("macs>=-1.5", -1.6, True),
        ("macs<=1e30", math.inf, True),
        ("macs==1x64", "1x64", False),
        ("macs==1x65", "1x64", True),
        ("macs==8", "8", False),
    ],
)
def test_budgets(budget: str, new: float | str, breaks: bool) -> None:
    assert fails(budget, exact("macs", None, new)) is breaks
    assert fails(budget, exact("macs", 123, new)) is breaks
    assert fails(budget, MetricChange("macs", 1, new, None, "not compared", "measured")) is breaks


def test_the_sentence_of_a_change() -> None:
    assert said("macs:+1%", exact("macs", 4089184256, 4600332288)) == [
        "macs of the whole rose by 12.5% (4,089,184,256 -> 4,600,332,288), allowed is +1%"
    ]
    assert said("params:0", exact("params", 25557032, 25557030)) == [
        "params of the whole fell by 2 (25,557,032 -> 25,557,030), no change is allowed"
    ]
    assert said("a.*:act_bytes:+1KiB", exact("act_bytes", 1000, 4000, module="a.b")) == [
        "act_bytes of a.b rose by 3,000 bytes (1,000 -> 4,000 bytes), allowed is +1KiB"
    ]
    assert said("outputs:0", exact("outputs", "1x10", "1x100")) == [
        "outputs of the whole changed from 1x10 to 1x100, no change is allowed"
    ]


def test_the_sentence_shows_digits_that_tell_the_figure_from_its_limit() -> None:
    (message,) = said("macs:+1%", exact("macs", 10**6, 1010001))
    assert "rose by 1.0001% " in message
    (message,) = said("gflops:+0%", exact("gflops", 12.34561, 12.34562))
    assert "(12.34561 -> 12.34562)" in message
    (message,) = said("gflops<=12.3456", exact("gflops", None, 12.34562))
    assert message == "gflops of the whole is 12.34562, the budget is <= 12.3456"


def test_the_sentence_of_a_budget() -> None:
    assert said("macs<=4.5G", exact("macs", None, 4600332288)) == [
        "macs of the whole is 4,600,332,288, the budget is <= 4.5G"
    ]
    assert said("peak_bytes<=1MiB", exact("peak_bytes", None, 2**20 + 1)) == [
        "peak_bytes of the whole is 1,048,577 bytes, the budget is <= 1MiB (1,048,576 bytes)"
    ]
    assert said("*:dtype==bfloat16", exact("dtype", None, "float32", module="a")) == [
        "dtype of a is float32, it must be bfloat16"
    ]


def test_the_sentence_of_a_measured_change() -> None:
    assert said("latency_ms.p50:+5%", measured(10.0, 11.25, "increased", (0.098, 0.149))) == [
        f"latency_ms.p50 of {EAGER} rose by 12.5% (between +9.8% and +14.9%; 10 -> 11.25 ms), "
        "allowed is +5%"
    ]


def test_a_finding_names_its_figure() -> None:
    change = exact("macs", 100, 150, module="a", case=EAGER)
    _, (finding,) = judged([read_rule("*:macs:+1%")], [change])
    assert (finding.rule, finding.metric, finding.module) == ("*:macs:+1%", "macs", "a")
    assert (finding.old, finding.new, finding.change, finding.case) == (100, 150, 0.5, EAGER)
    assert f"macs of a ({EAGER}) rose" in finding.message


MODULES = (
    exact("macs", 100, 110),
    exact("macs", 100, 110, module=""),
    exact("macs", 40, 40, module="layer1.0"),
    exact("macs", 60, 70, module="layer2.0"),
    exact("macs", None, 30, module="layer1.new"),
    exact("macs", 30, None, module="layer2.gone"),
    exact("macs", None, 0, module="relu"),
    exact("dtype", None, "float32", module="layer1.new"),
)


def failing(rule: str) -> list[str | None]:
    return [each.module for each in judged([read_rule(rule)], MODULES)[1]]


def test_patterns_choose_modules_and_never_the_root() -> None:
    assert failing("*:macs:+1%") == ["layer2.0", "layer1.new"]
    assert failing("layer1.*:macs:+1%") == ["layer1.new"]
    assert failing("layer2.0:macs:+1%") == ["layer2.0"]
    assert failing("layer[13].?:macs:+1%") == []
    assert failing("Layer2.0:macs<=1") == []
    assert failing("macs:+1%") == [None]


def test_modules_that_came_and_went_count_from_nothing() -> None:
    assert failing("*:macs:0") == ["layer2.0", "layer1.new", "layer2.gone"]
    assert failing("*:macs:+30") == []
    assert failing("*:macs:+29") == ["layer1.new"]
    assert failing("*:macs:-50%") == ["layer2.gone"]
    assert failing("*:dtype:0") == ["layer1.new"]
    messages = [each.message for each in judged([read_rule("*:macs:0")], MODULES)[1]]
    assert "rose from 0 to 30 (the module is new)" in messages[1]
    assert "fell from 30 to 0 (the module is gone)" in messages[2]


def test_a_budget_does_not_hold_a_module_that_is_gone() -> None:
    assert outcome("layer2.*:macs<=50", *MODULES) == RuleOutcome(
        "layer2.*:macs<=50", "failed", 1, "the module is gone (1 of 2 figures)"
    )


def test_a_pattern_that_fits_nothing_is_said() -> None:
    assert outcome("head.*:macs:0", *MODULES) == RuleOutcome(
        "head.*:macs:0", "skipped", 0, "no module matches 'head.*'"
    )
    assert outcome("*:macs:0", exact("macs", 1, 2)).reason == "no module matches '*'"


@pytest.mark.parametrize(
    ("glob", "meant"),
    [
        ("layr1.*", "layer1.*"),
        ("Layer2.0", "layer2.0"),
        ("layer3.*", "layer2.*"),
        ("layer1.0.conv", "layer1.0"),
        ("stages.*", "stage.*"),
    ],
)
def test_of_a_pattern_that_fits_nothing_what_was_meant_is_said(glob: str, meant: str) -> None:
    modules = (*MODULES, exact("macs", 1, 1, module="c", old_module="stage.0"))
    held = outcome(f"{glob}:macs:0", *modules)
    assert (held.outcome, held.figures) == ("skipped", 0)
    assert held.reason == f"no module matches '{glob}', did you mean {meant}?"


def test_a_module_goes_by_its_path_in_either_report() -> None:
    renamed = exact("macs", 40, 80, module="stage1.0", old_module="layer1.0")
    for rule in ("layer1.*:macs:+1%", "stage1.*:macs:+1%", "layer1.0:macs<=50"):
        held = outcome(rule, renamed)
        assert (held.outcome, held.figures, held.reason) == ("failed", 1, None)
    assert said("layer1.*:macs:+1%", renamed) == [
        "macs of stage1.0 (formerly layer1.0) rose by 100% (40 -> 80), allowed is +1%"
    ]
    _, (finding,) = judged([read_rule("layer1.*:macs:0")], [renamed])
    assert finding.module == "stage1.0"
    assert outcome("layer[12].*:macs:+1%", renamed, *MODULES).figures == 5


OPERATIONS = (exact("operations", 3, 4), exact("operations.aten.add", 3, 4))


def test_an_operation_that_never_ran_was_called_0_times() -> None:
    never = "no operation of this name ran"
    for rule in ("operations.aten.mm==0", "operations.aten.none:0", "operations.aten.mm:+1%"):
        assert outcome(rule, *OPERATIONS) == RuleOutcome(rule, "passed", 1, never)
    assert said("operations.aten.mm>=1", *OPERATIONS) == [
        "operations.aten.mm of the whole is 0, the budget is >= 1"
    ]
    assert fails("operations.aten.add:0", *OPERATIONS)
    alone = exact("operations.aten.add", None, 4)
    assert outcome("operations.aten.mm==0", alone).outcome == "passed"


def test_where_no_operations_are_counted_none_is_known() -> None:
    for rule, changes in (
        ("operations.aten.mm==0", (exact("macs", 1, 1),)),
        ("*:operations.aten.mm==0", (*OPERATIONS, *MODULES)),
        ("operation.aten.mm==0", OPERATIONS),
    ):
        with pytest.raises(UsageError, match="about no figure"):
            outcome(rule, *changes)


def test_a_module_without_parameters_has_no_dtype_to_hold() -> None:
    dtypes = {"conv": "float32", "relu": "", "norm": "float32"}
    changes = [exact("param_dtype", each, each, module=path) for path, each in dtypes.items()]
    held = outcome("*:param_dtype==float32", *changes)
    assert (held.outcome, held.figures) == ("passed", 2)
    assert held.reason == "no param_dtype of its own (1 of 3 figures)"
    assert outcome("*:param_dtype==bfloat16", *changes).figures == 2
    assert outcome("relu:param_dtype==float32", *changes).outcome == "skipped"
    assert outcome("relu:param_dtype:0", *changes).outcome == "passed"


@pytest.mark.parametrize(
    ("verdict", "old", "new", "bounds", "limit", "breaks"),
    [
        ("increased", 10.0, 11.0, (0.05, 0.15), "+5%", True),
        ("increased", 10.0, 11.0, (0.05, 0.15), "+15%", False),
        ("increased", 10.0, 11.0, (0.05, 0.15), "-5%", False),
        ("increased", 10.0, 11.0, (0.05, 0.15), "+-5%", True),
        ("increased", 10.0, 11.0, (0.05, 0.15), "0", True),
        ("increased", 10.0, 11.0, (0.05, 0.15), "+0.5ms", True),
        ("increased", 10.0, 11.0, (0.05, 0.15), "+1ms", False),
        ("decreased", 10.0, 9.0, (-0.15, -0.05), "-5%", True),
        ("decreased", 10.0, 9.0, (-0.15, -0.05), "+5%", False),
        ("decreased", 10.0, 9.0, (-0.15, -0.05), "-1ms", False),
        ("inconclusive", 10.0, 19.0, (-0.1, 2.0), "+5%", False),
        ("inconclusive", 10.0, 19.0, None, "0", False),
        ("not compared", 10.0, 19.0, None, "+5%", False),
        # The same to within the comparison's threshold, and beyond a rule that is stricter.
        ("same", 10.0, 10.35, (0.03, 0.04), "+2%", True),
        ("same", 10.0, 10.35, (0.03, 0.04), "-2%", False),
        ("same", 10.0, 10.35, (0.01, 0.04), "+2%", False),
        ("same", 10.0, 9.65, (-0.04, -0.03), "+-2%", True),
        ("same", 10.0, 9.65, (-0.04, -0.01), "-2%", False),
        ("same", 10.0, 10.35, None, "+2%", False),
        ("same", 10.0, 10.35, (0.03, 0.04), "0", False),
    ],
)
def test_measured_figures(verdict, old, new, bounds, limit, breaks) -> None:
    change = measured(old, new, verdict, bounds)
    assert fails(f"latency_ms.p50:{limit}", change) is breaks


def test_the_estimate_of_a_measured_change_decides_not_the_ratio_of_the_medians() -> None:
    change = measured(10.0, 11.0, "increased", (0.01, 0.06), change=0.04)
    assert not fails("latency_ms.p50:+5%", change)
    assert fails("latency_ms.p50:+3%", change)


def test_what_is_inconclusive_is_said() -> None:
    few = measured(10.0, 12.0, "inconclusive", reason="1 process on each side")
    rule = "latency_ms.p50:+5%"
    assert outcome(rule, few) == RuleOutcome(
        rule, "skipped", 0, "inconclusive: 1 process on each side"
    )
    good = measured(10.0, 10.0, "same", (-0.01, 0.01), case=SMALL)
    assert outcome(rule, few, good) == RuleOutcome(
        rule, "passed", 1, "inconclusive: 1 process on each side (1 of 2 figures)"
    )
    bad = measured(10.0, 12.0, "increased", (0.1, 0.3), case=SMALL)
    assert outcome(rule, few, bad) == RuleOutcome(
        rule, "failed", 1, "inconclusive: 1 process on each side (1 of 2 figures)"
    )
    assert outcome(rule, measured(1.0, 2.0, "not compared")).reason == "not compared"


def test_cases_are_chosen() -> None:
    changes = [
        measured(10.0, 12.0, "increased", (0.1, 0.3)),
        measured(1.0, 1.0, "same", (-0.01, 0.01), case=SMALL),
    ]
    assert outcome("latency_ms.p50:+5%", *changes).figures == 2
    assert not fails("latency_ms.p50[batch=1]:+5%", *changes)
    assert fails("latency_ms.p50[batch=8,variant=eager]:+5%", *changes)
    with pytest.raises(UsageError, match="fits no case") as raised:
        outcome("latency_ms.p50[batch=2]:+5%", *changes)
    assert raised.value.hint == f"cases are {EAGER}; {SMALL}"
    with pytest.raises(UsageError, match="fits no case") as raised:
        outcome("macs[batch=2]:0", exact("macs", 1, 1))
    assert "no cases" in (raised.value.hint or "")


def test_a_figure_of_the_whole_that_is_gone_breaks_its_rules() -> None:
    gone = measured(10.0, None, "removed", reason="out of memory")
    message = f"latency_ms.p50 of {EAGER} is not in the new report (it was 10 ms): out of memory"
    assert said("latency_ms.p50:+5%", gone) == [message]
    assert said("latency_ms.p50<=20ms", gone) == [message]
    assert said("latency_ms.p50:0", measured(10.0, math.nan, "changed"))
    never = measured(None, None, "same")
    assert said("latency_ms.p50<=20ms", never)
    other = exact("macs", 1, 1)
    held = outcome("latency_ms.p50:+5%", never, other)
    assert (held.outcome, held.reason) == ("skipped", "no figure on either side")


def test_a_case_that_is_new_has_nothing_to_be_compared_with() -> None:
    new = measured(None, 10.0, "added")
    held = outcome("latency_ms.p50:0", new, exact("macs", 1, 1))
    assert (held.outcome, held.reason) == ("skipped", "new, with nothing to compare it with")
    assert fails("latency_ms.p50<=5", new)


def test_one_report_alone_is_held_to_budgets() -> None:
    changes = [exact("macs", None, 5), exact("macs", None, 5, module="a")]
    rules = [read_rule(text) for text in ("macs:+1%", "*:macs:0", "macs<=5", "*:macs<5")]
    outcomes, findings = judged(rules, changes)
    assert [each.outcome for each in outcomes] == ["skipped", "skipped", "passed", "failed"]
    assert outcomes[0].reason == "there is no old report to compare with"
    assert [each.module for each in findings] == ["a"]


def test_reports_of_different_machines_are_held_to_budgets() -> None:
    changes = [exact("macs", 100, 500), measured(10.0, 20.0, "not compared")]
    texts = ("macs:+1%", "latency_ms.p50:+1%", "macs<=400", "latency_ms.p50<=30ms")
    outcomes, _ = judged([read_rule(text) for text in texts], changes, comparable=False)
    assert [each.outcome for each in outcomes] == ["skipped", "skipped", "failed", "passed"]
    assert "different devices" in (outcomes[0].reason or "")


def test_rules_are_judged_in_their_order() -> None:
    rules = [read_rule(text) for text in ("macs:0", "params:0", "macs<=1")]
    outcomes, findings = judged(rules, [exact("macs", 1, 2), exact("params", 3, 3)])
    assert [each.rule for each in outcomes] == ["macs:0", "params:0", "macs<=1"]
    assert [each.outcome for each in outcomes] == ["failed", "passed", "failed"]
    assert [each.rule for each in findings] == ["macs:0", "macs<=1"]
    assert judged([], [exact("macs", 1, 2)]) == ((), ())


@pytest.mark.parametrize(
    ("rule", "message", "hint"),
    [
        ("mac:0", "no figure of the whole: there is no 'mac'", "did you mean macs?"),
        ("MACs:+1%", "there is no 'MACs'", "did you mean macs?"),
        ("*:MACS:+1%", "there is no 'MACS'", "did you mean macs?"),
        ("xyz:0", "there is no 'xyz'", "there is macs, peak_bytes"),
        ("*:xyz:0", "no figure of the modules", "there is dtype, macs"),
        ("*:peak_bytes:0", "there is no 'peak_bytes'", "it is one of the whole: peak_bytes"),
        ("dtype:0", "there is no 'dtype'", "it is one of modules: *:dtype"),
        ("*:dtype:+1%", "dtype is a text", "dtype:0 forbids any change"),
        ("*:dtype<=3", "dtype is a text, 'float32'", "dtype==float32"),
        ("macs==float32", "macs is a number", "macs<=5000"),
    ],
)
def test_rules_that_cannot_be_held(rule: str, message: str, hint: str) -> None:
    changes = [*MODULES, exact("peak_bytes", 1, 1)]
    with pytest.raises(UsageError) as raised:
        outcome(rule, *changes)
    assert message in raised.value.message
    assert hint in (raised.value.hint or "")


def test_a_figure_by_its_name_in_tables_leads_to_its_metric() -> None:
    every = [exact(metric, 1, 1) for metric in NAMES]
    names = {name.lower().replace(",", "").replace(" ", "_"): to for to, name in NAMES.items()}
    assert names["flops_per_byte"] == "arithmetic_intensity"
    for name, metric in names.items():
        if name not in NAMES:
            with pytest.raises(UsageError) as raised:
                outcome(f"{name}:0", *every)
            assert raised.value.hint == f"did you mean {metric}?"


def test_metrics_may_be_written_with_hyphens_on_either_side() -> None:
    assert fails("peak-bytes:0", exact("peak_bytes", 1, 2))
    assert fails("operations.a_b:0", exact("operations.a-b", 1, 2))


def test_many_reasons_are_cut_short() -> None:
    changes = [
        measured(1.0, 2.0, "inconclusive", case=f"batch {n}", reason=f"reason {n}")
        for n in range(9)
    ]
    reason = outcome("latency_ms.p50:+5%", *changes).reason or ""
    assert reason.endswith("; 6 more reasons")
    assert "inconclusive: reason 2 (1 of 9 figures)" in reason


NUMBERS = st.integers(-(10**12), 10**24) | st.floats(allow_nan=False, width=32)
LIMITS = st.integers(0, 3000)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(NUMBERS, NUMBERS, LIMITS, LIMITS, st.sampled_from(["+", "-", "+-"]), st.booleans())
def test_a_looser_limit_never_makes_a_failure(old, new, one, other, way, relative) -> None:
    tight, loose = (f"macs:{way}{size}{'%' * relative}" for size in sorted((one, other)))
    change = exact("macs", old, new)
    assert fails(tight, change) or not fails(loose, change)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.floats(0.1, 1e3),
    st.floats(0.1, 1e3),
    st.sampled_from(["same", "increased", "decreased", "inconclusive"]),
    st.floats(0, 0.3),
    LIMITS,
    LIMITS,
    st.sampled_from(["+", "-", "+-"]),
)
def test_nor_does_it_for_what_was_measured(old, new, verdict, width, one, other, way) -> None:
    tight, loose = (f"latency_ms.p50:{way}{size / 10}%" for size in sorted((one, other)))
    middle = new / old - 1
    change = measured(old, new, verdict, (middle - width, middle + width))
    assert fails(tight, change) or not fails(loose, change)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(NUMBERS, NUMBERS, LIMITS)
def test_both_ways_is_either_way(old, new, size) -> None:
    change = exact("macs", old, new)
    either = fails(f"macs:+{size}%", change) or fails(f"macs:-{size}%", change)
    assert fails(f"macs:+-{size}%", change) == either
