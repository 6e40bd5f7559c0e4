"""A trained model: backbone + adapter set + configs, and the files they are kept in.

A backbone file and an adapter file are safetensors files with a card in the header (see `cards`). A set names the hash
of the backbone it belongs to and is refused on any other.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from .. import __version__
from ..decoder import CITATION, Decoder, Stage, StartStep, returned
from ..decoding.execution import PATHS, PRECISIONS, Execution, Tile
from ..errors import LorunError, ModelError
from ..instrument import RANGE_SLACK_NM
from ..io import replacing
from ..measurement import Measurement, require_rising
from ..networks.lora import AdapterSet, is_step, new_adapters
from ..networks.unfilled import unfilled
from ..networks.unfolding import (
    Backbone,
    DenoiserView,
    NetworkConfig,
    NetworkStage,
    PassedOn,
    UnfoldingNet,
    new_step_parameters,
)
from ..physics import Physics
from ..schema import read
from ..task import STAGE, TASKS
from ..tasks.gap_tv import GapTv
from .cards import Card, backbone_of, card_text, cards_in, content_hash, read_card, reason_against
from .quickest import quickest

SAME_BANDS_NM = 1.0  # the two 28-band lists in circulation differ by less
FEWEST_BANDS, MOST_BANDS = 8, 64


@dataclass(frozen=True)
class Model:
    """A decoder with weights. `card` holds what its files say: task_config with wavelengths_nm, input_scale, training.

    `view` is set by `fitted` where a capture has other bands or another dispersion than the set was trained on; `notes`
    says so. What `execution` leaves open is chosen for the first image (see `quickest`).
    """

    name: str
    task: str
    net: UnfoldingNet
    card: Mapping[str, Any] = field(default_factory=dict)
    view: DenoiserView | None = None
    notes: tuple[str, ...] = ()
    execution: Execution = Execution()
    step_name: ClassVar[str] = STAGE
    citation: ClassVar[str] = CITATION

    @property
    def num_stages(self) -> int:
        """K."""
        return self.net.config.num_stages

    @property
    def adapters(self) -> AdapterSet:
        """The set in use."""
        return self.net.adapters

    @property
    def wavelengths_nm(self) -> np.ndarray | None:
        """The band centres the network was trained on."""
        wavelengths = self.card.get("task_config", {}).get("wavelengths_nm")
        return None if wavelengths is None else np.asarray(wavelengths, dtype=np.float64)

    def with_adapters(self, adapters: AdapterSet) -> Self:
        """The model with another set of the same backbone, e.g. a scaled or ablated one."""
        return replace(self, net=replace(self.net, adapters=adapters))

    def running(self, *, precision: str = "float32", path: str = "plain", tile: Tile = "auto") -> Self:
        """The model executed another way: `precision` and `path` as `decoding.execution` has them.

        `tile` says how many rows the network sees at once (see `networks.strips`).
        """
        if precision not in PRECISIONS or path not in PATHS:
            raise LorunError(
                f"The precision {precision!r} with the path {path!r} is not known; precisions are "
                f"{', '.join(PRECISIONS)}, paths {', '.join(PATHS)}."
            )
        execution = Execution(precision, path)
        net = self.net if execution.is_open else self.net.executed(execution)
        return replace(self, net=replace(net, tile=tile), execution=execution)

    def sparing(self) -> Self | None:
        """The model whose network sees few rows at a time; None where it must see all (see `networks.strips`)."""
        reach = self.net.config.reach
        if reach is None or self.net.tile == reach.margin:
            return None
        return replace(self, net=replace(self.net, tile=reach.margin))

    def input_scale(self, measurement: Measurement) -> float:
        """The factor a of the engine's input a*y by the set's rule: "exposure" brings the scene to the 0..1 scale."""
        return 1.0 if self.card.get("input_scale", "exposure") == "none" else GapTv().input_scale(measurement)

    def fitted(self, measurement: Measurement) -> Self:
        """This model for the measurement's bands and dispersion; a ModelError where it was trained for others."""
        to, back, notes = self._band_maps(measurement)
        physics, task_config = measurement.physics, self.card.get("task_config", {})
        if misfit := physics.misfit(self.name, task_config, self.adapters.sampling):
            raise ModelError(misfit)
        if caution := physics.caution(self.name, task_config):
            notes += (caution,)
        transposed, mirrored = physics.is_transposed, physics.is_mirrored
        if to is None and not (transposed or mirrored):
            return replace(self, view=None, notes=notes)
        return replace(self, view=DenoiserView(to, back, transposed, mirrored), notes=notes)

    def _band_maps(self, measurement: Measurement) -> tuple[Tensor | None, Tensor | None, tuple[str, ...]]:
        """The maps to the set's bands and back, None where the bands are the set's, and what there is to say."""
        num_bands, own = measurement.physics.scene_shape[0], self.wavelengths_nm
        theirs = measurement.wavelengths_nm
        if own is None or theirs is None:
            if num_bands == self.net.config.channels:
                return None, None, () if own is None else (self._band_assumption(own),)
            if TASKS[self.task].is_photograph and num_bands == 1:  # a grey picture through a network for colour
                channels, light = self.net.config.channels, torch.eye(measurement.physics.num_lights)
                to, back = torch.ones(channels, 1), torch.full((1, channels), 1 / channels)
                return torch.block_diag(to, light), torch.block_diag(back, light), ()
            raise ModelError(
                f"The measurement has {num_bands} channels without wavelengths; {self.name} was trained on "
                f"{self.net.config.channels}. Give --wavelengths, or choose another decoder."
            )
        if len(theirs) == len(own) and np.abs(theirs - own).max() <= SAME_BANDS_NM:
            return None, None, ()
        low, high = own.min() - RANGE_SLACK_NM, own.max() + RANGE_SLACK_NM
        if theirs.min() < low or theirs.max() > high or not FEWEST_BANDS <= len(theirs) <= MOST_BANDS:
            raise ModelError(
                f"The measurement has {len(theirs)} bands from {theirs.min():g} to {theirs.max():g} nm; {self.name} "
                f"takes {FEWEST_BANDS} to {MOST_BANDS} bands from {low:g} to {high:g} nm. Decode with gap-tv, or train "
                "a set for these bands."
            )
        note = (
            f"{self.name} was trained on {len(own)} bands from {own.min():g} to {own.max():g} nm; its corrections are "
            f"resampled to the measurement's {len(theirs)} bands from {theirs.min():g} to {theirs.max():g} nm."
        )
        return interpolation(theirs, own), interpolation(own, theirs), (note,)

    def _band_assumption(self, own: np.ndarray) -> str:
        return (
            f"The measurement states no wavelengths; {self.name} takes its bands for those from {own[0]:g} to "
            f"{own[-1]:g} nm, in this order. Give --wavelengths if they are others or run the other way."
        )

    def stages(self, y: Tensor, physics: Physics, *, num_stages: int) -> Iterator[Stage]:
        """Stage 0 (the initial estimate), then one Stage per stage, on the device of y."""
        self.require(num_stages, physics)
        start = returned(self.start(y, physics))
        yield start
        yield from self.stages_after(start, y, physics, num_stages=num_stages)

    def require(self, num_stages: int, physics: Physics) -> None:
        """Raises a ModelError where the network cannot run so many stages, or not with this physics."""
        self.net.require(num_stages, physics)

    def on(self, device: str) -> Self:
        """The model on another device."""
        net = self.net.to(torch.device(device))
        return self if net is self.net else replace(self, net=net)

    def depends_on(self, stage: int) -> tuple[object, ...]:
        """Of the start the method and what it knows of spectra; then the backbone, and what each stage adds to it."""
        net, adapters = self.net, self.adapters
        if not stage:
            return net.start_depends_on(self.view)
        own = {key: tensor for key, tensor in adapters.tensors.items() if key.startswith(f"{stage}/")}
        if stage > 1:
            return own, adapters.scales[stage - 1]
        shared = asdict(net.config), net.backbone.state_dict(), adapters.common_parameters(), self.view
        return *shared, *self.execution, net.tile, own, adapters.scales[0]

    def start(self, y: Tensor, physics: Physics) -> Generator[StartStep, None, Stage]:
        """Yields the iterations of the initial estimate; returns stage 0."""
        start = yield from self.net.to(y.device).starting(y, physics, view=self.view)
        return Stage(0, start.image, method=self.net.start_method(physics), passed_on=PassedOn(start.variance))

    def stages_after(self, reached: Stage, y: Tensor, physics: Physics, *, num_stages: int) -> Iterator[Stage]:
        """The stages behind one that was reached, up to `num_stages`."""
        net, before = self.net.to(y.device), NetworkStage(reached.index, reached.image, reached.passed_on)
        execution = self.execution
        if execution.is_open:
            seen = reached.image if self.view is None else self.view.seen(reached.image)
            execution = quickest(net, seen, execution)
            net = net.executed(execution)
        stages = net.stages_after(before, y, physics, num_stages=num_stages, view=self.view)
        del reached, before
        for stage in stages:
            numbers = {name: float(value.mean()) for name, value in stage.parameters.items()}
            found = Stage(
                stage.index,
                stage.image,
                stage.denoiser_input,
                numbers,
                passed_on=stage.passed_on,
                executed=(execution.precision, execution.path),
            )
            del stage  # no image is kept longer than it is needed
            yield found
            del found


