"""A comparison whose names would be markup, commands or new lines."""

from __future__ import annotations

from render.comparison_pieces import change, comparison, measured, module, side

from blocktool.results.comparison import (
    CaseChange,
    Comparison,
    Finding,
    Mismatch,
    RuleOutcome,
    Statement,
)

HOSTILE = (
    "[red]a|b`c`\U0001f4a5<script>alert(1)</script>\x1b[31m畳\n%0A::error::@all #1 *x*,.py:Net"
)
"""A name with markup of all kinds, control characters, a new line, wide characters, an emoji."""
LONG = "stages." + ".".join(f"block{n}" for n in range(26))
"""A path of two hundred characters."""


def hostile() -> Comparison:
    """Names that would be markup, commands or new lines, and one that is too long for a line."""
    odd = module(HOSTILE, (1, 2), (1, 2), details=(HOSTILE, "x" * 200), effect=0.5)
    return comparison(
        "check-shapes",
        old=side(HOSTILE, HOSTILE),
        new=side("new.json", HOSTILE),
        statements=(
            Statement("configured", f"kernel_size {HOSTILE}", (HOSTILE, LONG, "c", "d")),
            Statement("added", "y" * 200, (LONG,)),
        ),
        totals=(
            change(HOSTILE, 1, 2, case=HOSTILE),
            change("outputs", f"1x{HOSTILE}", "z" * 200, case="a · b"),
            measured("latency_ms.p50", 1, 2, None, None, verdict="inconclusive", reason=HOSTILE),
        ),
        modules=(
            odd,
            module(LONG, (None, 5), (None, 10**9), old_path=None, verdict="added", effect=1.0),
            module(LONG, (5, 5), (5, 5), old_path=HOSTILE, verdict="renamed"),
        ),
        findings=(Finding(HOSTILE, "macs", 1, 2, 1.0, HOSTILE, HOSTILE, HOSTILE),),
        rules=(
            RuleOutcome(HOSTILE, "failed", 1),
            RuleOutcome("params:0", "skipped", 0, HOSTILE),
        ),
        cases=(
            CaseChange(HOSTILE, HOSTILE, "passed", "failed", HOSTILE, f"echo '{HOSTILE}'"),
            CaseChange(LONG, HOSTILE, "passed", None, HOSTILE),
        ),
        mismatches=(
            Mismatch("device", HOSTILE, LONG, decisive=True),
            Mismatch(HOSTILE, "1", "2", decisive=False),
        ),
        notes=(HOSTILE,),
    )
