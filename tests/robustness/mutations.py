"""Damaged images: what a broken disk, a broken network or an attacker makes of a good file."""

import random
from collections.abc import Iterator, Sequence


def mutated(images: Sequence[bytes], *, count: int, seed: int) -> Iterator[bytes]:
    """``count`` files made of the given ones by flips, cuts, repeats, splices and wild numbers."""
    dice = random.Random(seed)
    for _ in range(count):
        data = bytearray(dice.choice(images))
        for _ in range(dice.choice((1, 1, 2, 5, 40))):
            _damage(data, images, dice)
        yield bytes(data)


def _damage(data: bytearray, images: Sequence[bytes], dice: random.Random) -> None:
    if not data:
        return
    head = dice.random() < 0.7  # where headers are, small changes do most
    place = dice.randrange(min(len(data), 1500) if head else len(data))
    kind = dice.randrange(6)
    if kind == 0:
        data[place] ^= 1 << dice.randrange(8)
    elif kind == 1:
        data[place] = dice.choice((0, 1, 127, 128, 255))
    elif kind == 2:
        data[place : place + 4] = dice.choice(
            (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f")
        )
    elif kind == 3:
        del data[place : place + dice.choice((1, 2, 64, len(data)))]
    elif kind == 4:
        data[place:place] = data[place : place + dice.choice((1, 16, 4096))]
    else:
        other = dice.choice(images)
        start = dice.randrange(len(other))
        data[place:place] = other[start : start + dice.choice((8, 256, 8192))]
