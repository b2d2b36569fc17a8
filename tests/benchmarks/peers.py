"""Count the same modules with blocktool and with its peers, beside the truth.

Three tables: small cases whose MACs can be worked out by hand (those of tests/trace/test_truth.py),
whole models against published figures, and the cost of forward and backward over that of forward.
Every count runs in a process of its own, since some tools leave hooks and patches behind. Each tool
is used in its default way; a tool that is not installed is left out.

    python tests/benchmarks/peers.py -o peers.md

In the tables "=" is exact, 0 is nothing counted without a word, ERR an exception; other figures are
ratios to the truth.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

import torch
from common import ROOT, isolated, machine, output_option, say, table, versions, write
from torch import nn

sys.path.insert(0, str(ROOT / "tests" / "trace"))
sys.path.insert(0, str(ROOT / "tests"))

from test_truth import CASES

from blocktool.api import summarize
from blocktool.targets.zoo_packages import import_zoo

Args = tuple[Any, ...]

MODELS = (  # timm's name, GMACs as published by torchvision for the same architecture
    ("resnet50", 4.089),
    ("mobilenetv2_100", 0.301),
    ("efficientnet_b0", 0.386),
    ("convnext_tiny", 4.456),
    ("vit_base_patch16_224", 17.564),
    ("swin_tiny_patch4_window7_224", 4.491),
)
BACKWARD = ("resnet50", "resnext50_32x4d", "convnext_tiny", "mobilenetv2_100", "efficientnet_b0")


def blocktool_meta(module: nn.Module, args: Args) -> float:
    return float(summarize(module, args).totals.macs)


def blocktool_cpu(module: nn.Module, args: Args) -> float:
    return float(summarize(module, args, device="cpu").totals.macs)


def flop_counter_cpu(module: nn.Module, args: Args) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*args)
    return float(counter.get_total_flops() / 2)


def flop_counter_meta(module: nn.Module, args: Args) -> float:
    from torch.utils._pytree import tree_map_only

    return flop_counter_cpu(
        module.to("meta"), tree_map_only(torch.Tensor, lambda t: t.to("meta"), args)
    )


def fvcore(module: nn.Module, args: Args) -> float:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(module, args)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return float(analysis.total())


def torchinfo(module: nn.Module, args: Args) -> float:
    from torchinfo import summary

    return float(summary(module, input_data=list(args), verbose=0).total_mult_adds)


def ptflops(module: nn.Module, args: Args) -> float:
    from ptflops import get_model_complexity_info

    names = list(inspect.signature(module.forward).parameters)
    one = len(args) == 1 and isinstance(args[0], torch.Tensor)
    macs, _ = get_model_complexity_info(
        module,
        (1,),
        input_constructor=lambda _: args[0] if one else dict(zip(names, args, strict=False)),
        as_strings=False,
        print_per_layer_stat=False,
        verbose=False,
    )
    if macs is None:
        raise RuntimeError("ptflops gave nothing")
    return float(macs * len(args[0]) if one else macs)  # it gives the figure per sample


def calflops(module: nn.Module, args: Args) -> float:
    from calflops import calculate_flops

    _, macs, _ = calculate_flops(
        module, args=list(args), print_results=False, output_as_string=False
    )
    return float(macs)


def thop(module: nn.Module, args: Args) -> float:
    from thop import profile

    return float(profile(module, inputs=args, verbose=False)[0])


Tool = Callable[[nn.Module, Args], float]
TOOLS: dict[str, tuple[str, Tool]] = {
    "blocktool": ("torch", blocktool_meta),
    "blocktool --device cpu": ("torch", blocktool_cpu),
    "FlopCounterMode cpu": ("torch", flop_counter_cpu),
    "FlopCounterMode meta": ("torch", flop_counter_meta),
    "fvcore": ("fvcore", fvcore),
    "torchinfo": ("torchinfo", torchinfo),
    "ptflops": ("ptflops", ptflops),
    "calflops": ("calflops", calflops),
    "thop": ("thop", thop),
}


def installed_tools() -> dict[str, Tool]:
    """Those whose package can be imported; the others are named on stderr."""
    found = {}
    for name, (package, tool) in TOOLS.items():
        try:
            importlib.import_module(package)
        except ImportError as error:
            say(f"{name} is left out: {error}")
        else:
            found[name] = tool
    return found


def arguments_of(inputs: Any) -> Args:
    """Real tensors for the inputs of a case: a shape, a list of tensors, or a tuple of anything."""
    if isinstance(inputs, torch.Tensor):
        return (inputs,)
    if isinstance(inputs, list):
        return tuple(inputs)
    return (torch.randn(inputs),) if isinstance(inputs[0], int) else inputs


def count_case(name: str, tool: Tool) -> float:
    build, inputs, _ = CASES[name]
    torch.manual_seed(0)
    return float(tool(build().eval(), arguments_of(inputs)))


def cell(value: Any, truth: float) -> str:
    """How a count compares with the truth."""
    if isinstance(value, Exception):
        return "ERR"
    if truth == 0:
        return "=" if value == 0 else f"adds {value:.0f}"
    if value == truth:
        return "="
    return "**0**" if value == 0 else f"{value / truth:.3g}"


def cases_table(tools: dict[str, Tool]) -> str:
    """Small cases: the ratio of each tool's count to the truth."""
    rows = []
    for name, (_, _, truth) in CASES.items():
        values = [isolated(count_case, name, tool) for tool in tools.values()]
        for tool_name, value in zip(tools, values, strict=True):
            if isinstance(value, Exception):
                say(f"{name}, {tool_name}: {value}")
        rows.append((name, f"{truth:,}", *(cell(value, truth) for value in values)))
    return table(("case", "MACs", *tools), rows)


