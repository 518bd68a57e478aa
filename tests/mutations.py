"""Damage to a prototxt: functions that take a random generator and a text, and return another text."""

import random
import re
from collections.abc import Callable

from tests.layer_cases import CASES

ABSURD = ["0", "-1", "1", "2147483647", "4294967295", "2147483648", "99999999999999999999", "1e38", "nan", "-0", "''"]
WORDS = re.compile(r'"[^"\n]*"')
NUMBERS = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")
TYPES = sorted({f'"{case[0]}"' for case in CASES} | {'"Data"', '"Python"', '"Mystery"', '"ImageData"'})


def replaced(pattern: re.Pattern[str], choices: list[str]) -> Callable[[random.Random, str], str]:
    """A mutation: one match of the pattern gives way to one of the choices."""

    def mutate(chance: random.Random, text: str) -> str:
        matches = list(pattern.finditer(text))
        if not matches:
            return text
        match = chance.choice(matches)
        return text[: match.start()] + chance.choice(choices) + text[match.end() :]

    return mutate


def lines_moved(chance: random.Random, text: str) -> str:
    lines = text.split("\n")
    first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return "\n".join(lines)


def piece_doubled(chance: random.Random, text: str) -> str:
    start = chance.randrange(len(text) + 1)
    return text[:start] + text[start : start + chance.randrange(200)] * 2 + text[start:]


def piece_cut(chance: random.Random, text: str) -> str:
    start = chance.randrange(len(text) + 1)
    return text[:start] + text[start + chance.randrange(1, 40) :]


def cut_short(chance: random.Random, text: str) -> str:
    return text[: chance.randrange(len(text) + 1)]


def noise(chance: random.Random, text: str) -> str:
    start = chance.randrange(len(text) + 1)
    return text[:start] + "".join(chance.choice("{}<>[]:,;\"'#\\-.0aé\0\n") for _ in range(4)) + text[start:]


def word_moved(chance: random.Random, text: str) -> str:
    words = WORDS.findall(text) or ['"x"']
    return replaced(WORDS, [*words, r'"a\000b"', '""', '"../../etc/passwd"'])(chance, text)


MUTATIONS = [
    replaced(NUMBERS, ABSURD),
    replaced(NUMBERS, [str(number) for number in range(12)]),
    replaced(re.compile(r'(?<=type: )"\w+"'), TYPES),
    replaced(re.compile(r"\b(TRAIN|TEST|true|false)\b"), ["TRAIN", "TEST", "true", "false"]),
    word_moved,
    lines_moved,
    piece_doubled,
    piece_cut,
    cut_short,
    noise,
]
