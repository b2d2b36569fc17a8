"""A profile as Markdown, for pull requests and model cards (GitHub's dialect)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from blocktool.render import profile_figures as figures
from blocktool.render import profile_notes as below
from blocktool.render import profile_words as words
from blocktool.render import units
from blocktool.render.markdown_text import code, fenced, table, text
from blocktool.render.profile_figures import Figure
from blocktool.render.profile_keys import keys_of, named, shared
from blocktool.render.profile_modules import accounts
from blocktool.render.profile_tree import TimeNode, shown_tree, walk
from blocktool.render.styled import clean
from blocktool.render.view import View
from blocktool.results.profile import MaxBatch, ModuleTimes, Profile, ProfileCase


def render(profile: Profile, view: View) -> str:
    """Heading, cases, phases of training, verdicts, modules (folded and cut as in the table),
    limits, the largest batch, warnings, notes, and where it was measured."""
    cases = profile.cases
    blocks = [
        f"## {text(profile.target)}",
        " · ".join(map(text, [*words.place(profile), *shared(cases)])),
        *_remarks(profile),
    ]
    if cases:
        found = figures.figures(cases, precision=profile.protocol.precision)
        blocks.append(_cases(cases, cases, found))
    blocks += [_details(case, cases) for case in cases if case.details]
    training = [case for case in cases if len(case.phases_ms) > 1]
    if training:
        blocks.append(_cases(training, cases, figures.phase_figures(training)))
    blocks += _verdicts(profile)
    blocks += [
        _modules(case.modules, named(case, keys_of(cases)), view)
        for case in cases
        if case.modules is not None and case.modules.rows
    ]
    if profile.ceilings is not None:
        blocks.append(text(" · ".join(words.limits(profile.ceilings))))
    if profile.max_batch is not None:
        blocks += _largest(profile.max_batch)
    blocks += [
        f"> **Warning:** {text(words.warning(notice, cases))}; {text(notice.hint)}"
        for notice in profile.warnings
    ]
    blocks += [f"Note: {text(note)}" for note in below.notes(profile)]
    by_module = any(case.modules is not None for case in cases)
    told = [
        below.protocol(profile),
        below.environment(profile),
        below.legend(cases, several=True, modules=by_module),
    ]
    blocks.append("<br>".join(f"<sub>{text(line)}</sub>" for line in told if line))
    return "\n\n".join(filter(None, blocks)) + "\n"


def _remarks(profile: Profile) -> Iterator[str]:
    if (told := words.prediction(profile)) is not None:
        yield f"> **{text(told)}**"
    if profile.interrupted:
        yield f"> **Warning:** {text(words.conclusion(profile))}"


def _cases(
    shown: Sequence[ProfileCase], cases: Sequence[ProfileCase], found: Sequence[Figure]
) -> str:
    """A row to each case; one without a time has its reason in the last column."""
    keys = keys_of(cases)
    why = [text(words.reason(case)) if not words.has_time(case) else "" for case in shown]
    heading = [*(key.title for key in keys), *(figure.title for figure in found)]
    rows = [
        [
            *(key.show(case) if key.right else f"`{code(key.show(case))}`" for key in keys),
            *(text(figure.texts[index]) for figure in found),
            *([why[index]] if any(why) else []),
        ]
        for index, case in enumerate(shown)
    ]
    last = int(any(why))
    return table([*heading, *([""] * last)], rows, left=len(keys), last=last)


def _details(case: ProfileCase, cases: Sequence[ProfileCase]) -> str:
    where = named(case, keys_of(cases))
    head = _summary(f"{case.outcome} ({where})" if where else case.outcome)
    return "\n\n".join([f"<details>{head}", fenced(case.details), "</details>"])


def _summary(told: str) -> str:
    """The line of a block that folds; HTML is read there, and no Markdown."""
    return f"<summary>{escape(clean(told))}</summary>"


def _verdicts(profile: Profile) -> Iterator[str]:
    for found in profile.verdicts:
        where, use, why = words.verdict(found, profile.verdicts)
        before = f"{text(where)}: " if where else ""
        yield f"{before}**use `{code(use)}`**: {text(why)}"


def _modules(times: ModuleTimes, where: str, view: View) -> str:
    tree, _ = shown_tree(times.rows, view)
    backward = any(node.backward_ms for node in walk(tree))
    rows = []
    for path, node, above in _paths(tree, "", 1):
        name = f"`{code(path)}`" if path else "**total**"
        rows.append(
            (
                f"{name} ×{node.count}" if node.count > above else name,
                text(node.type),
                str(node.calls),
                units.duration(node.total_ms),
                *([units.duration(node.backward_ms)] if backward else []),
                units.percent(node.share),
                units.rate(node.gflops),
                units.rate(node.gbps),
                "" if node.attained is None else units.whole_percent(node.attained),
                node.limits.bound if node.limits else "",
            )
        )
    heading = ["Module", "Type", "Calls", "Total", "Own", "GFLOP/s", "GB/s", "Of limit", "Bound"]
    heading[4:4] = ["Backward"] if backward else []
    told = [*accounts(times), *times.notes]
    summary = _summary(f"By module ({where})" if where else "By module")
    return "\n\n".join(
        [
            f"<details open>{summary}",
            table(heading, rows, left=2, last=1),
            "\n".join(f"- {text(line)}" for line in told),
            "</details>",
        ]
    )


def _paths(node: TimeNode, path: str, above: int) -> Iterator[tuple[str, TimeNode, int]]:
    yield path, node, above
    for child in node.children:
        yield from _paths(child, f"{path}.{child.name}" if path else child.name, node.count)


def _largest(found: MaxBatch) -> Iterator[str]:
    yield text(words.largest_batch(found))
    rows = [
        (
            f"{each.batch:,}",
            _bytes(each.peak_bytes),
            _bytes(each.predicted_peak_bytes),
            "fits" if each.fits else text(each.reason or "does not fit"),
        )
        for each in found.tried
    ]
    if rows:
        yield table(("Tried", "Peak memory", "Predicted", ""), rows, left=0, last=1)


def _bytes(nbytes: int | None) -> str:
    return "" if nbytes is None else units.size(nbytes)
