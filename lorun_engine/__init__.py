"""LoRun's engine: deep LoRA-unfolding restoration of CASSI, compressive-sensing, low-resolution and dark images.

The engine knows no Qt. Importing this package imports neither torch nor any file library; import the module you need:

    from lorun_engine.io import open_measurement
    from lorun_engine.library.model import open_decoder
    from lorun_engine.decoding.restore import restore

Its rooms from the ground up. A room imports rooms above it in this list and never one below, so no two files know each
other in a circle; the table of `tests/test_house.py` says which rooms, and fails where an import goes against it.

    the files beside this one: errors, physics, measurement, decoder, instrument, colour, task
                    the words that everybody uses; `instrument` says what a camera is like without torch, `task` names
                    the tasks and points to their parts in the rooms below
    tasks           one file a task: its operator, its camera, its decoders without weights; kernels, noise, withheld
    io              files in and out, and what the arrays in them mean: one file a task; torch only for a measurement
    networks        unfolding, data steps, low-rank adapters, `denoisers`; knows channels, no task
    decoding        a measurement to images stage by stage, their figures, devices, the report of a decode
    library         sets of adapters as files: cards, models, the folder of sets, what a set changes
    camera_checks   whether a capture fits its mask and dispersion, before and after a decode
    training_data   what samples are drawn from: settings, a file a task, own files, photographs, computed scenes
    training        recipes, the loop and its state, the folder of a run, adapting, steering, several processes
    paper           the paper's tables, computed again
    cli             the command line: a file a group of commands; torch only once a command runs
"""

import os
import sys

__version__ = "0.1.0"


def share_cores() -> None:
    """Lets threads that wait for work spin a little and then sleep; call it before torch is imported.

    OpenMP's threads spin for long by default. Where another program wants the same cores, GAP-TV's many short
    operations then took up to a hundred times as long (8 iterations on 28 x 256 x 256, two busy cores: 48 s against
    2 s). Without any spinning two threads were slower than one. GNU's OpenMP spins `GOMP_SPINCOUNT` times, but a policy
    that is not active lets it do so only while the program has no more such threads than there are cores; a window that
    computes in several threads has, and its decode of that size took 6.7 s instead of 2.4 s on two quiet cores.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
    os.environ.setdefault("OMP_WAIT_POLICY", "ACTIVE" if sys.platform == "linux" else "PASSIVE")  # others spin on
