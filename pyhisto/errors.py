"""The one exception that means "the input is at fault, not the program"."""


class InputError(Exception):
    """Bad input or bad usage. The message is one line: which file, what is wrong, what to do."""
