"""Hooks of always-on scripts: in A1111's order, and what they change is seen in the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from modules.engine.generation.control import JobControl
from modules.requests.events import Paused, Started, Step
from tests.engine.generation.conftest import Result, difference

ALL = """
class Guest(scripts.Script):
    def title(self): return "Guest"
    def show(self, is_img2img): return scripts.AlwaysVisible
    def ui(self, is_img2img): return [gr.Slider(0, 10, value=3, label="Depth")]

for name in ("setup", "before_process", "process", "before_process_batch",
             "after_extra_networks_activate", "process_batch", "process_before_every_sampling",
             "before_hr", "post_sample", "postprocess_batch", "postprocess_batch_list",
             "postprocess_image", "postprocess_image_after_composite", "postprocess"):
    def hook(self, p, *args, _name=name, **kwargs):
        note(_name + " " + " ".join(str(one) for one in args if isinstance(one, (int, float))))
    setattr(Guest, name, hook)
"""

ORDER = [
    *("setup", "before_process", "process", "before_process_batch"),
    *("after_extra_networks_activate", "process_batch", "process_before_every_sampling"),
    *("before_hr", "process_before_every_sampling", "post_sample", "postprocess_batch"),
    *("postprocess_batch_list", "postprocess_image", "postprocess_image_after_composite"),
    "postprocess",
]


def test_every_hook_is_called_in_order_with_its_arguments(extend, notes):
    studio = extend(ALL)
    told = {"scripts": {"selected": None, "args": {"Guest": [5]}}}
    result = studio.make(resources=told, enable_hr=True, hr_scale=2.0, hr_upscaler="Latent")
    assert result.done
    found = [line.split() for line in notes()]
    assert [words[0] for words in found] == ORDER
    assert all(words[1] == "5" for words in found)
    assert len(result.of(Started)) == 1


def test_a_script_that_changes_nothing_leaves_the_picture_as_it_is(extend):
    studio = extend(ALL)
    guests = studio.make(batch_size=2).pictures
    studio.engine.conductor = None
    alone = studio.make(batch_size=2).pictures
    assert [one.tobytes() for one in guests] == [one.tobytes() for one in alone]


def test_prompts_seeds_and_fields_of_p_may_be_changed(extend):
    studio = extend("""
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def show(self, is_img2img): return scripts.AlwaysVisible
        def process(self, p):
            p.all_prompts[1] = "a green pear"
            p.all_seeds[1] = 99
            p.extra_generation_params["Guest"] = "was here"
        def before_process(self, p):
            p.steps = 3
            p.cfg_scale = 2.0
    """)
    result = studio.make(batch_size=2)
    events = [event for event in result.events if hasattr(event, "role")]
    facts = events[1].facts
    assert (facts["prompt"], facts["seed"], facts["steps"]) == ("a green pear", 99, 3)
    assert facts["extra"]["Guest"] == "was here"
    studio.engine.conductor = None
    same = studio.picture(prompt="a green pear", seed=99, steps=3, cfg_scale=2.0)
    assert difference(result.pictures[1], same) <= 1


def test_the_prompts_of_a_batch_may_be_changed_at_the_last_moment(extend):
    studio = extend("""
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def show(self, is_img2img): return scripts.AlwaysVisible
        def process_batch(self, p, **kwargs):
            assert kwargs["prompts"] is p.prompts and kwargs["batch_number"] == 0
            p.prompts[0] = "a green pear"
    """)
    result = studio.make(prompt="a cat <lora:nowhere:1>")
    assert result.facts["prompt"] == "a cat <lora:nowhere:1>"
    assert any("nowhere" in warning for warning in result.warnings)
    studio.engine.conductor = None
    assert difference(result.pictures[0], studio.picture(prompt="a green pear")) == 0


def test_tensors_and_pictures_may_be_changed(extend):
    studio = extend("""
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def show(self, is_img2img): return scripts.AlwaysVisible
        def postprocess_batch(self, p, images, batch_number):
            assert images.ndim == 4 and 0 <= images.min() and images.max() <= 1
            images[:, 0] = 1.0
        def postprocess_image(self, p, pp):
            pp.image.paste((0, 0, 255), (0, 0, 8, 8))
        def postprocess_image_after_composite(self, p, pp):
            pp.image = pp.image.resize((32, 32))
    """)
    picture = studio.picture()
    assert picture.shape == (32, 32, 3)
    assert tuple(picture[1, 1]) == (0, 0, 255)
    assert picture[16:, :, 0].min() == 255


def test_latents_and_noise_may_be_changed(extend):
    studio = extend("""
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def show(self, is_img2img): return scripts.AlwaysVisible
        def process_before_every_sampling(self, p, x, noise, **kwargs):
            noise.zero_()
        def post_sample(self, p, ps):
            ps.samples = ps.samples.flip(-1)
    """)
    one, other = studio.picture(seed=7), studio.picture(seed=8)
    assert difference(one, other) == 0


def test_a_script_that_fails_costs_nothing_but_itself(extend):
    studio = extend("""
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def show(self, is_img2img): return scripts.AlwaysVisible
        def process(self, p): 1 / 0
        def postprocess_image(self, p, pp): raise KeyError("gone")
    """)
    result = studio.make()
    assert result.done
    assert len(result.pictures) == 1


def test_pictures_appended_to_the_result_are_shown(extend):
    studio = extend("""
    from PIL import Image
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def show(self, is_img2img): return scripts.AlwaysVisible
        def postprocess(self, p, processed):
            assert "Steps: 4" in processed.infotexts[0]
            processed.images.append(Image.new("RGB", (16, 16), (9, 8, 7)))
            processed.infotexts.append("about it")
    """)
    result = studio.make()
    events = [event for event in result.events if hasattr(event, "role")]
    assert [event.index for event in events] == [0, 1]
    assert events[1].facts["infotext"] == "about it"
    assert events[1].facts["shown_only"] is True


def test_img2img_sees_its_pictures_and_may_replace_them(extend):
    photo = Image.fromarray(np.full((64, 64, 3), 200, np.uint8))
    studio = extend("""
    from PIL import Image
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def show(self, is_img2img): return scripts.AlwaysVisible if is_img2img else False
        def before_process(self, p):
            assert p.init_images[0].getpixel((5, 5)) == (200, 200, 200)
            p.init_images[0].paste((10, 20, 30), (0, 0, 64, 64))
    """)
    fields = {"kind": "img2img", "denoising_strength": 0.3}
    changed = studio.picture(init_images=[photo], **fields)
    studio.engine.conductor = None
    dark = Image.new("RGB", (64, 64), (10, 20, 30))
    assert difference(changed, studio.picture(init_images=[dark], **fields)) == 0


def test_a_paused_job_goes_on_where_it_was(extend, tmp_path):
    studio = extend("""
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def show(self, is_img2img): return scripts.AlwaysVisible
        def process(self, p):
            p.all_prompts[1] = "a green pear"
        def postprocess_image(self, p, pp):
            pp.image.paste((255, 0, 0), (0, 0, 4, 4))
    """)
    whole = studio.make(n_iter=2).pictures
    job = studio.prepare(n_iter=2)
    first = carried_out(studio, job, pause_at=(1, 2))
    assert first.done.paused
    (paused,) = first.of(Paused)
    (tmp_path / "state").write_bytes(paused.data)
    again = replace(job, resources={"paused": str(tmp_path / "state")})
    second = carried_out(studio, again)
    assert second.warnings == []
    assert next(event.step for event in second.steps if event.iteration == 1) == 2
    pictures = [*first.pictures, *second.pictures]
    assert [one.tobytes() for one in pictures] == [one.tobytes() for one in whole]


def carried_out(studio, job, pause_at=None):
    result, control = Result(), JobControl(job.id)

    def hear(event):
        result.events.append(event)
        if isinstance(event, Step) and (event.iteration, event.step) == pause_at:
            control.signal("pause")

    studio._listen = hear
    studio.engine.run(job, control)
    return result
