"""What a person who marks pictures can be told, and mend."""

from __future__ import annotations


class LabelError(RuntimeError):
    """Pictures cannot be marked as they were asked for; the text says what to do about it."""


class Refused(Exception):
    """A request that cannot be done; the front end shows the text, and does not repeat it."""


class Gone(Exception):
    """The table of prompts is not as it was; the front end keeps what it has, and tries again."""
