"""What came of one case, and the judges that several kinds share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["handled", "refused", "wrong"]
ENDS = (0, 2, 129, 130, 141, 143)
"""Exit codes that a user may see: done, bad input, stopped by a signal, nobody reads on."""
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]")
"""What must not reach a terminal raw; tab, line feed and carriage return are the progress line's own."""
EXCEPTION = re.compile(r"^[\w.]+(?:Error|Exception|Interrupt|Exit)\b.*$", re.MULTILINE)
RAW = "a raw control character"
LONGEST = 160


@dataclass(frozen=True)
class Outcome:
    """One case.  what: the input; seen, right: what happened and what should have, where it is wrong."""

    kind: str
    what: str
    verdict: Verdict
    seen: str = ""
    right: str = ""


@dataclass(frozen=True)
class Answer:
    """What a command left.  code: its exit code, negative for a signal that killed it, None where it hung.

    peak_mb: by how much memory grew at most, MB; 0 where it was not measured.
    """

    code: int | None
    out: str
    err: str
    seconds: float = 0.0
    peak_mb: float = 0.0

    @property
    def last_line(self) -> str:
        """The last line on stderr, shortened."""
        lines = [line for line in self.err.replace("\r", "\n").splitlines() if line.strip()]
        return lines[-1].strip()[:LONGEST] if lines else ""


def find_break(answer: Answer) -> str:
    """What no input may cause, as words; empty where nothing of it happened."""
    if answer.code is None:
        return f"hangs: no end after {answer.seconds:.0f} s"
    if answer.code < 0:
        return f"killed by signal {-answer.code}"
    if "Traceback (most recent call last)" in answer.err + answer.out:
        named = EXCEPTION.findall(answer.err + answer.out)
        return f"a traceback: {named[-1].strip()[:LONGEST] if named else answer.last_line}"
    if answer.code not in ENDS:
        return f"exit code {answer.code}: {answer.last_line}"
    if found := CONTROLS.search(answer.out + answer.err):
        return f"{RAW}, {found[0]!r}"
    return ""


def find_refusal_fault(answer: Answer) -> str:
    """Why this is no refusal in one line; empty where it is one."""
    if trouble := find_break(answer):
        return trouble
    if answer.code != 2:
        return f"exit code {answer.code}, {answer.last_line or 'not a word'}"
    lines = [line for line in answer.err.splitlines() if "error:" in line]
    if len(lines) != 1:
        return f"exit code 2 with {len(lines)} error lines: {answer.last_line}"
    if lines[0].strip()[:LONGEST] != answer.last_line:
        return f"something follows the error line: {answer.last_line}"
    return ""


def judge_refusal(kind: str, what: str, answer: Answer, *, says: str = "") -> Outcome:
    """The input must be refused in one line.  says: a pattern that the line must hold."""
    right = "exit code 2 and one line" + (f" that says {says!r}" if says else "")
    fault = find_refusal_fault(answer)
    if not fault and says and not re.search(says, answer.err, re.IGNORECASE):
        fault = f"the line says something else: {answer.last_line}"
    return Outcome(kind, what, "wrong", fault, right) if fault else Outcome(kind, what, "refused")


def judge_either(kind: str, what: str, answer: Answer) -> Outcome:
    """The input may be taken or refused in one line; which, is a matter of the damage."""
    if answer.code == 0 and not find_break(answer):
        return Outcome(kind, what, "handled")
    if fault := find_refusal_fault(answer):
        return Outcome(kind, what, "wrong", fault, "an answer, or exit code 2 and one line")
    return Outcome(kind, what, "refused")


def judge_done(kind: str, what: str, answer: Answer, fault: str = "", right: str = "exit code 0") -> Outcome:
    """The input is fine and must be taken; `fault` is what else was found wrong."""
    trouble = find_break(answer) or (f"exit code {answer.code}: {answer.last_line}" if answer.code else "") or fault
    return Outcome(kind, what, "wrong", trouble, right) if trouble else Outcome(kind, what, "handled")
