"""The one exception a person sees."""


class StackError(Exception):
    """A step of the local stack failed; the message says in a sentence what is missing and how to get it."""
