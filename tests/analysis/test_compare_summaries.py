"""Pairs of versions: what was done is said, and the figures are those of two separate summaries."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache

import pytest
import torch
from torch import nn
from version_pairs import PAIRS, Pair

import blocktool
from blocktool.analysis.compare import alone, compare
from blocktool.analysis.compare_summaries import compare_summaries
from blocktool.analysis.statements import statements
from blocktool.results.summary import Summary
from blocktool.targets.inputs import parse_inputs

NAMES = [pair.name for pair in PAIRS]


def example(text: str) -> torch.Tensor:
    (spec,) = parse_inputs([text])
    return torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype))


@cache
def summaries(name: str) -> tuple[Summary, Summary]:
    pair: Pair = PAIRS[NAMES.index(name)]
    old, new = (
        blocktool.summarize(make(), example(text), name="net", **options)
        for make, text, options in zip((pair.old, pair.new), pair.inputs, pair.options, strict=True)
    )
    return old, new


@pytest.mark.parametrize("pair", PAIRS, ids=NAMES)
def test_what_was_done_is_said(pair: Pair):
    old, new = summaries(pair.name)
    said = statements(old, new, compare_summaries(old, new))
    told = [(one.kind, one.text, " ".join(m or "." for m in one.modules)) for one in said]
    assert told == list(pair.wanted)


@pytest.mark.parametrize("name", NAMES)
def test_totals_are_those_of_both(name: str):
    old, new = summaries(name)
    totals = {change.metric: change for change in compare(old, new).comparison.totals}
    for field in fields(old.totals):
        before, after = getattr(old.totals, field.name), getattr(new.totals, field.name)
        change = totals[field.name]
        assert (change.old, change.new) == (before, after)
        assert (change.verdict == "same") == (before == after)
        assert before == 0 or change.change == pytest.approx(after / before - 1)
    assert totals["operations"].new == sum(op.calls for op in new.ops)


@pytest.mark.parametrize("name", NAMES)
def test_every_module_has_its_figures_once(name: str):
    """What a gate is asked for: each module of either side, whatever became of it."""
    old, new = summaries(name)
    changes = [c for c in compare(old, new).changes if c.module is not None and c.metric == "macs"]
    after = {c.module: c.new for c in changes if c.new is not None}
    assert after == {row.path: row.macs for row in new.modules}
    assert sum(c.new is not None for c in changes) == len(new.modules)
    assert sorted(c.old for c in changes if c.old is not None) == sorted(
        row.macs for row in old.modules
    )


@pytest.mark.parametrize("name", NAMES)
def test_backwards_it_is_undone(name: str):
    """What was added is removed, and as much changes, seen from the other side."""
    old, new = summaries(name)
    there, back = compare(old, new).comparison, compare(new, old).comparison
    count = {v: sum(m.verdict == v for m in there.modules) for v in ("added", "removed", "changed")}
    turned = {v: sum(m.verdict == v for m in back.modules) for v in count}
    assert turned == {
        "added": count["removed"],
        "removed": count["added"],
        "changed": count["changed"],
    }
    # A layer that joins a tied group is said to; one that leaves it as it goes has gone.
    told = [[each for each in one.statements if each.kind != "shared"] for one in (there, back)]
    assert len(told[0]) == len(told[1])


def test_nothing_is_silent():
    comparison = compare(*summaries("nothing")).comparison
    assert not comparison.changed
    assert comparison.modules == ()
    assert comparison.statements == ()


def test_effects_add_up():
    """The share of a block that was added, by hand."""
    old, new = summaries("block added")
    (change,) = compare(old, new).comparison.modules
    rows = {row.path: row for row in new.modules}
    shares = [
        getattr(rows["layer2.2"], name) / getattr(rows[""], name)
        for name in ("params", "macs", "elementwise_flops", "activation_bytes")
    ]
    assert change.effect == pytest.approx(max(shares))
    assert change.modules == sum(path.startswith("layer2.2") for path in rows)


def test_what_follows_is_told_apart_from_what_was_done():
    comparison = compare(*summaries("stride moved")).comparison
    verdicts = {change.new_path: change.verdict for change in comparison.modules}
    assert verdicts == {
        "layer2.0.conv1": "changed",
        "layer2.0.conv2": "changed",
        "layer2.0.norm1": "follows",
        "layer2.0.act": "follows",
    }


def test_a_report_of_an_earlier_release_has_no_attributes():
    """What it does not know is not a change."""
    old, _ = summaries("heads")
    rows = tuple(replace(row, attributes={}, param_dtype="", own_ops={}) for row in old.modules)
    for before, after in ((replace(old, modules=rows), old), (old, replace(old, modules=rows))):
        assert not compare(before, after).comparison.changed


def test_a_block_in_front_does_not_change_those_behind():
    def layers(*widths: int) -> nn.Sequential:
        return nn.Sequential(*(nn.Linear(width, width) for width in widths))

    old = blocktool.summarize(layers(8, 8, 8), (4, 8))
    new = blocktool.summarize(layers(8, 8, 8, 8), (4, 8))
    (change,) = compare(old, new).comparison.modules
    assert (change.verdict, change.new_type) == ("added", "Linear")


def test_one_report_alone_has_figures_for_budgets():
    _, new = summaries("nothing")
    found = alone(new, name="net.json")
    assert found.comparison.old is None
    assert {c.metric: c.new for c in found.comparison.totals}["macs"] == new.totals.macs
    assert all(change.old is None for change in found.changes)
