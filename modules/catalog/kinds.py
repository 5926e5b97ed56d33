"""Tell files that are no checkpoints from each other: a VAE, a LoRA, an embedding, a TAESD."""

from __future__ import annotations

from modules.catalog.header import Header

_LORA_MARKS = (
    *("lora_down", "lora_up", "lora_A", "lora_B", "lora.down", "lora_linear_layer"),
    *("hada_w1_a", "lokr_w1", "oft_blocks", "oft_diag", "oft_R", "boft_R", "ia3_l", "bundle_emb."),
)
_LORA_ENDINGS = (".on_input", ".w_norm", ".diff", ".diff_b", ".a1.weight")


_TEXT_MARKS = (
    "text_model.embeddings.token_embedding.weight",
    "encoder.block.0.layer.0.SelfAttention.q.weight",
    "enc.blk.0.attn_q.weight",
)


def is_vae(header: Header) -> bool:
    """A separate VAE, in diffusers' or the original layout, with its decoder."""
    return decoder_prefix(header) is not None


def decoder_prefix(header: Header) -> str | None:
    """What stands before `decoder.conv_in.weight` in the file, or None for no VAE."""
    for prefix in ("", "first_stage_model.", "vae."):
        shape = header.shape(f"{prefix}decoder.conv_in.weight")
        if shape is not None and len(shape) == 4:
            return prefix
    return None


def is_lora(header: Header) -> bool:
    """A low-rank adapter of any naming."""
    return any(
        name.endswith(_LORA_ENDINGS) or any(mark in name for mark in _LORA_MARKS) for name in header
    )


def is_embedding(header: Header) -> bool:
    """A textual inversion: nothing but a few small matrices of word vectors."""
    entries = list(header.tensors.values())
    return 0 < len(entries) <= 4 and all(
        len(e.shape) <= 2 and 0 < e.shape[-1] <= 8192 for e in entries if e.shape
    )


def other_kind(header: Header) -> str:
    """What a file in the checkpoint folder is when no family knows it; continues "is …"."""
    if is_lora(header):
        return "is a LoRA and belongs in models/Lora"
    if is_vae(header):
        return "is a VAE and belongs in models/VAE"
    if is_embedding(header):
        return "is a textual inversion embedding and belongs in embeddings"
    if any(mark in header for mark in _TEXT_MARKS):
        return "is a text encoder and belongs in models/text_encoder"
    return "is not a checkpoint of a known model family"
