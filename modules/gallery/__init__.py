"""Results: saving, file names, infotext and other programs' dialects. No torch."""

from modules.gallery.api_table import a1111_parameters
from modules.gallery.dialects import parse_any
from modules.gallery.encode import EncodedImage, encode_image
from modules.gallery.errors import DiskFullError, GalleryError, ImageReadError, ImageSaveError
from modules.gallery.grid import make_grid
from modules.gallery.image_info import ImageInfo, open_image, read_image_info
from modules.gallery.infotext import ParsedInfotext, compose, parse
from modules.gallery.parameters import image_infotext, image_parameters
from modules.gallery.patterns import NameContext, apply_pattern, context_of
from modules.gallery.restore import ToRequest, to_request
from modules.gallery.saving import (
    SavedImage,
    output_folder,
    save_grid,
    save_image,
    save_init_image,
    save_sheet,
    write_params_file,
)

__all__ = [
    "DiskFullError",
    "EncodedImage",
    "GalleryError",
    "ImageInfo",
    "ImageReadError",
    "ImageSaveError",
    "NameContext",
    "ParsedInfotext",
    "SavedImage",
    "ToRequest",
    "a1111_parameters",
    "apply_pattern",
    "compose",
    "context_of",
    "encode_image",
    "image_infotext",
    "image_parameters",
    "make_grid",
    "open_image",
    "output_folder",
    "parse",
    "parse_any",
    "read_image_info",
    "save_grid",
    "save_image",
    "save_init_image",
    "save_sheet",
    "to_request",
    "write_params_file",
]
