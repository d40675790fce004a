"""Token sequences with common beginnings as one tree, so that no token is computed twice."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class TokenTree:
    """Each node is a token that stands after those above it."""

    tokens: Tensor  # (nodes,), parents before children
    depths: Tensor  # (nodes,), the position of the token in its sequence
    above: Tensor  # (nodes, nodes), True where the column is the row's node or one above it


def grow(sequences: Sequence[Sequence[int]]) -> tuple[TokenTree, list[list[int]]]:
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


def _above(parents: Sequence[int]) -> Tensor:
    above = torch.eye(len(parents), dtype=torch.bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            above[node] |= above[parent]
    return above
