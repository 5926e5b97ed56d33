"""``/easel/v1``: what the page works with."""

from __future__ import annotations

import time

from tests.web.conftest import SLOW, SMALL


def test_a_job_is_acknowledged_with_what_it_will_really_use(client):
    answer = client.post("/easel/v1/jobs", {**SMALL, "seed": -1, "batch_size": 2})
    body = answer.json()
    assert answer.seconds < 2
    assert body["state"] in ("queued", "running")
    assert body["parameters"]["all_seeds"][0] == body["seed"] >= 0
    job = client.finished(body["id"])
    assert job["state"] == "done"
    assert [image["kind"] for image in job["images"]] == ["grid", "image", "image"]
    assert job["images"][1]["infotext"].startswith("a red apple")
    assert job["timings"]["run_s"] > 0


def test_an_unknown_style_is_refused_by_name(client):
    answer = client.post("/easel/v1/jobs", {**SMALL, "styles": ["zz"]})
    assert answer.status == 422
    assert answer.json()["field"] == "styles"
    assert "'zz' is not known" in answer.json()["detail"]


def test_the_page_default_is_20_steps(client):
    client.post("/easel/v1/queue/pause")
    fields = {key: value for key, value in SMALL.items() if key != "steps"}
    answer = client.post("/easel/v1/jobs", fields).json()
    assert answer["parameters"]["steps"] == 20


def test_the_queue_can_be_paused_listed_reordered_and_cancelled(client):
    assert client.post("/easel/v1/queue/pause").json() == {"paused": True}
    ids = [client.submit(seed=n) for n in range(3)]
    listed = client.get("/easel/v1/jobs?state=queued").json()
    assert listed["paused"] is True
    assert [(line["id"], line["position"]) for line in listed["jobs"]] == list(
        zip(ids, (1, 2, 3), strict=True)
    )
    moved = client.post(f"/easel/v1/jobs/{ids[2]}/move", {"to": "top"})
    assert moved.json() == {"position": 1}
    assert client.post("/easel/v1/jobs/" + ids[0] + "/move", {"to": "away"}).status == 422
    cancelled = client.post(f"/easel/v1/jobs/{ids[1]}/cancel").json()
    assert cancelled == {"cancelled": True, "state": "cancelled"}
    order = [line["id"] for line in client.get("/easel/v1/jobs?state=queued").json()["jobs"]]
    assert order == [ids[2], ids[0]]
    pending = client.get("/internal/pending-tasks").json()
    assert pending == {"size": 2, "tasks": order}
    waiting = client.post("/internal/progress", {"id_task": ids[0]}).json()
    assert (waiting["queued"], waiting["textinfo"]) == (True, "In queue: 2/2")
    client.post("/easel/v1/queue/resume")
    assert client.finished(ids[0])["state"] == "done"
    again = client.post(f"/easel/v1/jobs/{ids[1]}/retry").json()
    assert again["state"] in ("queued", "running")
    assert client.finished(ids[1])["state"] == "done"


def test_a_running_job_can_be_interrupted_and_keeps_its_pictures(client):
    job_id = client.submit(**SLOW, n_iter=20)
    while client.get(f"/easel/v1/jobs/{job_id}/progress").json()["iteration"] < 1:
        time.sleep(0.02)
    assert client.post("/easel/v1/interrupt", {"id": "another"}).json() == {"done": False}
    assert client.post("/easel/v1/interrupt", {"id": job_id}).json() == {"done": True}
    job = client.finished(job_id)
    assert job["state"] == "interrupted"
    assert 1 <= len([i for i in job["images"] if i["kind"] == "image"]) < 20


def test_too_many_jobs_of_one_client_are_refused_with_a_time_to_wait(client):
    client.post("/easel/v1/queue/pause")
    for n in range(50):
        client.submit(seed=n)
    answer = client.post("/easel/v1/jobs", SMALL)
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "50" in answer.json()["detail"]


def test_tokens_and_remarks_of_a_prompt(client):
    body = {"prompt": "a (red apple", "negative_prompt": "", "steps": 20}
    found = client.post("/easel/v1/prompt/check", body).json()
    assert found["prompt"]["limit"] == 75
    assert 2 <= found["prompt"]["tokens"] <= 6
    (warning,) = found["prompt"]["warnings"]
    assert warning["start"] == 2
    assert found["negative_prompt"] == {
        "tokens": 0,
        "limit": 75,
        "t5": None,
        "warnings": [],
        "translation": None,
    }


