"""The page's HTML, its addresses, and what it tells the scripts at the start."""

from __future__ import annotations

import re
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from modules.web.context import AppContext
from modules.web.pages import (
    PageShell,
    TrustedScripts,
    assets,
    build,
    mount_arguments,
    router,
    state,
)
from modules.web.pages.shell import rewrite
from modules.web.pages.theme import make_theme

A1111_IDS = [
    "txt2img_prompt",
    "txt2img_neg_prompt",
    "txt2img_generate",
    "txt2img_interrupt",
    "txt2img_skip",
    "txt2img_steps",
    "txt2img_sampling",
    "txt2img_scheduler",
    "txt2img_width",
    "txt2img_height",
    "txt2img_batch_count",
    "txt2img_batch_size",
    "txt2img_cfg_scale",
    "txt2img_seed",
    "txt2img_styles",
    "txt2img_subseed",
    "txt2img_subseed_strength",
    "txt2img_override_settings",
    "txt2img_res_switch_btn",
    "txt2img_random_seed",
    "txt2img_reuse_seed",
    "txt2img_subseed_show",
    "txt2img_clear_prompt",
    "txt2img_style_apply",
    "txt2img_styles_edit_button",
    "txt2img_seed_resize_from_w",
    "txt2img_seed_resize_from_h",
    "txt2img_hr",
    "txt2img_hr-checkbox",
    "txt2img_hr_upscaler",
    "txt2img_hires_steps",
    "txt2img_denoising_strength",
    "txt2img_hr_scale",
    "txt2img_hr_resize_x",
    "txt2img_hr_resize_y",
    "hr_checkpoint",
    "hr_sampler",
    "hr_scheduler",
    "hires_prompt",
    "hires_neg_prompt",
    "txt2img_enable",
    "txt2img_checkpoint",
    "txt2img_switch_at",
    "mode_extras",
    "extras_single_tab",
    "extras_batch_process_tab",
    "extras_batch_directory_tab",
    "extras_batch_input_dir",
    "extras_batch_output_dir",
    "extras_upscaler_1",
    "extras_upscaler_2",
    "extras_upscaler_2_visibility",
    "extras_upscaling_resize",
    "extras_upscaling_resize_w",
    "extras_upscaling_resize_h",
    "extras_upscaling_crop",
    "extras_gfpgan_visibility",
    "extras_codeformer_visibility",
    "extras_codeformer_weight",
    "extras_generate",
    "setting_sd_model_checkpoint",
    "setting_sd_vae",
    "setting_CLIP_stop_at_last_layers",
    "refresh_sd_model_checkpoint",
    "tabs",
    "tab_txt2img",
    "tab_pnginfo",
    "tab_queue",
    "tab_settings",
    "quicksettings",
]


@pytest.fixture(scope="module")
def blocks(context: AppContext) -> gr.Blocks:
    return build(context)


@pytest.fixture(scope="module")
def client(context: AppContext, blocks: gr.Blocks) -> TestClient:
    app = FastAPI()
    scripts = TrustedScripts.of(blocks)
    app.include_router(router(context, scripts))
    gr.mount_gradio_app(app, blocks, path="/", **mount_arguments(context))
    return TestClient(PageShell(app, context, scripts))


def test_elements_have_the_ids_that_tutorials_and_extensions_know(blocks: gr.Blocks) -> None:
    found = {getattr(block, "elem_id", None) for block in blocks.blocks.values()}
    assert set(A1111_IDS) - found == set()


def test_no_id_is_given_twice(blocks: gr.Blocks) -> None:
    ids = [block.elem_id for block in blocks.blocks.values() if getattr(block, "elem_id", None)]
    assert len(ids) == len(set(ids))


def test_no_event_of_the_page_asks_the_server_or_shows_in_the_api(blocks: gr.Blocks) -> None:
    for event in blocks.fns.values():
        assert event.fn is None
        assert event.js
        assert event.api_visibility == "private"


def test_every_field_of_the_form_can_be_edited(blocks: gr.Blocks) -> None:
    """Gradio greys out what is no input of a server event unless it is told not to."""
    for block in blocks.blocks.values():
        if hasattr(block, "interactive") and not isinstance(block, gr.Button):
            assert block.interactive is not False


def test_the_theme_names_nothing_that_would_be_fetched() -> None:
    theme = make_theme()
    assert list(theme._stylesheets) == []
    assert "http" not in theme._get_theme_css().replace("http://www.w3.org/2000/svg", "").replace(
        "xmlns='http://www.w3.org", ""
    )


def test_scripts_and_styles_name_no_other_machine() -> None:
    for path in assets.STATIC.rglob("*"):
        if path.suffix in (".js", ".css"):
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert "http://" not in text, path.name
            assert "https://" not in text, path.name


def test_scripts_use_no_class_names_of_gradios_build() -> None:
    for path in assets.STATIC.rglob("*"):
        if path.suffix in (".js", ".css"):
            assert "svelte-" not in path.read_text(encoding="utf-8"), path.name


def test_the_page_gets_our_head_before_gradios_scripts(client: TestClient) -> None:
    page = client.get("/", headers={"accept-language": "en"}).text
    assert page.index("/easel/boot.js") < page.index("window.gradio_config")
    assert page.index(assets.url("app.js")) < page.index("./assets/index-")
    assert "<title>Easel</title>" in page
    assert "og:image" not in page
    assert "manifest.json" not in page