@dataclass(frozen=True)
class DecoderEntry:
    """A decoder one can choose: its name for `--adapter`, its task, and its card; `card` is None without weights."""

    name: str
    task: str
    card: Card | None = None


def list_decoders(library: Sequence[Path], *, task: str | None = None) -> list[DecoderEntry]:
    """The adapter sets of the library whose backbone is there too, then the decoders without weights."""
    cards = list(cards_in(library))
    backbones = {card.hash for card in cards if card.kind == "backbone"}
    entries = [
        DecoderEntry(card.name, card.task, card)
        for card in cards
        if card.kind == "adapters" and card.fields.get("backbone_hash") in backbones
    ]
    entries += [DecoderEntry(name, known.name) for known in TASKS.values() for name in known.decoders_at]
    return [entry for entry in entries if task is None or entry.task == task]


def open_decoder(name: str, *, library: Sequence[Path], task: str | None = None) -> Decoder:
    """The decoder `name`: one without weights, a set of the library, or an adapter file."""
    for known in TASKS.values():
        if name in known.decoders_at and task in (None, known.name):
            return known.decoders[name]
    path = Path(name)
    if path.suffix == ".safetensors" or path.is_file():
        return load_model(path, library=library)
    for card in cards_in(library):
        if card.kind == "adapters" and card.name == name and task in (None, card.task):
            return load_model(card.path, library=library)
    if reason := reason_against(name, library):
        raise ModelError(reason)
    names = ", ".join(entry.name for entry in list_decoders(library, task=task))
    suffix = f" for {task}" if task else ""
    raise LorunError(
        f"The adapter set {name!r} is not known; there is {names or 'none'}{suffix}. Choose one, or give a file."
    )


