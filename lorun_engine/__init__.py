"""LoRun's engine: deep LoRA-unfolding restoration of CASSI, compressive-sensing and low-resolution images.

The engine knows no Qt. Importing this package imports neither torch nor any file library; import the module you need:

    from lorun_engine.io import open_measurement
    from lorun_engine.library.model import open_decoder
    from lorun_engine.decoding.restore import restore
"""

import os

__version__ = "0.1.0"


def share_cores() -> None:
    """Lets threads that wait for work spin a little and then sleep; call it before torch is imported.

    OpenMP's threads spin for long by default. Where another program wants the same cores, GAP-TV's many short
    operations then took up to a hundred times as long (8 iterations on 28 x 256 x 256, two busy cores: 48 s against
    2 s). Without any spinning two threads were slower than one: a decode of that size took 1.6 times as long on two
    quiet cores, 1.4 times on two busy ones, and a step of training 2.2 times. GOMP_SPINCOUNT is of GNU's OpenMP alone.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
