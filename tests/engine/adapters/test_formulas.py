"""Each kind of adapter against its definition, worked out in another way than the program does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Tensor

from tests.engine.adapters.conftest import CONV, CONV_PATH, LINEAR, LINEAR_PATH, Bench

Rand = Callable[..., Tensor]

IN, OUT = 64, 32
"""Of the linear layer; the convolution has 32 channels on both sides."""


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-5)


def test_lora_adds_what_two_thin_layers_would_say(bench: Bench, rand: Rand) -> None:
    up, down, x = rand(OUT, 4), rand(4, IN), rand(5, IN)
    layer = bench.layer(LINEAR_PATH)
    expected = layer(x) + 0.7 * (2 / 4) * F.linear(F.linear(x, down), up)
    parts = {"lora_up.weight": up, "lora_down.weight": down, "alpha": torch.tensor(2.0)}
    bench.apply({f"{LINEAR}.{k}": v for k, v in parts.items()}, image=0.7)
    close(layer(x), expected)


def test_a_lora_without_alpha_has_scale_one(bench: Bench, rand: Rand) -> None:
    up, down, x = rand(OUT, 4), rand(4, IN), rand(5, IN)
    layer = bench.layer(LINEAR_PATH)
    expected = layer(x) + F.linear(F.linear(x, down), up)
    bench.apply({f"{LINEAR}.lora_up.weight": up, f"{LINEAR}.lora_down.weight": down})
    close(layer(x), expected)


def test_locon_adds_what_two_convolutions_would_say(bench: Bench, rand: Rand) -> None:
    up, down, x = rand(32, 4, 1, 1), rand(4, 32, 3, 3), rand(2, 32, 6, 6)
    layer = bench.layer(CONV_PATH)
    expected = layer(x) + F.conv2d(F.conv2d(x, down, padding=1), up) * (8 / 4)
    parts = {"lora_up.weight": up, "lora_down.weight": down, "alpha": torch.tensor(8.0)}
    bench.apply({f"{CONV}.{k}": v for k, v in parts.items()})
    close(layer(x), expected)


def test_locon_in_three_factors(bench: Bench, rand: Rand) -> None:
    up, mid, down = rand(32, 4, 1, 1), rand(4, 4, 3, 3), rand(4, 32, 1, 1)
    x, layer = rand(2, 32, 6, 6), bench.layer(CONV_PATH)
    inner = F.conv2d(F.conv2d(x, down), mid, padding=1)
    expected = layer(x) + F.conv2d(inner, up)
    parts = {"lora_up.weight": up, "lora_mid.weight": mid, "lora_down.weight": down}
    bench.apply({f"{CONV}.{k}": v for k, v in parts.items()})
    close(layer(x), expected)


def test_a_rank_limit_keeps_the_first_ranks(bench: Bench, rand: Rand) -> None:
    from modules.engine.adapters.merged import Strength, Use

    up, down, x = rand(OUT, 4), rand(4, IN), rand(5, IN)
    layer = bench.layer(LINEAR_PATH)
    expected = layer(x) + F.linear(F.linear(x, down[:2]), up[:, :2])
    fitted = bench.fitted({f"{LINEAR}.lora_up.weight": up, f"{LINEAR}.lora_down.weight": down})
    bench.adapters.apply([Use(fitted, Strength(rank=2))])
    close(layer(x), expected)


def test_loha_multiplies_two_products(bench: Bench, rand: Rand) -> None:
    w1a, w1b, w2a, w2b = rand(OUT, 4), rand(4, IN), rand(OUT, 4), rand(4, IN)
    before = bench.layer(LINEAR_PATH).weight.clone()
    change = np.zeros((OUT, IN), np.float32)
    for o in range(OUT):
        for i in range(IN):
            change[o, i] = float(w1a[o] @ w1b[:, i]) * float(w2a[o] @ w2b[:, i])
    parts = {"hada_w1_a": w1a, "hada_w1_b": w1b, "hada_w2_a": w2a, "hada_w2_b": w2b}
    parts["alpha"] = torch.tensor(2.0)
    bench.apply({f"{LINEAR}.{k}": v for k, v in parts.items()})
    close(bench.layer(LINEAR_PATH).weight, before + torch.from_numpy(change) * 0.5)


def test_loha_of_a_convolution_with_and_without_cores(bench: Bench, rand: Rand) -> None:
    before = bench.layer(CONV_PATH).weight.clone()
    w = {"hada_w1_a": rand(4, 32), "hada_w1_b": rand(4, 32), "hada_t1": rand(4, 4, 3, 3)}
    w |= {"hada_w2_a": rand(4, 32), "hada_w2_b": rand(4, 32), "hada_t2": rand(4, 4, 3, 3)}
    bench.apply({f"{CONV}.{k}": v for k, v in w.items()})
    halves = [
        np.einsum("ro,rskl,si->oikl", w[f"hada_w{n}_a"], w[f"hada_t{n}"], w[f"hada_w{n}_b"])
        for n in "12"
    ]
    close(bench.layer(CONV_PATH).weight, before + torch.from_numpy(halves[0] * halves[1]))
    flat = {"hada_w1_a": rand(32, 4), "hada_w1_b": rand(4, 288)}
    flat |= {"hada_w2_a": rand(32, 4), "hada_w2_b": rand(4, 288)}
    bench.apply({f"{CONV}.{k}": v for k, v in flat.items()})
    product = (flat["hada_w1_a"] @ flat["hada_w1_b"]) * (flat["hada_w2_a"] @ flat["hada_w2_b"])
    close(bench.layer(CONV_PATH).weight, before + product.reshape(32, 32, 3, 3))


@pytest.mark.parametrize("thin", [False, True])
def test_lokr_is_a_kronecker_product(bench: Bench, rand: Rand, thin: bool) -> None:
    w1 = rand(4, 8)
    parts: dict[str, Tensor] = {"lokr_w1": w1, "alpha": torch.tensor(1.0)}
    if thin:
        parts |= {"lokr_w2_a": rand(8, 2), "lokr_w2_b": rand(2, 8)}
        w2, scale = parts["lokr_w2_a"] @ parts["lokr_w2_b"], 0.5
    else:
        parts["lokr_w2"] = w2 = rand(8, 8)
        scale = 1.0  # alpha says nothing about whole matrices
    before = bench.layer(LINEAR_PATH).weight.clone()
    change = torch.zeros(OUT, IN)
    for o in range(OUT):
        for i in range(IN):
            change[o, i] = w1[o // 8, i // 8] * w2[o % 8, i % 8]
    bench.apply({f"{LINEAR}.{k}": v for k, v in parts.items()})
    close(bench.layer(LINEAR_PATH).weight, before + change * scale)


def test_lokr_of_a_convolution_with_a_core(bench: Bench, rand: Rand) -> None:
    w1, core, a, b = rand(4, 4), rand(2, 2, 3, 3), rand(2, 8), rand(2, 8)
    before = bench.layer(CONV_PATH).weight.clone()
    parts = {"lokr_w1": w1, "lokr_t2": core, "lokr_w2_a": a, "lokr_w2_b": b}
    bench.apply({f"{CONV}.{k}": v for k, v in parts.items()})
    w2 = np.einsum("ro,rskl,si->oikl", a, core, b)
    change = np.einsum("ab,cdkl->acbdkl", w1, w2).reshape(32, 32, 3, 3)
    close(bench.layer(CONV_PATH).weight, before + torch.from_numpy(change))


@pytest.mark.parametrize("on_input", [False, True])
def test_ia3_scales_outputs_or_inputs(bench: Bench, rand: Rand, on_input: bool) -> None:
    values, x = rand(IN if on_input else OUT), rand(5, IN)
    layer = bench.layer(LINEAR_PATH)
    expected = layer(x * (1 + 0.5 * values)) if on_input else layer(x) * (1 + 0.5 * values)
    parts = {"weight": values, "on_input": torch.tensor(int(on_input))}
    bench.apply({f"{LINEAR}.{k}": v for k, v in parts.items()}, image=0.5)
    close(layer(x), expected)


def test_glora_is_the_layer_on_a_changed_input_and_a_lora(bench: Bench, rand: Rand) -> None:
    a1, a2, b1, b2 = rand(IN, 4), rand(4, IN), rand(OUT, 4), rand(4, IN)
    x, layer = rand(5, IN), bench.layer(LINEAR_PATH)
    changed = layer(x + F.linear(F.linear(x, a2), a1) * 0.5)
    expected = changed + F.linear(F.linear(x, b2), b1) * 0.5
    alpha = {f"{LINEAR}.alpha": torch.tensor(2.0)}
    current = {"a1": a1, "a2": a2, "b1": b1, "b2": b2}
    bench.apply({f"{LINEAR}.{k}.weight": v for k, v in current.items()} | alpha)
    close(layer(x), _as_linear(layer, x, expected))


def _as_linear(layer: torch.nn.Module, x: Tensor, expected: Tensor) -> Tensor:
    assert layer.bias is None
    return expected


def test_glora_in_its_older_order(bench: Bench, rand: Rand) -> None:
    """W + (W a2 a1 + b2 b1), as files before LyCORIS 3 have it."""
    a1, a2, b1, b2 = rand(4, IN), rand(IN, 4), rand(4, IN), rand(OUT, 4)
    before = bench.layer(LINEAR_PATH).weight.clone()
    old = {"a1": a1, "a2": a2, "b1": b1, "b2": b2}
    bench.apply({f"{LINEAR}.{k}.weight": v for k, v in old.items()})
    close(bench.layer(LINEAR_PATH).weight, before + before @ a2 @ a1 + b2 @ b1)


def test_full_differences_change_weight_and_bias(bench: Bench, rand: Rand) -> None:
    layer = bench.layer(CONV_PATH)
    weight, bias = layer.weight.clone(), layer.bias.clone()
    diff, diff_b = rand(32, 32, 3, 3), rand(32)
    bench.apply({f"{CONV}.diff": diff, f"{CONV}.diff_b": diff_b}, image=0.5)
    close(layer.weight, weight + diff / 2)
    close(layer.bias, bias + diff_b / 2)


def test_a_bias_is_made_where_there_was_none(bench: Bench, rand: Rand) -> None:
    layer, diff_b = bench.layer(LINEAR_PATH), rand(OUT)
    assert layer.bias is None
    bench.apply({f"{LINEAR}.diff": rand(OUT, IN), f"{LINEAR}.diff_b": diff_b})
    close(layer.bias.data, diff_b)
    bench.adapters.remove_all()
    assert layer.bias is None


def test_norms(bench: Bench, rand: Rand) -> None:
    name, path = "lora_unet_down_blocks_0_resnets_0_norm1", "down_blocks.0.resnets.0.norm1"
    layer = bench.layer(path)
    weight, bias = layer.weight.clone(), layer.bias.clone()
    w, b = rand(32), rand(32)
    bench.apply({f"{name}.w_norm": w, f"{name}.b_norm": b})
    close(layer.weight, weight + w)
    close(layer.bias, bias + b)


def test_oft_turns_blocks_of_outputs(bench: Bench, rand: Rand) -> None:
    blocks = rand(4, 8, 8)
    before = bench.layer(LINEAR_PATH).weight.clone()
    expected = before.clone()
    for k, block in enumerate(blocks):
        q = block - block.T
        r = torch.linalg.solve((torch.eye(8) - q).T, (torch.eye(8) + q).T).T
        expected[8 * k : 8 * k + 8] = r.T @ before[8 * k : 8 * k + 8]
    bench.apply({f"{LINEAR}.oft_blocks": blocks})
    now = bench.layer(LINEAR_PATH).weight
    close(now, expected)
    close(now.T @ now, before.T @ before)  # a rotation keeps all lengths and angles


def test_the_constraint_of_oft_bounds_the_rotation(bench: Bench, rand: Rand) -> None:
    blocks = rand(4, 8, 8)
    before = bench.layer(LINEAR_PATH).weight.clone()
    constraint = 1e-3
    bench.apply({f"{LINEAR}.oft_blocks": blocks, f"{LINEAR}.alpha": torch.tensor(constraint)})
    q = blocks - blocks.transpose(1, 2)
    q = q * (constraint * OUT / q.norm())
    r = torch.stack([(torch.eye(8) + one) @ torch.inverse(torch.eye(8) - one) for one in q])
    expected = torch.cat([r[k].T @ before[8 * k : 8 * k + 8] for k in range(4)])
    close(bench.layer(LINEAR_PATH).weight, expected)


def test_the_older_oft_holds_the_rotations_themselves(bench: Bench, rand: Rand) -> None:
    rotations = torch.stack([torch.linalg.qr(rand(8, 8))[0] for _ in range(4)])
    scale = 1 + rand(OUT, 1)
    before = bench.layer(LINEAR_PATH).weight.clone()
    bench.apply({f"{LINEAR}.oft_diag": rotations, f"{LINEAR}.rescale": scale})
    turned = [rotations[k].T @ before[8 * k : 8 * k + 8] for k in range(4)]
    close(bench.layer(LINEAR_PATH).weight, torch.cat(turned) * scale)


def test_oft_of_a_convolution(bench: Bench, rand: Rand) -> None:
    blocks, x = rand(4, 8, 8), rand(1, 32, 5, 5)
    layer = bench.layer(CONV_PATH)
    bare = F.conv2d(x, layer.weight, padding=1)
    q = blocks - blocks.transpose(1, 2)
    r = (torch.eye(8) + q) @ torch.inverse(torch.eye(8) - q)
    expected = torch.cat(
        [torch.einsum("nm,bnhw->bmhw", r[k], bare[:, 8 * k : 8 * k + 8]) for k in range(4)], dim=1
    )
    bench.apply({f"{CONV}.oft_blocks": blocks})
    close(F.conv2d(x, layer.weight, padding=1), expected)


def test_boft_is_a_product_of_butterfly_factors(bench: Bench, rand: Rand) -> None:
    count, size, factors = 8, 4, 3
    blocks = rand(factors, count, size, size)
    before = bench.layer(LINEAR_PATH).weight.clone()
    expected = before.clone()
    for level in range(factors):
        far = 2**level * size // 2
        # Output o = (pair, side, place): the factor works on rows ordered (pair, place, side).
        order = [
            pair * 2 * far + side * far + place
            for pair in range(OUT // (2 * far))
            for place in range(far)
            for side in range(2)
        ]
        q = blocks[level] - blocks[level].transpose(1, 2)
        r = (torch.eye(size) + q) @ torch.inverse(torch.eye(size) - q)
        mixed = torch.block_diag(*r) @ expected[order]
        expected = torch.empty_like(expected)
        expected[order] = mixed
    bench.apply({f"{LINEAR}.oft_blocks": blocks})
    now = bench.layer(LINEAR_PATH).weight
    close(now, expected)
    close(now.T @ now, before.T @ before)


def test_pefts_oft_turns_the_inputs(bench: Bench, rand: Rand) -> None:
    rows = rand(4, 120)
    before = bench.layer(LINEAR_PATH).weight.clone()
    turns = []
    for row in rows:
        q = torch.zeros(16, 16)
        q[tuple(torch.triu_indices(16, 16, 1))] = row
        q = q - q.T
        powers = [torch.linalg.matrix_power(q, n) for n in range(5)]
        turns.append(powers[0] + 2 * (powers[1] + powers[2] + powers[3]) + powers[4])
    x, layer = rand(3, IN), bench.layer(LINEAR_PATH)
    expected = F.linear(x @ torch.block_diag(*turns), before)
    bench.apply({f"{LINEAR}.oft_R.weight": rows * 1.0})
    torch.testing.assert_close(layer(x), expected, rtol=1e-3, atol=1e-3)


def test_pefts_boft_is_a_product_of_permuted_blocks(bench: Bench, rand: Rand) -> None:
    factors, count, size = 2, 16, 4
    blocks, scales = rand(factors, count, size, size), 1 + rand(OUT, 1)
    before = bench.layer(LINEAR_PATH).weight.clone()
    whole = torch.eye(IN)
    for level in range(factors):
        group = IN // (count // 2**level)
        order = []
        for begin in range(0, IN, group):
            halves = [list(range(begin + h, begin + h + 2)) for h in range(0, group, 2)]
            for half in (*halves[0::2], *halves[1::2]):
                order += half
        mixing = torch.eye(IN)[order]
        skew = (blocks[level] - blocks[level].transpose(1, 2)) / 2
        turns = (torch.eye(size) - skew) @ torch.inverse(torch.eye(size) + skew)
        whole = mixing @ torch.block_diag(*turns) @ mixing.T @ whole
    bench.apply({f"{LINEAR}.boft_R": blocks, f"{LINEAR}.boft_s": scales})
    close(bench.layer(LINEAR_PATH).weight, before @ whole.T * scales)


@pytest.mark.parametrize("per", ["input", "output", "peft"])
def test_dora_sets_the_length_of_columns_or_rows(bench: Bench, rand: Rand, per: str) -> None:
    up, down = rand(OUT, 4), rand(4, IN)
    before = bench.layer(LINEAR_PATH).weight.clone()
    moved = before + up @ down
    axis, count = (0, IN) if per == "input" else (1, OUT)
    lengths = rand(count).abs() + 0.5
    shape = {"input": (1, IN), "output": (OUT, 1), "peft": (OUT,)}[per]
    ending = "lora_magnitude_vector" if per == "peft" else "dora_scale"
    parts = {"lora_up.weight": up, "lora_down.weight": down, ending: lengths.reshape(shape)}
    bench.apply({f"{LINEAR}.{k}": v for k, v in parts.items()})
    now = bench.layer(LINEAR_PATH).weight
    close(now.norm(dim=axis), lengths)
    close(F.cosine_similarity(now, moved, dim=axis), torch.ones(count))


def test_half_a_dora_is_half_way(bench: Bench, rand: Rand) -> None:
    parts = {"lora_up.weight": rand(OUT, 4), "lora_down.weight": rand(4, IN)}
    parts["dora_scale"] = rand(1, IN).abs() + 0.5
    named = {f"{LINEAR}.{k}": v for k, v in parts.items()}
    before = bench.layer(LINEAR_PATH).weight.clone()
    bench.apply(named)
    whole = bench.layer(LINEAR_PATH).weight.clone()
    bench.apply(named, image=0.5)
    close(bench.layer(LINEAR_PATH).weight, (before + whole) / 2)


def test_kinds_that_turn_the_weight_see_what_came_before_them(bench: Bench, rand: Rand) -> None:
    from modules.engine.adapters.merged import Strength, Use

    up, down, values = rand(OUT, 4), rand(4, IN), rand(OUT)
    first = bench.fitted({f"{LINEAR}.lora_up.weight": up, f"{LINEAR}.lora_down.weight": down})
    second = bench.fitted({f"{LINEAR}.weight": values, f"{LINEAR}.on_input": torch.tensor(0)})
    before = bench.layer(LINEAR_PATH).weight.clone()
    bench.adapters.apply([Use(first, Strength()), Use(second, Strength())])
    close(bench.layer(LINEAR_PATH).weight, (before + up @ down) * (1 + values)[:, None])
    bench.adapters.apply([Use(second, Strength()), Use(first, Strength())])
    close(bench.layer(LINEAR_PATH).weight, before * (1 + values)[:, None] + up @ down)
