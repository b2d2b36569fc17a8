"""A profile for https://www.speedscope.app: a flame graph of the modules of each case."""

from __future__ import annotations

from blocktool.errors import UsageError
from blocktool.render import speedscope
from blocktool.render.profile_keys import keys_of, named
from blocktool.render.view import View
from blocktool.results.profile import Profile


def render(profile: Profile, view: View) -> str:
    """One profile, in ms, for each case that was timed by module, whatever the view.

    Raises UsageError where no case has modules.
    """
    frames = speedscope.Frames()
    keys = keys_of(profile.cases)
    profiles = [
        speedscope.sampled(
            ", ".join(filter(None, (profile.target, named(case, keys)))),
            "milliseconds",
            [(row.path, row.own_ms) for row in case.modules.rows],
            {row.path: row.type for row in case.modules.rows},
            frames,
        )
        for case in profile.cases
        if case.modules is not None and case.modules.rows
    ]
    if not profiles:
        raise UsageError(
            "no case was timed by module, and speedscope shows nothing else",
            hint="add --per-module",
        )
    return speedscope.file(profile.target, profiles, frames)
