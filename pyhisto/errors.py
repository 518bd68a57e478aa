"""The one exception that means "the input is at fault, not the program"."""


class InputError(Exception):
    """Bad input or bad usage. The message is one line: which file, what is wrong, what to do."""

    def __init__(self, message: str) -> None:
        """A name from the input may hold a line break; the line stays one."""
        super().__init__("\\n".join(message.splitlines()))
