"""What is on the page of a profile."""

from __future__ import annotations

from collections.abc import Sequence

from blocktool.render import profile_figures as figures
from blocktool.render import profile_notes, profile_words, units
from blocktool.render.html.pieces import (
    Block,
    Cards,
    Cell,
    Column,
    Fact,
    Item,
    Items,
    Notes,
    Page,
    Prose,
    Table,
    Tone,
    sections,
)
from blocktool.render.html.profile_batches import largest_batch, over_batch
from blocktool.render.html.profile_memory import memory_blocks
from blocktool.render.html.profile_modules import module_blocks
from blocktool.render.html.profile_roofline import roofline_chart
from blocktool.render.html.profile_samples import phases_chart, samples_chart
from blocktool.render.html.profile_variants import variants_chart
from blocktool.render.html.tree import MOST_ROWS
from blocktool.render.html.words import versions
from blocktool.render.profile_keys import keys_of, named, shared
from blocktool.render.profile_words import has_time
from blocktool.render.view import View
from blocktool.results.profile import Profile, ProfileCase

_TONES: dict[str, Tone] = {"yellow": "warn", "green": "good", "dim": "muted"}


def page(profile: Profile, view: View, rows: int = MOST_ROWS) -> Page:
    """Warnings, key figures, cases, and each question that the cases answer as a chart; at most
    ``rows`` modules in all."""
    cases = profile.cases
    return Page(
        title=profile.target,
        kind="Profile" if profile.assumed is None else "Predicted profile",
        lines=(
            f"{profile.root_type}: {', '.join(shared(cases))}" if cases else profile.root_type,
            ", ".join(profile_words.place(profile)),
        ),
        sections=sections(
            ("figures", "Key figures", [*_remarks(profile), *_verdicts(profile), _cards(profile)]),
            ("cases", "Cases", [_cases(profile), _failures(cases)]),
            ("batch", "Latency and throughput over batch", [over_batch(profile)]),
            ("variants", "Variants side by side", [variants_chart(profile)]),
            ("max-batch", "Largest batch", [largest_batch(profile)]),
            ("roofline", "Roofline", [roofline_chart(profile)]),
            ("memory", "Memory", memory_blocks(profile)),
            ("modules", "Where the time goes", module_blocks(profile, view, rows)),
            ("phases", "Phases of a step", [phases_chart(profile)]),
            ("samples", "Samples", [samples_chart(profile)]),
            ("protocol", "How it was measured", _protocol(profile)),
        ),
        versions=versions(profile.environment),
        verdict=_headline(profile),
    )


def _headline(profile: Profile) -> tuple[str, Tone] | None:
    if profile.interrupted:
        return profile_words.conclusion(profile), "warn"
    if any(case.outcome == "failed" for case in profile.cases):
        return profile_words.conclusion(profile), "bad"
    return None


def _remarks(profile: Profile) -> list[Block]:
    found: list[Block] = []
    if told := profile_words.prediction(profile):
        found.append(Notes("Prediction", ((told, ""),)))
    if profile.warnings:
        items = tuple(
            (profile_words.warning(each, profile.cases), each.hint) for each in profile.warnings
        )
        found.append(Notes("Read the figures with care", items, "warn"))
    if notes := profile_notes.notes(profile):
        found.append(Notes("Notes", tuple((text, "") for text in notes)))
    return found


def _verdicts(profile: Profile) -> list[Block]:
    if not profile.verdicts:
        return []
    items = []
    for each in profile.verdicts:
        where, use, why = profile_words.verdict(each, profile.verdicts)
        tone: Tone = "good" if each.significant and each.use != "eager" else ""
        items.append(Item(f"{where}: use {use}" if where else f"Use {use}", f"– {why}", tone))
    return [Items(tuple(items))]


def _cards(profile: Profile) -> Cards | None:
    """Of the only case all that is known, of several the ends of each figure."""
    timed = [case for case in profile.cases if has_time(case)]
    if not timed:
        return None
    if len(timed) == 1:
        return Cards(tuple(_of_one(profile, timed[0])))
    keys = keys_of(profile.cases)

    def where(case: ProfileCase) -> str:
        return named(case, keys)

    facts = []
    fastest = min(timed, key=lambda case: figures.time_ms(case) or 0.0)
    facts.append(
        Fact("Lowest latency", units.duration(figures.time_ms(fastest) or 0), where(fastest))
    )
    rated = [(rate, case) for case in timed if (rate := figures.throughput(case)) is not None]
    if rated:
        rate, case = max(rated, key=lambda pair: pair[0])
        facts.append(Fact("Highest throughput", f"{units.figure(rate)} items/s", where(case)))
    speeds = [(rate, case) for case in timed if (rate := figures.gflops(case))]
    if speeds:
        rate, case = max(speeds, key=lambda pair: pair[0])
        facts.append(Fact("Highest rate", units.gflops(rate), where(case)))
    peaks = [(size, case) for case in timed if (size := case.peak_bytes) is not None]
    if peaks:
        for title, pick in (("Lowest peak memory", min), ("Highest peak memory", max)):
            size, case = pick(peaks, key=lambda pair: pair[0])
            facts.append(Fact(title, units.size(size), where(case)))
    return Cards(tuple(facts))


