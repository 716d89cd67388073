"""The conformance filter (sdk/conformance/README.md)."""

import mta


def lower(text):
    """Text with the letters of ASCII in lower case."""
    return "".join(c.lower() if c.isascii() else c for c in text)


@mta.on_message
def conform(m):
    stamp, tag, attachment, refuse = map(mta.config().get, ("stamp", "tag", "attachment", "refuse"))
    if stamp is not None:
        m.headers.insert(0, stamp["name"], stamp["value"])
    if tag is not None:
        at = m.headers.index("Subject")
        if at is None:
            m.headers.insert(-1, "Subject", tag)
        elif not (subject := m.headers.value(at)).startswith(tag):
            m.headers.set_at(at, tag + " " + subject)
    if attachment is not None:
        texts = [part for part in m.attachments() if part.type.startswith("text/")]
        for part in texts:
            part.replace("text/plain; charset=utf-8", attachment)
    if refuse is not None:
        for recipient in m.recipients:
            if lower(recipient.address) == lower(refuse):
                recipient.reply(550, "5.7.1", "Refused by conformance")
