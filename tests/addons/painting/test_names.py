"""The names of A1111's modules that extensions use, and what they give in the engine."""

from __future__ import annotations

import importlib

import pytest
from PIL import Image

from modules.addons.a1111 import images, masking, prompt_parser

NAMES = {
    "processing": "StableDiffusionProcessing StableDiffusionProcessingTxt2Img Processed fix_seed "
    "StableDiffusionProcessingImg2Img process_images create_infotext get_fixed_seed opt_f "
    "create_binary_mask",
    "images": "save_image resize_image flatten image_grid get_next_sequence_number split_grid "
    "read_info_from_image sanitize_filename_part combine_grid",
    "devices": "device cpu dtype dtype_unet dtype_vae torch_gc autocast get_optimal_device "
    "NansException get_device_for test_for_nans",
    "sd_models": "checkpoints_list checkpoint_tiles get_closet_checkpoint_match model_data "
    "reload_model_weights list_models model_path model_hash read_state_dict CheckpointInfo",
    "sd_samplers": "samplers samplers_for_img2img all_samplers all_samplers_map create_sampler "
    "visible_samplers",
    "sd_samplers_common": "SamplerData setup_img2img_steps sample_to_image decode_first_stage",
    "sd_samplers_kdiffusion": "KDiffusionSampler",
    "sd_schedulers": "schedulers schedulers_map",
    "sd_vae": "vae_dict refresh_vae_list load_vae_dict",
    "extra_networks": "parse_prompt parse_prompts ExtraNetwork ExtraNetworkParams "
    "register_extra_network activate",
    "prompt_parser": "parse_prompt_attention get_learned_conditioning_prompt_schedules",
    "sd_hijack": "model_hijack",
    "masking": "get_crop_region expand_crop_region fill",
    "textual_inversion.textual_inversion": "EmbeddingDatabase",
    "rng": "ImageRNG randn slerp",
    "lowvram": "send_everything_to_cpu is_needed",
}


@pytest.mark.parametrize("module", NAMES)
def test_a_module_has_its_names(module):
    found = importlib.import_module(f"modules.addons.a1111.{module}")
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []


def test_the_engine_tells_of_its_model_and_settings(extend, notes):
    studio = extend(
        """
    from modules import devices, sd_models, sd_samplers, shared_items
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def show(self, is_img2img): return scripts.AlwaysVisible
        def process(self, p):
            model = shared.sd_model
            note(f"{model.is_sdxl} {model.sd_checkpoint_info.model_name} {devices.device}")
            note(f"{p.sd_model.model.diffusion_model.config.in_channels}")
            note(f"{shared.opts.CLIP_stop_at_last_layers} {shared.state.job_count}")
            note(str(model.get_learned_conditioning(["a pear"]).shape[:2]))
    """
    )
    assert studio.make(n_iter=2).done
    assert notes() == ["False tiny cpu", "4", "1 2", "torch.Size([1, 77])"]


def test_weights_and_schedules_are_those_of_the_program():
    assert prompt_parser.parse_prompt_attention("a (b:1.5) [c]")[1] == ["b", 1.5]
    (plan,) = prompt_parser.get_learned_conditioning_prompt_schedules(["[a:b:0.5]"], 10)
    assert plan == [[5, "a"], [10, "b"]]


def test_a_crop_keeps_the_shape_and_stays_inside():
    mask = Image.new("L", (100, 60))
    mask.paste(255, (90, 20, 100, 40))
    region = masking.get_crop_region(mask, 4)
    assert region == (86, 16, 100, 44)
    x1, y1, x2, y2 = masking.expand_crop_region(region, 64, 64, 100, 60)
    assert (x2 - x1, y2 - y1, x2) == (28, 28, 100)


def test_tiles_make_the_picture_again():
    whole = Image.linear_gradient("L").convert("RGB").resize((150, 130))
    grid = images.split_grid(whole, 64, 64, 16)
    again = images.combine_grid(grid)
    assert again.size == whole.size
    middle = (75, 65)
    assert abs(again.getpixel(middle)[0] - whole.getpixel(middle)[0]) <= 3


def test_a_saved_picture_has_its_text_and_a_new_name(plain_studio, extend, tmp_path, notes):
    studio = extend(
        """
    from modules import images
    def before(params):
        params.pnginfo["parameters"] += " twice"
    script_callbacks.on_before_image_saved(before)
    script_callbacks.on_image_saved(lambda params: note(params.filename))
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def run(self, p):
            found = process_images(p)
            for number in range(2):
                images.save_image(found.images[0], FOLDER, "", p.seed, p.prompt, "png",
                                  info="told", p=p)
            return found
    """.replace("FOLDER", repr(str(tmp_path / "out")))
    )
    assert studio.make(resources={"scripts": {"selected": "Guest", "args": {}}}).done
    first, second = notes()
    assert first != second
    with Image.open(first) as image:
        assert images.read_info_from_image(image)[0] == "told twice"
