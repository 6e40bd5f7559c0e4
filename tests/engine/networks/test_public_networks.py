"""Equality with public networks under copied weights, beside checkouts of them (see `peers`)."""

from __future__ import annotations

import pytest
import torch

from tests.engine.networks.peers import Peer, cpp, ssr, usrnet


@torch.no_grad()
def require_equal(peer: Peer) -> None:
    for image, reference in zip(peer.images(peer.ours), peer.theirs(), strict=True):
        assert (image - reference).abs().max() <= 1e-5 * reference.abs().max()


def own_parameters(peer: Peer) -> int:
    steps = peer.ours.adapters.tensors.values()
    return sum(p.numel() for p in peer.ours.backbone.parameters()) + sum(tensor.numel() for tensor in steps)


def test_nine_stages_with_copied_weights_agree_with_the_public_ssr_network(monkeypatch):
    require_equal(ssr(monkeypatch, size=64))


def test_nine_stages_with_copied_weights_agree_with_the_public_cpp_network(monkeypatch):
    peer = cpp(monkeypatch, size=(64, 96), num_images=2)
    require_equal(peer)
    assert own_parameters(peer) + peer.common == peer.num_parameters


@pytest.mark.parametrize("scale", [2, 3])
def test_six_stages_with_copied_weights_agree_with_the_public_usrnet_tiny(monkeypatch, scale):
    peer = usrnet(monkeypatch, scale=scale, size=(14, 18), num_images=2)  # no multiple of the coarsest cell
    require_equal(peer)
    assert own_parameters(peer) == peer.num_parameters
