"""Public networks beside ours under copied weights: SSR of nine stages, CPP-Net of nine stages and USRNet-tiny.

They are taken from checkouts named by the settings LORUN_SSR (its folder with Model.py), LORUN_CPP (with CPP.py) and
LORUN_USRNET (with models/network_usrnet_v1.py); the first two need einops. What is missing skips a test.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lorun_engine.instrument import Dispersion
from lorun_engine.networks.lora import AdapterSet
from lorun_engine.networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters
from lorun_engine.physics import LinearPhysics
from lorun_engine.tasks.cassi import CassiPhysics
from tests.engine.networks.operators import CircularBlur, OrthonormalBlocks, orthonormal_rows


@dataclass(frozen=True)
class Peer:
    """`theirs` computes the image of every stage of a public network from the `y` that `ours` takes with `physics`.

    `num_parameters` are those of theirs; `common` those of its operator, which ours does not have.
    """

    theirs: Callable[[], list[Tensor]]
    ours: UnfoldingNet
    y: Tensor
    physics: LinearPhysics
    num_parameters: int
    common: int = 0

    def images(self, net: UnfoldingNet) -> list[Tensor]:
        """Those of all stages of ours, executed as `net` is."""
        return [stage.image for stage in net.stages(self.y, self.physics)][1:]


def checkout(setting: str, file: str, *, needs: str = "") -> Path:
    """The file of a checkout; skips where it, the setting or a package is missing."""
    folder = os.environ.get(setting)
    if not folder or not (Path(folder) / file).is_file():
        pytest.skip(f"{setting} names no folder with {file}")
    if needs and importlib.util.find_spec(needs) is None:
        pytest.skip(f"{file} needs {needs}")
    return Path(folder) / file


def loaded(path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


Rules = Mapping[str, str | Callable[[re.Match], str]]  # patterns and their replacements, applied in turn


def renamed(name: str, rules: Rules) -> str:
    """The public name of our parameter `name`."""
    for pattern, replacement in rules.items():
        name = re.sub(pattern, replacement, name)
    return name


def fill(module: nn.Module, values: Mapping[str, Tensor], rules: Rules, *, prefix: str = "") -> None:
    """Copies the values of the public network into our parameters, found by the rules for their names."""
    for name, parameter in module.named_parameters():
        parameter.copy_(values[prefix + renamed(name, rules)].reshape(parameter.shape))


# ---- SSR ---------------------------------------------------------------------------------------------------------

_SSR_BLOCK = {
    "position": "pos",
    "norm_attention": "SARB.WSSA.norm",
    "attention": "SARB.WSSA.fn",
    "norm_feed": "SARB.FFN.norm",
    "feed.widen": "SARB.FFN.fn.net.0",
    "feed.depthwise": "SARB.FFN.fn.net.2",
    "feed.narrow": "SARB.FFN.fn.net.4",
    "rectify": "SRB",
}
_SSR_RECTIFY = {
    "norm_modulation": "CMB.norm",
    "modulation.to_context": "CMB.fn.to_a.0",
    "modulation.context": "CMB.fn.to_a.1",
    "modulation.to_value": "CMB.fn.to_v",
    "modulation.to_out": "CMB.fn.to_out",
    "norm_gate": "SAB.norm",
    "gate.to_feature": "SAB.fn.conv",
    "gate.estimate": "SAB.fn.Estimator.0",
    "gate.weigh": "SAB.fn.SW.0",
    "gate.to_out": "SAB.fn.out",
}
_SSR_UNIT = {
    "embed": "mask_embedding.cnn",
    "embed_mask": "mask_embedding.mask",
    "encode1": "down1",
    "down1": "downsample1",
    "encode2": "down2",
    "down2": "downsample2",
    "bottleneck": "bottleneck",
    "up2": "upsample2",
    "fuse2": "fusion2",
    "decode2": "up2",
    "up1": "upsample1",
    "fuse1": "fusion1",
    "decode1": "up1",
    "out": "out",
}
_SSR_ESTIMATOR = {"fuse": "fusion", "hidden1": "mlp.0", "hidden2": "mlp.2", "out": "mlp.4"}


def ssr_name(ours: str, stage: int) -> str:
    """SSR's name of our parameter of the denoiser of `stage` (from 1)."""

    def replaced(name: str, names: dict[str, str]) -> str:
        head = max((key for key in names if name == key or name.startswith(key + ".")), key=len, default=None)
        return name if head is None else names[head] + name[len(head) :]

    if ours.startswith("rectify."):
        return f"net_stage.{2 * stage - 1}.{replaced(ours.removeprefix('rectify.'), _SSR_RECTIFY)}"
    head, _, rest = ours.partition(".")
    if head in ("encode1", "encode2", "bottleneck", "decode1", "decode2"):
        inner = replaced(rest, _SSR_BLOCK)
        if inner.startswith("SRB."):
            inner = f"SRB.{replaced(inner.removeprefix('SRB.'), _SSR_RECTIFY)}"
        return f"net_stage.{2 * stage - 2}.{_SSR_UNIT[head]}.{inner}"
    return f"net_stage.{2 * stage - 2}.{_SSR_UNIT[head]}.{rest}"


