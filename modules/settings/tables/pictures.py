"""Settings of what works on pictures: img2img, upscaling, face restoration, interrogation."""

from __future__ import annotations

from modules.settings.tables.rows import Section

_img2img = Section("img2img")
_hires = Section("Hires fix and refiner")
_upscaling = Section("Upscaling")
_faces = Section("Face restoration")
_interrogate = Section("Interrogate")

OPTIONS = (
    _img2img.number(
        "inpainting_mask_weight",
        "Inpainting conditioning mask strength",
        1.0,
        0.0,
        1.0,
        0.01,
        infotext="Conditional mask weight",
        help="For inpainting checkpoints: 1 shows them the picture without the masked part, "
        "0 the whole picture.",
    ),
    _img2img.number(
        "initial_noise_multiplier",
        "Noise multiplier for img2img",
        1.0,
        0.0,
        1.5,
        0.001,
        infotext="Noise multiplier",
    ),
    _img2img.number(
        "img2img_extra_noise",
        "Extra noise multiplier for img2img and hires fix",
        0.0,
        0.0,
        1.0,
        0.01,
        infotext="Extra noise",
        help="More noise than the denoising strength asks for: more detail.",
    ),
    _img2img.flag(
        "img2img_color_correction",
        "Apply color correction to img2img results to match original colors",
        False,
    ),
    _img2img.flag(
        "img2img_fix_steps",
        "With img2img, do exactly the amount of steps the slider specifies",
        False,
        help="Otherwise a lower denoising strength also means fewer steps.",
    ),
    _img2img.color(
        "img2img_background_color",
        "With img2img, fill transparent parts of the input image with this color",
        "#ffffff",
    ),
    _img2img.flag(
        "overlay_inpaint",
        "Overlay original for inpaint",
        True,
        help="Pixels outside the blurred mask stay exactly those of the input.",
    ),
    _img2img.flag(
        "inpaint_match_edges",
        "Match the colours of the repainted part along the edge of the mask",
        False,
        infotext="Match edges",
        help="Takes out the colour shift that encoding and decoding cause.",
    ),
    _img2img.flag(
        "return_mask", "For inpainting, include the greyscale mask in results for web", False
    ),
    _img2img.flag(
        "return_mask_composite",
        "For inpainting, include masked composite in results for web",
        False,
    ),
    _hires.choice(
        "hires_fix_refiner_pass",
        "Hires fix: which pass to enable refiner for",
        "second pass",
        "first pass|second pass|both passes",
        infotext="Hires refiner",
    ),
    _hires.flag(
        "refiner_switch_by_sample_steps",
        "Switch to refiner by sampling steps instead of model timesteps",
        False,
        infotext="Refiner switch by sampling steps",
    ),
    _hires.flag(
        "use_old_hires_fix_width_height",
        "For hires fix, use width/height sliders to set final resolution rather than first pass",
        False,
    ),
    _upscaling.whole(
        "ESRGAN_tile", "Tile size for ESRGAN upscalers", 192, 0, 512, 16, help="0: no tiles."
    ),
    _upscaling.whole(
        "ESRGAN_tile_overlap",
        "Tile overlap for ESRGAN upscalers",
        8,
        0,
        48,
        help="Low values can show as seams.",
    ),
    _upscaling.choice(
        "upscaler_for_img2img",
        "Upscaler for img2img",
        None,
        dynamic="upscalers",
        help="Enlarges input pictures that are smaller than the result; None is Lanczos.",
    ),
    _upscaling.whole(
        "upscaling_max_images_in_cache",
        "Maximum number of images in upscaling cache",
        5,
        0,
        10,
        help="Changing the face restorer then needs no second upscaling.",
    ),
    _upscaling.multi(
        "realesrgan_enabled_models",
        "Real-ESRGAN models to show in lists besides those that are here",
        ["R-ESRGAN 4x+", "R-ESRGAN 4x+ Anime6B"],
        dynamic="realesrgan",
    ),
    _upscaling.multi(
        "postprocessing_operation_order",
        "Order of postprocessing operations",
        [],
        "Upscale|GFPGAN|CodeFormer",
        help="Those not named follow in their usual order.",
    ),
    _faces.flag("face_restoration", "Restore faces", False, infotext="Face restoration"),
    _faces.choice(
        "face_restoration_model", "Face restoration model", "CodeFormer", "CodeFormer|GFPGAN"
    ),
    _faces.number(
        "code_former_weight",
        "CodeFormer weight",
        0.5,
        0.0,
        1.0,
        0.01,
        help="0: strongest effect, 1: weakest.",
    ),
    _faces.flag(
        "face_restoration_unload",
        "Move face restoration model from VRAM into RAM after processing",
        False,
        hidden=True,
    ),
    _interrogate.flag("interrogate_keep_models_in_memory", "Keep models in VRAM", False),
    _interrogate.flag(
        "interrogate_return_ranks",
        "Include ranks of model tags matches in results",
        False,
        help="For CLIP.",
    ),
    _interrogate.whole("interrogate_clip_num_beams", "BLIP: num_beams", 1, 1, 16),
    _interrogate.whole(
        "interrogate_clip_min_length", "BLIP: minimum description length", 24, 1, 128
    ),
    _interrogate.whole(
        "interrogate_clip_max_length", "BLIP: maximum description length", 48, 1, 256
    ),
    _interrogate.whole(
        "interrogate_clip_dict_limit",
        "CLIP: maximum number of lines in text file",
        1500,
        0,
        1_000_000,
        help="0: no limit.",
    ),
    _interrogate.multi(
        "interrogate_clip_skip_categories",
        "CLIP: skip inquire categories",
        [],
    ),
    _interrogate.number(
        "interrogate_deepbooru_score_threshold", "deepbooru: score threshold", 0.5, 0.0, 1.0, 0.01
    ),
    _interrogate.flag("deepbooru_sort_alpha", "deepbooru: sort tags alphabetically", True),
    _interrogate.flag("deepbooru_use_spaces", "deepbooru: use spaces in tags", True),
    _interrogate.flag("deepbooru_escape", "deepbooru: escape (\\) brackets", True),
    _interrogate.text(
        "deepbooru_filter_tags",
        "deepbooru: filter out those tags",
        help="Separated by commas.",
    ),
)
