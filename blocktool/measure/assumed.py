"""The device that ``--assume`` names. Needs no torch."""

from __future__ import annotations

from blocktool.analysis.device_descriptions import stated_ceilings
from blocktool.results.roofline import Ceilings
from blocktool.targets.device_file import is_device_file, read_device_file


def description(text: str) -> Ceilings:
    """The ceilings of a device by its name (``"a100"``, ``"h100+tf32"``), or of a file: YAML or
    JSON that describes one, or a saved profile.

    Raises UsageError for an unknown name, ConfigError for a file that cannot be read or makes no
    sense, and ReportError for a report without limits.
    """
    return read_device_file(text) if is_device_file(text) else stated_ceilings(text)