@torch.no_grad()
def ssr(monkeypatch: pytest.MonkeyPatch, *, size: int, num_stages: int = 9) -> Peer:
    """SSR (Zhang et al., CVPR 2024) on a snapshot of `size` x `size` pixels and 28 bands."""
    module = loaded(checkout("LORUN_SSR", "Model.py", needs="einops"), "ssr_model", monkeypatch)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda tensor: tensor)  # SSR moves one tensor to the GPU by name
    torch.manual_seed(5)
    theirs = module.Net(types.SimpleNamespace(stage=num_stages, bands=28, size=size)).eval()
    for parameter in theirs.parameters():  # the public initialisation hides most layers behind weights of 0.02
        parameter.add_(0.02 * torch.randn_like(parameter))
    values = theirs.state_dict()

    config = NetworkConfig(
        28,
        num_stages,
        data_step="normalised-projection",
        estimated_step=True,
        initial="learned",
        num_blocks=num_stages,
    )
    backbone, steps = Backbone(config), new_step_parameters(config)
    backbone.initialiser.weight.copy_(values["initial.weight"])
    backbone.initialiser.bias.copy_(values["initial.bias"])
    for stage in range(1, num_stages + 1):
        for name, parameter in backbone.blocks[stage - 1].named_parameters():
            parameter.copy_(values[ssr_name(name, stage)])
        for ours, name in _SSR_ESTIMATOR.items():
            for kind in ("weight", "bias"):
                if f"{stage}/step/{ours}.{kind}" in steps:
                    value = values[f"rhos.{stage - 1}.{name}.{kind}"]
                    steps[f"{stage}/step/{ours}.{kind}"] = value.flatten(1) if kind == "weight" else value
        steps[f"{stage}/step/rho"] = values[f"rhos.{stage - 1}.bias"]
    mask = torch.rand(1, 28, size, size)[:, :1].expand(-1, 28, -1, -1).contiguous()
    physics = CassiPhysics(mask, Dispersion(28))
    y = physics.forward(torch.rand(1, 28, size, size))
    return Peer(
        lambda: list(theirs(y, (mask, physics.gram()))),
        UnfoldingNet(config, backbone, AdapterSet(num_stages, steps)),
        y,
        physics,
        sum(parameter.numel() for parameter in theirs.parameters()),
    )


# ---- CPP-Net -----------------------------------------------------------------------------------------------------

