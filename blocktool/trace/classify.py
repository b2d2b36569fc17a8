"""What kind of operation an aten overload is, read off its schema and tags where they say it.

A short table names the rest; what fits no class is ``uncovered`` and is reported as such.
"""

from __future__ import annotations

from typing import Any

import torch

from blocktool.results.trace import OpKind
from blocktool.trace import work
from blocktool.trace.formulas import MACS, Formula
from blocktool.trace.shapes import rule_for

MOVEMENT = frozenset(
    """
    clone copy copy_ _to_copy cat stack _chunk_cat index_select gather index _unsafe_index take
    scatter index_put _index_put_impl _unsafe_index_put index_copy masked_scatter masked_select
    masked_scatter_backward roll flip rot90 repeat repeat_interleave constant_pad_nd
    reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d reflection_pad1d_backward reflection_pad2d_backward
    reflection_pad3d_backward replication_pad1d_backward replication_pad2d_backward
    replication_pad3d_backward im2col col2im embedding embedding_dense_backward unfold_backward
    select_backward slice_backward slice_scatter select_scatter diagonal_scatter
    as_strided_scatter diag_embed pixel_shuffle pixel_unshuffle channel_shuffle block_diag
    nonzero nonzero_static _unsafe_masked_index _unsafe_masked_index_put_accumulate put resize
    resize_as set _reshape_copy _pin_memory to_padded_tensor _nested_tensor_from_mask
    unbind_copy split_copy split_with_sizes_copy expand_copy permute_copy view_copy _lazy_clone
    _mkldnn_transpose to_mkldnn _to_dense _pack_padded_sequence _pad_packed_sequence
    _cudnn_rnn_flatten_weight unsafe_split unsafe_split_with_sizes mkldnn_reorder_conv2d_weight
    """.split()
)
CREATION = frozenset(
    """
    empty empty_strided empty_like empty_permuted new_empty new_empty_strided zeros ones full
    zeros_like ones_like full_like new_zeros new_ones new_full arange range linspace logspace
    eye tril_indices triu_indices scalar_tensor fill zero hann_window hamming_window
    blackman_window bartlett_window kaiser_window _efficientzerotensor fft_fftfreq fft_rfftfreq
    lift _new_zeros_with_same_feature_meta
    """.split()
)
RANDOM = frozenset(
    """
    rand rand_like randn randn_like randint randint_like randperm normal uniform bernoulli
    exponential geometric cauchy log_normal random multinomial poisson binomial _standard_gamma
    normal_functional _philox_uniform _philox_normal
    """.split()
)
BOOKKEEPING = frozenset(
    """
    detach alias lift_fresh _local_scalar_dense is_same_size is_pinned record_stream
    _assert_async _functional_assert_async _assert_tensor_metadata _assert_scalar
    sym_constrain_range sym_constrain_range_for_size _print is_set_to _has_same_storage_numel
    _unsafe_view _reshape_alias _fused_sdp_choice _debug_has_internal_overlap _version
    _linalg_check_errors _foreach_copy _nested_tensor_size allclose sym_size sym_numel
    """.split()
)
_GATHERS = frozenset("embedding index_select gather index _unsafe_index take".split())
_BAGS = frozenset("_embedding_bag _embedding_bag_forward_only".split())
_ACCUMULATES = frozenset("index_add scatter_add scatter_reduce".split())
_SCATTERS = _ACCUMULATES | frozenset("index_put _index_put_impl index_copy scatter put".split())
_WRITE_ONLY = RANDOM | CREATION | {"copy"}


