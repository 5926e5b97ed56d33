"""``/sdapi/v1/txt2img`` over HTTP with the real engine, as A1111's clients use it."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import threading
import time

from PIL import Image

from tests.web.conftest import SLOW, SMALL


def pictures(answer):
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in answer["images"]]


def test_pictures_come_as_bare_base64_with_their_parameters(client):
    answer = client.post("/sdapi/v1/txt2img", {**SMALL, "batch_size": 2, "n_iter": 2})
    assert answer.status == 200
    body = answer.json()
    found = pictures(body)
    info = json.loads(body["info"])
    assert [image.size for image in found] == [(64, 64)] * 4
    assert info["all_seeds"] == [5, 6, 7, 8]
    assert info["index_of_first_image"] == 0
    assert [image.text["parameters"] for image in found] == info["infotexts"]
    assert info["infotexts"][1].startswith("a red apple\nSteps: 3, Sampler: Euler, ")
    assert info["sd_model_hash"] in info["infotexts"][0]
    assert body["parameters"]["steps"] == 3
    assert body["parameters"]["cfg_scale"] == 7.0
    assert "x-process-time" in answer.headers


def test_the_same_request_gives_the_same_bytes(client):
    first, second = (client.post("/sdapi/v1/txt2img", SMALL).json() for _ in range(2))
    assert first["images"] == second["images"]


def test_a_picture_of_a_batch_equals_the_one_made_alone(client):
    batch = pictures(client.post("/sdapi/v1/txt2img", {**SMALL, "batch_size": 2}).json())
    alone = pictures(client.post("/sdapi/v1/txt2img", {**SMALL, "seed": 6}).json())
    pairs = zip(batch[1].tobytes(), alone[0].tobytes(), strict=True)
    assert max(abs(a - b) for a, b in pairs) <= 2


def test_null_fields_mean_defaults_and_unknown_fields_are_ignored(client):
    body = {
        **SMALL,
        "styles": None,
        "sampler_name": None,
        "eta": None,
        "override_settings": None,
        "scheduler": "automatic",
        "url": "http://x",
        "auth": "y",
        "steps": "3",
        "tiling": False,
        "cfg_scale": "7",
    }
    answer = client.post("/sdapi/v1/txt2img", body)
    assert answer.status == 200
    assert json.loads(answer.json()["info"])["steps"] == 3


def test_a_random_seed_is_reported_and_can_be_used_again(client):
    first = client.post("/sdapi/v1/txt2img", {**SMALL, "seed": -1}).json()
    seed = json.loads(first["info"])["seed"]
    assert 0 <= seed < 2**32 - 1
    again = client.post("/sdapi/v1/txt2img", {**SMALL, "seed": seed}).json()
    images = [pictures(answer)[0].tobytes() for answer in (first, again)]
    assert images[0] == images[1]


def test_images_can_be_left_out_and_saved(client, server):
    before = set((server.data_dir / "outputs").rglob("*.png"))
    body = {**SMALL, "send_images": False, "save_images": True, "batch_size": 2}
    answer = client.post("/sdapi/v1/txt2img", body).json()
    assert answer["images"] == []
    new = set((server.data_dir / "outputs").rglob("*.png")) - before
    assert sorted(path.parent.parent.name for path in new) == [
        "txt2img-grids",
        "txt2img-images",
        "txt2img-images",
    ]
    assert json.loads(answer["info"])["index_of_first_image"] == 1


def test_nothing_is_saved_unless_asked(client, server):
    before = set((server.data_dir / "outputs").rglob("*"))
    client.post("/sdapi/v1/txt2img", SMALL)
    assert set((server.data_dir / "outputs").rglob("*")) == before


def test_an_infotext_fills_the_fields_that_are_not_set(client):
    text = "a blue boat\nNegative prompt: fog\nSteps: 2, Sampler: DPM++ 2M, Schedule type: Karras, "
    text += "CFG scale: 4.5, Seed: 99, Size: 72x64, Clip skip: 2"
    answer = client.post("/sdapi/v1/txt2img", {"infotext": text, "seed": 3})
    info = json.loads(answer.json()["info"])
    assert (info["prompt"], info["negative_prompt"], info["seed"]) == ("a blue boat", "fog", 3)
    assert (info["steps"], info["width"], info["height"]) == (2, 72, 64)
    assert (info["sampler_name"], info["cfg_scale"], info["clip_skip"]) == ("DPM++ 2M", 4.5, 2)


def test_override_settings_last_for_one_request(client):
    body = {**SMALL, "override_settings": {"CLIP_stop_at_last_layers": 2, "randn_source": "NV"}}
    info = json.loads(client.post("/sdapi/v1/txt2img", body).json()["info"])
    assert info["clip_skip"] == 2
    assert "RNG: NV" in info["infotexts"][0]
    assert client.get("/sdapi/v1/options").json()["CLIP_stop_at_last_layers"] == 1


def test_progress_is_told_while_a_job_runs_and_is_zero_when_idle(client):
    client.idle()
    idle = client.get("/sdapi/v1/progress").json()
    assert (idle["progress"], idle["state"]["job_count"]) == (0.0, 0)
    assert (idle["eta_relative"], idle["current_image"], idle["textinfo"]) == (0.0, None, None)
    answers = []
    body = {**SLOW, "n_iter": 2, "force_task_id": f"task({time.time_ns()})"}
    thread = threading.Thread(target=lambda: answers.append(client.post("/sdapi/v1/txt2img", body)))
    thread.start()
    seen, tasks = [], []
    while thread.is_alive():
        found = client.get("/sdapi/v1/progress").json()
        task = client.post("/internal/progress", {"id_task": body["force_task_id"]}).json()
        if found["state"]["job_count"]:
            seen.append(found)
        if task["active"]:
            tasks.append(task)
        time.sleep(0.02)
    thread.join()
    assert answers[0].status == 200
    assert len({found["progress"] for found in seen}) > 5
    assert [found["progress"] for found in seen] == sorted(found["progress"] for found in seen)
    assert {found["state"]["job_count"] for found in seen} == {2}
    assert any(found["eta_relative"] > 0 for found in seen)
    shown = [found["current_image"] for found in seen if found["current_image"]]
    assert Image.open(io.BytesIO(base64.b64decode(shown[-1]))).size[0] > 0
    assert any(
        task["live_preview"].startswith("data:image/") for task in tasks if task["live_preview"]
    )
    done = client.post("/internal/progress", {"id_task": body["force_task_id"]}).json()
    assert (done["active"], done["queued"], done["completed"]) == (False, False, True)


def test_an_interrupt_answers_with_the_pictures_so_far(client):
    answers = []
    body = {**SLOW, "n_iter": 20}
    thread = threading.Thread(target=lambda: answers.append(client.post("/sdapi/v1/txt2img", body)))
    thread.start()
    while client.get("/sdapi/v1/progress").json()["state"]["job_no"] < 1:
        assert thread.is_alive()
        time.sleep(0.02)
    stopped = client.post("/sdapi/v1/interrupt")
    assert (stopped.status, stopped.json()) == (200, {})
    thread.join(30)
    assert answers[0].status == 200
    assert 1 <= len(answers[0].json()["images"]) < 20


def test_interrupt_and_skip_are_harmless_when_idle(client):
    client.idle()
    assert client.post("/sdapi/v1/interrupt").json() == {}
    assert client.post("/sdapi/v1/skip").body == b"null"
    assert client.post("/sdapi/v1/txt2img", SMALL).status == 200


def test_dropping_the_connection_does_not_stop_the_job(client):
    task = f"dropped-{time.time_ns()}"
    with contextlib.suppress(TimeoutError):
        client.post("/sdapi/v1/txt2img", {**SLOW, "force_task_id": task}, timeout=0.3)
    assert client.finished(task)["state"] == "done"
