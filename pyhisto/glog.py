"""What the log of Caffe, or of another library, says of a failure."""

import re
from collections.abc import Sequence

# glog writes `I1121 21:47:38.000000 123 solver.cpp:320] text`; GLOG_log_prefix=0 leaves the text alone.
PREFIX = re.compile(r"^[IWEF]\d{4,8} [\d:.]+ +\d+ [^\]]+:\d+\] ?")

_PYTHON_ERROR = re.compile(r"^(\w+\.)*\w*(Error|Exception|Interrupt)\b.*")


def failure(lines: Sequence[str]) -> str:
    """What a failed run's log says, in one line: the fatal check, a Python layer's exception, or the last lines."""
    texts = [(line, PREFIX.sub("", line.rstrip())) for line in lines]
    fatal = [text for line, text in texts if line.startswith("F") and PREFIX.match(line)]
    python = [text for _, text in texts if _PYTHON_ERROR.match(text)]
    if fatal or python:
        return "; ".join(dict.fromkeys([*python[-1:], *fatal[-1:]]))
    shown = [text for _, text in texts if text and not text.startswith(("*** ", "@ ", "    @"))]
    return " / ".join(shown[-3:]) or "it said nothing"
