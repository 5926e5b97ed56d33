"""Settings that API clients read or post back although the part they steer is not built yet.

They are stored and answered under A1111's keys and defaults, and hidden from the Settings page so
that no control is shown without an effect.
"""

from __future__ import annotations

from modules.settings.tables.rows import Section

_later = Section("Not in use yet", hidden=True)

OPTIONS = (
    _later.text("sd_checkpoint_hash", "SHA256 hash of the current checkpoint"),
    _later.whole(
        "sd_checkpoints_limit", "Maximum number of checkpoints loaded at the same time", 1, 1, 10
    ),
    _later.flag("sd_checkpoints_keep_in_cpu", "Only keep one model on device", True),
    _later.whole("sd_checkpoint_cache", "Checkpoints to cache in RAM", 0, 0, 10),
    _later.choice("sd_unet", "SD Unet", "Automatic"),
    _later.choice(
        "sd_vae_encode_method", "VAE type for encode", "Full", "Full|TAESD", infotext="VAE Encoder"
    ),
    _later.choice(
        "sd_vae_decode_method", "VAE type for decode", "Full", "Full|TAESD", infotext="VAE Decoder"
    ),
    _later.flag("face_restoration", "Restore faces", False, infotext="Face restoration"),
    _later.choice("face_restoration_model", "Face restoration model", "CodeFormer"),
    _later.number("code_former_weight", "CodeFormer weight", 0.5, 0.0, 1.0, 0.01),
    _later.flag("face_restoration_unload", "Move face restoration model from VRAM into RAM", False),
    _later.number(
        "inpainting_mask_weight",
        "Inpainting conditioning mask strength",
        1.0,
        0.0,
        1.0,
        0.01,
        infotext="Conditional mask weight",
    ),
    _later.number(
        "initial_noise_multiplier",
        "Noise multiplier for img2img",
        1.0,
        0.0,
        1.5,
        0.001,
        infotext="Noise multiplier",
    ),
    _later.number(
        "img2img_extra_noise",
        "Extra noise multiplier for img2img and hires fix",
        0.0,
        0.0,
        1.0,
        0.01,
        infotext="Extra noise",
    ),
    _later.flag("img2img_color_correction", "Apply color correction to img2img results", False),
    _later.flag(
        "img2img_fix_steps",
        "With img2img, do exactly the amount of steps the slider specifies",
        False,
    ),
    _later.color(
        "img2img_background_color",
        "With img2img, fill transparent parts with this color",
        "#ffffff",
    ),
    _later.flag("overlay_inpaint", "Overlay original for inpaint", True),
    _later.flag("return_mask", "For inpainting, include the greyscale mask in results", False),
    _later.flag(
        "return_mask_composite", "For inpainting, include masked composite in results", False
    ),
    _later.choice("upscaler_for_img2img", "Upscaler for img2img", None),
    _later.whole("ESRGAN_tile", "Tile size for ESRGAN upscalers", 192, 0, 512, 16),
    _later.whole("ESRGAN_tile_overlap", "Tile overlap for ESRGAN upscalers", 8, 0, 48),
    _later.number(
        "token_merging_ratio",
        "Token merging ratio",
        0.0,
        0.0,
        0.9,
        0.1,
        infotext="Token merging ratio",
    ),
    _later.number(
        "token_merging_ratio_img2img", "Token merging ratio for img2img", 0.0, 0.0, 0.9, 0.1
    ),
    _later.number(
        "token_merging_ratio_hr",
        "Token merging ratio for high-res pass",
        0.0,
        0.0,
        0.9,
        0.1,
        infotext="Token merging ratio hr",
    ),
    _later.choice(
        "hires_fix_refiner_pass",
        "Hires fix: which pass to enable refiner for",
        "second pass",
        "first pass|second pass|both passes",
        infotext="Hires refiner",
    ),
    _later.choice("sd_hypernetwork", "Add hypernetwork to prompt", "None"),
    _later.choice("sd_lora", "Add network to prompt", "None"),
    _later.multi("disabled_extensions", "Disable these extensions", []),
    _later.choice("disable_all_extensions", "Disable all extensions", "none", "none|extra|all"),
)
