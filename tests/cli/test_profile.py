"""The command: what it takes, what it writes, how it ends. Figures are tested in tests/measure."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Blocktool
from conftest import Project

QUICK = ("-d", "cpu", "--threads", "1", "--min-time", "0.02", "--max-time", "0.05")
FAST = (*QUICK, "--no-ceilings")

NETS = """
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, width=8):
            super().__init__()
            self.conv = nn.Conv2d(3, width, 3, padding=1)
            self.norm = nn.BatchNorm2d(width)
            print("hello from the constructor")

        def forward(self, x):
            return self.norm(self.conv(x)).relu()

    class Never(nn.Module):
        def forward(self, x):
            raise ValueError("not today")

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(50, 16)
            self.head = nn.Linear(16, 4)

        def forward(self, ids):
            assert ids.any(), "zeros alone say little"
            return self.head(self.embed(ids))

    instance = Net()
"""


@pytest.fixture
def nets(project: Project) -> Path:
    return project.write("nets.py", NETS)


def report(done: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(done.out)
    return loaded


def test_the_contract_of_the_json(blocktool: Blocktool, nets: Path) -> None:
    done = blocktool("profile", "nets.py:Net", "-i", "2x3x16x16", "-f", "json", *QUICK)
    assert done.code == 0, done.err
    assert "hello" not in done.out
    told = report(done)
    assert (told["schema_version"], told["kind"]) == ("1", "profile")
    assert told["machine"]["threads"] == 1
    assert set(told["ceilings"]) >= {"gflops", "gbps", "overhead_us"}
    (case,) = told["cases"]
    assert case["batch"] == 2
    assert case["inputs"] == [{"name": None, "shape": [2, 3, 16, 16], "dtype": "float32"}]
    assert (case["dtype"], case["mode"], case["variant"]) == ("float32", "inference", "eager")
    assert (case["outcome"], case["reason"]) == ("passed", None)
    latency = case["latency_ms"]
    assert latency["p5"] <= latency["p50"] <= latency["p95"]
    assert min(latency["samples"]) <= latency["p50"] <= max(latency["samples"])
    assert latency["low"] <= latency["p50"] <= latency["high"]
    assert latency["iqr"] >= 0
    assert math.isclose(case["throughput"], 2000 / latency["p50"], rel_tol=1e-4)
    assert case["macs"] == 2 * 16 * 16 * 8 * 27
    assert math.isclose(case["gflops"], 2e-6 * case["macs"] / latency["p50"], rel_tol=1e-4)
    # input, weights and statistics, the result of the convolution and of the norm, and a count
    held = 4 * (2 * 3 * 256 + 8 * 27 + 8 + 4 * 8) + 8
    assert case["memory"]["held_bytes"] == held
    assert case["peak_bytes"] >= held + 2 * 4 * 2 * 8 * 256
    assert case["predicted_peak_bytes"] == pytest.approx(case["peak_bytes"], rel=0.05)


def test_every_combination_is_a_case(blocktool: Blocktool, nets: Path) -> None:
    args = ("--batch", "1,2", "--size", "8,8x12", "--dtype", "float32,bf16", "-f", "json")
    done = blocktool("profile", "nets.py:Net", "-i", "1x3x16x16", *args, *FAST)
    assert done.code == 0, done.err
    cases = report(done)["cases"]
    found = {(case["batch"], *case["inputs"][0]["shape"][2:], case["dtype"]) for case in cases}
    sizes = [(8, 8), (8, 12)]
    assert found == {
        (batch, *size, dtype)
        for batch in (1, 2)
        for size in sizes
        for dtype in ("float32", "bfloat16")
    }
    assert [case["index"] for case in cases] == list(range(8))


def test_a_training_step_by_phase(blocktool: Blocktool, nets: Path) -> None:
    args = ("--mode", "training,forward", "--optimizer", "adamw", "-f", "json")
    done = blocktool("profile", "nets.py:Net", "-i", "2x3x8x8", *args, *FAST)
    assert done.code == 0, done.err
    told = report(done)
    step, forward = told["cases"]
    assert [phase["phase"] for phase in step["phases_ms"]] == ["forward", "backward", "optimizer"]
    assert forward["phases_ms"] == []
    # the input needs no gradient: the backward is that of the weight alone
    assert step["macs"] == 2 * forward["macs"]
    assert told["protocol"]["optimizer"] == "adamw"
    parameters = 4 * (8 * 27 + 8 + 2 * 8)
    moments = step["memory"]["held_bytes"] - forward["memory"]["held_bytes"]
    assert moments == pytest.approx(2 * parameters, abs=64)  # and AdamW's counts of steps


def test_autocast_leaves_the_module_as_it_is(blocktool: Blocktool, nets: Path) -> None:
    done = blocktool("profile", "nets.py:Net", "-i", "2x3x8x8", "--amp", "-f", "json", *FAST)
    assert done.code == 0, done.err
    (case,) = report(done)["cases"]
    assert (case["dtype"], case["amp"]) == ("bfloat16", True)
    assert case["memory"]["held_bytes"] > 4 * 2 * 3 * 64  # float32 still


def test_whole_numbers_are_not_all_zero(blocktool: Blocktool, nets: Path) -> None:
    done = blocktool("profile", "nets.py:Tokens", "-i", "2x9:int64", "-f", "json", *FAST)
    assert done.code == 0, done.err
    assert report(done)["cases"][0]["outcome"] == "passed"


def test_an_instance_is_a_target(blocktool: Blocktool, nets: Path) -> None:
    done = blocktool("profile", "nets.py:instance", "-i", "1x3x8x8", "-f", "json", *FAST)
    assert done.code == 0, done.err


def test_a_submodule_with_what_it_receives(blocktool: Blocktool, nets: Path) -> None:
    args = ("--select", "norm", "-f", "json")
    done = blocktool("profile", "nets.py:Net", "-i", "2x3x8x8", *args, *FAST)
    assert done.code == 0, done.err
    told = report(done)
    assert told["root_type"] == "BatchNorm2d"
    assert told["cases"][0]["inputs"][0]["shape"] == [2, 8, 8, 8]


def test_where_the_time_goes(blocktool: Blocktool, nets: Path) -> None:
    args = ("--per-module", "-f", "json")
    done = blocktool("profile", "nets.py:Net", "-i", "2x3x64x64", *args, *QUICK)
    assert done.code == 0, done.err
    modules = report(done)["cases"][0]["modules"]
    rows = {row["path"]: row for row in modules["rows"]}
    assert {"", "conv", "norm"} <= set(rows)
    assert rows["conv"]["macs"] == 2 * 64 * 64 * 8 * 27
    assert rows["conv"]["roofline"]["compute_ms"] > 0
    assert rows[""]["total_ms"] >= rows["conv"]["total_ms"] + rows["norm"]["total_ms"]


def test_variants_side_by_side(blocktool: Blocktool, nets: Path) -> None:
    args = ("--variant", "fused,bf16,fused+channels-last", "-f", "json")
    done = blocktool("profile", "nets.py:Net", "-i", "2x3x16x16", *args, *FAST)
    assert done.code == 0, done.err
    told = report(done)
    cases = {case["variant"]: case for case in told["cases"]}
    assert next(iter(cases)) == "eager"
    assert cases["eager"]["error"]["max_relative_error"] < 1e-5
    assert cases["fused"]["error"]["max_relative_error"] < 1e-5
    # bfloat16 keeps 8 bits of a number
    assert 1e-4 < cases["bf16"]["error"]["max_relative_error"] < 5e-2
    assert cases["eager"]["error"]["reference"] == "float64"
    (verdict,) = told["verdicts"]
    assert verdict["use"] in cases


def test_a_variant_that_cannot_be_had_says_why(blocktool: Blocktool, nets: Path) -> None:
    args = ("--mode", "training", "--variant", "fused", "-f", "json")
    done = blocktool("profile", "nets.py:Net", "-i", "2x3x8x8", *args, *FAST)
    assert done.code == 0, done.err
    eager, fused = report(done)["cases"]
    assert eager["outcome"] == "passed"
    assert (fused["outcome"], fused["kind"]) == ("skipped", "unavailable")
    assert "inference" in fused["reason"]


def test_a_prediction_runs_nothing(blocktool: Blocktool, nets: Path) -> None:
    done = blocktool(
        *("profile", "nets.py:Net", "-i", "2x3x512x512", "--batch", "1,8"),
        *("--assume", "a100", "-f", "json"),
    )
    assert done.code == 0, done.err
    told = report(done)
    assert "A100" in told["assumed"]
    assert {(case["outcome"], case["kind"]) for case in told["cases"]} == {("skipped", "predicted")}
    first, second = (case["roofline"]["predicted_ms"] for case in told["cases"])
    assert 0 < first < second
    assert all(case["latency_ms"] is None for case in told["cases"])


def test_predictions_of_variants(blocktool: Blocktool, project: Project) -> None:
    project.write("lin.py", "from torch import nn\ndef Lin():\n    return nn.Linear(1024, 1024)\n")
    limits = {"gflops": {"float32": 10, "bfloat16": 40}, "gbps": 1e6, "overhead_us": 0}
    project.write("board.json", json.dumps(limits))
    variants = "bf16,amp-bf16,fused,channels-last,int8-dynamic,compile,bf16+compile"
    args = ("-i", "64x1024", "--variant", variants, "--assume", "board.json", "-f", "json")
    done = blocktool("profile", "lin.py:Lin", *args)
    assert done.code == 0, done.err
    cases = {case["variant"]: case for case in report(done)["cases"]}
    eager, bf16, amp = (cases.pop(name) for name in ("eager", "bf16", "amp-bf16"))
    flops = 2 * 64 * 1024 * 1024
    assert eager["roofline"]["compute_ms"] == pytest.approx(flops / 10e9 * 1e3, 1e-5)
    assert bf16["roofline"]["compute_ms"] == pytest.approx(flops / 40e9 * 1e3, 1e-5)
    assert amp["roofline"]["compute_ms"] == pytest.approx(flops / 40e9 * 1e3, 1e-5)
    assert bf16["roofline"]["memory_ms"] == pytest.approx(eager["roofline"]["memory_ms"] / 2, 1e-5)
    assert bf16["predicted_peak_bytes"] < eager["predicted_peak_bytes"]
    assert amp["predicted_peak_bytes"] is None
    assert {case["moved_bytes"] for case in (eager, bf16, amp)} == {eager["moved_bytes"]}
    assert len(cases) == 5
    for case in cases.values():
        assert (case["outcome"], case["kind"]) == ("skipped", "unavailable")
        assert case["reason"].startswith("not predicted: ")
        assert case["roofline"] is None


def test_a_prediction_under_autocast(blocktool: Blocktool, project: Project) -> None:
    project.write("lin.py", "from torch import nn\ndef Lin():\n    return nn.Linear(1024, 1024)\n")
    args = ("-i", "64x1024", "--amp", "--assume", "h100", "-f", "json")
    done = blocktool("profile", "lin.py:Lin", *args, "--variant", "amp-bf16")
    assert done.code == 0, done.err
    case, again = report(done)["cases"]
    assert case["dtype"] == "bfloat16"
    # 989.4 TFLOP/s: https://resources.nvidia.com/en-us-tensor-core/nvidia-tensor-core-gpu-datasheet
    ms = 2 * 64 * 1024 * 1024 / 989.4e12 * 1e3
    assert case["roofline"]["compute_ms"] == pytest.approx(ms, 1e-5)
    assert case["predicted_peak_bytes"] is None
    assert (again["kind"], again["reason"]) == (
        "unavailable",
        "it runs under autocast to bfloat16 already",
    )


def test_a_prediction_has_the_attention_of_its_device(
    blocktool: Blocktool, project: Project
) -> None:
    project.write(
        "attend.py",
        """
        from torch import nn
        from torch.nn.functional import scaled_dot_product_attention

        class Attend(nn.Module):
            def forward(self, x):
                return scaled_dot_product_attention(x, x, x)
        """,
    )
    board = {"gflops": {"float32": 10}, "gbps": 1, "overhead_us": 0}
    tensor, rows = 2 * 4 * 50 * 16 * 4, 2 * 4 * 50 * 4  # bytes: the input; a number for each row
    moved = {}
    for kind in ("cpu", "cuda"):
        project.write(f"{kind}.json", json.dumps(board | {"kind": kind}))
        args = ("-i", "2x4x50x16", "--assume", f"{kind}.json", "-f", "json")
        done = blocktool("profile", "attend.py:Attend", *args)
        assert done.code == 0, done.err
        moved[kind] = report(done)["cases"][0]["moved_bytes"]
    # The input once, the output, and what else the kernels return without gradients: on a CPU the
    # logarithms of the softmax's sums, on a GPU (memory-efficient) a seed and an offset of int64.
    assert moved == {"cpu": 2 * tensor + rows, "cuda": 2 * tensor + 2 * 8}


def test_the_exit_code_of_predictions(blocktool: Blocktool, project: Project) -> None:
    project.write(
        "picky.py",
        """
        from torch import nn

        class Picky(nn.Module):
            def forward(self, x):
                if x.shape[0] > 1:
                    raise ValueError("not two")
                return x.relu()
        """,
    )
    for batches, code in (("1", 0), ("1,2", 1), ("2", 2)):
        args = ("-i", "1x8", "--batch", batches, "--assume", "a100", "-f", "json")
        done = blocktool("profile", "picky.py:Picky", *args)
        assert done.code == code, done.err
    assert "nothing could be predicted: " in done.err
    assert "not two" in done.err


@pytest.mark.parametrize("name", ["out.json", "out.csv", "out.md", "out.txt"])
def test_a_file_by_its_suffix(
    blocktool: Blocktool, nets: Path, project: Project, name: str
) -> None:
    done = blocktool("profile", "nets.py:Net", "-i", "1x3x8x8", "-o", name, *FAST)
    assert done.code == 0, done.err
    assert done.out == ""
    text = (project.root / name).read_text()
    assert text
    if name.endswith(".csv"):
        header, row = text.splitlines()
        assert len(header.split(",")) == len(row.split(","))
    again = blocktool("profile", "nets.py:Net", "-i", "1x3x8x8", "-o", name, *FAST)
    assert again.code == 2
    assert "--force" in again.err
    assert [path.name for path in project.root.iterdir() if path.name.startswith(".")] == []


def test_a_trace_file(blocktool: Blocktool, nets: Path, project: Project) -> None:
    args = ("--trace-file", "trace.json", "-q")
    done = blocktool("profile", "nets.py:Net", "-i", "1x3x8x8", *args, *FAST)
    assert done.code == 0, done.err
    events = json.loads((project.root / "trace.json").read_text())["traceEvents"]
    names = " ".join(str(event.get("name")) for event in events)
    assert "aten::conv2d" in names
    assert "norm" in names


def test_speedscope(blocktool: Blocktool, nets: Path) -> None:
    done = blocktool("profile", "nets.py:Net", "-i", "1x3x8x8", "-f", "speedscope", *FAST)
    assert done.code == 0, done.err
    told = report(done)
    assert "speedscope" in told["$schema"]
    assert any("conv" in frame["name"] for frame in told["shared"]["frames"])


def test_a_module_that_never_runs_is_an_error(blocktool: Blocktool, nets: Path) -> None:
    done = blocktool("profile", "nets.py:Never", "-i", "1x3", *FAST)
    assert done.code == 2
    assert "error: nothing could be measured" in done.err
    assert "not today" in done.err
    assert "Traceback" not in done.err


WRONG: tuple[tuple[tuple[str, ...], str], ...] = (
    (("nets.py:Net",), "has no default input"),
    (("nets.py:Nope", "-i", "1x3x8x8"), "Nope"),
    (("convv",), "did you mean conv"),
    (("conv", "in_chanels=3"), "did you mean in_channels"),
    (("conv", "--batch", "0"), "--batch"),
    (("conv", "--batch", "1,x"), "--batch"),
    (("conv", "--size", "8x"), "--size"),
    (("nets.py:Tokens", "-i", "2x9:int64", "--size", "8x8"), "does not fit"),
    (("conv", "--dtype", "float33"), "did you mean"),
    (("conv", "--dtype", "int8"), "not a floating dtype"),
    (("conv", "--dtype", "float32", "--amp"), "autocast"),
    (("conv", "--mode", "train"), "did you mean training"),
    (("conv", "--variant", "fusedd"), "did you mean fused"),
    (("conv", "--variant", "bf16+fp16"), "bf16"),
    (("conv", "--optimizer", "sdg", "--mode", "training"), "did you mean sgd"),
    (("conv", "--precision", "0"), "--precision"),
    (("conv", "--min-time", "soon"), "--min-time"),
    (("conv", "--min-time", "0"), "--min-time"),
    (("conv", "--timeout", "-1"), "--timeout"),
    (("conv", "--threads", "0"), "--threads"),
    (("conv", "--device", "cudda"), "did you mean cuda"),
    (("conv", "--device", "meta"), "meta"),
    (("conv", "--assume", "h1000"), "did you mean"),
    (("conv", "--assume", "nowhere.yaml"), "nowhere.yaml"),
    (("conv", "--memory-limit", "8GiB"), "--find-max-batch"),
    (("conv", "--find-max-batch", "--memory-limit", "lots"), "lots"),
    (("conv", "--trace-file", "trace.txt"), "--trace-file"),
    (("conv", "-f", "yaml"), "format"),
    (("conv", "--assume", "a100", "--find-max-batch"), "and --find-max-batch needs a run"),
    (("conv", "--assume", "a100", "--per-module"), "and --per-module needs a run"),
    (("conv", "--assume", "a100", "--trace-file", "t.json"), "and --trace-file needs a run"),
    (("conv", "--assume", "a100", "-f", "speedscope"), "and the format speedscope needs a run"),
    (("conv", "--select", "convv"), "convv"),
    (("conv", "-i", "1x63x8x8"), "64"),
)


@pytest.mark.parametrize(("words", "told"), WRONG, ids=lambda value: str(value)[:40])
def test_bad_input_is_one_line_and_a_hint(
    blocktool: Blocktool, nets: Path, words: tuple[str, ...], told: str
) -> None:
    done = blocktool("profile", *words, "-q", *([] if "--min-time" in words else FAST[4:]))
    assert done.code == 2, (done.out, done.err)
    assert told in done.err
    assert "error:" in done.err
    assert "Traceback" not in done.err


def test_without_a_gpu_cuda_is_a_clear_error(blocktool: Blocktool) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    done = blocktool("profile", "conv", "--device", "cuda", *FAST[2:])
    assert done.code == 2
    assert "no CUDA device here" in done.err
    assert "hint:" in done.err


def test_the_parent_never_imports_torch(nets: Path) -> None:
    code = (
        "import sys\nfrom blocktool.cli import run\n"
        "code = run(['profile', 'nets.py:Net', '-i', '1x3x8x8', '-q', *sys.argv[1:]])\n"
        "assert code == 0, code\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, *FAST], check=True, stdout=subprocess.DEVNULL)


def test_the_largest_batch(blocktool: Blocktool, project: Project) -> None:
    project.write(
        "flat.py",
        """
        import torch
        from torch import nn

        class Flat(nn.Module):
            def forward(self, x):
                return x.relu()
        """,
    )
    # 4,000 bytes of input and as many of output for each item
    args = ("--find-max-batch", "--memory-limit", "84000", "-f", "json")
    done = blocktool("profile", "flat.py:Flat", "-i", "1x1000", *args, *FAST)
    assert done.code == 0, done.err
    told = report(done)
    found = told["max_batch"]
    assert (found["predicted"], found["batch"], found["bounded"]) == (10, 10, True)
    assert [(tried["batch"], tried["fits"], tried["peak_bytes"]) for tried in found["tried"]] == [
        (10, True, 80_000),
        (11, False, 88_000),
    ]
    assert [case["batch"] for case in told["cases"]] == [10]


def test_the_largest_batch_of_a_variant(blocktool: Blocktool, nets: Path) -> None:
    args = ("--find-max-batch", "--memory-limit", "300KB", "--variant", "bf16", "-f", "json")
    done = blocktool("profile", "nets.py:Net", "-i", "1x3x32x32", *args, *FAST)
    assert done.code == 0, done.err
    told = report(done)
    found = told["max_batch"]
    assert found["variant"] == "bf16"
    assert found["batch"] > 1
    assert [(case["variant"], case["batch"]) for case in told["cases"]] == [
        ("eager", found["batch"]),
        ("bf16", found["batch"]),
    ]


def test_the_trace_is_of_the_first_case_that_passes(blocktool: Blocktool, project: Project) -> None:
    project.write(
        "two.py",
        """
        from torch import nn

        class Two(nn.Module):
            def forward(self, x):
                if x.shape[0] < 2:
                    raise ValueError("two at least")
                return x.relu()
        """,
    )
    args = ("--batch", "1,2", "--trace-file", "trace.json")
    done = blocktool("profile", "two.py:Two", "-i", "1x8", *args, *FAST)
    assert done.code == 1
    assert "aten::relu" in (project.root / "trace.json").read_text()


def test_no_batch_fits(blocktool: Blocktool, nets: Path) -> None:
    args = ("--find-max-batch", "--memory-limit", "1KB", "-f", "json")
    done = blocktool("profile", "nets.py:Net", "-i", "1x3x32x32", *args, *FAST)
    assert done.code == 1
    told = report(done)
    assert told["max_batch"]["batch"] == 0
    assert told["cases"] == []


def test_several_processes(blocktool: Blocktool, nets: Path) -> None:
    args = ("--processes", "3", "-f", "json")
    done = blocktool("profile", "nets.py:Net", "-i", "2x3x16x16", *args, *FAST)
    assert done.code == 0, done.err
    told = report(done)
    (case,) = told["cases"]
    assert told["protocol"]["processes"] == 3
    assert len(case["process_medians_ms"]) == 3
    latency = case["latency_ms"]
    assert latency["low"] <= min(case["process_medians_ms"])
    assert latency["high"] >= max(case["process_medians_ms"])
    assert math.isclose(case["throughput"], 2000 / latency["p50"], rel_tol=1e-4)
    assert math.isclose(case["gflops"], 2e-6 * case["macs"] / latency["p50"], rel_tol=1e-4)


def test_modes_are_those_of_a_profile():
    from typing import get_args

    from blocktool.cli.profile_options import MODES
    from blocktool.results.profile import RunMode

    assert get_args(RunMode) == MODES
