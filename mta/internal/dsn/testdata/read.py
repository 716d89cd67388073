"""Reads notifications with Python's email package and with flufl.bounce, which
mailing list managers use. Prints, for each file, what is said of each recipient,
and whom flufl.bounce takes for failed and for delayed."""
import email
import re
import sys

from flufl.bounce import all_failures


def blocks(part):
    if part.get_content_type() == "message/delivery-status":
        return part.get_payload()[1:]
    # The email package knows this type as "some message", whose body begins after
    # the first group of fields.
    octets = part.get_payload(0).as_bytes()
    return [email.message_from_bytes(b) for b in re.split(rb"\r?\n\r?\n", octets.strip())[1:]]


def address(field):
    field = str(field).encode("utf-8", "surrogateescape").decode("utf-8")
    kind, _, found = field.partition(";")
    if kind == "utf-8":
        found = re.sub(r"\\x\{([0-9A-F]+)\}", lambda m: chr(int(m[1], 16)), found)
    return found.strip()


def raw(block, name):
    for k, v in block.raw_items():
        if k.lower() == name:
            return v
    raise KeyError(name)


for name in sys.argv[1:]:
    with open(name, "rb") as f:
        message = email.message_from_bytes(f.read())
    if message.defects or message.get_param("report-type") != "delivery-status":
        print(name, "defects", message.defects)
    for part in message.walk():
        if part.get_content_type().endswith("delivery-status"):
            for b in blocks(part):
                print(name, "email", b["Action"], b["Status"], address(raw(b, "final-recipient")))
    delayed, failed = all_failures(message)
    for a in sorted(failed):
        print(name, "flufl failed", a.decode())
    for a in sorted(delayed):
        print(name, "flufl delayed", a.decode())
