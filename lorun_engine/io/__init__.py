"""Files: reading by content, the role table, and writing. Importing this package loads no file library and no torch."""

from .atomic import beside, discard_leftovers, replacing
from .cassi_geometry import Geometry
from .options import OpenOptions
from .readers import FoundArray, read
from .resolved import RoleRow
from .roles import RoleTable, inspect, open_companion, open_measurement, open_scene
from .wavelengths import WAVELENGTHS
from .writers import CUBE_FORMATS, cube_file, write_cube, write_measurement, write_spectra_csv, write_table

__all__ = [
    "CUBE_FORMATS",
    "WAVELENGTHS",
    "FoundArray",
    "Geometry",
    "OpenOptions",
    "RoleRow",
    "RoleTable",
    "beside",
    "cube_file",
    "discard_leftovers",
    "inspect",
    "open_companion",
    "open_measurement",
    "open_scene",
    "read",
    "replacing",
    "write_cube",
    "write_measurement",
    "write_spectra_csv",
    "write_table",
]
