"""A1111's ``cmd_args``: the command line as extensions see it."""

from __future__ import annotations

import argparse
from typing import Any

from modules.addons import host
from modules.settings.flags import SECRET_FLAGS

A1111_ONLY: dict[str, Any] = {
    "xformers": False,
    "force_enable_xformers": False,
    "opt_sdp_attention": True,
    "opt_sdp_no_mem_attention": False,
    "opt_split_attention": False,
    "opt_split_attention_v1": False,
    "opt_sub_quad_attention": False,
    "disable_opt_split_attention": False,
    "always_batch_cond_uncond": False,
    "lowram": False,
    "unload_gfpgan": False,
    "deepdanbooru": False,
    "ngrok": None,
    "ngrok_region": "",
    "gradio_queue": True,
    "no_gradio_queue": False,
    "gradio_debug": False,
    "gradio_allowed_path": [],
    "gradio_img2img_tool": None,
    "gradio_inpaint_tool": None,
    "skip_version_check": False,
    "administrator": False,
    "disable_console_progressbars": True,
    "enable_console_prompts": False,
    "freeze_settings_in_sections": None,
    "freeze_specific_settings": None,
    "use_ipex": False,
    "device_id": None,
    "update_all_extensions": False,
    "reinstall_torch": False,
    "reinstall_xformers": False,
    "vae_path": None,
    "use_textbox_seed": False,
    "max_batch_count": 16,
    "clip_models_path": None,
    "bsrgan_models_path": None,
    "dat_models_path": None,
    "root_path": None,
    "add_stop_route": False,
    "lyco_dir": None,
    "no_progressbar_hiding": False,
    "disable_safe_unpickle": False,
    "tls_verify": True,
    "disable_tls_verify": None,
    "localizations_dir": "",
    "config": "",
    "share": False,
    "autolaunch": False,
    "encrypt_pass": None,
}
"""Flags that Easel does not have, with the values that say so."""


def namespace() -> argparse.Namespace:
    """``cmd_opts``: our flags without secrets, A1111's others, and what ``preload.py`` added."""
    at = host.get()
    flags = {**A1111_ONLY, **vars(at.flags)}
    flags.update(dict.fromkeys(SECRET_FLAGS))
    flags["use_cpu"] = list(at.flags.use_cpu)
    flags["disable_extension_access"] = not at.flags.enable_insecure_extension_access and bool(
        at.flags.listen or at.flags.share or at.flags.server_name
    )
    paths = at.paths
    folders = {
        "data_dir": paths.data,
        "models_dir": paths.models,
        "ckpt_dir": paths.checkpoint_dirs[1] if len(paths.checkpoint_dirs) > 2 else None,
        "vae_dir": paths.vae,
        "lora_dir": paths.lora,
        "embeddings_dir": paths.embeddings,
        "hypernetwork_dir": paths.hypernetworks,
        "esrgan_models_path": paths.esrgan,
        "realesrgan_models_path": paths.realesrgan,
        "gfpgan_models_path": paths.gfpgan,
        "codeformer_models_path": paths.codeformer,
        "localizations_dir": paths.localizations,
        "ui_settings_file": paths.config_file,
        "ui_config_file": paths.ui_config_file,
    }
    flags.update({name: None if path is None else str(path) for name, path in folders.items()})
    flags["gradio_allowed_path"] = [f"{one.folder}/" for one in at.active()]
    flags["styles_file"] = [str(paths.styles_file)]
    flags.update(vars(at.extra_flags))
    return argparse.Namespace(**flags)


parser = argparse.ArgumentParser()
