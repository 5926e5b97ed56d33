"""A model that is ready to work: its networks, how to call them, and what it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from modules.catalog.hashes import SHORT
from modules.engine.adapters.merged import ModelAdapters
from modules.engine.checkpoints.families.base import FamilyAdapter, ModelPlan, PictureFacts
from modules.engine.checkpoints.preview import PreviewFactors, preview_factors
from modules.engine.checkpoints.taesd import TaesdFiles
from modules.engine.checkpoints.tiling import set_circular_padding
from modules.engine.checkpoints.vae_codec import VaeCodec
from modules.engine.device import DevicePolicy

if TYPE_CHECKING:
    from modules.engine.conditioning import Conditioner, Conditioning, TextOptions
    from modules.engine.sampling.model_sampling import ModelSampling


@dataclass(eq=False)
class LoadedModel:
    """One checkpoint in memory. Made by `ModelManager.load`; valid until the next load."""

    plan: ModelPlan
    name: str
    """File name without extension, or the folder's name: the infotext's "Model"."""
    file_name: str
    """Path below the checkpoint folder, with extension."""
    networks: Mapping[str, torch.nn.Module]
    """"unet", "vae", "text_encoder", … on `policy.device`."""
    adapter: FamilyAdapter
    conditioner: Conditioner
    model_sampling: ModelSampling
    policy: DevicePolicy
    cache: Path | None
    """Where fitted preview factors are kept."""
    vae_approx: Path | None
    """Folder that may hold TAESD's weights."""
    sha256: str = ""
    """Empty with hashing switched off."""
    vae_path: Path | None = None
    """The separate VAE, if one is in use."""
    vae_sha256: str = ""
    codec: VaeCodec = field(init=False)
    adapters: ModelAdapters = field(init=False)
    """LoRA and its kin, merged into the networks."""
    tiling: bool = field(default=False, init=False)
    _factors: PreviewFactors | None = field(default=None, init=False)
    _taesd: TaesdFiles | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.codec = VaeCodec(self.networks["vae"], self.plan.components["vae"].config)
        self.adapters = ModelAdapters(self.networks)
        self.conditioner.weights_key = lambda: self.adapters.text_key

    def settle(self) -> None:
        """Find out what only filled networks tell; called once, when the weights are there."""
        plan = self.adapter.settled(self.plan, self.networks)
        if plan is not self.plan:
            from modules.engine.sampling.model_sampling import ModelSampling

            self.plan = plan
            self.model_sampling = ModelSampling.from_scheduler_config(dict(plan.scheduler))

    @property
    def path(self) -> Path:
        """The file or folder it was loaded from."""
        return self.plan.path

    @property
    def title(self) -> str:
        """`file.safetensors [hash10]`, as A1111 writes it."""
        return f"{self.file_name} [{self.hash}]" if self.sha256 else self.file_name

    @property
    def family(self) -> str:
        """Key of the model family, such as "sd1"."""
        return self.plan.family

    @property
    def hash(self) -> str:
        """The first ten digits of the sha256, or nothing with hashing switched off."""
        return self.sha256[:SHORT]

    @property
    def vae_name(self) -> str | None:
        """File name of the separate VAE; None when the checkpoint's own is in use."""
        return self.vae_path.name if self.vae_path else None

    @property
    def vae_hash(self) -> str | None:
        """The first ten digits of the separate VAE's sha256; None without one."""
        return self.vae_sha256[:SHORT] if self.vae_path and self.vae_sha256 else None

    @property
    def device(self) -> torch.device:
        """Where latents and conditionings belong."""
        return self.policy.device

    @property
    def dtype(self) -> torch.dtype:
        """The denoising network's number format."""
        return self.policy.dtype_of("unet", self.family)

    def altered(self, name: str) -> bool:
        """Whether the weights of a network are not its files' any more, because of adapters."""
        adapters = getattr(self, "adapters", None)
        return name != "vae" and adapters is not None and bool(adapters.active)

    @property
    def latent_channels(self) -> int:
        """Channels of latents: 4 in Stable Diffusion 1.x."""
        return self.codec.latent_channels

    @property
    def vae_scale(self) -> int:
        """Pixels per latent pixel along each side: 8."""
        return self.codec.scale

    @property
    def own_side(self) -> int:
        """Side in pixels of the pictures that the denoising network was trained on: 512."""
        side = self.plan.components["unet"].config.get("sample_size")
        side = side[0] if isinstance(side, (list, tuple)) and side else side
        return int(side or 64) * self.vae_scale

    @property
    def variant(self) -> str:
        """What the UNet is shown beside the noisy latents: "" for nothing, "inpainting" for a mask
        and a masked picture, "edit" for the picture to be edited (InstructPix2Pix), "depth" for how
        near everything in the picture is."""
        channels = int(self.plan.components["unet"].config.get("in_channels", 4))
        further = channels - self.latent_channels
        known = {1: "depth", self.latent_channels: "edit", self.latent_channels + 1: "inpainting"}
        return known.get(further, "")

    @property
    def label(self) -> str:
        """`name [hash10]`, as the infotext names a further checkpoint."""
        return f"{self.name} [{self.hash}]" if self.sha256 else self.name

    @property
    def default_parameters(self) -> dict[str, Any]:
        """Request fields that the model's sidecar suggests."""
        return dict(self.plan.sidecar.default_parameters)

    def predict(
        self,
        x: torch.Tensor,
        timestep: torch.Tensor,
        conditioning: Conditioning,
        added: Mapping[str, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """The network's raw output for scaled latents `x` [batch, channels, h, w].

        `timestep` [batch] may be fractional; `conditioning.context` is [batch, tokens, width];
        `added` comes from `added_conditioning`. The result has the shape and type of `x`.
        """
        return self.adapter.predict(self.networks["unet"], x, timestep, conditioning, added)

    def added_conditioning(
        self, picture: PictureFacts, *, negative: bool = False
    ) -> Mapping[str, torch.Tensor]:
        """Further inputs of the network for one picture; see `FamilyAdapter`."""
        return self.adapter.added_conditioning(self.plan, picture, negative=negative)

    def encode_prompts(
        self, texts: tuple[str, ...], options: TextOptions | None = None
    ) -> tuple[Conditioning, ...]:
        """Encode texts together; see `Conditioner.encode_group`."""
        return self.conditioner.encode_group(texts, options)

    def decode(self, latents: torch.Tensor, *, repair: bool = True) -> torch.Tensor:
        """Latents to pixels [batch, 3, H, W] in [-1, 1]; see `VaeCodec.decode`."""
        return self.codec.decode(latents, repair=repair)

    def encode(
        self, pixels: torch.Tensor, noise: torch.Tensor | None = None, *, repair: bool = True
    ) -> torch.Tensor:
        """Pixels in [-1, 1] to latents; see `VaeCodec.encode`."""
        return self.codec.encode(pixels, noise, repair=repair)

    def set_tiling(self, on: bool) -> None:
        """Make pictures that repeat seamlessly, or stop doing so."""
        if on != self.tiling:
            set_circular_padding((self.networks["unet"], self.networks["vae"]), on)
            self.tiling = on

    @property
    def preview_rgb(self) -> PreviewFactors:
        """Linear latent-to-RGB factors of the VAE, fitted on first use and kept on disk."""
        if self._factors is None:
            self._factors = preview_factors(self.codec, self.cache)
        return self._factors

    @property
    def taesd(self) -> TaesdFiles:
        """Tiny stand-ins for the VAE, as far as their files are in `models/VAE-approx`."""
        if self._taesd is None:
            self._taesd = TaesdFiles(
                self.vae_approx,
                self.family,
                self.latent_channels,
                self.policy.device,
                self.policy.vae_dtype,
            )
        return self._taesd

    def take_notes(self) -> list[str]:
        """What had to be repaired since the last call, as sentences for the user."""
        notes, self.codec.notes = self.codec.notes, []
        return notes
