"""Files: reading by content, the role table, and writing. Importing this package loads no file library and no torch."""

from .atomic import beside, discard_leftovers, discard_unfinished, made_folder, replacing, require_place
from .cassi_geometry import Geometry
from .options import OpenOptions
from .readers import FoundArray, read
from .resolved import RoleRow
from .roles import RoleTable, inspect, open_companion, open_measurement, open_scene
from .wavelengths import WAVELENGTHS
from .writers import (
    CUBE_FORMATS,
    cube_file,
    require_cube_name,
    require_measurement_name,
    write_cube,
    write_measurement,
    write_spectra_csv,
    write_table,
)

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
    "discard_unfinished",
    "inspect",
    "made_folder",
    "open_companion",
    "open_measurement",
    "open_scene",
    "read",
    "replacing",
    "require_cube_name",
    "require_measurement_name",
    "require_place",
    "write_cube",
    "write_measurement",
    "write_spectra_csv",
    "write_table",
]
