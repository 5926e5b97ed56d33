"""Settings of the samplers, under A1111's keys."""

from __future__ import annotations

from modules.settings.tables.rows import Section

_sampler = Section("Sampler parameters")

OPTIONS = (
    _sampler.multi("hide_samplers", "Hide samplers in user interface", [], dynamic="samplers"),
    _sampler.number(
        "eta_ddim",
        "Eta for DDIM",
        0.0,
        0.0,
        1.0,
        0.01,
        infotext="Eta DDIM",
        help="0 is deterministic.",
    ),
    _sampler.number(
        "eta_ancestral", "Eta for k-diffusion samplers", 1.0, 0.0, 1.0, 0.01, infotext="Eta"
    ),
    _sampler.choice(
        "ddim_discretize", "img2img DDIM discretize", "uniform", "uniform|quad", hidden=True
    ),
    _sampler.number("s_churn", "sigma churn", 0.0, 0.0, 100.0, 0.01, infotext="Sigma churn"),
    _sampler.number("s_tmin", "sigma tmin", 0.0, 0.0, 10.0, 0.01, infotext="Sigma tmin"),
    _sampler.number(
        "s_tmax",
        "sigma tmax",
        0.0,
        0.0,
        999.0,
        0.01,
        infotext="Sigma tmax",
        help="0 means no limit.",
    ),
    _sampler.number("s_noise", "sigma noise", 1.0, 0.0, 1.1, 0.001, infotext="Sigma noise"),
    _sampler.number(
        "sigma_min",
        "sigma min",
        0.0,
        0.0,
        1000.0,
        0.001,
        infotext="Schedule min sigma",
        help="0: the model's own.",
    ),
    _sampler.number(
        "sigma_max",
        "sigma max",
        0.0,
        0.0,
        10000.0,
        0.001,
        infotext="Schedule max sigma",
        help="0: the model's own.",
    ),
    _sampler.number(
        "rho", "rho", 0.0, 0.0, 100.0, 0.01, infotext="Schedule rho", help="0: the schedule's own."
    ),
    _sampler.whole(
        "eta_noise_seed_delta",
        "Eta noise seed delta",
        0,
        -(2**31),
        2**31,
        infotext="ENSD",
        help="Added to the seed of the noise that ancestral samplers add.",
    ),
    _sampler.flag(
        "always_discard_next_to_last_sigma",
        "Always discard next-to-last sigma",
        False,
        infotext="Discard penultimate sigma",
    ),
    _sampler.flag(
        "sgm_noise_multiplier", "SGM noise multiplier", False, infotext="SGM noise multiplier"
    ),
    _sampler.choice(
        "uni_pc_variant", "UniPC variant", "bh1", "bh1|bh2|vary_coeff", infotext="UniPC variant"
    ),
    _sampler.choice(
        "uni_pc_skip_type",
        "UniPC skip type",
        "time_uniform",
        "time_uniform|time_quadratic|logSNR",
        infotext="UniPC skip type",
    ),
    _sampler.whole(
        "uni_pc_order", "UniPC order (must be < sampling steps)", 3, 1, 50, infotext="UniPC order"
    ),
    _sampler.flag(
        "uni_pc_lower_order_final",
        "UniPC lower order final",
        True,
        infotext="UniPC lower order final",
    ),
    _sampler.choice(
        "sd_noise_schedule",
        "Noise schedule for sampling",
        "Default",
        "Default|Zero Terminal SNR",
        infotext="Noise Schedule",
    ),
    _sampler.number(
        "skip_early_cond",
        "Ignore negative prompt during early sampling",
        0.0,
        0.0,
        1.0,
        0.01,
        infotext="Skip Early CFG",
    ),
    _sampler.number(
        "beta_dist_alpha",
        "Beta scheduler - alpha",
        0.6,
        0.01,
        1.0,
        0.01,
        infotext="Beta scheduler alpha",
    ),
    _sampler.number(
        "beta_dist_beta",
        "Beta scheduler - beta",
        0.6,
        0.01,
        1.0,
        0.01,
        infotext="Beta scheduler beta",
    ),
)
