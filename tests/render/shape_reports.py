"""Shape reports made by hand, for tests of what is shown of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from blocktool.results.environment import Environment
from blocktool.results.shapes import (
    Alternative,
    CheckedTarget,
    Constraint,
    Failed,
    Finding,
    Outcome,
    Passed,
    Proof,
    Refusal,
    ShapeCase,
    ShapeReport,
    Skipped,
)
from blocktool.results.specs import TensorSpec

HOSTILE = "ev|il/\U0001f4a5 <script>\x1b[31m`畳`\n%0A:,.py:Net"
"""A name with markup, control characters, a new line, wide characters and an emoji."""


def case(outcome: Outcome | None = None, *shape: int, **changes: Any) -> ShapeCase:
    """One case of ``net.py:Net``, passed where no outcome is given."""
    shape = shape or (1, 16, 33, 33)
    size = "x".join(map(str, shape))
    made = ShapeCase(
        target="net.py:Net",
        arguments={},
        inputs=(TensorSpec(shape),),
        outputs=(TensorSpec(shape),),
        dtype="float32",
        mode="eval",
        device="meta",
        outcome=outcome or Passed(),
        reproduce=f"blocktool check-shapes net.py:Net -i {size} --as-given --mode eval",
        seconds=0.00125,
    )
    return replace(made, **changes)


def report(*cases: ShapeCase, **changes: Any) -> ShapeReport:
    """A report of these cases, with targets that count them."""
    names = dict.fromkeys(made.target for made in cases)
    targets = tuple(
        CheckedTarget(
            name,
            *(
                sum(made.target == name and isinstance(made.outcome, kind) for made in cases)
                for kind in (Passed, Failed, Skipped)
            ),
            contract="B, 16, H, W",
            contract_source="expect",
        )
        for name in names
    )
    made = ShapeReport(
        environment=Environment("0.1.0", "2.13.0", "3.11.7", "Linux x86_64", {"timm": "1.0.31"}),
        seconds=21.34,
        targets=targets,
        findings=(),
        cases=cases,
    )
    return replace(made, **changes)


def catalog() -> ShapeReport:
    """A whole sweep of sixteen blocks in which all passes."""
    blocks = [f"block-{index}" for index in range(16)]
    targets = tuple(
        CheckedTarget(name, 640, 0, 12 if index == 3 else 0, "output_shape", "output_shape")
        for index, name in enumerate(blocks)
    )
    return report(case(), targets=targets)


def broken() -> ShapeReport:
    """Two findings in one target, refusals in another, a relation that was found, and notes."""
    odd = Failed(
        "error",
        "RuntimeError: The size of tensor a (33) must match the size of tensor b (34) at "
        "non-singleton dimension 3",
        module="stages.1.merge",
        hint="pad the input to even sizes, or crop what is upsampled",
        details=('File "net.py", line 12, in forward', "    return x + self.up(self.down(x))"),
    )
    wrong = Failed(
        "shape",
        "the output is B, 16, H + 2, W + 2, and not B, 16, H, W",
        expected="1x16x1x1",
        actual="1x16x3x3",
        module="conv",
    )
    cases = (
        case(odd),
        case(wrong, 1, 16, 1, 1, arguments={"padding": 2, "norm": None}, mode="train"),
        case(None, 1, 16, 2, 2, dtype="bfloat16"),
        case(Skipped("needs 224x224"), target="timm:vit_tiny", device="cpu"),
        case(None, 1, 3, 224, 224, target="timm:vit_tiny", device="cpu"),
        case(None, 1, 16, 5, 5, target="torch.nn:Conv2d"),
    )
    made = report(*cases)
    net, vit, conv = made.targets
    refusal = Refusal("needs 224x224 (AssertionError: Input height (32) ...)", 1, "-i 1x3x32x32")
    targets = (
        replace(net, notes=("the channels were left as they are",)),
        replace(vit, contract=None, contract_source="none", refusals=(refusal,)),
        replace(conv, contract="B, 32, H - 2, W - 2", contract_source="found"),
    )
    findings = (Finding(cases[0], 12, 40, "H is odd"), Finding(cases[1], 3, 3))
    return replace(made, targets=targets, findings=findings)


def proved() -> ShapeReport:
    """A claim that is proved, one that is refuted, one that is left open, and a contradiction."""
    even = Proof(
        "net.py:Net",
        {},
        ("B, 16, H, W",),
        "B, 16, H, W",
        ("H % 2 == 0", "W % 2 == 0"),
        "proved",
        None,
        contract="B, 16, H, W",
        conditions=(
            Constraint("H % 2 == 0", "H is even", 12, 12),
            Constraint("W % 2 == 0", "W is even", 12, 12),
        ),
        paths=2,
        sampled=48,
        notes=("sure for sizes of at least 4; smaller ones were run",),
        complete=True,
    )
    everywhere = Proof("conv", {"stride": 2}, ("B, 64, H, W",), "B, 64, (H + 1)//2, (W + 1)//2",
                       (), "proved", None, paths=1, sampled=16, complete=True)  # fmt: skip
    fixed = Proof(
        "timm:vit_tiny", {}, ("B, 3, 224, 224",), "B, 1000", ("H == 224", "W == 224"), "proved",
        None, fixed={"H": 224, "W": 224}, complete=True,
        conditions=tuple(Constraint(f"{s} == 224", f"{s} is 224 only") for s in "HW"),
    )  # fmt: skip
    refuted = Proof(
        "pool.py:Pool", {}, ("B, 16, H, W",), "B, 16, H//2, W//2", (), "refuted",
        "at H = 3: expected 2, and 1 came out", contract="B, 16, ceil(H/2), ceil(W/2)",
        complete=True,
    )  # fmt: skip
    left = Proof(
        HOSTILE, {}, ("B, N, 16",), None, (), "not proved", "aten.nonzero cannot be traced",
        contradictions=("at N = 7 it was to run, and raised ValueError",), notes=("see |there|",),
    )  # fmt: skip
    return report(case(), proofs=(even, everywhere, fixed, refuted, left))


def varied() -> ShapeReport:
    """Proofs of modules whose output is not the same everywhere: all of it known, and a part."""
    known = Proof(
        "net.py:Twice",
        {},
        ("B, C, H, W",),
        "B, C, H, W, but B, 2, H, W where C >= 2 and H >= 101",
        (),
        "proved",
        None,
        contract="B, min(C, 2), H, W",
        paths=24,
        sampled=78,
        outputs=(
            Alternative("B, C, H, W", ("not (C >= 2 and H >= 101)",)),
            Alternative("B, 2, H, W", ("C >= 2", "H >= 101")),
        ),
        complete=True,
        where="H >= 8",
    )
    parts = tuple(
        Alternative(f"B, C, {h}, 3", (f"H >= {2 * h}", f"H <= {2 * h + 1}")) for h in range(2, 9)
    )
    left = Proof(
        "net.py:Adapt",
        {},
        ("B, C, H, W",),
        f"{parts[0].output} where 4 <= H <= 5, and 6 more",
        (),
        "not proved",
        "not every size was followed after 7 runs, for example H=18",
        notes=("ways were followed for 4 <= H <= 17",),
        paths=7,
        outputs=parts,
    )
    return report(case(), proofs=(known, left))


def hostile() -> ShapeReport:
    """Names, messages and code that are markup, commands and control characters."""
    failed = Failed(
        "batch",
        "item 0 <b>changes</b> with item 1 | 100%\r\n::error::no\x00\ud800",
        expected="```\nnone",
        actual="\x1b[31mred",
        module="a|b.\U0001f4a5",
        hint="*see* [here](javascript:alert(1))",
        details=(f'File "{HOSTILE[:-4]}", line 3, in <lambda>', "    ```x | y``` </details>"),
    )
    command = "blocktool check-shapes 'a b|\U0001f4a5`$(reboot)`\n\x1b[31m.py:Net' -i 2x16x1x1"
    bad = case(failed, 2, 16, 1, 1, target=HOSTILE, reproduce=command, device="cpu")
    made = report(bad, stopped_early=True)
    refusal = Refusal("no |such| <size>\n", 1, "-i x`y=1x1")
    (target,) = made.targets
    target = replace(target, refusals=(refusal,), notes=("<b>note\x07</b>",))
    return replace(made, targets=(target,), findings=(Finding(bad, 1, 9, "B > 1\x1b | <i>"),))
