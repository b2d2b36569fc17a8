"""Count architectures of timm with fvcore as well, and show whether any difference is unexplained.

python tests/benchmarks/cross_check_sweep.py -o sweep.md
python tests/benchmarks/cross_check_sweep.py resnet50 vit_base_patch16_224
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import output_option, say, table, versions, write
from zoo_stub import import_timm

from blocktool.analysis.cross_check import cross_check
from blocktool.results.cross_check import CrossCheck
from blocktool.trace.second_opinion import second_opinion
from blocktool.trace.tracer import trace

MODELS = """
beit_base_patch16_224 botnet26t_256 caformer_s18 cait_xxs24_224 coatnet_nano_rw_224 convformer_s18
convit_tiny convmixer_768_32 convnext_tiny crossvit_tiny_240 csatv2 cspresnet50 davit_tiny
deit_tiny_distilled_patch16_224 densenet121 dla34 dpn48b edgenext_xx_small efficientformer_l1
efficientnet_b0 efficientvit_b0 efficientvit_m0 eva02_tiny_patch14_224 fasternet_t0 fastvit_t8
focalnet_tiny_srf gcvit_xxtiny gernet_s ghostnetv2_100 halonet26t hardcorenas_a hiera_tiny_224
hrnet_w18_small inception_next_atto inception_v3 lambda_resnet26t lcnet_035 levit_128s
mambaout_femto maxvit_nano_rw_256 mixer_s16_224 mobilenetv2_100 mobilenetv3_small_050
mobilenetv4_hybrid_medium mobilevit_xxs mobilevitv2_050 mvitv2_tiny naflexvit_base_patch16_gap
nest_tiny nextvit_small nfnet_l0 pit_ti_224 poolformer_s12 pvt_v2_b0 rdnet_tiny regnety_002
repghostnet_050 repvgg_a0 resnest14d resnet50 resnetv2_50x1_bit rexnet_100 samvit_base_patch16_224
selecsls42b sequencer2d_s shvit_s1 skresnet18 starnet_s1 swiftformer_xs
swin_tiny_patch4_window7_224 swinv2_cr_tiny_224 swinv2_tiny_window8_256 tf_efficientnet_b0
tiny_vit_5m_224 tnt_s_patch16_224 twins_pcpvt_small visformer_tiny vit_base_patch16_224
vit_base_patch16_rope_224 vit_small_patch16_224 vit_small_r26_s32_224
vit_srelpos_small_patch16_224 vitamin_small_224 volo_d1_224 vovnet39a xception41
xcit_nano_12_p8_224
""".split()
"""One or two of most families."""


def check(name: str) -> CrossCheck:
    """Both counts of one model, at its own input size."""
    module = import_timm().create_model(name)
    inputs = (1, *module.default_cfg["input_size"])
    return cross_check(trace(module, inputs), second_opinion(module, inputs))


def row(name: str, found: CrossCheck) -> tuple[object, ...]:
    """One line of the table."""
    if found.theirs is None:
        return name, f"{found.ours:,}", "-", "-", found.unavailable
    causes = ", ".join(f"{cause.name} {cause.macs:+,}" for cause in found.causes)
    rest = found.unexplained or ("cancels" if found.unexplained_modules else 0)
    return name, f"{found.ours:,}", f"{found.theirs:,}", rest, causes


def main() -> None:
    """Run the sweep and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="names; left out, a selection of families")
    output_option(parser)
    options = parser.parse_args()
    rows = []
    for name in options.models or MODELS:
        rows.append(row(name, check(name)))
        say(" ".join(map(str, rows[-1])))
    header = ("Model", "MACs here", "MACs by fvcore", "Unexplained", "Causes")
    write(f"{versions('torch', 'timm', 'fvcore')}\n\n{table(header, rows)}\n", options.output)


if __name__ == "__main__":
    main()
