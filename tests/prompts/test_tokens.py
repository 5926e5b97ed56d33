"""Chunks of 75 and the token counter."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts import (
    PromptTokenizer,
    TokenRun,
    Vectors,
    chunk_tokens,
    count_tokens,
    pad_chunk,
)

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "tokenizers" / "clip"
RUNS = st.lists(
    st.builds(TokenRun, st.lists(st.sampled_from([1, 2, 3, 267]), max_size=120), st.just(1.0))
    | st.just(TokenRun(is_break=True)),
    max_size=6,
)


@pytest.fixture(scope="module")
def tokenizer() -> PromptTokenizer:
    return PromptTokenizer.from_folder(FOLDER)


def test_clip_ids_are_the_published_ones(tokenizer: PromptTokenizer) -> None:
    assert tokenizer.encode("a photo of a cat") == [320, 1125, 539, 320, 2368]
    assert tokenizer.encode("Hello,  World! don't 2023") == [
        *(3306, 267, 1002, 256, 847, 713),
        *(273, 271, 273, 274),
    ]
    assert tokenizer.comma == 267


def test_vocab_and_merges_alone_give_the_same_ids(
    tokenizer: PromptTokenizer, tmp_path: Path
) -> None:
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    other = PromptTokenizer.from_folder(tmp_path)
    text = "École, 日本 it's  (masterpiece:1.2) 42 <|endoftext|> 🙂"
    assert other.encode(text) == tokenizer.encode(text)


def test_a_folder_without_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json"):
        PromptTokenizer.from_folder(tmp_path)


@pytest.mark.parametrize(
    ("text", "used", "limit"),
    [
        ("", 0, 75),
        ("a photo of a cat", 5, 75),
        ("(a photo:1.2) of [a cat]", 5, 75),
        ("a BREAK b", 76, 150),
        ("cat " * 75, 75, 75),
        ("cat " * 76, 76, 150),
        ("[a:b c d:5]", 3, 75),
        ("a b c AND d", 3, 75),
        ("a <lora:x:1> # comment", 1, 75),
        ("\ud800", 0, 75),
    ],
)
def test_counter_shows_the_longest_text(
    tokenizer: PromptTokenizer, text: str, used: int, limit: int
) -> None:
    count = count_tokens(text, tokenizer)
    assert (count.used, count.limit) == (used, limit)
    assert str(count) == f"{used}/{limit}"


@given(st.text(max_size=60))
def test_counting_never_raises(text: str) -> None:
    count = count_tokens(text, PromptTokenizer.from_folder(FOLDER))
    assert 0 <= count.used <= count.limit


def test_text_after_a_near_comma_moves_to_the_next_chunk() -> None:
    ids = [1] * 60 + [267] + [2] * 20
    first, second = chunk_tokens([TokenRun(ids)])
    assert first.ids == (*[1] * 60, 267)
    assert second.ids == (2,) * 20


def test_a_far_comma_or_no_backtracking_cuts_at_75() -> None:
    far = [1] * 50 + [267] + [2] * 30
    assert len(chunk_tokens([TokenRun(far)])[0].ids) == 75
    near = [1] * 60 + [267] + [2] * 20
    assert len(chunk_tokens([TokenRun(near)], backtrack=0)[0].ids) == 75


def test_a_comma_on_the_boundary_starts_the_next_chunk() -> None:
    first, second = chunk_tokens([TokenRun([1] * 70 + [267] + [1] * 4 + [267, 3])])
    assert len(first.ids) == 75
    assert second.ids == (267, 3)


def test_break_closes_the_chunk_even_when_it_is_empty() -> None:
    breaks = TokenRun(is_break=True)
    chunks = chunk_tokens([breaks, TokenRun([1]), breaks, breaks, TokenRun([2])])
    assert [chunk.ids for chunk in chunks] == [(), (1,), (), (2,)]
    assert [chunk.ids for chunk in chunk_tokens([TokenRun([1]), breaks])] == [(1,)]


def test_weights_follow_their_tokens_over_the_cut() -> None:
    chunks = chunk_tokens([TokenRun([1] * 70, 1.0), TokenRun([2] * 10, 1.5)])
    assert chunks[0].weights == (1.0,) * 70 + (1.5,) * 5
    assert chunks[1].weights == (1.5,) * 5


def test_padding_frames_the_chunk() -> None:
    (chunk,) = chunk_tokens([TokenRun([5, 6], 1.2)])
    padded = pad_chunk(chunk, 49406, 49407)
    assert padded.ids == (49406, 5, 6, *[49407] * 74)
    assert padded.weights == (1.0, 1.2, 1.2, *[1.0] * 74)
    assert pad_chunk(chunk, 49406, 49407, 0).ids == (49406, 5, 6, 49407, *[0] * 73)


def test_embeddings_stay_together() -> None:
    runs = [TokenRun([*[1] * 73, Vectors("style", 4), 2], 1.3)]
    first, second = chunk_tokens(runs)
    assert len(first.ids) == 73
    assert second.ids == (0, 0, 0, 0, 2)
    assert second.embeddings == ((0, Vectors("style", 4)),)
    assert pad_chunk(second, 9, 8).embeddings == ((1, Vectors("style", 4)),)


def test_embeddings_move_with_the_text_after_a_comma() -> None:
    runs = [TokenRun([*[1] * 65, 267, Vectors("e", 3), *[2] * 10])]
    first, second = chunk_tokens(runs)
    assert first.embeddings == ()
    assert second.embeddings == ((0, Vectors("e", 3)),)


@given(RUNS, st.integers(0, 74))
def test_no_token_is_lost_and_no_chunk_is_too_long(runs: list[TokenRun], backtrack: int) -> None:
    chunks = chunk_tokens(runs, backtrack=backtrack)
    assert chunks
    assert all(len(chunk.ids) == len(chunk.weights) <= 75 for chunk in chunks)
    joined = [token for chunk in chunks for token in chunk.ids]
    assert joined == [token for run in runs for token in run.ids]


def test_chunking_is_the_same_however_the_text_is_split_into_runs() -> None:
    source = random.Random(4)
    ids = [source.choice([1, 2, 3, 4, 5, 267]) for _ in range(400)]
    whole = chunk_tokens([TokenRun(ids)])
    split = chunk_tokens([TokenRun([token]) for token in ids])
    assert whole == split


def test_learned_words_take_as_many_tokens_as_they_have_vectors(tokenizer: PromptTokenizer) -> None:
    plain = count_tokens("a bad hands photo", tokenizer).used
    assert plain == 4
    assert count_tokens("a bad hands photo", tokenizer, learned={"Bad Hands": 8}).used == 10
    both = {"bad": 3, "bad hands": 8}
    assert count_tokens("a (bad hands:1.2), bad photo", tokenizer, learned=both).used == 14
    assert count_tokens("good", tokenizer, learned=both).used == 1
