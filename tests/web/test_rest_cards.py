"""Cards, the ledger and downloads over HTTP: paged, path-safe, nothing from files as markup."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from tests.catalog.files import write_tensors
from tests.web.conftest import Client

DOWN = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def loras(server) -> Iterator[Path]:
    """Some LoRA files of the session's server; gone afterwards."""
    folder = server.data_dir / "models" / "Lora"
    for number in range(70):
        path = folder / f"pack{number % 3}" / f"style_{number:02}.safetensors"
        write_tensors(path, {DOWN: (4, (768, 2048)[number % 2])})
    write_tensors(folder / "fox.safetensors", {DOWN: (4, 768)}, metadata={"ss_output_name": "Fox"})
    noted = {"description": HOSTILE, "activation text": "fx", "license": "=1+1", "theirs": 5}
    (folder / "fox.json").write_text(json.dumps(noted))
    Image.new("RGB", (600, 800), "orange").save(folder / "fox.png")
    (folder / f"{HOSTILE.replace('/', '')}.safetensors").write_bytes(b"broken")
    (folder / "text.safetensors").write_bytes(b"broken")
    (folder / "text.png").write_text("<script>no picture</script>")
    server.post("/easel/v1/cards/refresh")
    yield folder
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    server.post("/easel/v1/cards/refresh")


def card_path(name: str, part: str = "card") -> str:
    return f"/easel/v1/cards/lora/{part}?name={quote(name, safe='')}"


def test_a_page_of_cards_comes_in_parts(client: Client, loras: Path) -> None:
    first = client.get("/easel/v1/cards/lora?limit=20&search=style").json()
    second = client.get("/easel/v1/cards/lora?limit=20&offset=20&search=style").json()
    assert (first["matched"], len(first["cards"]), len(second["cards"])) == (70, 20, 20)
    assert not {c["name"] for c in first["cards"]} & {c["name"] for c in second["cards"]}
    assert [f["path"] for f in first["folders"]] == ["pack0", "pack1", "pack2"]


def test_files_of_other_families_can_be_hidden(client: Client, loras: Path) -> None:
    found = client.get("/easel/v1/cards/lora?family=current&search=style&limit=200").json()
    assert found["current_family"] == "sd1"
    assert {card["family"] for card in found["cards"]} == {"sd1"}
    assert (found["matched"], found["hidden"]) == (35, 35)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=9999", "offset=-1", "sort=size", "order=up", "search=" + "x" * 500]
)
def test_queries_out_of_range_are_refused(client: Client, query: str) -> None:
    assert client.get(f"/easel/v1/cards/lora?{query}").status == 422


@pytest.mark.parametrize("page", ["nothing", "..", "lora%2f..", "%00"])
def test_unknown_pages_are_refused(client: Client, page: str) -> None:
    assert client.get(f"/easel/v1/cards/{page}").status in (404, 422)


def test_a_card_tells_everything_and_takes_notes(client: Client, loras: Path) -> None:
    card = client.get(card_path("fox")).json()
    assert card["insert"] == "<lora:Fox:1>"
    assert (card["description"], card["activation"]) == (HOSTILE, "fx")
    assert card["metadata"] == {"ss_output_name": "Fox"}
    changes = {"preferred_weight": 0.65, "notes": "soft"}
    changed = client.send("PUT", card_path("fox"), {"changes": changes}).json()
    assert changed["insert"] == "<lora:Fox:0.65>"
    kept = json.loads((loras / "fox.json").read_text())
    assert (kept["preferred weight"], kept["notes"], kept["theirs"]) == (0.65, "soft", 5)


def test_notes_that_do_not_fit_are_refused(client: Client, loras: Path) -> None:
    before = (loras / "fox.json").read_text()
    for changes in ({"preferred_weight": "heavy"}, {"path": "/etc"}, {"notes": 5}):
        answer = client.send("PUT", card_path("fox"), {"changes": changes})
        assert answer.status == 422 and answer.json()["field"] in (*changes, None)
    assert client.send("PUT", card_path("../fox"), {"changes": {}}).status == 422
    assert (loras / "fox.json").read_text() == before


def test_previews_are_made_anew_from_pixels(client: Client, loras: Path) -> None:
    listed = client.get("/easel/v1/cards/lora?search=fox.safetensors").json()["cards"]
    address = next(card["preview"] for card in listed if card["name"] == "fox")
    answer = client.get(address)
    assert answer.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(answer.body)) as small:
        assert max(small.size) == 320
    assert client.get(card_path("text", "preview")).status == 404


