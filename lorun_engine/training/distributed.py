"""Training in several processes, on one computer or many, as `torchrun` starts them.

Every process draws the same batch, computes the gradients of its own part, and adds up those of all: the steps are
those of one process with the same batch. The first process writes the files and reports.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as distributed
from torch import Tensor

from ..errors import LorunError


@dataclass(frozen=True)
class Team:
    """The processes of a training: this one is number `rank` of `size`, and computes on `device`."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def leads(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def add_up(self, loss: float, tensors: Sequence[Tensor]) -> float:
        """Adds the tensors of all processes in place; returns the sum of their losses."""
        if self.size == 1:
            return loss
        total = torch.tensor([loss], dtype=torch.float64, device=tensors[0].device)
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with _together():
            for value in (total, flat):
                distributed.all_reduce(value)
        for tensor, summed in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(summed.view_as(tensor))
        return float(total)

    def largest(self, number: int) -> int:
        """The largest of the numbers that the processes have; all of them must come here."""
        if self.size == 1:
            return number
        known = torch.tensor([number], device=self.device)
        with _together():
            distributed.all_reduce(known, distributed.ReduceOp.MAX)
        return int(known)

    def decided(self, number: int) -> int:
        """What the first process has, for all; numbers are from 0."""
        return self.largest(number if self.leads else 0)

    def wait(self) -> None:
        """Returns once all processes have come here."""
        if self.size > 1:
            with _together():
                distributed.barrier()


@contextmanager
def _together() -> Iterator[None]:
    """A meeting of all processes; a sentence where another one does not come any more."""
    try:
        yield
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise LorunError(
            f"Another process of this training has ended ({reason}). Look at what it said, then resume with all."
        ) from error


ALONE = Team()


def join_team(device: str) -> tuple[Team, str]:
    """The team that `torchrun` announces, and this process's own device; one process alone where it announces none."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE, device
    if device.startswith("cuda"):
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Team(distributed.get_rank(), distributed.get_world_size(), device), device


def require_batch(batch: int, team: Team) -> None:
    """Refuses a batch with fewer samples than there are processes."""
    if batch < team.size:
        raise LorunError(
            f"{team.size} processes share batches of {batch} samples; at least one sample a process is needed. "
            "Raise the recipe's batch or start fewer processes."
        )
