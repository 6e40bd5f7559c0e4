"""`python -m lorun_engine`: the command line without Qt, for servers. --library FOLDER says where adapter sets lie.

Without the flag it is LORUN_LIBRARY, then the weights installed beside this package.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from . import cli, share_cores


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command of `lorun` and returns its exit code."""
    share_cores()
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--library", type=Path, default=os.environ.get("LORUN_LIBRARY"))
    given, command = parser.parse_known_args(argv)
    resources = _installed_resources()
    library = [given.library] if given.library else [] if resources is None else [resources / "weights"]
    return cli.main(command, library=[Path(folder) for folder in library], resources=resources)


def _installed_resources() -> Path | None:
    """LoRun's files beside this package: `lorun_resources` once installed, `resources` in a source tree, or None."""
    beside = Path(__file__).resolve().parents[1]
    folders = [beside / "lorun_resources", beside / "resources"]
    return next((folder for folder in folders if (folder / "colour").is_dir()), None)


if __name__ == "__main__":
    sys.exit(main())