def _of_one(profile: Profile, case: ProfileCase) -> list[Fact]:
    facts = []
    taken = case.latency_ms
    if taken is not None:
        told = f"median; 95% interval {units.durations(taken.low, taken.high)}"
        facts.append(Fact("Latency", units.duration(taken.p50), told))
    else:
        facts.append(Fact("Predicted latency", units.duration(figures.time_ms(case) or 0.0)))
    if (rate := figures.throughput(case)) is not None:
        facts.append(Fact("Throughput", f"{units.figure(rate)} items/s"))
    if rate := figures.gflops(case):
        limit = profile.ceilings.gflops.get(case.dtype) if profile.ceilings else None
        told = f"at most {units.gflops(limit)} in {case.dtype}" if limit else ""
        facts.append(Fact("Arithmetic", units.gflops(rate), told))
    if (rate := figures.gbps(case)) is not None:
        told = f"at most {units.gbytes(profile.ceilings.gbps)}" if profile.ceilings else ""
        facts.append(Fact("Memory traffic", units.gbytes(rate), told))
    if (part := figures.attained(case)) is not None and case.roofline is not None:
        told = f"of what limits allow; bound by {case.roofline.bound}"
        facts.append(Fact("Attained", units.whole_percent(part), told))
    if case.peak_bytes is not None:
        foreseen = case.predicted_peak_bytes
        told = f"predicted {units.size(foreseen)}" if foreseen is not None else ""
        facts.append(Fact("Peak memory", units.size(case.peak_bytes), told))
    elif case.predicted_peak_bytes is not None:
        facts.append(Fact("Predicted peak", units.size(case.predicted_peak_bytes)))
    if case.error is not None:
        told = f"largest difference from {case.error.reference}"
        facts.append(Fact("Error", units.error(case.error.max_relative_error), told))
    return facts


def _cases(profile: Profile) -> Table | None:
    cases = profile.cases
    if not cases:
        return None
    keys = keys_of(cases)
    found = figures.figures(cases, precision=profile.protocol.precision)
    columns = [Column(key.title, right=key.right) for key in keys] or [Column("Case")]
    columns += [Column("Outcome")]
    columns += [Column(each.title, right=each.title != "Bound") for each in found]
    rows = []
    for i, case in enumerate(cases):
        heads = [Cell(key.show(case), _number(key.show(case))) for key in keys] or [Cell("all")]
        rows.append((*heads, _outcome(case), *_figures(found, i, case)))
    return Table("The cases and their figures", tuple(columns), tuple(rows))


def _figures(found: Sequence[figures.Figure], i: int, case: ProfileCase) -> list[Cell]:
    exact = {
        "Time": figures.time_ms(case), "Predicted time": figures.time_ms(case),
        "±": case.precision, "Items/s": figures.throughput(case),
        "GFLOP/s": figures.gflops(case), "GB/s": figures.gbps(case),
        "Of limit": figures.attained(case), "Peak memory": case.peak_bytes,
        "Predicted": case.predicted_peak_bytes, "Predicted peak": case.predicted_peak_bytes,
        "Error": case.error.max_relative_error if case.error else None,
        "Reserved": case.memory.reserved_bytes if case.memory else None,
    }  # fmt: skip
    return [
        Cell(each.texts[i], exact.get(each.title), _TONES.get(each.tones[i], "")) for each in found
    ]


def _outcome(case: ProfileCase) -> Cell:
    tone: Tone = "bad" if case.outcome == "failed" else "muted"
    if case.outcome == "passed":
        return Cell("measured", tone="muted")
    word = profile_words.KINDS[case.kind] if case.kind else case.outcome
    return Cell(word, tone=tone)


def _number(text: str) -> float | None:
    return float(text) if text.isdecimal() else None


def _failures(cases: Sequence[ProfileCase]) -> Items | None:
    """Why cases have no time, with the lines of code behind it."""
    keys = keys_of(cases)
    items = [
        Item(
            named(case, keys) or "The only case",
            profile_words.reason(case),
            "bad" if case.outcome == "failed" else "",
            code=case.details,
        )
        for case in cases
        if not has_time(case) and (case.outcome == "failed" or case.reason)
    ]
    return Items(tuple(items)) if items else None


def _protocol(profile: Profile) -> list[Block | None]:
    told = [profile_notes.protocol(profile), profile_notes.environment(profile)]
    if profile.ceilings is not None:
        told.append(", ".join(profile_words.limits(profile.ceilings)))
    several = len(profile.cases) > 1
    modules = any(case.modules for case in profile.cases)
    told.append(profile_notes.legend(profile.cases, several=several, modules=modules))
    lines = [text[:1].upper() + text[1:] for text in told if text]
    return [Prose(tuple(line if line.endswith(".") else f"{line}." for line in lines))]
