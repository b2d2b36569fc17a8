"""What the server process imports once, before any worker is forked from it.

Nothing of it is ever collected again, so that a worker's collector has little to look through.
"""

import gc

gc.disable()
from blocktool.measure import worker  # noqa: E402

gc.freeze()
gc.enable()

__all__ = ["worker"]
