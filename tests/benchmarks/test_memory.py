"""What decodes take at most beside what was opened, and what was predicted: `pytest -m benchmark -s` prints a table.

Every decode runs in a process of its own, as memory that one has had stays with it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much a process has had since it asked"),
]
LIBRARY = Path(__file__).resolve().parents[2] / "resources" / "weights"
CASES = [  # task, decoder, pixels a side of the scene, stages
    ("cassi", "gap-tv", 1024, 2),
    ("cassi", "subspace-tv", 660, 16),
    ("cassi", "cassi-any-mask", 512, 4),
    ("cassi", "cassi-any-mask", 660, 4),
    ("cassi", "cassi-any-mask", 1024, 4),
    ("cassi", "cassi-any-mask", 2048, 4),
    ("cassi", "cassi-tsa-real", 660, 2),
    ("cs", "cs-10", 1056, 2),
    ("sr", "sr-x2", 1024, 2),
    ("sr", "sr-x2", 2048, 2),
    ("sr", "tikhonov", 1024, 1),
    ("lowlight", "lowlight", 1024, 2),
    ("lowlight", "retinex", 1024, 1),
]

DECODE = """
import sys
from pathlib import Path
import torch
from lorun_engine.decoding.restore import restore_steps
from lorun_engine.instrument import Dispersion
from lorun_engine.library.memory import bytes_needed
from lorun_engine.library.model import open_decoder
from lorun_engine.measurement import Measurement
from lorun_engine.tasks.cassi import CassiPhysics
from lorun_engine.tasks.cs import CsPhysics
from lorun_engine.tasks.lowlight import LowLightPhysics
from lorun_engine.tasks.sr import SrPhysics

task, name, size, num_stages, library = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
decoder = open_decoder(name, library=[Path(library)], task=task)
generator = torch.Generator().manual_seed(0)
if task == "cassi":
    physics = CassiPhysics((torch.rand(size, size, generator=generator) > 0.5).float(), Dispersion(28))
elif task == "cs":
    physics = CsPhysics(decoder.adapters.sampling, (size, size))
elif task == "sr":
    physics = SrPhysics(torch.full((9, 9), 1 / 81), 2, (size, size))
else:
    physics = LowLightPhysics(3, (size, size))
y = torch.rand(physics.measurement_shape, generator=generator)
measurement = Measurement(task, y.numpy(), physics)


def resident(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key))


before, most = resident("VmRSS"), 0
Path("/proc/self/clear_refs").write_text("5")  # from now on VmHWM is that of the decode
for step in restore_steps(decoder, measurement, num_stages=num_stages):
    del step
print(resident("VmHWM") - before, bytes_needed(decoder, physics) or 0)
"""


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[1]}-{case[2]}")
def test_the_memory_of_a_decode(case):
    words = [sys.executable, "-c", DECODE, *map(str, case), str(LIBRARY)]
    finished = subprocess.run(words, capture_output=True, text=True, check=True)
    taken, predicted = map(int, finished.stdout.split())
    said = f"{predicted / 1e9:.2f} GB predicted ({predicted / taken:.2f} of it)" if predicted else "nothing predicted"
    print(f"\n{case[1]}, {case[2]} x {case[2]} pixels: {taken / 1e9:.2f} GB, {said}")
    assert taken > 0
