"""Holds messages for the operator whose words, wherever they stand, are on a list."""

import html
import re
import unicodedata

import mta

TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)


def plain(text):
    """Text as a reader sees it: one case, one form of letters, one blank."""
    text = unicodedata.normalize("NFKD", text).casefold()
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Mn"))
    return " ".join(text.split())


def words_of(m):
    """The texts of a message: its subject, and what is read as text."""
    yield m.headers.get("Subject", "")
    for part in m.parts():
        if part.type == "text/plain":
            yield part.text()
        elif part.type == "text/html":
            yield html.unescape(TAGS.sub(" ", part.text()))
        if part.filename:
            yield part.filename


@mta.on_message
def hold_what_is_listed(m):
    config = mta.config()
    spared = config.get("spare", [])
    if m.context("/auth/login") is not None or m.sender.lower() in spared:
        return None
    keywords = {plain(word): word for word in config.get("keywords", [])}
    found = []
    text = " ".join(plain(words) for words in words_of(m))
    for word, written in keywords.items():
        if re.search(r"(?<!\w)" + re.escape(word) + r"(?!\w)", text):
            found.append(written)
    if len(found) >= config.get("at_least", 1):
        return mta.hold("keywords: " + ", ".join(found))
    return None
