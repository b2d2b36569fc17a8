"""Models of timm and torchvision by name: the architecture only, never weights."""

from __future__ import annotations

import difflib
import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from blocktool.errors import ModuleError, TargetError
from blocktool.results.specs import TensorSpec
from blocktool.targets.loading import user_code_running
from blocktool.targets.target import Target
from blocktool.targets.user_code import describe_exception, user_frames
from blocktool.targets.zoo_packages import import_zoo

if TYPE_CHECKING:
    import torch

_WEIGHT_ARGUMENTS = {
    "timm": ("pretrained", "checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay"),
    "torchvision": ("weights", "weights_backbone"),
}
_SIZE_ARGUMENTS = ("img_size", "image_size", "input_size")


def zoo_target(zoo: str, name: str, arguments: Mapping[str, object]) -> Target:
    """The target for ``timm:NAME`` or ``torchvision:NAME``, without weights or any download.

    ``arguments`` go to the model's constructor. The default input is the one that the zoo gives
    for the model's own weights: timm's ``input_size``, torchvision's crop size. ``img_size``
    (``image_size`` in torchvision) and ``in_chans`` among the arguments change it.

    Raises TargetError where the zoo is not installed, has no model of that name, or is asked for
    weights.
    """
    for key in _WEIGHT_ARGUMENTS[zoo]:
        if arguments.get(key):
            raise TargetError(
                f"{zoo}:{name}: '{key}' would load weights, and only the architecture is built",
                hint=f"leave {key} out",
            )
    given = {key: value for key, value in arguments.items() if key not in _WEIGHT_ARGUMENTS[zoo]}
    package = import_zoo(zoo)
    if zoo == "timm":
        make, inputs = _timm(package, name, given)
    else:
        make, inputs = _torchvision(package, name, given)
    full_name = f"{zoo}:{name}"
    return Target(full_name, zoo, lambda: _build(full_name, make, given), inputs)


def _build(
    name: str, make: Callable[..., torch.nn.Module], arguments: Mapping[str, object]
) -> torch.nn.Module:
    try:
        with user_code_running(), warnings.catch_warnings():
            # What a zoo will change about its weights or its initialisation is not our user's
            # business: there are no weights here.
            warnings.simplefilter("ignore", FutureWarning)
            return make(**arguments)
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown and unknown[1] in arguments:
            raise TargetError(
                f"{name} takes no argument '{unknown[1]}'",
                hint="arguments go to the zoo's constructor, e.g. num_classes=10",
            ) from error
        raise _failed(name, error) from error
    except Exception as error:
        raise _failed(name, error) from error


def _failed(name: str, error: Exception) -> ModuleError:
    return ModuleError(
        f"{name} cannot be built: {describe_exception(error)}", details=user_frames(error)
    )


def _timm(
    timm: Any, name: str, arguments: Mapping[str, object]
) -> tuple[Callable[..., Any], tuple[TensorSpec, ...]]:
    # A name with a source in it ("hf-hub:...") would be looked up on the network.
    arch, _, tag = name.partition(".")
    if not timm.is_model(arch):
        raise _unknown("timm", name, timm.list_models())
    config = None
    try:
        config = timm.models.get_pretrained_cfg(name)
    except RuntimeError:
        tags = timm.list_models(f"{arch}.*", pretrained=True)
        close = difflib.get_close_matches(name, tags, n=1)
        raise TargetError(
            f"timm:{arch} has no variant '{tag}'",
            hint=f"did you mean timm:{close[0]}?" if close else f"write timm:{arch}",
        ) from None
    channels, *size = (config.input_size if config else None) or (3, 224, 224)
    wanted = arguments.get("in_chans")
    if type(wanted) is int and wanted > 0:
        channels = wanted
    spec = _spec(1, channels, *_resized(size, arguments))

    def make(**given: Any) -> Any:
        return timm.create_model(name, pretrained=False, **given)

    return make, (spec,)


def _torchvision(
    torchvision: Any, name: str, arguments: Mapping[str, object]
) -> tuple[Callable[..., Any], tuple[TensorSpec, ...]]:
    models = torchvision.models
    if name not in models.list_models():
        raise _unknown("torchvision", name, models.list_models())
    builder = models.get_model_builder(name)
    # The default of weights_backbone is a download.
    none = dict.fromkeys(
        key
        for key in inspect.signature(builder).parameters
        if key in _WEIGHT_ARGUMENTS["torchvision"]
    )

    def make(**given: Any) -> Any:
        return models.get_model(name, **none, **given)

    return make, _torchvision_inputs(models, builder, name, arguments)


def _torchvision_inputs(
    models: Any, builder: Callable[..., Any], name: str, arguments: Mapping[str, object]
) -> tuple[TensorSpec, ...]:
    """From the transforms of the default weights; where they set no size, the usual one."""
    weights = getattr(models.get_model_weights(name), "DEFAULT", None)
    transforms = getattr(getattr(weights, "transforms", None), "keywords", {})
    size = transforms.get("crop_size") or transforms.get("resize_size")
    kind = builder.__module__.split(".")[2]
    if kind == "optical_flow":  # two frames; sized as in torchvision's own example
        return _spec(1, 3, 520, 960, name="image1"), _spec(1, 3, 520, 960, name="image2")
    if kind == "vision_transformer":  # its weights may be for another size than the builder's
        size = 224
    if kind == "detection":
        fixed = re.search(r"(?<=[a-z_])(300|320)(?=_|$)", name)
        size = int(fixed[1]) if fixed else 800
    sides = [size, size] if isinstance(size, int) else list(size or (224, 224))
    sides = _resized(sides, arguments)
    if kind == "video":
        return (_spec(1, 3, 16, *sides),)
    return (_spec(1, 3, *sides),)


def _resized(size: list[int], arguments: Mapping[str, object]) -> list[int]:
    """The sides that the arguments ask for; the constructor refuses what is no size, not we."""
    for key in _SIZE_ARGUMENTS:
        value = arguments.get(key)
        asked = value if isinstance(value, list) else [value, value]
        sides = [side for side in asked if type(side) is int and side > 0]
        if len(asked) == len(sides) == 2:
            return sides
    return size


def _spec(*shape: int, name: str | None = None) -> TensorSpec:
    return TensorSpec(shape, name=name)


def _unknown(zoo: str, name: str, known: Iterable[str]) -> TargetError:
    names = list(known)
    if not name:
        return TargetError(f"{zoo}: needs the name of a model", hint=f"e.g. {zoo}:resnet50")
    if ":" in name or "/" in name:
        return TargetError(
            f"{zoo}:{name} names weights or a hub, and only architectures are built",
            hint=f"write {zoo}:NAME, e.g. {zoo}:resnet50",
        )
    wanted = name.lower().replace("-", "_")
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.7)
    close = close or [known_name for known_name in names if wanted in known_name][:3]
    listing = "timm.list_models()" if zoo == "timm" else "torchvision.models.list_models()"
    hint = f"{listing} names them"
    if close:
        hint = f"did you mean {' or '.join(f'{zoo}:{model}' for model in close)}?"
    return TargetError(f"{zoo} has no model '{name}'", hint=hint)
