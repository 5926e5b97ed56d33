"""Random seeds are drawn once and counted up as A1111 counts them."""

from __future__ import annotations

from modules.jobs.seeds import RANDOM_SEEDS, expand_seeds, fix_seed


def test_a_given_seed_stays():
    assert fix_seed(0) == 0
    assert fix_seed(2**63 - 1) == 2**63 - 1


def test_minus_one_draws_a_seed_in_a1111s_range():
    drawn = {fix_seed(-1) for _ in range(50)}
    assert len(drawn) > 45
    assert all(0 <= seed < RANDOM_SEEDS for seed in drawn)


def test_seeds_count_up_without_a_variation():
    assert expand_seeds(10, 100, 0.0, 3) == ([10, 11, 12], [100, 101, 102])


def test_with_a_variation_all_images_share_the_seed():
    assert expand_seeds(10, 100, 0.2, 3) == ([10, 10, 10], [100, 101, 102])
