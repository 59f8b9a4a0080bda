"""Untrusted text, escaped for a log line or a terminal."""


def one_line(text: str) -> str:
    """Escape every character that is not printable: line ends, control characters, surrogates."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