class OpTraits:
    """What the recorder must know of one overload; made once per overload and process."""

    __slots__ = (
        "accumulates",
        "bags",
        "composite",
        "gathers",
        "inplace",
        "kind",
        "macs",
        "memoizable",
        "mutated",
        "name",
        "overload",
        "returns_alias",
        "rule",
        "scatters",
        "silent",
        "work",
        "write_only",
    )

    def __init__(self, func: Any) -> None:
        schema = func._schema
        namespace, _, base = schema.name.partition("::")
        self.name: str = f"{namespace}.{base}"
        self.overload: str = schema.overload_name or "default"
        stem = base[:-1] if base.endswith("_") and not base.endswith("__") else base
        aliases = [argument.alias_info for argument in schema.arguments]
        self.mutated: tuple[int | str, ...] = tuple(
            argument.name if argument.kwarg_only else position
            for position, argument in enumerate(schema.arguments)
            if argument.alias_info is not None and argument.alias_info.is_write
        )
        returned = [result.alias_info for result in schema.returns]
        self.returns_alias = any(alias is not None and not alias.is_write for alias in returned)
        self.inplace = (
            self.mutated == (0,)
            and len(returned) == 1
            and returned[0] is not None
            and returned[0].is_write
            and torch.Tag.inplace_view not in func.tags
        )
        self.memoizable = (
            namespace in ("aten", "prims")
            and all(alias is None for alias in aliases)
            and torch.Tag.data_dependent_output not in func.tags
            and torch.Tag.dynamic_output_shape not in func.tags
        )
        self.composite = namespace == "aten" and _only_composite(func.name())
        self.kind, self.work = _kind_and_work(func, namespace, stem, self.returns_alias)
        self.macs: Formula | None = MACS.get(stem) if namespace == "aten" else None
        if self.macs is None and self.kind == "uncovered":
            self.macs = _registered_formula(func)
        if self.macs is not None:
            self.kind, self.work = "contraction", work.BESIDE_CONTRACTION.get(stem, work.nothing)
        self.silent = self.kind in ("view", "bookkeeping") or base.startswith("empty")
        self.write_only = stem in _WRITE_ONLY
        self.gathers = stem in _GATHERS
        self.bags = stem in _BAGS
        self.scatters = bool(self.mutated) and stem in _SCATTERS
        self.accumulates = stem in _ACCUMULATES
        writes_out = bool(self.mutated) and not self.inplace
        self.rule = None if writes_out else rule_for(self.name, inplace=self.inplace)


def _only_composite(name: str) -> bool:
    """Whether devices run an operation as its parts; a few have a kernel as well."""
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    return has_kernel(name, "CompositeImplicitAutograd") and not (
        has_kernel(name, "CPU") or has_kernel(name, "CUDA")
    )


def _kind_and_work(
    func: Any, namespace: str, stem: str, returns_alias: bool
) -> tuple[OpKind, work.Work]:
    if namespace in ("prim", "profiler"):
        return "bookkeeping", work.nothing
    if namespace not in ("aten", "prims"):
        return ("view", work.nothing) if returns_alias else ("uncovered", work.nothing)
    tables: tuple[tuple[OpKind, dict[str, work.Work]], ...] = (
        ("normalization", work.NORMALIZATION),
        ("pooling", work.POOLING),
        ("resampling", work.RESAMPLING),
        ("elementwise", work.TRANSFORM),
        ("elementwise", work.ELEMENTWISE),
    )
    names: tuple[tuple[OpKind, frozenset[str]], ...] = (
        ("bookkeeping", BOOKKEEPING),
        ("random", RANDOM),
        ("movement", MOVEMENT),
        ("creation", CREATION),
    )
    for kind, table in tables:
        if stem in table:
            return kind, table[stem]
    for kind, members in names:
        if stem in members:
            return kind, work.nothing
    if returns_alias or torch.Tag.inplace_view in func.tags:
        return "view", work.nothing
    if _pointwise(func, stem) and not _reduces(func, stem):
        return "elementwise", work.per_output()
    if stem in work.REDUCTION:
        return "reduction", work.REDUCTION[stem]
    if torch.Tag.reduction in func.tags:
        return "reduction", work.per_input()
    if stem.startswith(("_foreach_", "_fused_")):
        return "elementwise", work.every_tensor
    if namespace == "prims":
        return ("movement" if "convert" in stem else "uncovered"), work.nothing
    return "uncovered", work.nothing


def _pointwise(func: Any, stem: str) -> bool:
    """The tag, which some in-place variants lack while their base has it."""
    if torch.Tag.pointwise in func.tags:
        return True
    packet = getattr(torch.ops.aten, stem, None)
    return packet is not None and any(
        torch.Tag.pointwise in getattr(packet, overload).tags for overload in packet.overloads()
    )


def _reduces(func: Any, stem: str) -> bool:
    """``max`` and ``min`` are reductions unless they compare two tensors."""
    return stem in ("max", "min") and func._schema.overload_name not in ("other",)


def _registered_formula(func: Any) -> Formula | None:
    """A formula that somebody registered for this operation with
    ``torch.utils.flop_counter.register_flop_formula`` (it gives FLOPs)."""
    from torch.utils.flop_counter import flop_registry

    formula: Any = flop_registry.get(func._overloadpacket)
    if formula is None:
        return None
    return lambda args, kwargs, out: int(formula(*args, **kwargs, out_val=out)) // 2


_TRAITS: dict[Any, OpTraits] = {}


def traits_of(func: Any) -> OpTraits:
    """The traits of an ``OpOverload``, from a process-wide cache."""
    traits = _TRAITS.get(func)
    if traits is None:
        traits = OpTraits(func)
        if traits.kind != "uncovered":  # somebody may yet register a formula for it
            _TRAITS[func] = traits
    return traits
