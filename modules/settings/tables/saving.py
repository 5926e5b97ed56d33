"""Settings of the category "Saving images"."""

from __future__ import annotations

from modules.settings.tables.rows import Section

_images = Section("Saving images/grids")
_paths = Section("Paths for saving")
_dirs = Section("Saving to a directory")
_info = Section("Infotext")

OPTIONS = (
    _images.flag("samples_save", "Always save all generated images", True),
    _images.choice("samples_format", "File format for images", "png", "png|jpg|jpeg|webp|avif"),
    _images.text(
        "samples_filename_pattern",
        "Images filename pattern",
        help="Tokens such as [seed], [steps], [cfg], [sampler], [model_name], [date], "
        "[prompt_words]. "
        "Empty: [seed] in subfolders, else [seed]-[prompt_spaces].",
    ),
    _images.flag("save_images_add_number", "Add number to filename when saving", True),
    _images.choice(
        "save_images_replace_action",
        "When an image with the same name exists",
        "Replace",
        "Replace|Add number suffix",
    ),
    _images.flag("grid_save", "Always save all generated image grids", True),
    _images.choice("grid_format", "File format for grids", "png", "png|jpg|jpeg|webp|avif"),
    _images.flag(
        "grid_extended_filename",
        "Add extended info (seed, prompt) to filename when saving grid",
        False,
    ),
    _images.flag("grid_only_if_multiple", "Do not save grids consisting of one picture", True),
    _images.flag(
        "grid_prevent_empty_spots", "Prevent empty spots in grid (when set to autodetect)", False
    ),
    _images.whole(
        "n_rows", "Grid row count", -1, -1, 16, help="-1: as square as possible, 0: the batch size"
    ),
    _images.color("grid_background_color", "Background color for image grids", "#ffffff"),
    _images.whole("jpeg_quality", "Quality for saved jpeg, webp and avif images", 80, 1, 100),
    _images.flag("webp_lossless", "Use lossless compression for webp images", False),
    _images.flag("export_for_4chan", "Save copy of large images as JPG", True),
    _images.number(
        "img_downscale_threshold", "File size limit for the above option, MB", 4.0, 0.1, 100.0, 0.1
    ),
    _images.whole(
        "target_side_length", "Width/height limit for the above option, in pixels", 4000, 64, 65500
    ),
    _images.whole("img_max_size_mp", "Maximum grid size, in megapixels", 200, 1, 1000),
    _images.flag("save_init_img", "Save init images when using img2img", False),
    _images.flag(
        "save_images_before_face_restoration",
        "Save a copy of image before doing face restoration",
        False,
    ),
    _images.flag(
        "save_images_before_highres_fix", "Save a copy of image before applying highres fix", False
    ),
    _images.flag(
        "save_images_before_color_correction",
        "Save a copy of image before applying color correction to img2img results",
        False,
    ),
    _images.flag("save_mask", "For inpainting, save a copy of the greyscale mask", False),
    _images.flag("save_mask_composite", "For inpainting, save a masked composite", False),
    _images.flag(
        "use_original_name_batch",
        "Use original name for output filename during batch process in extras tab",
        True,
    ),
    _images.flag(
        "use_upscaler_name_as_suffix",
        "Use upscaler name as filename suffix in the extras tab",
        False,
    ),
    _images.flag("save_incomplete_images", "Save incomplete images", False),
    _images.flag(
        "save_write_log_csv",
        "Write log.csv when saving images using the Save button",
        True,
    ),
    _images.whole(
        "disk_free_mb",
        "Pause the queue when fewer megabytes are free on the disk",
        200,
        0,
        100_000,
        50,
        help="Of the data folder and the folders for pictures; it goes on by itself when there is "
        "room again. 0: never.",
    ),
    _paths.text(
        "outdir_samples", "Output directory for images", help="If set, it replaces the one below."
    ),
    _paths.text(
        "outdir_txt2img_samples", "Output directory for txt2img images", "outputs/txt2img-images"
    ),
    _paths.text(
        "outdir_img2img_samples",
        "Output directory for img2img images",
        "outputs/img2img-images",
    ),
    _paths.text(
        "outdir_extras_samples",
        "Output directory for images from extras tab",
        "outputs/extras-images",
    ),
    _paths.text(
        "outdir_grids", "Output directory for grids", help="If set, it replaces the one below."
    ),
    _paths.text(
        "outdir_txt2img_grids", "Output directory for txt2img grids", "outputs/txt2img-grids"
    ),
    _paths.text(
        "outdir_img2img_grids",
        "Output directory for img2img grids",
        "outputs/img2img-grids",
    ),
    _paths.text(
        "outdir_save",
        "Directory for saving images using the Save button",
        "log/images",
    ),
    _paths.text("outdir_init_images", "Directory for saving init images", "outputs/init-images"),
    _dirs.flag("save_to_dirs", "Save images to a subdirectory", True),
    _dirs.flag("grid_save_to_dirs", "Save grids to a subdirectory", True),
    _dirs.flag(
        "use_save_to_dirs_for_ui",
        'When using "Save" button, save images to a subdirectory',
        False,
        hidden=True,
    ),
    _dirs.text("directories_filename_pattern", "Directory name pattern", "[date]"),
    _dirs.whole(
        "directories_max_prompt_words", "Max prompt words for [prompt_words] pattern", 8, 1, 20
    ),
    _info.flag("enable_pnginfo", "Write infotext to metadata of the generated image", True),
    _info.flag("save_txt", "Create a text file with infotext next to every generated image", False),
    _info.flag("add_model_name_to_info", "Add model name to infotext", True),
    _info.flag("add_model_hash_to_info", "Add model hash to infotext", True),
    _info.flag("add_vae_name_to_info", "Add VAE name to infotext", True),
    _info.flag("add_vae_hash_to_info", "Add VAE hash to infotext", True),
    _info.flag(
        "add_user_name_to_info", "Add user name to infotext when authenticated", False, hidden=True
    ),
    _info.flag("add_version_to_infotext", "Add program version to infotext", True),
    _info.flag(
        "disable_weights_auto_swap", "Disregard checkpoint information from pasted infotext", True
    ),
    _info.multi("infotext_skip_pasting", "Disregard fields from pasted infotext", []),
    _info.choice(
        "infotext_styles",
        "Infer styles from prompts of pasted infotext",
        "Apply if any",
        "Ignore|Apply|Discard|Apply if any",
    ),
)
