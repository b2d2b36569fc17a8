from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from zoo_stub import import_timm, import_torchvision

from blocktool.errors import ModuleError, TargetError
from blocktool.targets.target import Target
from blocktool.targets.zoo import zoo_target


def shape(target: Target) -> tuple[int, ...]:
    assert target.inputs is not None
    (spec,) = target.inputs
    return spec.shape


def count(target: Target) -> int:
    """Parameters of a build on meta, which must really be there."""
    with torch.device("meta"):
        module = target.build()
    assert all(p.is_meta for p in module.parameters())
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resnet50", {}),
        ("vit_b_16", {}),
        ("googlenet", {"aux_logits": False}),
        ("fcn_resnet50", {"aux_loss": True}),
        ("r3d_18", {}),
        ("raft_small", {}),
    ],
)
def test_torchvision_has_the_parameters_that_it_publishes(
    name: str, arguments: dict[str, object]
) -> None:
    weights = import_torchvision().models.get_model_weights(name).DEFAULT
    target = zoo_target("torchvision", name, arguments)
    assert (target.name, target.source) == (f"torchvision:{name}", "torchvision")
    assert count(target) == weights.meta["num_params"]


@pytest.mark.parametrize(
    ("name", "arguments", "params"),
    [
        ("resnet50", {}, 25_557_032),
        ("vit_base_patch16_224", {}, 86_567_656),
        ("resnet18.a1_in1k", {"num_classes": 10}, 11_689_512 - 990 * 513),
    ],
)
def test_timm_has_the_parameters_of_the_papers(
    name: str, arguments: dict[str, object], params: int
) -> None:
    target = zoo_target("timm", name, arguments)
    assert (target.name, target.source) == (f"timm:{name}", "timm")
    assert count(target) == params
    with torch.device("meta"):
        assert target.build() is not target.build()


@pytest.mark.parametrize(
    ("zoo", "name", "arguments", "expected"),
    [
        ("timm", "resnet50", {}, (1, 3, 224, 224)),
        ("timm", "inception_v3", {}, (1, 3, 299, 299)),
        ("timm", "vit_base_patch16_384", {}, (1, 3, 384, 384)),
        ("timm", "vit_base_patch16_224", {"img_size": 96}, (1, 3, 96, 96)),
        ("timm", "vit_base_patch16_224", {"img_size": [96, 64]}, (1, 3, 96, 64)),
        ("timm", "vit_base_patch16_224", {"img_size": "big"}, (1, 3, 224, 224)),
        ("timm", "resnet50", {"in_chans": 1}, (1, 1, 224, 224)),
        ("torchvision", "resnet50", {}, (1, 3, 224, 224)),
        ("torchvision", "inception_v3", {}, (1, 3, 299, 299)),
        ("torchvision", "vit_h_14", {}, (1, 3, 224, 224)),
        ("torchvision", "vit_b_16", {"image_size": 64}, (1, 3, 64, 64)),
        ("torchvision", "fcn_resnet50", {}, (1, 3, 520, 520)),
        ("torchvision", "r3d_18", {}, (1, 3, 16, 112, 112)),
        ("torchvision", "ssd300_vgg16", {}, (1, 3, 300, 300)),
        ("torchvision", "fasterrcnn_mobilenet_v3_large_320_fpn", {}, (1, 3, 320, 320)),
        ("torchvision", "fasterrcnn_resnet50_fpn", {}, (1, 3, 800, 800)),
    ],
)
def test_default_input(
    zoo: str, name: str, arguments: dict[str, object], expected: tuple[int, ...]
) -> None:
    assert shape(zoo_target(zoo, name, arguments)) == expected


def test_optical_flow_takes_two_frames() -> None:
    inputs = zoo_target("torchvision", "raft_small", {}).inputs
    assert inputs is not None
    assert [spec.name for spec in inputs] == ["image1", "image2"]


def test_every_model_of_torchvision_has_a_default_input() -> None:
    for name in import_torchvision().models.list_models():
        assert zoo_target("torchvision", name, {}).inputs


def test_every_model_of_timm_has_a_default_input() -> None:
    for name in import_timm().list_models():
        assert shape(zoo_target("timm", name, {}))[:1] == (1,)


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)
    with torch.device("meta"):
        zoo_target("torchvision", "retinanet_resnet50_fpn", {}).build()
        zoo_target("timm", "resnet18", {}).build()


@pytest.mark.parametrize(
    ("zoo", "name", "arguments", "message", "hint"),
    [
        ("timm", "resnet51", {}, "timm has no model 'resnet51'", "timm:resnet50"),
        ("timm", "ResNet-50", {}, "timm has no model 'ResNet-50'", "timm:resnet50"),
        ("timm", "zzzzzzzz", {}, "timm has no model", "timm.list_models()"),
        ("timm", "", {}, "timm: needs the name of a model", "timm:resnet50"),
        ("timm", "hf-hub:a/b", {}, "names weights or a hub", "timm:NAME"),
        ("timm", "resnet50.a1_in1", {}, "no variant 'a1_in1'", "timm:resnet50.a1_in1k?"),
        ("timm", "resnet50", {"pretrained": True}, "would load weights", "leave pretrained out"),
        ("timm", "resnet50", {"img_size": 64}, "takes no argument 'img_size'", "num_classes"),
        ("torchvision", "resnet51", {}, "torchvision has no model", "torchvision:resnet50"),
        ("torchvision", "vit", {}, "torchvision has no model 'vit'", "torchvision:"),
        ("torchvision", "resnet50", {"weights": "DEFAULT"}, "would load weights", "weights out"),
        ("torchvision", "resnet50", {"widht": 64}, "takes no argument 'widht'", "num_classes"),
    ],
)
def test_errors(zoo: str, name: str, arguments: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(TargetError) as caught, torch.device("meta"):
        zoo_target(zoo, name, arguments).build()
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert hint in (caught.value.hint or "")


def test_constructor_that_raises() -> None:
    with pytest.raises(ModuleError, match="timm:resnet50 cannot be built: ") as caught:
        zoo_target("timm", "resnet50", {"output_stride": 7}).build()
    assert any("timm" in line for line in caught.value.details)


def test_explicit_refusal_of_weights_is_fine() -> None:
    with torch.device("meta"):
        assert zoo_target("timm", "resnet18", {"pretrained": False}).build()
        assert zoo_target("torchvision", "resnet18", {"weights": None}).build()


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_not_installed() -> None:
    out = run(
        "import sys; sys.modules['timm'] = None; sys.modules['torchvision'] = None\n"
        "from blocktool.targets.zoo import zoo_target\n"
        "from blocktool.errors import TargetError\n"
        "for zoo in ('timm', 'torchvision'):\n"
        "    try: zoo_target(zoo, 'resnet50', {})\n"
        "    except TargetError as e: print(e.message, '|', e.hint)\n"
        "print('torch' in sys.modules)\n"
    )
    hint = "is not installed | pip install timm torchvision, or the extra [zoo]"
    assert out.splitlines() == [f"timm {hint}", f"torchvision {hint}", "False"]


def test_torchvision_that_fails_for_another_reason(tmp_path: object) -> None:
    out = run(
        "import sys, importlib.abc\n"
        "class Finder(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'torchvision': raise RuntimeError('no luck')\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from blocktool.targets.zoo import zoo_target\n"
        "from blocktool.errors import TargetError\n"
        "try: zoo_target('torchvision', 'resnet50', {})\n"
        "except TargetError as e: print(e.message)\n"
    )
    assert out == "torchvision cannot be imported: RuntimeError: no luck"
