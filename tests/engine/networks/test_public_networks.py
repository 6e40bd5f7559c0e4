"""Equality with two public networks under copied weights: CPP-Net of nine stages and USRNet-tiny.

They run beside checkouts named by the settings LORUN_CPP (its folder with CPP.py) and LORUN_USRNET (its folder with
models/network_usrnet_v1.py).
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lorun_engine.networks.lora import AdapterSet
from lorun_engine.networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters
from tests.engine.networks.operators import CircularBlur, OrthonormalBlocks, orthonormal_rows


def checkout(setting: str, file: str) -> Path:
    """The file of a checkout; skips where it or the setting is missing."""
    folder = os.environ.get(setting)
    if not folder or not (Path(folder) / file).is_file():
        pytest.skip(f"{setting} names no folder with {file}")
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
def test_nine_stages_with_copied_weights_agree_with_the_public_cpp_network(monkeypatch):
    path, num_stages = checkout("LORUN_CPP", "CPP.py"), 9
    if importlib.util.find_spec("einops") is None:
        pytest.skip("CPP.py needs einops")
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
    ours = UnfoldingNet(config, backbone, AdapterSet(num_stages, steps))
    assert sum(p.numel() for p in backbone.parameters()) + num_stages + sampling.numel() == sum(
        p.numel() for p in theirs.parameters()
    )

    scene = torch.rand(2, 1, 64, 96)
    physics = OrthonormalBlocks(sampling, 64, 96)
    seen = []  # every stage's image on its way into their next stage
    for module in theirs.iters:
        module.register_forward_hook(lambda module, arguments, outputs: seen.append(outputs[0]))
    expected = theirs(scene)
    found = [stage.image for stage in ours.stages(physics.forward(scene), physics)]
    for image, reference in zip(found[1:], [*seen[:-1], expected], strict=True):
        assert (image - reference).abs().max() <= 1e-5 * reference.abs().max()


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
@pytest.mark.parametrize("scale", [2, 3])
def test_six_stages_with_copied_weights_agree_with_the_public_usrnet_tiny(monkeypatch, scale):
    path, num_stages, sigma = checkout("LORUN_USRNET", "models/network_usrnet_v1.py"), 6, 0.02
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
    net = UnfoldingNet(config, backbone, AdapterSet(num_stages, steps))
    assert sum(p.numel() for p in backbone.parameters()) + sum(t.numel() for t in steps.values()) == sum(
        p.numel() for p in theirs.parameters()
    )

    kernel = torch.rand(25, 25, generator=torch.Generator().manual_seed(9))
    kernel /= kernel.sum()
    physics = CircularBlur(kernel, scale, 14 * scale, 18 * scale, noise=sigma)  # no multiple of the coarsest cell
    y = torch.rand(2, 3, 14, 18)
    seen = []
    theirs.p.register_forward_hook(lambda module, arguments, output: seen.append(output))
    theirs(y, kernel.expand(2, 1, 25, 25), scale, torch.full((2, 1, 1, 1), sigma))
    for stage in net.stages(y, physics):
        if stage.index:
            reference = seen[stage.index - 1]
            assert (stage.image - reference).abs().max() <= 1e-5 * reference.abs().max()
