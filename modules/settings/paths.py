"""Where things are: one frozen object, built once from the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modules.settings.flags import Flags

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Paths:
    """Every folder and file the program reads or writes. All paths are absolute."""

    root: Path
    """The program's own folder."""
    data: Path
    """Config, outputs, models, extensions of the user; the program's folder unless --data-dir."""
    models: Path
    checkpoints: Path
    """Where new checkpoints go."""
    checkpoint_dirs: tuple[Path, ...]
    """All folders searched for checkpoints, the shipped model's included."""
    vae: Path
    vae_approx: Path
    lora: Path
    hypernetworks: Path
    embeddings: Path
    esrgan: Path
    realesrgan: Path
    gfpgan: Path
    codeformer: Path
    outputs: Path
    extensions: Path
    configs: Path
    """Component configs and tokenizers of the model families; part of the program."""
    wildcards: Path
    localizations: Path
    config_file: Path
    ui_config_file: Path
    styles_file: Path
    params_file: Path
    """Infotext of the last generation."""
    database: Path
    cache: Path
    log: Path

    @classmethod
    def from_flags(cls, flags: Flags) -> Paths:
        """Work out all paths; nothing is created (see :meth:`ensure`)."""
        data = _absolute(flags.data_dir) if flags.data_dir else ROOT
        models = _absolute(flags.models_dir) if flags.models_dir else data / "models"
        checkpoints = models / "Stable-diffusion"
        return cls(
            root=ROOT,
            data=data,
            models=models,
            checkpoints=checkpoints,
            checkpoint_dirs=_checkpoint_dirs(checkpoints, flags.ckpt_dir),
            vae=_chosen(flags.vae_dir, models / "VAE"),
            vae_approx=models / "VAE-approx",
            lora=_chosen(flags.lora_dir, models / "Lora"),
            hypernetworks=_chosen(flags.hypernetwork_dir, models / "hypernetworks"),
            embeddings=_chosen(flags.embeddings_dir, data / "embeddings"),
            esrgan=_chosen(flags.esrgan_models_path, models / "ESRGAN"),
            realesrgan=_chosen(flags.realesrgan_models_path, models / "RealESRGAN"),
            gfpgan=_chosen(flags.gfpgan_models_path, models / "GFPGAN"),
            codeformer=_chosen(flags.codeformer_models_path, models / "Codeformer"),
            outputs=data / "outputs",
            extensions=data / "extensions",
            configs=ROOT / "configs",
            wildcards=data / "wildcards",
            localizations=_chosen(flags.localizations_dir, data / "localizations"),
            config_file=_below(data, flags.ui_settings_file),
            ui_config_file=_below(data, flags.ui_config_file),
            styles_file=_below(data, flags.styles_file or "styles.csv"),
            params_file=data / "params.txt",
            database=data / "easel.sqlite",
            cache=data / "cache",
            log=data / "log",
        )

    def ensure(self) -> None:
        """Create the folders that users put files into and results go to.

        Raises:
            OSError: a folder cannot be created; the message names it.
        """
        folders = (
            self.data,
            self.checkpoints,
            self.vae,
            self.vae_approx,
            self.models / "text_encoder",
            self.lora,
            self.hypernetworks,
            self.embeddings,
            self.esrgan,
            self.realesrgan,
            self.gfpgan,
            self.codeformer,
            self.outputs,
            self.extensions,
            self.wildcards,
            self.cache,
            self.log,
        )
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)


def _absolute(path: str) -> Path:
    return Path(path).expanduser().resolve()


def _chosen(given: str | None, default: Path) -> Path:
    return _absolute(given) if given else default


def _below(folder: Path, name: str) -> Path:
    """A bare name lies in the data folder; an absolute path stays as it is."""
    return folder / Path(name).expanduser()


def _checkpoint_dirs(checkpoints: Path, extra: str | None) -> tuple[Path, ...]:
    shipped = ROOT / "models" / "Stable-diffusion"
    folders = [checkpoints]
    if extra:
        folders.append(_absolute(extra))
    if shipped != checkpoints:
        folders.append(shipped)
    return tuple(dict.fromkeys(folders))
