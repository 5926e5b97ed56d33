"""Settings of the category "Stable Diffusion": model, prompts, guidance, limits."""

from __future__ import annotations

from modules.settings.tables.rows import Section

_sd = Section("Stable Diffusion")
_memory = Section("Models in memory")
_vae = Section("VAE")
_optimizations = Section("Optimizations")
_compatibility = Section("Compatibility")
_limits = Section("Limits")

OPTIONS = (
    _sd.choice(
        "sd_model_checkpoint",
        "Stable Diffusion checkpoint",
        None,
        dynamic="checkpoints",
        infotext="Model hash",
    ),
    _sd.whole(
        "CLIP_stop_at_last_layers",
        "Clip skip",
        1,
        1,
        12,
        infotext="Clip skip",
        help="Ignore this many minus one of the text encoder's last layers.",
    ),
    _sd.choice(
        "emphasis",
        "Emphasis mode",
        "Original",
        "None|Ignore|Original|No norm",
        infotext="Emphasis",
        help="How (word:1.2) acts. Original: scale, then restore the mean. No norm: scale only. "
        "Ignore: weights have no effect. None: brackets are literal text.",
    ),
    _sd.whole(
        "comma_padding_backtrack",
        "Prompt word wrap length limit",
        20,
        0,
        74,
        help="Texts longer than 75 tokens break at the last comma within so many tokens.",
    ),
    _sd.flag(
        "enable_prompt_comments", "Enable comments in prompts (# to the end of the line)", True
    ),
    _sd.flag("enable_wildcards", "Expand __wildcards__ and {a|b} choices in prompts", True),
    _sd.flag(
        "translate_chinese",
        "Translate Chinese prompts for models that bring a dictionary",
        True,
        help="Only models trained on English texts bring one; the starter model does. "
        "The translation is shown and written into the picture's parameters.",
    ),
    _sd.choice(
        "randn_source",
        "Random number generator source",
        "GPU",
        "GPU|CPU|NV",
        infotext="RNG",
        help="CPU and NV give the same noise on every machine; NV equals CUDA's.",
    ),
    _sd.flag(
        "tiling", "Tiling", False, infotext="Tiling", help="Make images that repeat seamlessly."
    ),
    _sd.flag(
        "enable_batch_seeds",
        "Make every image of a batch equal to the one made alone",
        True,
        hidden=True,
    ),
    _sd.number(
        "guidance_rescale",
        "Guidance rescale",
        0.0,
        0.0,
        1.0,
        0.05,
        infotext="CFG Rescale",
        help="Keeps the contrast of a strong CFG in bounds (Lin et al. 2023); "
        "0.7 suits zero terminal SNR models.",
    ),
    _memory.whole(
        "sd_checkpoints_limit",
        "Maximum number of checkpoints loaded at the same time",
        0,
        0,
        10,
        help="0: as many as fit into the memory for checkpoints.",
    ),
    _memory.whole(
        "model_ram_budget_mb",
        "Main memory for checkpoints, in MB",
        0,
        0,
        1_048_576,
        256,
        help="0: up to six tenths of the machine's memory. The one in use is loaded in any case.",
    ),
    _memory.flag(
        "sd_checkpoints_keep_in_cpu",
        "Only keep one model on device",
        True,
        help="The others wait in main memory.",
    ),
    _memory.whole(
        "model_device_budget_mb",
        "Graphics memory for checkpoints that wait, in MB",
        0,
        0,
        1_048_576,
        256,
        help="Where more than one may be on the device. 0: up to six tenths of its memory.",
    ),
    _memory.multi(
        "sd_checkpoints_pinned",
        "Favourite checkpoints",
        [],
        dynamic="checkpoints",
        help="They leave memory last.",
    ),
    _memory.whole(
        "model_idle_unload_minutes",
        "Unload checkpoints after so many idle minutes",
        0,
        0,
        10_080,
        help="0: never. The next job loads its checkpoint again.",
    ),
    _vae.choice("sd_vae", "SD VAE", "Automatic", dynamic="vaes", infotext="VAE"),
    _vae.flag(
        "sd_vae_overrides_per_model_preferences",
        "Selected VAE overrides per-model preferences",
        True,
        help="Otherwise a checkpoint's noted VAE, or one named after it, comes first.",
    ),
    _vae.whole(
        "sd_vae_checkpoint_cache",
        "VAE checkpoints to cache in RAM",
        0,
        0,
        10,
        help="Beside those of the checkpoints in memory.",
    ),
    _vae.choice(
        "sd_vae_encode_method",
        "VAE type for encode",
        "Full",
        "Full|TAESD",
        infotext="VAE Encoder",
        help="TAESD: quick and rough, when its files are in models/VAE-approx.",
    ),
    _vae.choice(
        "sd_vae_decode_method",
        "VAE type for decode",
        "Full",
        "Full|TAESD",
        infotext="VAE Decoder",
        help="TAESD: quick and rough, when its files are in models/VAE-approx.",
    ),
    _vae.flag("auto_vae_precision", "Decode again in 32 bits when the VAE gives NaN", True),
    _vae.choice(
        "vae_parts",
        "VAE in parts",
        "When memory runs out",
        "When memory runs out|Strips|Tiles",
        infotext="VAE parts",
        help="Strips give the same picture with less memory. Tiles need the least, and change the "
        "picture a little.",
    ),
    _optimizations.number(
        "s_min_uncond",
        "Negative Guidance minimum sigma",
        0.0,
        0.0,
        15.0,
        0.01,
        infotext="NGMS",
        help="Skip the negative prompt when the noise is lower: faster, a little different.",
    ),
    _optimizations.flag(
        "s_min_uncond_all",
        "Negative Guidance minimum sigma all steps",
        False,
        infotext="NGMS all steps",
    ),
    _optimizations.flag(
        "pad_cond_uncond", "Pad prompt/negative prompt", False, infotext="Pad conds"
    ),
    _optimizations.flag(
        "persistent_cond_cache", "Keep encoded prompts between jobs", True, hidden=True
    ),
    _optimizations.flag("batch_cond_uncond", "Batch cond/uncond", True),
    _optimizations.choice(
        "attention_slicing",
        "Attention in slices",
        "When memory runs out",
        "When memory runs out|Always",
        help="The same picture with less memory, on devices without a lean attention kernel.",
    ),
    _optimizations.choice(
        "fp8_storage",
        "FP8 weight",
        "Disable",
        "Disable|Enable for SDXL|Enable",
        infotext="FP8 weight",
        help="Weights rest in eight bits and are computed with in the usual ones: half the memory, "
        "a slightly different picture.",
    ),
    _optimizations.flag(
        "cache_fp16_weight",
        "Cache FP16 weight for LoRA",
        False,
        infotext="Cache FP16 weight for LoRA",
        help="With FP8 weights: adapters are added to 16-bit copies in main memory, which is more "
        "exact.",
    ),
    _optimizations.number(
        "token_merging_ratio",
        "Token merging ratio",
        0.0,
        0.0,
        0.9,
        0.1,
        infotext="Token merging ratio",
        help="Places of a picture that are alike are worked on together: faster for large pictures "
        "of SD 1 and 2, and a different picture. 0 is off.",
    ),
    _optimizations.number(
        "token_merging_ratio_img2img",
        "Token merging ratio for img2img",
        0.0,
        0.0,
        0.9,
        0.1,
        help="0: the ratio above.",
    ),
    _optimizations.number(
        "token_merging_ratio_hr",
        "Token merging ratio for high-res pass",
        0.0,
        0.0,
        0.9,
        0.1,
        infotext="Token merging ratio hr",
        help="0: the ratio above.",
    ),
    _compatibility.flag(
        "auto_backcompat", "Automatic backward compatibility for old infotexts", True
    ),
    _compatibility.flag(
        "use_old_scheduling",
        "Old prompt editing timelines",
        False,
        infotext="Old prompt editing timelines",
    ),
    _compatibility.flag(
        "use_downcasted_alpha_bar",
        "Downcast model alphas_cumprod to fp16 before sampling",
        False,
        infotext="Downcast alphas_cumprod",
    ),
    _compatibility.flag(
        "use_old_karras_scheduler_sigmas", "Use old karras scheduler sigmas (0.1 to 10)", False
    ),
    _compatibility.flag(
        "no_dpmpp_sde_batch_determinism",
        "Do not make DPM++ SDE deterministic across batch sizes",
        False,
        hidden=True,
    ),
    _limits.number(
        "max_image_megapixels",
        "Largest image, in megapixels",
        16.8,
        0.1,
        268.0,
        0.1,
        help="Requests above it are refused before anything is allocated.",
    ),
    _limits.number(
        "max_input_megapixels",
        "Largest input picture, in megapixels",
        64.0,
        0.1,
        178.0,
        0.1,
        help="Larger pictures are refused before they are decoded.",
    ),
    _limits.number(
        "max_result_megapixels",
        "Largest result of upscaling and outpainting, in megapixels",
        100.0,
        0.1,
        268.0,
        0.1,
        help="These work in tiles, so they may exceed what is generated at once.",
    ),
    _limits.whole("max_images_per_job", "Most images of one job", 1000, 1, 10000),
    _limits.choice(
        "queue_after_crash",
        "When Easel ended unexpectedly while a job ran",
        "Pause after the second time in a row",
        "Resume|Pause after the second time in a row|Pause",
        help="What the queue does at the next start. A job that ran at two such ends is set aside "
        "in any case.",
    ),
    _limits.whole("max_queued_jobs", "Most waiting jobs", 200, 1, 10000),
    _limits.whole("max_queued_jobs_per_client", "Most waiting jobs of one client", 50, 1, 10000),
    _limits.whole("max_request_mb", "Largest request, in MB", 64, 1, 1024, restart=True),
    _limits.whole(
        "max_requests_per_second",
        "Requests that another machine may send a second",
        60,
        1,
        10000,
        restart=True,
        help="Ten times as many at once; this machine is not slowed down.",
    ),
)