@pytest.mark.parametrize(
    "filename",
    [
        "",
        "fox.png",
        "/etc/passwd",
        "{loras}/../../config.json",
        "{loras}/fox.json",
        "{loras}/fox.safetensors",
        "{loras}/text.png",
        "{loras}/out.png",
        "{loras}/fox.png%00.png",
        "{loras}/",
        "file://{loras}/fox.png",
        "\\\\host\\share\\x.png",
    ],
)
def test_thumb_serves_pictures_of_model_folders_and_nothing_else(
    client: Client, loras: Path, filename: str
) -> None:
    out = loras / "out.png"
    if not out.is_symlink():
        Image.new("RGB", (4, 4)).save(loras.parents[1] / "secret.png")
        out.symlink_to(loras.parents[1] / "secret.png")
    asked = quote(filename.format(loras=loras), safe="%")
    assert client.get(f"/sd_extra_networks/thumb?filename={asked}").status in (404, 422)
    good = client.get(f"/sd_extra_networks/thumb?filename={quote(str(loras / 'fox.png'))}")
    assert (good.status, good.headers["content-type"]) == (200, "image/webp")


def test_a1111s_routes_answer_in_its_shapes(client: Client, loras: Path) -> None:
    told = client.get("/sd_extra_networks/metadata?page=lora&item=fox").json()
    assert json.loads(told["metadata"]) == {"ss_output_name": "Fox"}
    assert client.get("/sd_extra_networks/metadata?page=lora&item=nothing").json() == {}
    one = client.get("/sd_extra_networks/get-single-card?page=lora&tabname=txt2img&name=fox").json()
    assert 'class="card"' in one["html"] and "&lt;img src=x" in one["html"]
    assert "<img src=x" not in one["html"]
    assert client.get("/sd_extra_networks/cover-images?page=lora&item=fox").status == 404


def test_a_picture_becomes_a_preview_and_counts_in_the_ledger(
    client: Client, server, loras: Path
) -> None:
    job = client.finished(client.submit())
    image = job["images"][0]
    before = client.get(card_path("pack0/style_00")).json()
    assert before["preview"] is None
    body = {"image_id": image["id"]}
    after = client.send("PUT", card_path("pack0/style_00", "preview"), body).json()
    assert client.get(after["preview"]).status == 200
    with Image.open(loras / "pack0" / "style_00.preview.png") as kept:
        assert kept.info["parameters"] == image["infotext"]
    bare = client.send("DELETE", card_path("pack0/style_00", "preview")).json()
    assert bare["preview"] is None
    assert client.send("PUT", card_path("fox", "preview"), {"image_id": "../x"}).status == 404
    rows = client.get("/easel/v1/ledger?only=used&kind=checkpoint").json()["models"]
    starter = next(row for row in rows if row["name"] == "easel-starter")
    assert starter["uses"] >= 1 and starter["licence"] == "apache-2.0"
    asked = "/easel/v1/ledger/outputs?kind=checkpoint&name=easel-starter"
    made = client.get(asked).json()["images"]
    assert image["id"] in {one["id"] for one in made}


def test_the_ledger_can_be_taken_along(client: Client, loras: Path) -> None:
    answer = client.get("/easel/v1/ledger/file.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="easel-ledger.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"))))
    fox = next(row for row in rows if row["name"] == "fox")
    assert fox["licence"] == "'=1+1"
    as_json = json.loads(client.get("/easel/v1/ledger/file.json").body)
    assert {model["name"] for model in as_json["models"]} >= {"fox", "easel-starter"}
    assert client.get("/easel/v1/ledger?kind=spoon").status == 422


def test_missing_hashes_are_computed_when_asked_for(client: Client, loras: Path) -> None:
    import hashlib
    import time

    client.post("/easel/v1/ledger/hash")
    want = hashlib.sha256((loras / "fox.safetensors").read_bytes()).hexdigest()
    end = time.monotonic() + 30
    while client.get(card_path("fox")).json()["sha256"] != want:
        assert time.monotonic() < end
        time.sleep(0.1)
    row = client.get("/easel/v1/ledger?search=fox&kind=lora").json()["models"][0]
    assert (row["sha256"], row["autov2"]) == (want, want[:10])


def test_downloads_from_this_network_are_refused(client: Client) -> None:
    address = f"http://127.0.0.1:{client.port}/x.safetensors"
    for path in ("/easel/v1/downloads", "/easel/v1/downloads/inspect"):
        answer = client.post(path, {"address": address})
        assert answer.status == 422 and answer.seconds < 2
        assert "local network" in answer.json()["detail"]
    assert client.post("/easel/v1/downloads/nothing/cancel").status == 404


def test_tokens_are_kept_and_never_told(client: Client, server) -> None:
    body = {"site": "civitai", "token": "very-secret"}
    assert client.send("PUT", "/easel/v1/downloads/token", body).json()["tokens"]["civitai"]
    told = client.get("/easel/v1/downloads").body + client.get("/sdapi/v1/options").body
    assert b"very-secret" not in told
    assert (server.data_dir / "tokens.json").stat().st_mode & 0o077 == 0
    client.send("PUT", "/easel/v1/downloads/token", {"site": "civitai", "token": ""})


def test_the_list_of_checkpoints_tells_family_and_size(client: Client) -> None:
    models = client.get("/easel/v1/models").json()["checkpoints"]
    starter = next(one for one in models if one["model_name"] == "easel-starter")
    assert (starter["family_label"], starter["variant"]) == ("SD 1", "")
    assert starter["size"] > 10_000_000
