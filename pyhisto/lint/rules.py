"""What a rule and a finding are, and the list that rules enter themselves in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

Severity: TypeAlias = Literal["error", "warning"]
"""error: Caffe stops, or computes something else than the file seems to say. warning: it works, but hardly as meant."""

Trap: TypeAlias = tuple[int, str]
"""A line, counted from 1, and what is wrong there."""

SubjectT = TypeVar("SubjectT")


@dataclass(frozen=True)
class Rule(Generic[SubjectT]):
    """A known trap."""

    id: str
    severity: Severity
    reason: str
    """What happens, and what to write instead."""
    pointer: str
    """The Caffe source or issue that shows it."""
    check: Callable[[SubjectT], Iterator[Trap]]


@dataclass(frozen=True)
class Finding:
    """A trap found in a file."""

    file: str
    line: int
    rule: str
    severity: Severity
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.message}"


class RuleBook(Generic[SubjectT]):
    """The rules for one kind of file, in order; `rule` enters a checking function, whose docstring is the reason."""

    def __init__(self) -> None:
        self.rules: list[Rule[SubjectT]] = []

    def rule(
        self, id: str, severity: Severity, pointer: str
    ) -> Callable[[Callable[[SubjectT], Iterator[Trap]]], Callable[[SubjectT], Iterator[Trap]]]:
        """Decorate a function that yields the traps it finds."""

        def enter(check: Callable[[SubjectT], Iterator[Trap]]) -> Callable[[SubjectT], Iterator[Trap]]:
            reason = " ".join((check.__doc__ or "").split())
            self.rules.append(Rule(id, severity, reason, pointer, check))
            return check

        return enter

    def findings(self, subject: SubjectT, file: str) -> Iterator[Finding]:
        """Every trap once, rule by rule."""
        for rule in self.rules:
            for line, message in dict.fromkeys(rule.check(subject)):
                yield Finding(file, line, rule.id, rule.severity, message)
