"""Token sequences with common prefixes as one tree, so that no token is computed twice.

tree, paths = build_tree([[1, 2, 3], [1, 2, 4]])        # 4 nodes, not 6
list(group_by_size(rows, limit=2048))                   # rows whose tree has at most 2048 nodes
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class TokenTree:
    """Each node is a token that follows those above it."""

    tokens: Tensor  # (nodes,), parents before children
    depths: Tensor  # (nodes,), the position of the token in its sequence
    above: Tensor  # (nodes, nodes), True where the column is the row's node or one above it


def build_tree(sequences: Sequence[Sequence[int]]) -> tuple[TokenTree, list[list[int]]]:
    """The tree, and for each sequence the nodes of its tokens in order."""
    tokens: list[int] = []
    depths: list[int] = []
    parents: list[int] = []
    children: dict[tuple[int, int], int] = {}
    paths = []
    for sequence in sequences:
        node, path = -1, []
        for depth, token in enumerate(sequence):
            child = children.setdefault((node, token), len(tokens))
            if child == len(tokens):
                tokens.append(token)
                depths.append(depth)
                parents.append(node)
            node = child
            path.append(node)
        paths.append(path)
    return TokenTree(
        tokens=torch.tensor(tokens), depths=torch.tensor(depths), above=_above(parents)
    ), paths


def group_by_size(rows: Sequence[Sequence[int]], *, limit: int) -> Iterator[list[int]]:
    """Places of consecutive rows with at most ``limit`` tokens, the common prefix counted once.

    A row that is longer than ``limit`` is a group of its own.
    """
    group: list[int] = []
    size = 0
    for place, row in enumerate(rows):
        added = len(row) - (_common_prefix(rows[group[0]], row) if group else 0)
        if group and size + added > limit:
            yield group
            group, size, added = [], 0, len(row)
        group.append(place)
        size += added
    if group:
        yield group


def _common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with."""
    for place, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return place
    return min(len(first), len(second))


def _above(parents: Sequence[int]) -> Tensor:
    above = torch.eye(len(parents), dtype=torch.bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            above[node] |= above[parent]
    return above
