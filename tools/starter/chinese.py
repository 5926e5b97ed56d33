"""The model's Chinese dictionary, from emoji names and a hand-written list."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from tools.starter.captions import plural
from tools.starter.concepts import Concept
from tools.starter.fetch import folder_of

log = logging.getLogger(__name__)
EXTRA = Path(__file__).with_name("chinese_extra.txt")

_COLOURS = {
    "red": "红 红色 大红 鲜红 深红 紅色",
    "orange": "橙色 橘色 橘黄色 橙黄色",
    "yellow": "黄 黄色 金黄色 金色 黃色",
    "green": "绿 绿色 翠绿色 草绿色 青绿色 綠色",
    "blue": "蓝 蓝色 深蓝色 天蓝 藍色",
    "light blue": "浅蓝 浅蓝色 淡蓝 淡蓝色 天蓝色",
    "purple": "紫 紫色 紫罗兰色",
    "pink": "粉 粉色 粉红 粉红色 桃红色",
    "brown": "棕 棕色 褐色 咖啡色",
    "grey": "灰 灰色",
    "black": "黑 黑色",
    "white": "白 白色",
}
_NUMBERS = {
    1: "一 1 单",
    2: "两 二 2 双 一对 一双",
    3: "三 3",
    4: "四 4",
    5: "五 5",
}
_MEASURES = (
    "只 个 条 头 匹 朵 颗 辆 架 艘 棵 座 栋 间 张 把 本 支 枝 片 块 杯 碗 件 顶 双 位 名 台 枚 "
    "株 根 串 盏 幅 隻 個"
)
_WORDS = {
    "link:and": "和 与 跟 以及 还有 加",
    "beside:next to": "旁边 旁 边上 身边 隔壁",
    "place:on the left": "左边 左侧 左面",
    "place:on the right": "右边 右侧 右面",
    "place:at the top": "上方 上面 顶部 上边",
    "place:at the bottom": "下方 下面 底部 下边",
    "size:small": "小 小小 微小 迷你",
    "size:cute": "可爱 萌",
    "background": "背景 底色 底",
    "style:a photo of": "照片",
    "style:a drawing of": "图画 绘画 画",
    "style:an illustration of": "插图 插画",
    "style:emoji": "表情 表情符号 图标",
    "particle": "的 上 在 有 是 前 着 之 里 中 为 色 下 了 这 那 它",
}
_TOO_GENERAL = {"脸", "头", "动物", "植物", "食物", "水果", "蔬菜", "运动", "天气", "工具", "建筑"}


def build_dictionary(concepts: list[Concept], downloads: Path) -> dict[str, dict[str, object]]:
    """Return the dictionary as the program reads it (`modules/prompts/translation.py`).

    A thing's Chinese words are its emoji label (simplified and traditional), tags that share a
    character with the label and belong to no other thing, and the hand-written ones, which win.
    """
    folder = folder_of("emojibase", downloads) / "package"
    codes = {row["label"]: row["hexcode"] for row in _rows(folder, "en")}
    by_code = {
        name: {row["hexcode"]: row for row in _rows(folder, name)} for name in ("zh", "zh-hant")
    }
    labels: dict[str, str] = {}
    tags: dict[str, set[str]] = {}
    drawn = [concept for concept in concepts if concept.drawn]
    for concept in sorted(drawn, key=lambda one: not one.common):
        name = concept.names[0]
        for language in by_code.values():
            row = language.get(codes[concept.label])
            if row is None:
                continue
            label = row["label"].strip().lower()
            labels.setdefault(label, name)
            for tag in row.get("tags", ()):
                if len(tag) > 1 and set(tag) & set(label) and tag not in _TOO_GENERAL:
                    tags.setdefault(tag.lower(), set()).add(name)
    things = {tag: min(names) for tag, names in tags.items() if len(names) == 1}
    things.update({word: name for word, name in labels.items() if _is_chinese(word)})
    extra = _extra(concepts)
    things.update(extra)
    taken = _words_of(_COLOURS) | _words_of(_WORDS) | set(_MEASURES.split())
    things = {word: name for word, name in things.items() if word not in taken - set(extra)}
    return {
        "things": {
            word: _forms(name) for word, name in sorted(things.items()) if _is_chinese(word)
        },
        "colours": {word: name for name, words in _COLOURS.items() for word in words.split()},
        "numbers": {word: count for count, words in _NUMBERS.items() for word in words.split()},
        "measures": dict.fromkeys(_MEASURES.split(), ""),
        "words": {word: kind for kind, words in _WORDS.items() for word in words.split()},
    }


def write_dictionary(concepts: list[Concept], downloads: Path, target: Path) -> None:
    """Write the dictionary as one JSON file."""
    content = build_dictionary(concepts, downloads)
    text = json.dumps(content, ensure_ascii=False, indent=0, sort_keys=False)
    target.write_text(text + "\n", encoding="utf-8")
    log.info("%d Chinese words for things in %s", len(content["things"]), target)


def _rows(folder: Path, language: str) -> list[dict]:
    return json.loads((folder / language / "data.json").read_text(encoding="utf-8"))


def _is_chinese(word: str) -> bool:
    return len(word) <= 12 and " " not in word and any("\u4e00" <= s <= "\u9fff" for s in word)


def _words_of(groups: dict) -> set[str]:
    return {word for words in groups.values() for word in words.split()}


def _forms(name: str) -> str:
    """ "cat|cats", or "grapes" for a name that takes neither article nor number."""
    return name[1:] if name.startswith("~") else f"{name}|{plural(name)}"


def _extra(concepts: list[Concept]) -> dict[str, str]:
    known = {name for concept in concepts if concept.drawn for name in concept.names}
    found: dict[str, str] = {}
    for line in EXTRA.read_text(encoding="utf-8").splitlines():
        name, separator, words = line.partition(" = ")
        if line.startswith("#") or not separator:
            continue
        if name in known:
            found.update({word.strip().lower(): name for word in words.split(",")})
        else:
            log.warning("%s is not in the vocabulary", name)
    return found
