"""ComfyUI's `prompt` graph: the sampler node and what feeds it, as far as core nodes go."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from itertools import islice
from typing import Any

from modules.gallery.infotext import ParsedInfotext

MAX_NODES = 5000
MAX_WALK = 200
"""Nodes visited on the way from one input to its source."""
MAX_INPUTS = 100
"""Inputs of a node that are looked at."""
MAX_SAMPLERS = 50

Graph = Mapping[str, Any]

SAMPLERS = {
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "heun": "Heun",
    "dpm_2": "DPM2",
    "dpm_2_ancestral": "DPM2 a",
    "lms": "LMS",
    "dpm_fast": "DPM fast",
    "dpm_adaptive": "DPM adaptive",
    "dpmpp_2s_ancestral": "DPM++ 2S a",
    "dpmpp_sde": "DPM++ SDE",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "lcm": "LCM",
    "ddim": "DDIM",
    "uni_pc": "UniPC",
    "uni_pc_bh2": "UniPC",
}
"""ComfyUI's sampler names with `_gpu` taken off."""

SCHEDULES = {"ddim_uniform": "DDIM", "normal": "Normal", "simple": "Simple"}


def is_graph(data: Any) -> bool:
    """Whether `data` is a graph in the form of ComfyUI's API: id to node with `class_type`."""
    if not isinstance(data, Mapping) or not data or len(data) > MAX_NODES:
        return False
    return all(
        isinstance(node, Mapping) and isinstance(node.get("class_type"), str)
        for node in data.values()
    )


def read_graph(graph: Graph) -> ParsedInfotext:
    """The parameters of the graph's sampler node (the earliest one, when several follow)."""
    sampler = _first_sampler(graph)
    if sampler is None:
        note = "The ComfyUI graph has no sampler node that can be read."
        return ParsedInfotext(dialect="comfyui", notes=(note,))
    get = _Inputs(graph, sampler)
    name = re.sub(r"_(gpu|cpu)$", "", get.text("sampler_name"))
    schedule = get.text("scheduler")
    width, height = get.size()
    model, loras = get.model()
    parameters = {
        "Steps": get.text("steps"),
        "Sampler": SAMPLERS.get(name, name),
        "Schedule type": SCHEDULES.get(schedule, schedule),
        "CFG scale": get.text("cfg"),
        "Seed": get.text("seed") or get.text("noise_seed"),
        "Size": f"{width}x{height}" if width and height else "",
        "Model": re.sub(r"\.(safetensors|ckpt)$", "", model.replace("\\", "/").split("/")[-1]),
        "RNG": "CPU",
    }
    denoise = get.text("denoise")
    if denoise not in ("", "1", "1.0"):
        parameters["Denoising strength"] = denoise
    prompt = get.prompt("positive") + "".join(loras)
    shown = {key: value for key, value in parameters.items() if value}
    notes = ("Only the main sampler of the ComfyUI graph is read.",)
    return ParsedInfotext(prompt, get.prompt("negative"), shown, "comfyui", notes)


def _first_sampler(graph: Graph) -> Mapping[str, Any] | None:
    """A sampler whose latents come from no other sampler."""
    samplers = [node for node in graph.values() if "KSampler" in node["class_type"]]
    for node in samplers[:MAX_SAMPLERS]:
        source = _Inputs(graph, node).walk("latent_image", lambda one: "KSampler" in one)
        if source is None:
            return node
    return samplers[0] if samplers else None


class _Inputs:
    """What feeds one node, over links and pass-through nodes."""

    def __init__(self, graph: Graph, node: Mapping[str, Any]) -> None:
        self.graph = graph
        self.inputs = _inputs(node)

    def text(self, name: str) -> str:
        """A plain value, or the first plain value of the node it is linked to."""
        value = self.inputs.get(name)
        for _ in range(8):
            node = self._linked(value)
            if node is None:
                break
            values = _inputs(node)
            value = next(
                (values[key] for key in ("value", name, "text", "seed") if key in values), ""
            )
        return str(value) if isinstance(value, (str, int, float)) else ""

    def prompt(self, name: str) -> str:
        """The text of the encoder that feeds `positive` or `negative`."""
        node = self.walk(name, lambda kind: "TextEncode" in kind)
        if node is None:
            return ""
        reader = _Inputs(self.graph, node)
        return reader.text("text") or reader.text("text_g") or reader.text("t5xxl")

    def size(self) -> tuple[str, str]:
        """Width and height of the latent image at the start."""
        node = self.walk("latent_image", lambda kind: "Latent" in kind and "Empty" in kind)
        if node is None:
            return "", ""
        reader = _Inputs(self.graph, node)
        return reader.text("width"), reader.text("height")

    def model(self) -> tuple[str, list[str]]:
        """The checkpoint's file name, and the LoRAs on the way to it."""
        loras: list[str] = []
        value, name = self.inputs.get("model"), ""
        for _ in range(MAX_WALK):
            node = self._linked(value)
            if node is None:
                break
            values = _inputs(node)
            if isinstance(values.get("lora_name"), str):
                stem = re.sub(r"\.safetensors$", "", values["lora_name"].replace("\\", "/"))
                weight = values.get("strength_model", 1)
                loras.append(f" <lora:{stem.split('/')[-1]}:{weight}>")
            for key in ("ckpt_name", "unet_name", "model_name"):
                name = name or (values[key] if isinstance(values.get(key), str) else "")
            value = values.get("model")
        return name, loras

    def walk(self, name: str, wanted: Any) -> Mapping[str, Any] | None:
        """The nearest node of a wanted kind upstream of the input `name`."""
        waiting = deque([self.inputs.get(name)])
        seen: set[str] = set()
        while waiting and len(seen) < MAX_WALK:
            value = waiting.popleft()
            node = self._linked(value)
            if node is None or value[0] in seen:
                continue
            seen.add(value[0])
            if wanted(node["class_type"]):
                return node
            waiting += islice(_inputs(node).values(), MAX_INPUTS)
        return None

    def _linked(self, value: Any) -> Mapping[str, Any] | None:
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
            node = self.graph.get(value[0])
            return node if isinstance(node, Mapping) else None
        return None


def _inputs(node: Mapping[str, Any]) -> Mapping[str, Any]:
    inputs = node.get("inputs")
    return inputs if isinstance(inputs, Mapping) else {}
