"""Texts to conditionings: chunks, clip skip, emphasis, BREAK, AND, schedules, padding, cache."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.engine.conditioning import Conditioner, Conditioning, TextOptions, stack
from modules.engine.conditioning.conditioner import tokenise
from modules.engine.conditioning.emphasis import apply_emphasis
from modules.engine.conditioning.towers import ClipTower, PlacedVectors
from modules.prompts.plan import parse_prompt
from tests.support.tiny_models import TOKENIZER, TinyShape, tiny_components

BOS, EOS = 49406, 49407


@pytest.fixture
def conditioner(tower: ClipTower) -> Conditioner:
    return Conditioner([tower])


def raw(tower: ClipTower, ids: list[int]) -> torch.Tensor:
    """What transformers itself says about one chunk of ids."""
    with torch.no_grad():
        return tower.network(input_ids=torch.tensor([ids])).last_hidden_state


def test_a_plain_text_is_encoded_as_transformers_does(
    tower: ClipTower, conditioner: Conditioner
) -> None:
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(TOKENIZER, local_files_only=True)
    for text in ("a photo of a cat", "Ünïcode & émojis 🍎!", "", "it's 12 o'clock"):
        ids = tokenizer(text, padding="max_length", max_length=77).input_ids
        assert tokenise(tower, text, TextOptions())[0].ids == tuple(ids)
        assert torch.equal(conditioner.encode(text).context, raw(tower, ids))


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_characters="()[]\\:", codec="utf-8")))
def test_any_text_gives_the_tokens_that_transformers_gives(tower: ClipTower, text: str) -> None:
    ids = [i for c in tokenise(tower, text, TextOptions(comma_backtrack=0)) for i in c.ids]
    ours = [i for i in ids if i not in (BOS, EOS)]
    if "BREAK" not in text and "<|" not in text:
        theirs = tower.tokenizer.encode(text)
        assert ours == [i for i in theirs if i not in (BOS, EOS)]


def test_long_texts_are_chunks_of_75_with_start_and_end_each(
    tower: ClipTower, conditioner: Conditioner
) -> None:
    chunks = tokenise(tower, "cat " * 160, TextOptions())
    assert [len(chunk.ids) for chunk in chunks] == [77, 77, 77]
    cat = tower.tokenizer.encode("cat")[0]
    assert chunks[0].ids == (BOS, *[cat] * 75, EOS)
    assert chunks[2].ids == (BOS, *[cat] * 10, *[EOS] * 66)
    context = conditioner.encode("cat " * 160).context
    assert context.shape == (1, 231, 64)
    assert torch.equal(context[:, :77], raw(tower, list(chunks[0].ids)))
    assert torch.allclose(context[:, 154:], raw(tower, list(chunks[2].ids)), atol=1e-6)


def test_a_comma_near_the_end_of_a_chunk_moves_what_follows_it(tower: ClipTower) -> None:
    text = "cat " * 65 + ", " + "dog " * 20
    moved = tokenise(tower, text, TextOptions(comma_backtrack=20))
    kept = tokenise(tower, text, TextOptions(comma_backtrack=0))
    dog = tower.tokenizer.encode("dog")[0]
    assert [chunk.ids.count(dog) for chunk in moved] == [0, 20]
    assert [chunk.ids.count(dog) for chunk in kept] == [9, 11]


def test_break_starts_a_new_chunk(tower: ClipTower, conditioner: Conditioner) -> None:
    context = conditioner.encode("cat BREAK dog").context
    both = [conditioner.encode(text).context for text in ("cat", "dog")]
    assert torch.allclose(context, torch.cat(both, dim=1), atol=1e-6)


def test_clip_skip_leaves_out_layers_but_not_the_final_norm(
    tower: ClipTower, conditioner: Conditioner
) -> None:
    network = tower.network
    ids = torch.tensor([tokenise(tower, "a cat", TextOptions())[0].ids])
    mask = torch.full((77, 77), float("-inf")).triu(1)[None, None]
    states = network.embeddings(input_ids=ids)
    with torch.no_grad():
        after = []
        for layer in network.encoder.layers:
            states = layer(states, mask)
            after.append(network.final_layer_norm(states))
    for skip in (1, 2, 3):
        found = conditioner.encode("a cat", TextOptions(clip_skip=skip)).context
        assert torch.allclose(found, after[3 - skip], atol=1e-5), skip


def test_an_encoder_skips_at_most_all_layers_but_one(conditioner: Conditioner) -> None:
    assert conditioner.effective_clip_skip(12) == 3
    assert conditioner.effective_clip_skip(2) == 2
    most = conditioner.encode("a cat", TextOptions(clip_skip=12)).context
    assert torch.equal(most, conditioner.encode("a cat", TextOptions(clip_skip=3)).context)


def plain_states(tower: ClipTower, text: str) -> torch.Tensor:
    return Conditioner([tower]).encode(text).context


def test_emphasis_modes_do_what_they_say(tower: ClipTower, conditioner: Conditioner) -> None:
    text = "a (red:1.5) cat"
    weights = torch.ones(1, 77, 1)
    weights[0, 2] = 1.5
    plain = plain_states(tower, "a red cat")
    scaled = plain * weights
    found = {
        mode: conditioner.encode(text, TextOptions(emphasis=mode)).context
        for mode in ("Original", "No norm", "Ignore", "None")
    }
    assert torch.allclose(found["No norm"], scaled, atol=1e-6)
    assert torch.allclose(found["Original"], scaled * plain.mean() / scaled.mean(), atol=1e-5)
    assert torch.allclose(found["Original"].mean(), plain.mean(), atol=1e-6)
    assert torch.equal(found["Ignore"], plain)
    literal = tokenise(tower, text, TextOptions(emphasis="None"))[0]
    assert list(literal.ids[1:10]) == tower.tokenizer.encode(text)[:9]
    assert set(literal.weights) == {1.0}
    assert not torch.equal(found["None"], plain)


def test_weights_of_zero_and_below_stay_finite(conditioner: Conditioner) -> None:
    for text in ("(cat:0)", "(cat:-2)", "(cat:1000)"):
        assert torch.isfinite(conditioner.encode(text).context).all()
    states = torch.randn(1, 4, 3)
    silent = apply_emphasis(states, torch.zeros(1, 4), "Original")
    assert torch.equal(silent, torch.zeros(1, 4, 3))


def test_an_unknown_emphasis_mode_is_refused(conditioner: Conditioner) -> None:
    with pytest.raises(ValueError, match="Loud"):
        conditioner.encode("(a:1.2)", TextOptions(emphasis="Loud"))


def test_texts_of_one_schedule_are_equally_long_and_share_their_mean(tower: ClipTower) -> None:
    conditioner = Conditioner([tower])
    texts = ("a (red:1.5) cat", "cat " * 100)
    short, long = conditioner.encode_group(texts)
    assert short.tokens == long.tokens == 154
    empty = Conditioner([tower]).encode("").context
    assert torch.allclose(short.context[:, 77:], empty, atol=1e-6)
    plain = torch.cat([plain_states(tower, "a red cat"), plain_states(tower, texts[1])[:, :77]])
    scaled = plain.clone()
    scaled[0, 2] *= 1.5
    expected = scaled * plain.mean() / scaled.mean()
    assert torch.allclose(short.context[0, :77], expected[0], atol=1e-5)
    assert torch.allclose(long.context[0, :77], expected[1], atol=1e-5)


def test_a_prompt_with_and_and_editing_is_scheduled(conditioner: Conditioner) -> None:
    plan = parse_prompt("a [cat:dog:5] AND sky :0.5", 20)
    schedule = conditioner.schedule(plan)
    assert [weight for weight, _ in schedule.at(0)] == [1.0, 0.5]
    cat = conditioner.encode("a cat").context
    dog = conditioner.encode("a dog").context
    for step, expected in ((0, cat), (5, cat), (6, dog), (19, dog), (50, dog)):
        assert torch.allclose(schedule.at(step)[0][1].context, expected, atol=1e-6), step
        assert schedule.at(step)[1][1] is schedule.parts[1].entries[0][1]
    assert not schedule.is_constant
    assert conditioner.schedule(parse_prompt("a cat", 20)).is_constant


def test_alternation_encodes_every_text_once(conditioner: Conditioner) -> None:
    schedule = conditioner.schedule(parse_prompt("a [cat|dog]", 20))
    assert len({id(conditioning) for _, conditioning in schedule.parts[0].entries}) == 2


def test_encoded_prompts_are_remembered_and_the_oldest_forgotten(tower: ClipTower) -> None:
    conditioner = Conditioner([tower], capacity=2)
    first = conditioner.encode("one")
    assert conditioner.encode("one") is first
    assert conditioner.encode("one", TextOptions(clip_skip=2)) is not first
    assert conditioner.encode("one") is first
    conditioner.encode("two")
    conditioner.encode("three")
    assert conditioner.encode("one") is not first
    kept = conditioner.encode("one")
    conditioner.forget()
    assert conditioner.encode("one") is not kept


def test_shorter_conditionings_are_padded_as_a1111_does() -> None:
    short = Conditioning(torch.arange(4.0).reshape(1, 2, 2), torch.ones(1, 3))
    long = Conditioning(torch.zeros(1, 5, 2), torch.zeros(1, 3))
    both = stack([short, long])
    assert both.context.shape == (2, 5, 2)
    assert both.context[0].tolist() == [[0, 1], [2, 3], [2, 3], [2, 3], [2, 3]]
    assert both.pooled is not None and both.pooled.shape == (2, 3)
    empty = Conditioning(torch.full((1, 2, 2), 9.0))
    padded = short.padded_with(empty, 6).context
    assert padded[0].tolist() == [[0, 1], [2, 3], [9, 9], [9, 9], [9, 9], [9, 9]]
    assert short.padded(1) is short
    assert short.expanded(3).context.shape == (3, 2, 2)


def test_word_vectors_can_stand_in_for_tokens(tower: ClipTower) -> None:
    ids = torch.tensor([tokenise(tower, "a cat", TextOptions())[0].ids])
    dog = tower.network.embeddings.token_embedding.weight[tower.tokenizer.encode("dog")]
    replaced = tower.encode(ids, 1, [PlacedVectors(0, 2, dog)])
    expected = tower.encode(torch.tensor([tokenise(tower, "a dog", TextOptions())[0].ids]), 1)
    assert torch.allclose(replaced.states, expected.states, atol=1e-6)
    again = tower.encode(ids, 1)
    assert not torch.allclose(again.states, expected.states, atol=1e-3), "nothing is left behind"


def test_two_encoders_are_joined_along_their_width(tower: ClipTower) -> None:
    context = Conditioner([tower, tower]).encode("a cat").context
    alone = Conditioner([tower]).encode("a cat").context
    assert torch.equal(context, torch.cat([alone, alone], dim=-1))


def test_a_tokenizer_that_does_not_fit_its_encoder_is_refused(tmp_path: Path) -> None:
    shape = TinyShape(vocabulary=1000, unet_channels=(32,), unet_attention=(True,))
    network = tiny_components(shape=shape).text_encoder
    with pytest.raises(ValueError, match="1000 words"):
        ClipTower(network, Path(TOKENIZER))
    with pytest.raises(ValueError, match="tokenizer"):
        ClipTower(network, tmp_path)
