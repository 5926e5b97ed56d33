"""Helpers for data sets in Extras: split, crop, mirror and caption pictures for training."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.components.base import Component

from modules.requests.extras import DatasetSteps
from modules.web.pages.parts.inputs import checkbox, slider
from modules.web.pages.parts.segments import segments
from modules.web.pages.parts.switch import Switch, switch

CAPTIONS = {
    "none": "extras.caption_none",
    "clip": "extras.caption_clip",
    "deepdanbooru": "extras.caption_deepdanbooru",
}


@dataclass(frozen=True)
class DatasetPart:
    """The section and its fields by request name."""

    switches: tuple[Switch, ...]
    fields: dict[str, Component]


def build(tab: str) -> DatasetPart:
    """Place the section; everything in it is off at the start."""
    start = DatasetSteps()
    with switch("dataset", f"{tab}_dataset") as whole:
        with gr.Row():
            width = slider("dataset_width", f"{tab}_dataset_width", 64, 2048, start.width, 8)
            height = slider("dataset_height", f"{tab}_dataset_height", 64, 2048, start.height, 8)
        with switch("dataset_split", "postprocess_split_enable") as split, gr.Row():
            threshold = slider(
                "dataset_split_threshold",
                "postprocess_split_threshold",
                0,
                1,
                start.split_threshold,
                0.05,
            )
            overlap = slider(
                "dataset_split_overlap",
                "postprocess_overlap_ratio",
                0,
                0.9,
                start.split_overlap,
                0.05,
            )
        with switch("dataset_focal", "postprocess_focal_crop_enable") as focal, gr.Row():
            face = _weight("face_weight", start.focal_face_weight)
            entropy = _weight("entropy_weight", start.focal_entropy_weight)
            edges = _weight("edges_weight", start.focal_edges_weight)
        with switch("dataset_auto", "postprocess_multicrop_enable") as auto:
            with gr.Row():
                min_side = _side("mindim", start.auto_min_side)
                max_side = _side("maxdim", start.auto_max_side)
            with gr.Row():
                min_area = _area("minarea", start.auto_min_area)
                max_area = _area("maxarea", start.auto_max_area)
            error = slider(
                "dataset_threshold",
                "postprocess_multicrop_threshold",
                0,
                1,
                start.auto_threshold,
                0.01,
            )
        flipped = checkbox("dataset_flipped", f"{tab}_dataset_flipped")
        caption = segments(
            tab, "dataset.caption", "extras.caption", CAPTIONS, start.caption, titled=True
        )
    fields: dict[str, Component] = {
        "dataset.enabled": whole.checkbox,
        "dataset.width": width,
        "dataset.height": height,
        "dataset.split_oversized": split.checkbox,
        "dataset.split_threshold": threshold,
        "dataset.split_overlap": overlap,
        "dataset.focal_crop": focal.checkbox,
        "dataset.focal_face_weight": face,
        "dataset.focal_entropy_weight": entropy,
        "dataset.focal_edges_weight": edges,
        "dataset.auto_sized_crop": auto.checkbox,
        "dataset.auto_min_side": min_side,
        "dataset.auto_max_side": max_side,
        "dataset.auto_min_area": min_area,
        "dataset.auto_max_area": max_area,
        "dataset.auto_threshold": error,
        "dataset.flipped_copies": flipped,
        "dataset.caption": caption,
    }
    return DatasetPart((whole, split, focal, auto), fields)


def _weight(name: str, value: float) -> gr.Slider:
    return slider(f"dataset_{name}", f"postprocess_focal_crop_{name}", 0, 1, value, 0.05)


def _side(name: str, value: int) -> gr.Slider:
    return slider(f"dataset_{name}", f"postprocess_multicrop_{name}", 64, 2048, value, 8)


def _area(name: str, value: int) -> gr.Slider:
    most = 2048 * 2048
    return slider(f"dataset_{name}", f"postprocess_multicrop_{name}", 64 * 64, most, value, 64)