def load_model(path: Path, *, library: Sequence[Path] = ()) -> Model:
    """The model of an adapter file; its backbone is looked for beside the file and in the library, by its hash."""
    card = read_card(path)
    return assemble(card, backbone_of(card, library))


def assemble(adapters_card: Card, backbone_card: Card) -> Model:
    """The model of one adapter file and one backbone file; refused when the set belongs to another backbone."""
    backbone_tensors, backbone_hash = load_tensors(backbone_card)
    fields = adapters_card.fields
    if fields["backbone_hash"] != backbone_hash:
        raise ModelError(
            f"{adapters_card.path.name} belongs to the backbone {fields['backbone_hash'][:12]}; "
            f"{backbone_card.path.name} is {backbone_hash[:12]}. Choose the set's own backbone."
        )
    tensors, _ = load_tensors(adapters_card)
    config = network_config(fields["network"])
    with unfilled():
        backbone = Backbone(config)
    try:
        backbone.load_state_dict(backbone_tensors, assign=True)
    except RuntimeError as error:
        raise ModelError(
            f"{backbone_card.path.name} does not hold the tensors of the network {config.denoiser} that "
            f"{adapters_card.path.name} describes. The file is damaged; get it again."
        ) from error
    adapters = AdapterSet(config.num_stages, {k: t.float() for k, t in tensors.items()}, gamma=fields.get("gamma"))
    require_fit(adapters, backbone, config, source=adapters_card.path.name)
    net = UnfoldingNet(config, backbone.requires_grad_(False), adapters)
    return Model(adapters_card.name, adapters_card.task, net, card=fields)


def require_fit(adapters: AdapterSet, backbone: Backbone, config: NetworkConfig, *, source: str) -> None:
    """Refuses a set with tensors that the network of `config` has no place for, or without numbers that it needs."""
    with unfilled():
        steps = new_step_parameters(config)
    wrong = adapters.misfit({**backbone.block_weights(1), **steps})
    if wrong or (missing := set(steps) - set(adapters.tensors)):
        raise ModelError(
            f"{source} does not fit the network that it describes: {wrong or ', '.join(sorted(missing))}. "
            "The file is damaged; get it again."
        )


