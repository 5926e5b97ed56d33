"""What does a picture show? A caption by BLIP and CLIP, or tags by DeepDanbooru."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from modules.catalog.errors import ModelFileError
from modules.catalog.restorers import deepbooru
from modules.engine.checkpoints.errors import ModelLoadError
from modules.engine.interrogate.blip import Captioner
from modules.engine.interrogate.deepdanbooru import Tagger
from modules.engine.interrogate.options import InterrogateOptions
from modules.engine.interrogate.ranking import Ranker, find_clip, read_lists
from modules.engine.interrogate.tags import prompt_of_tags
from modules.imaging.reading import open_picture
from modules.requests.errors import NotFoundInList, RequestError
from modules.settings.paths import Paths

MODELS = ("clip", "deepdanbooru")
ALIASES = {"deepbooru": "deepdanbooru", "blip": "clip"}


class Interrogator:
    """Loads what a question needs and, unless told otherwise, lets go of it afterwards."""

    def __init__(self, paths: Paths, device: torch.device) -> None:
        self._paths = paths
        self._device = device
        self._captioner: Captioner | None = None
        self._ranker: Ranker | None = None
        self._tagger: Tagger | None = None

    def answer(self, command: Mapping[str, Any]) -> dict[str, str]:
        """Carry out the engine's command ``interrogate``: ``{"image": path, "model": name}``.

        Raises:
            RequestError: the model is not known, its files are not there, or the picture is none.
            ModelLoadError: its files are not what they should be.
        """
        if not command.get("image"):
            raise RequestError("image", None, "a picture is needed.")
        image = open_picture(Path(str(command["image"])), "image")
        model = str(command.get("model") or "clip")
        return {"caption": self.describe(image, model, command.get("options"))}

    def describe(
        self, image: Image.Image, model: str, options: Mapping[str, Any] | None = None
    ) -> str:
        """A caption ("clip") or tags ("deepdanbooru") as a prompt.

        ``options`` are the settings under A1111's keys. Raises: see :meth:`answer`.
        """
        name = ALIASES.get(model.strip().lower(), model.strip().lower())
        wanted = InterrogateOptions.of(options)
        try:
            if name == "deepdanbooru":
                return self._tags(image, wanted)
            if name == "clip":
                return self._caption(image, wanted)
        except ModelFileError as error:
            raise ModelLoadError.of(error, error.path) from error
        finally:
            if not wanted.interrogate_keep_models_in_memory:
                self.unload()
        raise NotFoundInList("model", model, MODELS)

    def unload(self) -> None:
        """Give all memory back."""
        self._captioner = self._ranker = self._tagger = None

    def _caption(self, image: Image.Image, options: InterrogateOptions) -> str:
        if self._captioner is None:
            self._captioner = Captioner(self._paths, self._device)
        parts = [self._captioner.caption(image, options)]
        if not options.interrogate_keep_models_in_memory:
            self._captioner = None
        folder = find_clip(self._paths)
        lists = read_lists(self._paths, options) if folder else []
        if folder is not None and lists:
            if self._ranker is None:
                tokenizer = self._paths.configs / "tokenizers" / "clip"
                self._ranker = Ranker(folder, tokenizer, self._device)
            for line, chance in self._ranker.rank(image, lists):
                ranked = options.interrogate_return_ranks
                parts.append(f"({line}:{chance:.3f})" if ranked else line)
        return ", ".join(parts)

    def _tags(self, image: Image.Image, options: InterrogateOptions) -> str:
        if self._tagger is None:
            info = deepbooru(self._paths)
            if not info.present:
                raise RequestError("interrogate", "deepdanbooru", info.missing())
            self._tagger = Tagger(info.path, self._device)
        return prompt_of_tags(self._tagger.probabilities(image), options)


@functools.lru_cache(maxsize=1)
def shared_interrogator(paths: Paths, device: torch.device) -> Interrogator:
    """The one interrogator of a process: what it keeps in memory serves every caller."""
    return Interrogator(paths, device)


def interrogate(
    image: Image.Image,
    model: str,
    paths: Paths,
    device: torch.device,
    options: Mapping[str, Any] | None = None,
) -> str:
    """A caption ("clip") or tags ("deepdanbooru") for a picture; see `Interrogator.describe`."""
    return shared_interrogator(paths, device).describe(image, model, options)
