"""The pages of the help as words: their titles and sections, what is seen of a line, and what is found in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FIRST = "index"  # from which all others are reached
# In the order of the list; `shortcuts` is made from the table of actions, the others are files NAME.md.
NAMES: tuple[str, ...] = (
    *(FIRST, "cassi", "cs", "sr", "lowlight", "folder", "alignment", "looking", "compare"),
    *("adapting", "adapters", "what-if", "saving", "equations", "shortcuts"),
    *("results", "results-cassi", "results-photographs", "results-training", "performance"),
)
MOST_HITS = 100
EXCERPT = 64  # characters

_FENCE = "```"
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_CODE = re.compile(r"`([^`]*)`")
_STRESS = re.compile(r"(?<![\w*])(\*{1,2})(?=\S)(.+?)(?<=\S)\1(?![\w*])")
_ESCAPED = re.compile(r"\\([^\w\s])")
_ITEM = re.compile(r"^\s*(?:[-*]|\d+\.) +")
_RULE = re.compile(r"\|[\s:|-]+\|")  # between the head of a table and its rows


@dataclass(frozen=True)
class Block:
    """What is read in one piece: a heading, a paragraph, an item of a list, a row of a table, a line of code."""

    words: str  # as it is shown, without signs of Markdown; cells of a row are separated by " · "
    heading: str  # the nearest one above, or itself
    start: int  # how many signs of the page, spaces not counted, are shown before it
    is_heading: bool = False


@dataclass(frozen=True)
class HelpPage:
    """One page: its name, which is that of its file, and its Markdown."""

    name: str
    text: str

    @property
    def title(self) -> str:
        """The words of its first heading."""
        return self.blocks[0].words

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The page in the order in which it is read."""
        found: list[Block] = []
        heading, start = "", 0
        for words, is_heading in _blocks(self.text):
            heading = words if is_heading else heading
            found.append(Block(words.replace(_CELLS, " · "), heading, start, is_heading))
            start += num_signs(words)
        return tuple(found)


@dataclass(frozen=True)
class Hit:
    """A place where all words that were searched stand together."""

    page: HelpPage
    block: Block
    excerpt: str


def load_pages(folder: Path, made: Mapping[str, str]) -> dict[str, HelpPage]:
    """All pages by name, in the order of the list: `made` are those that no file holds, as Markdown."""
    return {
        name: HelpPage(name, made[name] if name in made else (folder / f"{name}.md").read_text(encoding="utf-8"))
        for name in NAMES
    }


def search(pages: Sequence[HelpPage], sought: str) -> list[Hit]:
    """The blocks that hold every word of `sought`, whatever its case; headings first, then as the pages are listed."""
    words = sought.lower().split()
    if not words:
        return []
    found = [
        Hit(page, block, excerpt(block.words, words))
        for page in pages
        for block in page.blocks
        if all(word in block.words.lower() for word in words)
    ]
    return sorted(found, key=lambda hit: not hit.block.is_heading)[:MOST_HITS]


def excerpt(text: str, words: Sequence[str]) -> str:
    """About EXCERPT characters of `text` around the first of `words` in it, cut between words."""
    if len(text) <= EXCERPT:
        return text
    place = min((at for word in words if (at := text.lower().find(word)) >= 0), default=0)
    first = max(0, min(place - EXCERPT // 3, len(text) - EXCERPT))
    if first:
        first = text.find(" ", first, place) + 1 or first
    last = first + EXCERPT
    if last < len(text):
        last = max(text.rfind(" ", place, last), place + 1)
    return ("…" if first else "") + text[first:last].strip() + ("…" if last < len(text) else "")


def num_signs(text: str) -> int:
    """How many characters of `text` are not spaces: what a page has in common with what is shown of it."""
    return len("".join(text.split()))


_CELLS = "\x1f"  # between the cells of a row, where nothing is shown


def _blocks(text: str) -> Iterator[tuple[str, bool]]:
    """(what is shown, whether it is a heading) of every block."""
    gathered: list[str] = []
    is_code = False
    for line in [*text.splitlines(), ""]:
        is_fence, is_row = line.startswith(_FENCE), line.startswith("|")
        is_heading = line.startswith("#") and not is_code
        is_new = is_fence or is_code or is_row or is_heading or not line.strip() or _ITEM.match(line)
        if is_new and gathered:
            yield _shown(" ".join(gathered)), False
            gathered = []
        if is_fence:
            is_code = not is_code
        elif is_code:
            if line.strip():
                yield line, False
        elif is_heading:
            yield _shown(line.lstrip("# ")), True
        elif is_row:
            if not _RULE.fullmatch(line.strip()):
                cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
                yield _CELLS.join(_shown(cell.strip()) for cell in cells), False
        elif line.strip():
            gathered.append(_ITEM.sub("", line, count=1).strip() if _ITEM.match(line) else line.strip())


def _shown(text: str) -> str:
    """Markdown without its signs, as a reader sees it."""
    kept: list[str] = []

    def keep(code: re.Match[str]) -> str:
        kept.append(code[1])
        return f"\x00{len(kept) - 1}\x00"

    text = _CODE.sub(keep, text)
    text = _LINK.sub(r"\1", _IMAGE.sub("", text))
    text = _STRESS.sub(r"\2", _STRESS.sub(r"\2", text))
    text = _ESCAPED.sub(r"\1", text)
    return re.sub(r"\x00(\d+)\x00", lambda mark: kept[int(mark[1])], text).strip()