def test_what_the_model_reads_instead_of_a_chinese_prompt(client):
    body = {"prompt": "蓝色背景上的红苹果", "negative_prompt": "量子", "steps": 20}
    found = client.post("/easel/v1/prompt/check", body).json()
    english = "a red apple on a blue background"
    assert found["prompt"]["translation"] == {"text": english, "changed": True, "unknown": []}
    alone = client.post("/easel/v1/prompt/check", {**body, "prompt": english}).json()
    assert found["prompt"]["tokens"] == alone["prompt"]["tokens"]
    assert found["negative_prompt"]["translation"]["unknown"] == ["量子"]
    job = client.finished(client.submit(prompt=body["prompt"]))
    assert job["prompt"] == english
    assert f"Translated from Chinese: “{english}”." in job["warnings"]
    assert "Prompt in Chinese: 蓝色背景上的红苹果" in job["images"][0]["infotext"]


def test_a_pictures_parameters_become_form_fields(client):
    job = client.finished(client.submit(negative_prompt="fog"))
    image = job["images"][0]
    content = client.get(image["url"]).body
    by_bytes = client.post("/easel/v1/image-info", content, headers={"Content-Type": "image/png"})
    by_id = client.post("/easel/v1/image-info", {"image_id": image["id"]})
    by_text = client.post("/easel/v1/image-info", {"text": image["infotext"]})
    for answer in (by_bytes, by_id, by_text):
        fields = answer.json()["fields"]
        assert (fields["prompt"], fields["negative_prompt"]) == ("a red apple", "fog")
        assert (fields["seed"], fields["steps"], fields["width"]) == (5, 3, 64)
    assert by_bytes.json()["format"] == "PNG"
    assert client.post("/easel/v1/image-info", b"no picture").status == 422
    assert client.post("/easel/v1/image-info", {"nothing": 1}).status == 422


def test_styles_can_be_written_renamed_and_deleted(client):
    path = "/easel/v1/styles/ink%2Fpen"
    body = {"prompt": "ink drawing of {prompt}", "negative_prompt": "photo"}
    assert client.send("PUT", path, body).json()["name"] == "ink/pen"
    renamed = client.send("PUT", path, {**body, "new_name": "ink"}).json()
    assert renamed["name"] == "ink"
    styles = client.get("/sdapi/v1/prompt-styles").json()
    assert [one for one in styles if one["name"].startswith("ink")] == [{"name": "ink", **body}]
    assert client.send("DELETE", "/easel/v1/styles/ink").json() == {"deleted": True}
    assert client.send("DELETE", "/easel/v1/styles/ink").status == 404


def test_settings_come_as_a_table_and_are_changed_all_or_nothing(client):
    table = client.get("/easel/v1/settings").json()
    rows = {row["key"]: row for group in table["groups"] for row in group["options"]}
    assert rows["jpeg_quality"]["maximum"] == 100
    assert rows["sd_model_checkpoint"]["choices"][0].startswith("easel-starter")
    answer = client.send("PUT", "/easel/v1/settings", {"jpeg_quality": 55, "zz": 1}).json()
    assert answer == {
        "changed": {"jpeg_quality": {"old": 80, "new": 55}},
        "unknown": ["zz"],
        "loading": False,
    }
    bad = {"jpeg_quality": 56, "samples_format": "exe"}
    refused = client.send("PUT", "/easel/v1/settings", bad)
    assert (refused.status, refused.json()["field"]) == (422, "samples_format")
    reset = client.post("/easel/v1/settings/reset", {"keys": ["jpeg_quality"]}).json()
    assert reset["changed"] == {"jpeg_quality": {"old": 55, "new": 80}}


def test_models_are_listed_with_what_is_loaded(client):
    models = client.get("/easel/v1/models").json()
    assert models["current"]["state"] == "ready"
    assert models["checkpoints"][0]["family"] == "sd1"
    assert models["vaes"][:2] == ["Automatic", "None"]


def test_a_picture_that_needs_what_is_not_here_says_so(client):
    text = (
        "p\nSteps: 3, Sampler: Euler, Seed: 1, Size: 64x64, Model hash: ffffffffff, Model: gone, "
    )
    text += (
        "VAE: gone.pt, Denoising strength: 0.5, Hires upscale: 2, Hires upscaler: 4x-Gone, RNG: NV"
    )
    found = client.post("/easel/v1/image-info", {"text": text}).json()
    said = " ".join(found["notes"])
    for name in ("gone [ffffffffff]", "gone.pt", "4x-Gone"):
        assert name in said
    assert "hr_upscaler" not in found["fields"]
    assert "sd_vae" not in found["override_settings"]
    job = client.post("/easel/v1/jobs", {**found["fields"], "steps": 1})
    assert job.status == 200
