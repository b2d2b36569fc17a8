"""Devices that can be assumed without having them: what their makers state.

Rates are dense (without structured sparsity), half precision accumulates in float32 as torch has
it, ``"tf32"`` is what cuDNN may use for float32 convolutions. docs/devices.md names the datasheets,
and compares predictions with published measurements.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches

from blocktool.errors import UsageError
from blocktool.results.roofline import Ceilings

EFFICIENCY = {"compute": 0.7, "memory": 0.8}
"""An estimate: of the stated rates, what the kernels that torch calls reach. With it predictions
for 30 models differ from what timm publishes for three GPUs by 13 to 20% (medians)."""

OVERHEAD_US = 10.0
"""An estimate: of an operation that a module calls in eager mode, Python, the dispatcher and the
start of a kernel take the host about so long; a slow host takes twice as much."""

_TF32_SUFFIX = "+tf32"


@dataclass(frozen=True)
class _Stated:
    """As a datasheet has it: 1e12 operations per second by dtype, 1e9 bytes per second, and 1e9
    bytes of memory."""

    name: str
    tflops: dict[str, float]
    gbps: float
    gigabytes: int
    overhead_us: float = OVERHEAD_US


def _rates(
    float32: float,
    half: float,
    *,
    float64: float,
    tf32: float | None = None,
    int8: float | None = None,
) -> dict[str, float]:
    """Rates of a device whose float16 and bfloat16 are equally fast; before Ampere (no ``tf32``)
    there is no bfloat16."""
    rates = {"float64": float64, "float32": float32, "float16": half}
    if tf32 is not None:
        rates |= {"tf32": tf32, "bfloat16": half}
    return rates if int8 is None else rates | {"int8": int8}


_A100 = _rates(19.5, 312, tf32=156, float64=19.5, int8=624)
_H100 = _rates(66.9, 989.4, tf32=494.7, float64=66.9, int8=1978.9)

_DEVICES: dict[str, _Stated] = {
    "v100": _Stated("NVIDIA V100 SXM2 32GB", _rates(15.7, 125, float64=7.8), 900, 32),
    "v100-pcie": _Stated("NVIDIA V100 PCIe 32GB", _rates(14, 112, float64=7), 900, 32),
    "t4": _Stated("NVIDIA T4", _rates(8.1, 65, float64=0.25, int8=130), 300, 16),
    "a10": _Stated("NVIDIA A10", _rates(31.2, 125, tf32=62.5, float64=0.49, int8=250), 600, 24),
    "a100-40gb": _Stated("NVIDIA A100 40GB", _A100, 1555, 40),
    "a100-80gb-pcie": _Stated("NVIDIA A100 80GB PCIe", _A100, 1935, 80),
    "a100-80gb": _Stated("NVIDIA A100 80GB SXM", _A100, 2039, 80),
    "l4": _Stated("NVIDIA L4", _rates(30.3, 121, tf32=60.5, float64=0.47, int8=242), 300, 24),
    "l40s": _Stated("NVIDIA L40S", _rates(91.6, 362, tf32=183, float64=1.43, int8=733), 864, 48),
    "h100": _Stated("NVIDIA H100 SXM", _H100, 3350, 80),
    "h100-pcie": _Stated(
        "NVIDIA H100 PCIe", _rates(51, 756.5, tf32=378, float64=51, int8=1513), 2000, 80
    ),
    "h100-nvl": _Stated(
        "NVIDIA H100 NVL", _rates(60, 835.5, tf32=417.5, float64=60, int8=1670.5), 3900, 94
    ),
    "h200": _Stated("NVIDIA H200 SXM", _H100, 4800, 141),
    "rtx-3090": _Stated(
        "NVIDIA GeForce RTX 3090", _rates(35.6, 71, tf32=35.6, float64=0.56, int8=284), 936, 24
    ),
    "rtx-4090": _Stated(
        "NVIDIA GeForce RTX 4090",
        _rates(82.6, 165.2, tf32=82.6, float64=1.29, int8=660.6),
        1008,
        24,
    ),
    "rtx-5090": _Stated(
        "NVIDIA GeForce RTX 5090",
        _rates(104.8, 209.5, tf32=104.8, float64=1.64, int8=838),
        1792,
        32,
    ),
}

_ALIASES = {
    "a100": "a100-40gb",
    "a100-40gb-pcie": "a100-40gb",
    "a100-40gb-sxm": "a100-40gb",
    "a100-80gb-sxm": "a100-80gb",
    "v100-sxm2": "v100",
    "h100-sxm": "h100",
    "h200-sxm": "h200",
    "rtx3090": "rtx-3090",
    "rtx4090": "rtx-4090",
    "rtx5090": "rtx-5090",
    "3090": "rtx-3090",
    "4090": "rtx-4090",
    "5090": "rtx-5090",
}

NAMES = tuple(_DEVICES)
"""What can be assumed by name, without the aliases."""


def stated_ceilings(name: str) -> Ceilings:
    """The ceilings of a device by its name, in any case; with ``+tf32`` at the end float32 matrix
    products use TF32, too (``torch.set_float32_matmul_precision("high")``).

    Raises UsageError for a device that is not known, and for ``+tf32`` where a device has none.
    """
    given = name.strip().lower().replace("_", "-").replace(" ", "-")
    wanted, tf32 = given.removesuffix(_TF32_SUFFIX), given.endswith(_TF32_SUFFIX)
    wanted = wanted.removeprefix("nvidia-").removeprefix("geforce-")
    key = _ALIASES.get(wanted, wanted)
    if key not in _DEVICES:
        raise _unknown(name, wanted)
    stated = _DEVICES[key]
    ceilings = Ceilings(
        device=stated.name,
        gflops={dtype: rate * 1e3 for dtype, rate in stated.tflops.items()},
        gbps=float(stated.gbps),
        overhead_us=stated.overhead_us,
        source="datasheet",
        memory_bytes=stated.gigabytes * 10**9,
        efficiency=dict(EFFICIENCY),
        kind="cuda",
    )
    return _with_tf32(ceilings, key) if tf32 else ceilings


def _with_tf32(ceilings: Ceilings, key: str) -> Ceilings:
    rate = ceilings.gflops.get("tf32")
    if rate is None:
        raise UsageError(f"{ceilings.device} has no TF32", hint=f"assume {key} alone")
    gflops = ceilings.gflops | {"float32": rate}
    return replace(ceilings, device=f"{ceilings.device} (TF32)", gflops=gflops)


def _unknown(name: str, wanted: str) -> UsageError:
    close = get_close_matches(wanted, (*NAMES, *_ALIASES), n=1)
    known = f"known: {', '.join(NAMES)}; or the path of a file that describes one"
    return UsageError(
        f"no description of a device '{name.strip()}'",
        hint=f"did you mean {close[0]}? {known}" if close else known,
    )