@pytest.mark.parametrize(("header", "tag"), [("zh-CN,zh", "zh-Hans"), ("fr", "en")])
def test_the_page_comes_in_the_browsers_language(client: TestClient, header: str, tag: str) -> None:
    page = client.get("/", headers={"accept-language": header}).text
    assert re.search(r'<html[^>]*\blang="([^"]+)"', page).group(1) == tag
    assert f"/easel/boot.js?lang={tag}&amp;" in page


def test_the_setting_forces_a_language(client: TestClient, context: AppContext) -> None:
    context.options.set_many({"localization": "zh-Hans"})
    try:
        page = client.get("/", headers={"accept-language": "en"}).text
    finally:
        context.options.reset("localization")
    assert 'lang="zh-Hans"' in page


def test_the_colours_of_the_setting_reach_the_first_script(client: TestClient) -> None:
    assert 'data-theme="dark"' in client.get("/").text


def test_the_boot_script_brings_the_texts_of_its_language(client: TestClient) -> None:
    answer = client.get("/easel/boot.js?lang=zh-Hans")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "就绪" in answer.text
    assert "Ready on" not in answer.text


def test_an_unknown_language_gets_english(client: TestClient) -> None:
    assert '"language": "en"' in client.get("/easel/boot.js?lang=../../etc").text


def test_a_static_file_with_its_version_may_be_kept_for_ever(client: TestClient) -> None:
    answer = client.get(assets.url("app.js"))
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    old = client.get(f"{assets.PREFIX}/000000000000/app.js")
    assert old.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "name",
    ["nothing.js", "../pages/state.py", "%2e%2e/pages/state.py", "..%2fpages%2fstate.py", ""],
)
def test_only_files_of_the_static_folder_are_served(client: TestClient, name: str) -> None:
    answer = client.get(f"{assets.PREFIX}/{assets.version()}/{name}")
    assert answer.status_code == 404


def test_a_path_below_a_proxy_is_kept_in_every_address() -> None:
    page = rewrite('<!doctype html>\n<html\n\tlang="en"\n><head></head></html>', "/sd", "en")
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert addresses
    assert all(address.startswith("/sd/easel/") for address in addresses)


def test_all_modules_are_announced_for_loading_at_once() -> None:
    page = rewrite('<html lang="en"><head></head></html>', "", "en")
    announced = set(re.findall(r'rel="modulepreload" href="[^"]+/([\w-]+\.js)"', page))
    imported = set()
    for path in assets.STATIC.glob("*.js"):
        imported |= set(
            re.findall(r'from "\./([\w-]+\.js)"|import "\./([\w-]+\.js)"', path.read_text())
        )
    names = {name for pair in imported for name in pair if name}
    assert names <= announced
    assert all((assets.STATIC / name).is_file() for name in announced)


def test_the_start_state_brings_the_models_own_wishes(context: AppContext) -> None:
    found = state.page_state(context)
    wishes = context.catalog.sidecar(context.catalog.default_checkpoint()).default_parameters
    assert found["checkpoint"] in found["lists"]["checkpoints"]
    own = found["model_defaults_by_tab"]
    assert own["txt2img"] == wishes
    assert own["img2img"]["width"] == wishes["width"]
    # A second pass and its strength are not img2img's.
    assert not {"enable_hr", "denoising_strength"} & own["img2img"].keys()
    assert "a red apple on a blue background" in found["examples"]
    assert found["defaults"]["steps"] == 20
    assert found["overrides"]["Clip skip"] == "CLIP_stop_at_last_layers"


def test_the_models_wishes_can_be_switched_off(context: AppContext) -> None:
    context.options.set_many({"use_model_defaults": False})
    try:
        assert not any(state.page_state(context)["model_defaults_by_tab"].values())
    finally:
        context.options.reset("use_model_defaults")


def test_hidden_samplers_are_not_offered(context: AppContext) -> None:
    context.options.set_many({"hide_samplers": ["PLMS"]})
    try:
        assert "PLMS" not in state.page_state(context)["lists"]["samplers"]
    finally:
        context.options.reset("hide_samplers")
    assert "PLMS" in state.page_state(context)["lists"]["samplers"]


def test_the_page_is_made_once_for_each_name_language_and_theme(context: AppContext) -> None:
    asked = []

    async def gradio(scope: Any, receive: Any, send: Any) -> None:
        host = dict(scope["headers"])[b"host"]
        asked.append(host)
        start = {"type": "http.response.start", "status": 200}
        await send({**start, "headers": [(b"content-type", b"text/html; charset=utf-8")]})
        await send({"type": "http.response.body", "body": b"<html><head></head>" + host})

    web = TestClient(PageShell(gradio, context, TrustedScripts(())))
    first = web.get("/", headers={"Host": "a"})
    assert web.get("/", headers={"Host": "a"}).text == first.text
    assert asked == [b"a"]
    assert web.get("/", headers={"Host": "b"}).text != first.text
    assert web.get("/", headers={"Host": "a", "Accept-Language": "zh"}).status_code == 200
    assert len(asked) == 3
    web.get("/?__theme=light", headers={"Host": "a"})
    web.get("/", headers={"Host": "a", "X-Forwarded-Host": "c"})
    assert len(asked) == 5
