"""Writes cie1931.csv from the CIE tables that colour-science publishes: python resources/colour/make_table.py

Columns: the wavelength in nm (380 to 780 by 5), the CIE 1931 2 degree colour matching functions x, y, z, and the
relative spectral powers of the illuminants D65, E and A (100 at 560 nm).
"""

from __future__ import annotations

import csv
from pathlib import Path

import colour

WAVELENGTHS_NM = range(380, 785, 5)


def main() -> None:
    observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]
    illuminants = {name: colour.SDS_ILLUMINANTS[name] for name in ("D65", "E", "A")}
    with open(Path(__file__).with_name("cie1931.csv"), "w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["wavelength_nm", "x", "y", "z", *illuminants])
        for nm in WAVELENGTHS_NM:
            row = [*observer[nm], *(powers[nm] for powers in illuminants.values())]
            table.writerow([nm, *(f"{round(float(value), 12) + 0:.10g}" for value in row)])


if __name__ == "__main__":
    main()