# our names to CPP-Net's: first what a layer is in, then the layer
_CPP_MIXER = {
    r"\.spatial\.": ".block.0.",
    r"\.norm\.": ".block.1.",
    r"\.widen\.": ".block.2.",
    r"\.narrow\.": ".block.4.",
    r"\.gate\.0": ".block.5.conv.1",
    r"\.gate\.2": ".block.5.conv.3",
}
_CPP_STAGE = {
    r"^rho$": "step",
    r"^gate\.": "thresh.",
    r"^threshold$": "lamda",
    r"^lift\.": "pre1.",
    r"^lift_dual\.": "pre2.",
    r"^down\.(\d)\.0": lambda found: f"down{int(found[1]) + 1}.0",
    r"^down\.(\d)\.1\.halve": lambda found: f"down{int(found[1]) + 1}.1",
    r"^down\.(\d)\.1\.norm": lambda found: f"down{int(found[1]) + 1}.2",
    r"^bottleneck\.": "mid.0.",
    r"^up\.(\d)\.0\.enlarge": lambda found: f"up{int(found[1]) + 1}.0",
    r"^up\.(\d)\.0\.norm": lambda found: f"up{int(found[1]) + 1}.1",
    r"^up\.(\d)\.1": lambda found: f"up{int(found[1]) + 1}.2",
    r"^modulate\.(\d)": lambda found: f"unitc{int(found[1]) + 4}",
    r"(unitc\d)\.norm\.": r"\1.ln1.",
    r"(unitc\d)\.norm_coarse\.": r"\1.ln3.",
    r"(unitc\d)\.norm_mixed\.": r"\1.ln2.",
    r"(unitc\d)\.gate_columns": r"\1.cat.q",
    r"(unitc\d)\.gate_rows": r"\1.cat.k",
    r"(unitc\d)\.value": r"\1.cat.v",
    r"(unitc\d)\.mix\.": r"\1.ff.0.",
    r"^fuse\.": "post1.",
    r"^out\.": "post2.",
    **_CPP_MIXER,
}
_CPP_HEAD = {
    r"^to_full\.": "pre.",
    r"^to_half\.halve": "down1.0",
    r"^to_half\.norm": "down1.1",
    r"^to_quarter\.0": "down2.0",
    r"^to_quarter\.1\.halve": "down2.1",
    r"^to_quarter\.1\.norm": "down2.2",
    r"^to_eighth\.0": "down3.0",
    r"^to_eighth\.1\.halve": "down3.1",
    r"^to_eighth\.1\.norm": "down3.2",
    **_CPP_MIXER,
}
_CPP_TAIL = {r"^mix\.": "post.", r"^out\.": "post.3.", **_CPP_MIXER}


@torch.no_grad()
def cpp(monkeypatch: pytest.MonkeyPatch, *, size: tuple[int, int], num_images: int, num_stages: int = 9) -> Peer:
    """CPP-Net (Guo and Gan, CVPR 2024) on samples of 25 % of grey pictures."""
    path = checkout("LORUN_CPP", "CPP.py", needs="einops")
    names = types.SimpleNamespace(trunc_normal_=nn.init.trunc_normal_, register_model=lambda function: function)
    for name in ("timm", "timm.models", "timm.models.layers", "timm.models.registry"):  # CPP.py takes two names of it
        monkeypatch.setitem(sys.modules, name, names)
    sampling = orthonormal_rows(256, 1024, torch.Generator().manual_seed(1))
    public = loaded(path, "cpp_network", monkeypatch)
    monkeypatch.setattr(public.CPP, "load_sampling_matrix", lambda network: sampling.numpy())
    torch.manual_seed(7)
    theirs = public.CPP(25, block_size=32, dim=32, depth=num_stages, reduction=8).eval()
    for name, parameter in theirs.named_parameters():  # the public start hides most layers behind weights of 0.02
        if name != "A":
            parameter.add_(0.05 * torch.randn_like(parameter))
    values = theirs.state_dict()

    settings = {"dual_branch": True, "transposed": True}
    config = NetworkConfig(
        1, num_stages, denoiser="dual-path", denoiser_settings=settings, data_step="primal-dual", num_blocks=num_stages
    )
    backbone, steps = Backbone(config), new_step_parameters(config)
    fill(backbone.head, values, _CPP_HEAD)
    fill(backbone.tail, values, _CPP_TAIL)
    for stage, block in enumerate(backbone.blocks, start=1):
        fill(block, values, _CPP_STAGE, prefix=f"iters.{stage - 1}.")
        if stage < num_stages:  # their delta updates the dual behind a stage, ours before one
            steps[f"{stage + 1}/step/delta"] = values[f"iters.{stage - 1}.delta"].reshape(1)
    scene = torch.rand(num_images, 1, *size)
    physics = OrthonormalBlocks(sampling, *size)
    seen: list[Tensor] = []  # every stage's image on its way into their next stage
    for module in theirs.iters:
        module.register_forward_hook(lambda module, arguments, outputs: seen.append(outputs[0]))

    def images() -> list[Tensor]:
        seen.clear()
        last = theirs(scene)
        return [*seen[:-1], last]

    ours = UnfoldingNet(config, backbone, AdapterSet(num_stages, steps))
    num_parameters = sum(parameter.numel() for parameter in theirs.parameters())
    return Peer(images, ours, physics.forward(scene), physics, num_parameters, sampling.numel())


