"""Token merging: which places go together, when it acts, and what the infotext says."""

from __future__ import annotations

import pytest
import torch

from modules.engine.generation.token_merging import Pairing, TokenMerging, merging_ratio
from tests.engine.generation.conftest import Studio, difference


def by_hand(x: torch.Tensor, height: int, width: int, ratio: float) -> torch.Tensor:
    """What merging and unmerging leaves of ``x`` [1, places, channels], place by place."""
    kept = [
        row * width + column
        for row in range(0, height // 2 * 2, 2)
        for column in range(0, width // 2 * 2, 2)
    ]
    others = [place for place in range(height * width) if place not in kept]
    alike = torch.nn.functional.cosine_similarity(x[0][others][:, None], x[0][kept][None], dim=-1)
    most, nearest = alike.max(dim=1)
    count = min(len(others), int(height * width * ratio))
    groups = {place: [place] for place in kept}
    for other in most.argsort(descending=True)[:count].tolist():
        groups[kept[nearest[other]]].append(others[other])
    result = x.clone()
    for places in groups.values():
        result[0, places] = x[0, places].mean(dim=0)
    return result


@pytest.mark.parametrize(
    ("height", "width", "ratio", "left"),
    [(6, 8, 0.5, 24), (7, 5, 0.3, 25), (4, 4, 0.9, 4), (3, 3, 0.5, 5)],
)
def test_the_most_alike_places_become_the_mean_of_their_group(height, width, ratio, left):
    torch.manual_seed(height)
    x = torch.randn(2, height * width, 6)
    pairing = Pairing.of(x, height, width, ratio)
    merged = pairing.merge(x)
    assert merged.shape == (2, left, 6)
    wanted = torch.cat([by_hand(one[None], height, width, ratio) for one in x])
    assert torch.allclose(pairing.unmerge(merged), wanted, atol=1e-6)


def test_too_few_places_are_left_alone():
    assert Pairing.of(torch.randn(1, 3, 4), 1, 3, 0.9) is None
    assert Pairing.of(torch.randn(1, 4, 4), 2, 2, 0.1) is None


def test_each_kind_of_pass_has_its_setting_and_0_means_the_common_one():
    common = {"token_merging_ratio": 0.2}
    own = {**common, "token_merging_ratio_img2img": 0.3, "token_merging_ratio_hr": 0.4}
    for options, wanted in ((common, (0.2, 0.2, 0.2)), (own, (0.2, 0.3, 0.4)), ({}, (0, 0, 0))):
        found = (
            merging_ratio(options, "txt2img"),
            merging_ratio(options, "img2img"),
            merging_ratio(options, "txt2img", second=True),
        )
        assert found == wanted


def test_a_merged_picture_is_another_one_and_says_so(studio: Studio) -> None:
    plain = studio.picture()
    merged = studio.make(options={"token_merging_ratio": 0.5})
    assert merged.extra["Token merging ratio"] == 0.5
    assert difference(plain, merged.pictures[0]) > 0
    both = studio.make(batch_size=2, options={"token_merging_ratio": 0.5}).pictures
    assert difference(both[0], merged.pictures[0]) <= 1
    # Nothing is left behind in the network.
    after = studio.make()
    assert difference(after.pictures[0], plain) == 0
    assert "Token merging ratio" not in after.extra


def test_the_second_pass_alone_may_merge(studio: Studio) -> None:
    job = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent"}
    made = studio.make(**job, options={"token_merging_ratio_hr": 0.4})
    assert made.extra["Token merging ratio hr"] == 0.4
    assert "Token merging ratio" not in made.extra
    assert difference(made.pictures[0], studio.make(**job).pictures[0]) > 0


def test_networks_without_such_blocks_are_left_alone():
    with TokenMerging(torch.nn.Linear(2, 2), 0.5) as merging:
        assert merging.blocks == []
