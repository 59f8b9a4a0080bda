"""Text: what strangers wrote, made fit for a line of a log or a terminal."""


def one_line(text: str) -> str:
    """Return a text with all escaped that is not printed as itself: line ends, control characters, surrogates."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
