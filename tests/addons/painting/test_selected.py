"""Selectable scripts: process_images as often as they like; what the server hears of it."""

from __future__ import annotations

from modules.requests.events import Started, Working
from tests.engine.generation.conftest import difference


def chosen(*args):
    return {"scripts": {"selected": "Guest", "args": {"Guest": list(args)}}}


def images(result):
    return [event for event in result.events if hasattr(event, "role")]


def test_a_script_generates_several_times_and_gives_a_grid(extend):
    studio = extend("""
    from copy import copy
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def ui(self, is_img2img): return [gr.Number(value=2), gr.Textbox(value="a pear")]
        def run(self, p, count, text):
            shared.state.job_count = int(count)
            found = []
            for number in range(int(count)):
                one = copy(p)
                one.prompt = text
                one.seed = 100 + number
                found.append(process_images(one))
            first = found[0]
            for other in found[1:]:
                first.images += other.images
                first.infotexts += other.infotexts
            from modules import images
            first.images.insert(0, images.image_grid(first.images, rows=1))
            first.infotexts.insert(0, first.info)
            return first
    """)
    result = studio.make(resources=chosen(3))
    assert result.done
    told = images(result)
    assert [event.facts["seed"] for event in told] == [100, 101, 102, 100]
    assert [event.index for event in told] == [0, 1, 2, 3]
    assert (told[3].width, told[3].height) == (192, 64)
    assert told[3].facts["shown_only"]
    steps = result.steps
    assert [step.iteration for step in steps] == [0] * 4 + [1] * 4 + [2] * 4
    assert {step.n_iter for step in steps} == {3}
    assert len(result.of(Started)) == 1
    assert result.done.facts["pictures"] == 3
    studio.engine.conductor = None
    assert difference(result.pictures[1], studio.picture(prompt="a pear", seed=101)) == 0


def test_pictures_that_are_not_to_be_saved_stay_with_the_script(extend):
    studio = extend("""
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def run(self, p):
            p.do_not_save_samples = True
            made = process_images(p).images[0]
            half = processing.StableDiffusionProcessingImg2Img(
                init_images=[made], prompt="a pear", seed=5, steps=4, sampler_name="Euler",
                width=64, height=64, denoising_strength=0.5, do_not_save_samples=True)
            second = process_images(half)
            assert second.images[0].size == (64, 64)
            return Processed(p, [second.images[0].resize((96, 96))], 5, "only this")
    """)
    result = studio.make(resources=chosen())
    (only,) = images(result)
    assert (only.index, only.width, only.facts["infotext"]) == (0, 96, "only this")


def test_a_hook_may_generate_too(extend):
    studio = extend("""
    from modules.processing import StableDiffusionProcessingImg2Img
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def show(self, is_img2img): return scripts.AlwaysVisible
        def postprocess_image(self, p, pp):
            if getattr(p, "_inner", False):
                return
            inner = StableDiffusionProcessingImg2Img(
                sd_model=p.sd_model, outpath_samples=p.outpath_samples, prompt="a pear",
                negative_prompt=p.negative_prompt, seed=p.seeds[p.batch_index], steps=2,
                sampler_name=p.sampler_name, cfg_scale=p.cfg_scale, width=32, height=32,
                init_images=[pp.image.crop((0, 0, 32, 32))], denoising_strength=0.5,
                do_not_save_samples=True, do_not_save_grid=True)
            inner._inner = True
            inner.scripts, inner.script_args = p.scripts, p.script_args
            pp.image.paste(process_images(inner).images[0], (0, 0))
    """)
    result = studio.make(batch_size=2)
    assert [event.index for event in images(result)] == [0, 1]
    assert result.of(Working)
    studio.engine.conductor = None
    alone = studio.make(batch_size=2).pictures
    for one, other in zip(result.pictures, alone, strict=True):
        assert (one[32:] == other[32:]).all()
        assert (one[:32, :32] != other[:32, :32]).any()


def test_a_script_that_fails_is_named(extend):
    studio = extend("""
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def run(self, p): return [][0]
    """)
    failed = studio.make(resources=chosen()).failed
    assert "'Guest' failed" in failed.message
    assert "list index" in failed.message


def test_an_interrupted_job_tells_the_script(extend, notes):
    studio = extend("""
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def run(self, p):
            for number in range(5):
                if shared.state.interrupted:
                    break
                note("call")
                found = process_images(p)
            return found
    """)
    result = studio.make(
        resources=chosen(), listen=lambda event, control: control.signal("interrupt")
    )
    assert result.done.interrupted
    assert notes() == ["call"]


def test_an_extension_may_override_settings_and_gets_values_it_can_use(extend, notes):
    studio = extend("""
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def run(self, p):
            p.override_settings["CLIP_stop_at_last_layers"] = 2
            p.width, p.height = 64.0, 70.5
            found = process_images(p)
            note(found.infotexts[0].splitlines()[-1])
            return found
    """)
    result = studio.make(resources=chosen())
    assert result.pictures[0].shape == (64, 64, 3)
    assert "Clip skip: 2" in notes()[0]


def test_a_field_that_cannot_be_used_is_named(extend):
    studio = extend("""
    class Guest(scripts.Script):
        def title(self): return "Guest"
        def run(self, p):
            p.sampler_name = "No such sampler"
            return process_images(p)
    """)
    failed = studio.make(resources=chosen()).failed
    assert failed.failure == "input"
    assert "No such sampler" in failed.message
