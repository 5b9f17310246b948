"""Files that are not what they were."""

from __future__ import annotations

import random


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A file cut short, with bytes changed, doubled, left out, or with a number of its header made large."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 2)):
        place = chance.randrange(len(changed)) if chance.random() < 0.5 else chance.randrange(min(64, len(changed)))
        match chance.randrange(6):
            case 0:
                del changed[max(1, place) :]
            case 1:
                changed[place] = chance.randrange(256)
            case 2:
                changed[place : place + 4] = chance.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\0\0"])
            case 3:
                del changed[place : place + chance.randint(1, 16)]
                changed = changed or bytearray(1)
            case 4:
                changed[place:place] = changed[place : place + chance.randint(1, 32)]
            case _:
                changed[place] ^= 1 << chance.randrange(8)
    return bytes(changed)
