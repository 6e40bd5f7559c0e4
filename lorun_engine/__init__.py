"""LoRun's engine: deep LoRA-unfolding restoration of CASSI, compressive-sensing and low-resolution images.

The engine knows no Qt. Importing this package imports neither torch nor any file library; import the module you need:

    from lorun_engine.io import open_measurement
    from lorun_engine.model import open_decoder
    from lorun_engine.restore import restore
"""

__version__ = "0.1.0"
