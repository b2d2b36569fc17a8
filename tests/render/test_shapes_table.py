from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest
from render.shape_reports import HOSTILE, broken, case, catalog, hostile, proved, report, varied

from blocktool.render import shapes_words as words
from blocktool.render.shapes_proofs import claim
from blocktool.render.shapes_table import render
from blocktool.render.shell import command
from blocktool.render.view import View
from blocktool.results.shapes import Failed, Finding, Refusal, ShapeReport

Snapshot = Callable[[str, str], None]

_MAKERS = {"catalog": catalog, "broken": broken, "proved": proved, "hostile": hostile}
_CASES = {
    "shapes-catalog-100.txt": ("catalog", View(width=100)),
    "shapes-broken-80.txt": ("broken", View(width=80)),
    "shapes-broken-140.txt": ("broken", View(width=140)),
    "shapes-broken-color-100.txt": ("broken", View(width=100, color=True)),
    "shapes-proved-100.txt": ("proved", View(width=100)),
    "shapes-hostile-100.txt": ("hostile", View(width=100)),
    "shapes-hostile-ascii-80.txt": ("hostile", View(width=80, unicode=False)),
}


@pytest.mark.parametrize("name", _CASES)
def test_snapshots(name: str, snapshot: Snapshot):
    made, view = _CASES[name]
    snapshot(name, render(_MAKERS[made](), view))


@pytest.mark.parametrize("width", range(80, 141, 10))
@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("name", _MAKERS)
def test_only_what_is_copied_is_wider_than_asked(name: str, unicode: bool, width: int):
    from rich.cells import cell_len

    made = _MAKERS[name]()
    lines = render(made, View(width=width, unicode=unicode)).splitlines()
    commands = [command(f.case.reproduce, unicode=unicode) for f in made.findings]
    copied = [f"  {text}" for text in commands]
    assert set(copied) <= set(lines)
    others = [line for line in lines if line not in copied and 'File "' not in line]
    assert max(map(cell_len, others)) <= width
    if not unicode:
        assert all(line.isascii() for line in lines)


@pytest.mark.parametrize("name", _MAKERS)
def test_colour_changes_nothing_but_colour(name: str):
    plain, colored = (
        render(_MAKERS[name](), View(width=100, color=color)) for color in (False, True)
    )
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain
    assert colored != plain


def test_a_sweep_of_the_whole_catalog_fits_a_screen():
    lines = render(catalog(), View(width=80)).splitlines()
    assert len(lines) <= 24
    assert lines[-1] == "10,240 cases: 10,240 passed, 0 failed, 12 skipped in 21.3 s"
    assert sum("block-" in line for line in lines) == 16


def test_the_cause_is_told_with_its_place_and_its_command():
    text = render(broken(), View(width=140))
    for part in (
        "in 'stages.1.merge': RuntimeError",
        "where H is odd, in 12 of 40 cases",
        "in all 3 cases",
        'File "net.py", line 12, in forward',
        "padding=2 norm=null",
        "B, 32, H - 2, W - 2 (found)",
        "refuses 1 of 2: needs 224x224",
        "net.py:Net: the channels were left as they are",
    ):
        assert part in text


def test_a_command_is_never_cut():
    long = f"blocktool check-shapes {'very_' * 60}.py:Net -i 1x3x7x7"
    made = case(Failed("shape", "wrong"), reproduce=long)
    text = render(report(made, findings=(Finding(made, 1, 1),)), View(width=80))
    assert f"  {long}" in text.splitlines()


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize(
    "word", ["plain", "a b", "it's", "back\\slash", "a\x1b[31mb", "畳\n\x80é", "\U0001f4a5'$(x)`"]
)
def test_a_command_that_cannot_be_shown_still_names_the_same_words(word: str, unicode: bool):
    shown = command(f"printf %s {shlex.quote(word)}", unicode=unicode)
    assert shown.isprintable()
    assert unicode or shown.isascii()
    ran = subprocess.run(
        ["bash", "-c", shown], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert ran.stdout.decode() == word


@pytest.mark.parametrize(
    ("where", "failed", "of", "told"),
    [
        ("H is odd", 12, 40, "where H is odd, in 12 of 40 cases"),
        (
            "in train mode where B is 1",
            12,
            1000,
            "in train mode where B is 1, in 12 of 1,000 cases",
        ),
        ("always", 3, 3, "in all 3 cases"),
        (None, 3, 4, "in 3 of 4 cases"),
        (None, 1, 1, "the only case"),
    ],
)
def test_which_cases_fail(where: str | None, failed: int, of: int, told: str):
    assert words.extent(Finding(case(), failed, of, where)) == told


def test_an_exception_is_told_once():
    odd = Failed("error", "ValueError: odd", "a result", "ValueError: odd")
    finding = Finding(case(odd), 1, 2)
    text = render(report(finding.case, findings=(finding,)), View())
    assert text.count("ValueError: odd") == 1
    assert "a result" not in text
    assert [label for label, _ in words.facts(finding)] == ["fails", "smallest"]


def test_names_cannot_reach_the_terminal():
    text = render(hostile(), View(width=120))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text)
    assert "\U0001f4a5 <script>" in text
    text.encode()


