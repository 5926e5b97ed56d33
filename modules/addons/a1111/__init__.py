"""A1111's modules as extensions know them, one file each; `modules.addons.importer` serves them."""
