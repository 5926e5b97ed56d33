"""Words that take the place of a thing's name in the embedding table."""

from __future__ import annotations

import torch

from tools.starter.neighbours import teach_neighbours


def test_a_word_gets_its_neighbours_row_and_others_keep_theirs() -> None:
    table = torch.arange(12.0).reshape(4, 3)
    before = table.clone()
    teach_neighbours(table, {"boat</w>": 0, "yacht</w>": 2, "yacht": 3}, {"yacht": "boat"})
    assert table[2].equal(before[0])
    assert table[[0, 1, 3]].equal(before[[0, 1, 3]])