# ---- USRNet ------------------------------------------------------------------------------------------------------

_USRNET = {
    r"^inlet": "m_head",
    r"^out": "m_tail",
    r"^bottleneck\.": "m_body.",
    r"^encode\.(\d)\.(\d)": lambda found: f"m_down{int(found[1]) + 1}.{found[2]}",
    r"^down\.(\d)": lambda found: f"m_down{int(found[1]) + 1}.2",
    r"^up\.(\d)": lambda found: f"m_up{int(found[1]) + 1}.0",
    r"^decode\.(\d)\.(\d)": lambda found: f"m_up{int(found[1]) + 1}.{int(found[2]) + 1}",
    r"\.first": ".res.0",
    r"\.second": ".res.2",
}
_USRNET_HYPER = {"hidden1": "h.mlp.0", "hidden2": "h.mlp.2", "out": "h.mlp.4"}


@torch.no_grad()
def usrnet(
    monkeypatch: pytest.MonkeyPatch, *, scale: int, size: tuple[int, int], num_images: int, num_stages: int = 6
) -> Peer:
    """USRNet-tiny (Zhang, Van Gool and Timofte, CVPR 2020) on low-resolution pictures of `size` pixels."""
    path, sigma = checkout("LORUN_USRNET", "models/network_usrnet_v1.py"), 0.02
    monkeypatch.syspath_prepend(str(path.parents[1]))
    monkeypatch.setitem(sys.modules, "utils", types.SimpleNamespace(utils_image=None))  # imported, never used
    monkeypatch.delitem(sys.modules, "models", raising=False)
    public = loaded(path, "usrnet_network", monkeypatch)
    torch.manual_seed(8)
    theirs = public.USRNet(n_iter=num_stages, h_nc=32, nc=[16, 32, 64, 64], nb=2).eval()
    values = theirs.state_dict()

    config = NetworkConfig(3, num_stages, denoiser="resunet", data_step="usrnet")
    backbone, steps = Backbone(config), new_step_parameters(config)
    fill(backbone.blocks[0], values, _USRNET, prefix="p.")
    for ours, public_name in _USRNET_HYPER.items():
        for kind in ("weight", "bias"):
            value = values[f"{public_name}.{kind}"]
            steps[f"common/step/{ours}.{kind}"] = value.reshape(steps[f"common/step/{ours}.{kind}"].shape)
    kernel = torch.rand(25, 25, generator=torch.Generator().manual_seed(9))
    kernel /= kernel.sum()
    physics = CircularBlur(kernel, scale, size[0] * scale, size[1] * scale, noise=sigma)
    y = torch.rand(num_images, 3, *size)
    seen: list[Tensor] = []
    theirs.p.register_forward_hook(lambda module, arguments, output: seen.append(output))

    def images() -> list[Tensor]:
        seen.clear()
        theirs(y, kernel.expand(num_images, 1, 25, 25), scale, torch.full((num_images, 1, 1, 1), sigma))
        return list(seen)

    net = UnfoldingNet(config, backbone, AdapterSet(num_stages, steps))
    return Peer(images, net, y, physics, sum(parameter.numel() for parameter in theirs.parameters()))