def test_proofs_are_told_in_plain_words():
    text = " ".join(render(proved(), View(width=140)).split())
    assert "5 proofs: 3 proved, 1 refuted, 1 not proved" in text
    assert "where H is even and W is even, so the contract holds" in text
    assert "B, 64, (H + 1)//2, (W + 1)//2 for every B, H, W" in text
    assert text.count("H is 224 only") == 1
    assert "at H = 3: expected 2, and 1 came out" in text
    assert "blocktool contradicts itself: at N = 7 it was to run" in text
    assert "please report this" in text


def test_outputs_that_vary_are_told_with_their_sizes():
    text = " ".join(render(varied(), View(width=140)).split())
    assert (
        "B, C, H, W → B, C, H, W for every B, C, H, W; but B, 2, H, W where C is at least 2 and "
        "H is at least 101, so the contract holds where H >= 8"
    ) in text
    # Of what was followed in part there is no usual output, and nothing is said of every size.
    assert "→ B, C, 2, 3 where H is from 4 to 5; but B, C, 3, 3 where H is from 6 to 7;" in text
    assert "B, C, 6, 3 where H is from 12 to 13; and 2 other outputs not every size" in text
    left = replace(varied().proofs[1], outputs=(), output="B, C, H, 3")
    assert "every" not in render(replace(varied(), proofs=(left,)), View()).split("not every")[0]


@pytest.mark.parametrize(
    ("where", "constraints", "contract", "words"),
    [
        (None, (), "B", "for every B, C, H, W, so the contract holds"),
        (None, ("H >= 9",), "B", "where H >= 9, so the contract holds wherever it runs"),
        (None, ("H >= 9",), "output_shape", "where H >= 9, so the contract holds"),
        ("H >= 99", ("H >= 9",), "B", "where H >= 9, so the contract holds where H >= 99"),
        (None, ("H >= 9",), None, "where H >= 9"),
    ],
)
def test_for_which_sizes_a_contract_holds(
    where: str | None, constraints: tuple[str, ...], contract: str | None, words: str
):
    proof = replace(
        varied().proofs[0],
        where=where, constraints=constraints, contract=contract, output="B", outputs=(),
    )  # fmt: skip
    assert claim(proof, "->") == f"B, C, H, W -> B {words}"


def test_notes_of_a_proof_are_told_where_there_are_few():
    made = proved()
    note = "sure for sizes of at least 4"
    assert note not in render(made, View(width=140))
    text = render(replace(made, proofs=made.proofs[:1]), View(width=140))
    assert note in text
    assert "2 ways through the module followed, 48 sizes run" in text


def test_what_is_left_out_is_counted():
    bad = case(Failed("grad", "no gradient reaches spare.weight"))
    text = render(report(bad, findings=(Finding(bad, 1, 1),) * 25), View())
    assert text.count("gradient missing:") == 20
    assert "and 5 more findings" in text
    (target,) = report(bad).targets
    refused = tuple(Refusal(f"{n} is too small", n, "1x3x1x1") for n in range(9))
    text = render(report(bad, targets=(replace(target, refusals=refused),)), View())
    assert text.count("refuses") == 6
    assert "and 3 more reasons to refuse" in text


def test_a_reason_that_targets_share_is_told_once():
    made = catalog()
    shared = [f"Block{n}: needs more than one value" for n in range(4)]
    targets = [
        replace(target, refusals=(Refusal(reason, 3 + n, f"1x{n}x1x1"),))
        for n, (target, reason) in enumerate(zip(made.targets, shared, strict=False))
    ]
    own = Refusal("ValueError: Expected more", 1_000, "1x3x1x1")
    targets.append(replace(made.targets[4], refusals=(own,)))
    assert words.refusals(replace(made, targets=tuple(targets))) == [
        ("block-4 refuses 1,000 of 640", "ValueError: Expected more", "1x3x1x1"),
        ("block-0, block-1 and 2 others refuse 18", "needs more than one value", "1x0x1x1"),
    ]
    pair = words.refusals(replace(made, targets=tuple(targets[:2])))
    assert pair[0][0] == "block-0 and block-1 refuse 7"
    assert words.refusals(replace(made, targets=tuple(targets[:1])))[0][1] == shared[0]


def test_the_reason_of_a_refusal_is_told_whole():
    (target,) = report(case()).targets
    reason = " ".join(["far too long"] * 30)
    target = replace(target, refusals=(Refusal(reason, 1, "-i 1x3x1x1"),))
    shown = render(report(targets=(target,)), View(width=80))
    assert max(map(len, shown.splitlines())) <= 80
    assert f"{reason}, e.g. -i 1x3x1x1" in " ".join(shown.split())


def test_nothing_was_run():
    empty: ShapeReport = report()
    assert render(empty, View()) == "0 cases: 0 passed, 0 failed, 0 skipped in 21.3 s\n"
    text = render(replace(hostile(), findings=()), View())
    assert "stopped early: not every case has run" in text
    assert HOSTILE not in text


def test_every_kind_of_failure_has_its_words():
    from typing import get_args

    from blocktool.results.shapes import FailureKind

    assert set(words.KINDS) == set(get_args(FailureKind))
