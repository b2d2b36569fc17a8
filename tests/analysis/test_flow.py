from __future__ import annotations

import pytest
import torch
from flow_models import MODELS, UNet
from fx_edges import edges_by_fx, edges_of, whole
from torch import nn

from blocktool.analysis.flow import READABLE, flow
from blocktool.targets.zoo_packages import import_zoo
from blocktool.trace.tracer import trace


def zoo(name: str, **arguments: object) -> nn.Module:
    models = import_zoo("torchvision").models
    with torch.device("meta"):
        made: nn.Module = getattr(models, name)(weights=None, **arguments)
    return made.eval()


VIT = {
    "image_size": 32, "patch_size": 16, "num_layers": 2, "num_heads": 2,
    "hidden_dim": 32, "mlp_dim": 64,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "arguments", "size"),
    [
        ("resnet18", {}, 32),
        ("densenet121", {}, 32),
        ("googlenet", {"aux_logits": False, "init_weights": False}, 64),
        ("shufflenet_v2_x0_5", {}, 32),
        ("mobilenet_v3_small", {}, 32),
        ("convnext_tiny", {}, 32),
    ],
)
def test_edges_are_those_of_fx(name: str, arguments: dict[str, object], size: int) -> None:
    module = zoo(name, **arguments)
    assert edges_of(whole(module, (1, 3, size, size))) == edges_by_fx(module)


def test_edges_of_a_transformer_are_those_of_fx() -> None:
    models = import_zoo("torchvision").models
    module = models.VisionTransformer(**VIT).eval()
    assert edges_of(whole(module, (2, 3, 32, 32))) == edges_by_fx(module)


@pytest.mark.parametrize("name", MODELS)
def test_edges_of_small_models_are_those_of_fx(name: str) -> None:
    make, shape = MODELS[name]
    module = make().eval()
    assert edges_of(whole(module, shape)) == edges_by_fx(module)


def test_every_depth_has_every_call_at_that_depth_once() -> None:
    module = zoo("resnet18")
    run = trace(module, (1, 3, 32, 32))
    for depth in range(1, 5):
        calls = [c.path for c in run.calls if c.path]
        # A call at the depth, or above it with nothing called inside.
        at = [
            path
            for path in calls
            if path.count(".") == depth - 1
            or (path.count(".") < depth - 1 and not any(p.startswith(f"{path}.") for p in calls))
        ]
        drawn = [n.path for n in flow(run, depth, expand=True).nodes if n.kind == "module"]
        assert drawn == at


def test_costs_add_up_to_the_whole() -> None:
    run = trace(UNet(), (1, 3, 32, 32))
    for depth in range(3):
        diagram = flow(run, depth, expand=True)
        for name in ("macs", "activation_bytes", "moved_bytes"):
            parts = sum(getattr(node.cost, name) for node in diagram.nodes)
            # Views and copies are not drawn; nothing else is left out.
            assert parts == getattr(diagram.total, name), name


def test_repeated_blocks_are_one_node() -> None:
    run = trace(zoo("resnet50"), (1, 3, 64, 64))
    diagram = flow(run, 2)
    folded = {node.path: (node.name, node.count) for node in diagram.nodes if node.count > 1}
    assert folded == {
        "layer1.1": ("1-2", 2),
        "layer2.1": ("1-3", 3),
        "layer3.1": ("1-5", 5),
        "layer4.1": ("1-2", 2),
    }
    every = flow(run, 2, expand=True)
    assert sum(n.count for n in diagram.nodes) == len(every.nodes)
    assert sum(n.cost.macs * n.count for n in diagram.nodes) == every.total.macs
    # What follows reads the run, as it read its last module.
    by_id = {node.id: node.path for node in diagram.nodes}
    assert ("layer1.1", "layer2.0") in {(by_id[e.source], by_id[e.target]) for e in diagram.edges}


def test_opened_blocks_that_repeat_are_one_group() -> None:
    models = import_zoo("torchvision").models
    run = trace(models.VisionTransformer(**{**VIT, "num_layers": 5}), (1, 3, 32, 32))
    diagram = flow(run, 4)
    counts = {group.name: group.count for group in diagram.groups}
    assert counts == {"encoder": 1, "layers.encoder_layer_0-4": 5}
    assert sum(node.type == "MultiheadAttention" for node in diagram.nodes) == 1
    assert sum(edge.skip for edge in diagram.edges) == 2


def test_the_depth_is_such_that_the_picture_is_readable() -> None:
    run = trace(zoo("resnet18"), (1, 3, 32, 32))
    chosen = flow(run)
    assert len(chosen.nodes) <= READABLE < len(flow(run, chosen.depth + 1).nodes)
    assert (chosen.depth, chosen.levels) == (2, 4)


def test_depth_zero_is_one_node() -> None:
    diagram = flow(trace(UNet(), (1, 3, 32, 32)), 0)
    assert [node.kind for node in diagram.nodes] == ["input", "module", "output", "output"]
    assert diagram.nodes[1].cost == diagram.total
