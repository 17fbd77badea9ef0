"""Embeds that a request calls by their target's name although they have an alias: served, with a warning.

PostgREST will stop serving them; with the setting `embed_names` = `alias` Portero does not serve them either. It looks
at the request alone, and never at a model. Obeys contract data.md §4.3; RFC 7234 §5.5 (Warning).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from portero.data.nodes import STAR, EmbedItem, Item, Path, ReadShape

_SENTENCE: Final = (
    "Embedded resource was referenced by relation name even though it has an alias. "
    "This is deprecated and will stop working in a future release."
)
#: What may stand in a quoted text of a header as it is.
_PLAIN: Final = re.compile(r"[ !#-\[\]-_a-~]+")


def warnings(shape: ReadShape) -> tuple[tuple[str, str], ...]:
    """Give the `Warning` header of a request that needs one.

    >>> from portero.data.grammar import parse_select
    >>> from portero.data.nodes import Page
    >>> shape = ReadShape("films", parse_select("boss:directors(name)"), pages=(Page(("directors",), 0),))
    >>> warnings(shape)[0][1][-72:]
    'Update `directors` to `boss` in query string filters, orders or limits."'
    >>> warnings(ReadShape("films", parse_select("boss:directors(name)"), pages=(Page(("boss",), 0),)))
    ()
    """
    if shape.items == STAR or not any(isinstance(item, EmbedItem) for item in shape.items):
        return ()
    paths = [one.path for one in shape.filters]
    paths += [order.path for order in shape.orders] + [page.path for page in shape.pages]
    found = dict.fromkeys(each for path in paths for each in _renamed(shape.items, path))
    if not found:
        return ()
    changes = [f"`{name}` to `{alias}`" for name, alias in found if _PLAIN.fullmatch(name + alias)]
    advice = f" Update {', '.join(changes)} in query string filters, orders or limits." if changes else ""
    return (("Warning", f'299 Portero "{_SENTENCE}{advice}"'),)


def _renamed(items: Iterable[Item], path: Path) -> Iterator[tuple[str, str]]:
    """Walk down a path, and give the embeds on it that go by their target's name."""
    for name in path:
        embed = find(items, name)
        if embed is None:
            return
        if embed.alias is not None and embed.alias != name:
            yield name, embed.alias
        items = embed.items


def find(items: Iterable[Item], name: str) -> EmbedItem | None:
    """Find the embed that a name means: that of this key, else that of this target."""
    embeds = [item for item in items if isinstance(item, EmbedItem)]
    by_key = next((each for each in embeds if each.key == name), None)
    return by_key or next((each for each in embeds if each.name == name), None)
