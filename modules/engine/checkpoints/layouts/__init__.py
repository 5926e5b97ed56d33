"""How the tensors of a model are named in files, and what their shapes tell about its build."""

from __future__ import annotations
