"""Nothing leaves the machine: whatever normal use does, it connects to this machine alone."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.web.conftest import SMALL

READS = (
    *("/", "/config", "/easel/v1/jobs", "/easel/v1/images", "/easel/v1/cards", "/easel/v1/queue"),
    *("/sdapi/v1/sd-models", "/sdapi/v1/loras", "/sdapi/v1/samplers", "/sdapi/v1/options"),
    *("/sdapi/v1/upscalers", "/sdapi/v1/progress", "/internal/sysinfo", "/docs", "/openapi.json"),
    *("/sdapi/v1/extensions", "/sdapi/v1/embeddings", "/sdapi/v1/memory"),
)


def outgoing(file: Path, offset: int = 0) -> list[list]:
    """What was written down, but for addresses of this machine."""
    lines = file.read_bytes()[offset:].decode().splitlines()
    entries = [json.loads(line) for line in lines]
    return [entry for entry in entries if entry[1] != "armed" and not is_here(entry[2])]


def is_here(address: object) -> bool:
    """Whether an address, as Python's socket calls take it, is of this machine or none at all."""
    host = address[0] if isinstance(address, list) and address else address
    if host in (None, "", "localhost", "b'localhost'") or not isinstance(host, str):
        return True
    if host.startswith(("/", "\0")):  # a local socket
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def normal_use(client) -> None:
    """A page with all it loads, pictures, their parameters, settings, models."""
    page = client.get("/").body.decode("utf-8", "replace")
    for path in set(re.findall(r'(?:src|href)="\.?(/[^"]+)"', page)):
        client.get(path)
    for path in READS:
        client.get(path)
    picture = client.post("/sdapi/v1/txt2img", SMALL).json()["images"][0]
    body = {**SMALL, "init_images": [picture], "denoising_strength": 0.4}
    assert client.post("/sdapi/v1/img2img", body).status == 200
    assert client.post("/sdapi/v1/png-info", {"image": picture}).status == 200
    extras = {"image": picture, "upscaling_resize": 2, "upscaler_1": "Lanczos"}
    assert client.post("/sdapi/v1/extra-single-image", extras).status == 200
    assert client.post("/sdapi/v1/refresh-checkpoints", {}).status == 200
    assert client.post("/sdapi/v1/options", {"samples_save": True}).status == 200
    client.post("/easel/v1/prompt/check", {"prompt": "a __colour__ cat <lora:nobody:1>"})


def test_normal_use_connects_to_nothing_else(client, server):
    file = server.data_dir / "outgoing.log"
    if not file.exists():
        pytest.skip("the environment has a PYTHONPATH of its own")
    before = file.stat().st_size
    normal_use(client)
    armed = [json.loads(line)[2] for line in file.read_text().splitlines() if '"armed"' in line]
    assert any("webui.py" in str(words) for words in armed)
    assert len(armed) > 1, "the engine was not watched"
    assert outgoing(file, before) == []
    connected = [entry for entry in outgoing(file) if entry[1] != "socket.getaddrinfo"]
    assert connected == []


def test_a_picture_at_an_address_is_not_asked_for(client, server):
    file = server.data_dir / "outgoing.log"
    if not file.exists():
        pytest.skip("the environment has a PYTHONPATH of its own")
    before = file.stat().st_size
    for address in ("http://pictures.example/x.png", "https://[2606:4700::1]/x.png"):
        for path, body in (
            ("/sdapi/v1/img2img", {**SMALL, "init_images": [address]}),
            ("/sdapi/v1/png-info", {"image": address}),
            ("/sdapi/v1/extra-single-image", {"image": address}),
            ("/sdapi/v1/interrogate", {"image": address}),
        ):
            answer = client.post(path, body)
            assert answer.status in (400, 404, 422), (path, answer.body)
    assert outgoing(file, before) == []


ALONE = """
import json, socket, sys
sys.path.insert(0, ".")
from pathlib import Path
from tests.conftest import start_server, stop_server
from tests.web.conftest import Client
from tests.web.test_outgoing import normal_use
try:
    socket.create_connection(("192.0.2.1", 80), timeout=2)
    sys.exit("this is no closed network")
except OSError:
    pass
server = start_server(Path(sys.argv[1]))
try:
    server.wait_until_ready()
    normal_use(Client(server.port))
finally:
    stop_server(server)
"""


@pytest.mark.full
def test_it_starts_and_draws_where_there_is_no_network_at_all(tmp_path):
    """A network namespace that has a loopback device and nothing else."""
    inside = ["sh", "-c", 'ip link set lo up 2>/dev/null || ifconfig lo up; exec "$@"', "sh"]
    unshare = shutil.which("unshare")
    able = unshare and subprocess.run([unshare, "-rn", *inside, "true"], capture_output=True)
    if not able or able.returncode:
        pytest.skip("this machine does not let us make a network namespace (unshare -rn)")
    command = [unshare, "-rn", *inside, sys.executable, "-c", ALONE, str(tmp_path / "data")]
    environment = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280
    )
    assert run.returncode == 0, run.stdout + run.stderr
    file = tmp_path / "data" / "outgoing.log"
    assert outgoing(file) == []


def test_the_watch_tells_a_connection_that_would_leave(tmp_path):
    """What the tests above rely on."""
    script = (
        "import socket\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.connect(('127.0.0.1', 9))\n"
        "try: s.connect(('192.0.2.1', 9))\n"
        "except OSError: pass\n"
    )
    file = tmp_path / "outgoing.log"
    watched = {"PYTHONPATH": str(ROOT / "tests/support/outgoing"), "EASEL_TEST_OUTGOING": str(file)}
    subprocess.run([sys.executable, "-c", script], env={**os.environ, **watched}, check=True)
    assert [entry[1:] for entry in outgoing(file)] == [["socket.connect", ["192.0.2.1", 9]]]