def load_tensors(card: Card) -> tuple[dict[str, Tensor], str]:
    """The tensors of a weights file and their hash, which must be the stated one."""
    try:
        tensors = load_file(card.path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{card.path} is damaged ({error}). Get the file again.") from error
    found = tensor_hash(_hashed_fields(card.kind, card.fields), tensors)
    if found != card.hash:
        raise ModelError(
            f"{card.path} holds other numbers than its card states (hash {found[:12]}, stated {card.hash[:12]}). "
            "The file was changed or damaged; get it again."
        )
    return tensors, found


def save_backbone(
    path: Path, backbone: Backbone, config: NetworkConfig, *, task: str, training: Mapping[str, Any]
) -> str:
    """Writes a backbone file and returns its hash."""
    fields = {"task": task, "network": backbone_fields(config), "training": dict(training)}
    return _save(path, "backbone", fields, backbone.state_dict())


def save_adapters(path: Path, model: Model, *, backbone_hash: str, half: bool = False) -> str:
    """Writes the model's set (its scales multiplied in) with its card and returns its hash.

    With `half` differences and factors take 16 bits; data-step parameters and Phi keep 32.
    """
    adapters = model.adapters.baked()
    if half:
        adapters = adapters.mapped({k: t if is_step(k) else t.half() for k, t in adapters.tensors.items()})
    fields = {
        **model.card,
        "task": model.task,
        "network": asdict(model.net.config),
        "backbone_hash": backbone_hash,
        "gamma": adapters.gamma,
        "stages": adapters.num_stages,
        "num_parameters": adapters.num_parameters,
    }
    return _save(path, "adapters", fields, adapters.tensors)


def backbone_hash(backbone: Backbone, config: NetworkConfig) -> str:
    """The hash a file of this backbone would state."""
    return tensor_hash({"kind": "backbone", "network": backbone_fields(config)}, backbone.state_dict())


def backbone_fields(config: NetworkConfig) -> dict[str, Any]:
    """The part of a network's configuration that its backbone depends on: channels, denoiser, common parts.

    The stages belong to it where its tail joins them.
    """
    fields = asdict(config)
    tail = {"num_stages": config.num_stages} if config.has_tail else {}
    return {
        **tail,
        "channels": fields["channels"],
        "denoiser": fields["denoiser"],
        "denoiser_settings": fields["denoiser_settings"],
        "learned_initial": config.initial == "learned",
        "num_blocks": fields["num_blocks"],
    }


def network_config(fields: Mapping[str, Any]) -> NetworkConfig:
    """The NetworkConfig of a card; a sentence where this version does not know a field."""
    return read(NetworkConfig, fields, source="The network of the file", remedy="Update LoRun.", error=ModelError)


def count_parameters(
    config: NetworkConfig, *, gamma: float | None = None, sampling: tuple[int, int] | None = None
) -> int:
    """Parameters of an instantiated network: backbone and data steps, with a gamma adapters, a learned Phi (M, N)."""
    with unfilled():
        backbone = Backbone(config)
        stored = [*backbone.parameters(), *new_step_parameters(config).values()]
        if gamma is not None:
            adapters = new_adapters(backbone.blocks[0], num_stages=config.num_stages, gamma=gamma)
            stored += adapters.tensors.values()
        if sampling is not None:
            stored.append(torch.empty(sampling))
    return sum(tensor.numel() for tensor in stored)


def interpolation(own_nm: np.ndarray, wanted_nm: np.ndarray) -> Tensor:
    """(len(wanted), len(own)): linear interpolation in wavelength, constant beyond the ends; both lists rise."""
    for wavelengths_nm in (own_nm, wanted_nm):
        require_rising(wavelengths_nm, "bands")
    rows = [np.interp(wanted_nm, own_nm, unit) for unit in np.eye(len(own_nm))]
    return torch.from_numpy(np.stack(rows, axis=1).astype(np.float32))


def tensor_hash(configuration: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """`cards.content_hash` of tensors."""
    entries = (
        (name, str(t.dtype), tuple(t.shape), t.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        for name, t in tensors.items()
    )
    return content_hash(configuration, entries)


def _hashed_fields(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a hash covers beside the tensors: what the numbers mean, not who made them when."""
    names = ("network",) if kind == "backbone" else ("task", "task_config", "network", "backbone_hash", "input_scale")
    return {"kind": kind, **{name: fields.get(name) for name in names if name in fields}}


def _save(path: Path, kind: str, fields: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    stored = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    digest = tensor_hash(_hashed_fields(kind, fields), stored)
    card = card_text(kind, {**fields, "hash": digest, "engine_version": __version__})
    with replacing(path) as temporary:
        temporary.write_bytes(save(stored, metadata={"card": card}))
    return digest