def count_model(name: str, tool: Tool) -> float:
    model = import_zoo("timm").create_model(name).eval()
    return float(tool(model, (torch.randn(1, 3, 224, 224),)))


def models_table(tools: dict[str, Tool]) -> str:
    """Whole models: the error of the total in percent, 0.0 being right to the digits published."""
    rows = []
    for name, gmacs in MODELS:
        cells = []
        for tool_name, tool in tools.items():
            value = isolated(count_model, name, tool)
            if isinstance(value, Exception):
                say(f"{name}, {tool_name}: {value}")
                cells.append("ERR")
            elif f"{value / 1e9:.3f}" == f"{gmacs:.3f}":
                cells.append("=")
            else:
                cells.append(f"{100 * (value / 1e9 / gmacs - 1):+.1f}%")
        rows.append((name, f"{gmacs:.3f}", *cells))
        say(f"{name} done")
    return table(("model", "GMACs published", *tools), rows)


def ours_training(name: str) -> float:
    model = import_zoo("timm").create_model(name)
    x = torch.empty(1, 3, 224, 224, device="meta")
    forward = summarize(model, x).totals.macs
    return summarize(model, x, mode="training", input_grad=True).totals.macs / forward


def theirs_training(name: str) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model = import_zoo("timm").create_model(name)
    x = torch.empty(1, 3, 224, 224, device="meta", requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        out = model(x)
    with FlopCounterMode(display=False) as backward:
        out.sum().backward()
    return float(1 + backward.get_total_flops() / forward.get_total_flops())


def backward_table() -> str:
    """Forward and backward over forward, the input needing a gradient."""
    rows = []
    for name in BACKWARD:
        values = [isolated(count, name) for count in (ours_training, theirs_training)]
        rows.append((name, *(v if isinstance(v, Exception) else f"{v:.3f}" for v in values)))
    return table(("model", "blocktool", "FlopCounterMode meta"), rows)


def main() -> None:
    """Count everything and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("cases", "models", "backward"), action="append")
    output_option(parser)
    options = parser.parse_args()
    only = options.only or ["cases", "models", "backward"]
    import_zoo("timm")  # before the forks, and before ptflops, which imports torchvision
    tools = installed_tools()
    parts = []
    if "cases" in only:
        parts.append(cases_table(tools))
    if "models" in only:
        parts.append(models_table(tools))
    if "backward" in only:
        parts.append(backward_table())
    packages = ("torch", "timm", "fvcore", "torchinfo", "ptflops", "calflops", "thop")
    parts.append(f"{versions(*packages)}; {machine()}")
    write("\n\n".join(parts), options.output)


if __name__ == "__main__":
    main()
