"""The mta API for plugins in Python.

A plugin decorates a function for each hook that it wants to be asked:

    import mta

    @mta.on_message
    def stamp(m):
        m.headers.prepend("X-Seen", mta.config().get("value", "yes"))

The function gets the message in hand, and returns a verdict or nothing, which
lets the message go on. README.md says what there is. The module speaks to the
server in frames on standard input and output (sdk/WASI.md); what a plugin
prints goes to the log.
"""

import email
import email.policy
import json
import os
import sys
import traceback

NOT_FOUND = -1

_ERRORS = ("ok", "not found", "bad argument", "wrong stage", "not granted", "limit reached",
           "timed out", "input/output error", "not supported", "inside a signature", "would be a mail loop")


class Error(Exception):
    """What the host answers when it cannot do what was asked."""

    def __init__(self, operation, code):
        text = _ERRORS[-code] if 0 <= -code < len(_ERRORS) else "error %d" % code
        super().__init__("%s: %s" % (operation, text))
        self.code = code


# Frames.

_input = sys.stdin.buffer
_decode = json.JSONDecoder().decode
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _read():
    head = _input.readline()
    if not head:
        raise SystemExit(0)
    length, octets = map(int, head.split())
    return _decode(_input.read(length).decode()), _input.read(octets) if octets else b""


def _write(value, octets=b""):
    text = _encode(value).encode("utf-8", "surrogatepass")
    frame = b"%d %d\n%b%b" % (len(text), len(octets), text, octets)
    while frame:
        frame = frame[os.write(1, frame):]


def _call(name, *args):
    """Calls a function of the ABI; gives its result and what it wrote."""
    octets = b""
    if any(isinstance(arg, (bytes, bytearray, memoryview)) for arg in args):
        args = list(args)
        for i, arg in enumerate(args):
            if isinstance(arg, (bytes, bytearray, memoryview)):
                octets, args[i] = bytes(arg), None
    _write({"call": name, "args": args}, octets)
    answer, octets = _read()
    return answer, octets


def _number(name, *args):
    """A result that is no error."""
    result = _call(name, *args)[0]["result"]
    if result < 0:
        raise Error(name, result)
    return result


def _found(name, *args):
    """A result, or None where there is none."""
    result = _call(name, *args)[0]["result"]
    if result == NOT_FOUND:
        return None
    if result < 0:
        raise Error(name, result)
    return result


_CAPACITY = 1000


def _octets(name, *args):
    """All octets that a function writes, or None. Its buffer comes last."""
    answer, octets = _call(name, *args, _CAPACITY)
    result = answer["result"]
    if result > _CAPACITY:
        answer, octets = _call(name, *args, result)
        result = answer["result"]
    if result == NOT_FOUND:
        return None
    if result < 0:
        raise Error(name, result)
    return octets


def _text(name, *args):
    octets = _octets(name, *args)
    return None if octets is None else octets.decode("utf-8", "replace")


def _stream(size_name, size_args, name, *args):
    """All that a function gives piece by piece."""
    size = _number(size_name, *size_args)
    pieces, at = [], 0
    while at < size:
        answer, octets = _call(name, *args, at, min(size - at, 1 << 20))
        if answer["result"] < 0:
            raise Error(name, answer["result"])
        if not octets:
            break
        pieces.append(octets)
        at += len(octets)
    return b"".join(pieces)


def _blob(content):
    if isinstance(content, email.message.Message):
        content = content.as_bytes(policy=content.policy.clone(linesep="\r\n"))
    elif isinstance(content, str):
        content = content.encode()
    handle = _number("blob_new")
    if content:
        _number("blob_write", handle, content)
    return handle


# Verdicts.

class Verdict(str):
    """What a hook returns; its word."""


CONTINUE = Verdict("continue")
ACCEPT = Verdict("accept")
DISCARD = Verdict("discard")
NOT_AGAIN = Verdict("not again")


def _reply(verdict, code, enhanced, text):
    _number("reply", code, enhanced, text)
    return Verdict(verdict)


def reject(code, enhanced, text):
    return _reply("reject", code, enhanced, text)


def defer(code, enhanced, text):
    return _reply("defer", code, enhanced, text)


def disconnect(code, enhanced, text):
    return _reply("disconnect", code, enhanced, text)


def hold(reason):
    """Holds the message for the operator."""
    _number("quarantine", reason)
    return Verdict("quarantine")


# The message.

class Headers:
    """The header fields of a part. Names are the same in upper and lower case."""

    def __init__(self, part):
        self._part = part

    def __len__(self):
        return _number("hdr_count", self._part)

    def index(self, name, start=0):
        """The place of the first field of that name from a place on, or None."""
        return _found("hdr_find", self._part, name, start)

    def get(self, name, default=None):
        """The first field's value, decoded (RFC 2047)."""
        at = self.index(name)
        return default if at is None else self.value(at)

    def __getitem__(self, name):
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def get_all(self, name):
        values, at = [], self.index(name)
        while at is not None:
            values.append(self.value(at))
            at = self.index(name, at + 1)
        return values

    def __contains__(self, name):
        return self.index(name) is not None

    def __iter__(self):
        for i in range(len(self)):
            yield self.name(i), self.value(i)

    def name(self, index):
        return _text("hdr_name", self._part, index)

    def value(self, index):
        return _text("hdr_value", self._part, index, 2)

    def unfolded(self, index):
        return _text("hdr_value", self._part, index, 1)

    def raw(self, index):
        """The octets after the colon, as they came."""
        return _octets("hdr_value", self._part, index, 0)

    def block(self):
        """All fields, as they came."""
        return _octets("hdr_block", self._part)

    def insert(self, index, name, value):
        _number("hdr_insert", self._part, index, name, value)

    def prepend(self, name, value):
        self.insert(0, name, value)

    def append(self, name, value):
        self.insert(-1, name, value)

    def insert_raw(self, index, field):
        _number("hdr_insert_raw", self._part, index, field)

    def set_at(self, index, value):
        _number("hdr_set", self._part, index, value)

    def remove_at(self, index):
        _number("hdr_remove", self._part, index)

    def __setitem__(self, name, value):
        """Sets the first field of that name; there is one at the bottom after it."""
        at = self.index(name)
        if at is None:
            self.append(name, value)
        else:
            self.set_at(at, value)

    def __delitem__(self, name):
        """Removes all fields of that name."""
        _number("hdr_remove_all", self._part, name)


def _part(id):
    return None if id is None else Part(id)


class Part:
    """A part of the MIME tree; the root is the message itself."""

    def __init__(self, id):
        self.id = id

    def _info(self, what):
        return _text("part_info", self.id, what) or ""

    def _flag(self, bit):
        return _number("part_flags", self.id) & bit != 0

    def _read(self, mode):
        return _stream("part_size", (self.id, mode), "part_read", self.id, mode)

    headers = property(lambda self: Headers(self.id))
    type = property(lambda self: self._info(0))
    charset = property(lambda self: self._info(1))
    filename = property(lambda self: self._info(2))
    encoding = property(lambda self: self._info(3))
    disposition = property(lambda self: self._info(4))
    content_id = property(lambda self: self._info(5))
    path = property(lambda self: self._info(6))
    is_multipart = property(lambda self: self._flag(1))
    is_attachment = property(lambda self: self._flag(2))
    is_signed = property(lambda self: self._flag(4))
    is_malformed = property(lambda self: self._flag(8))
    is_modified = property(lambda self: self._flag(16))

    first = property(lambda self: _part(_found("part_first", self.id)))
    next = property(lambda self: _part(_found("part_next", self.id)))
    parent = property(lambda self: _part(_found("part_parent", self.id)))

    def children(self):
        child = self.first
        while child is not None:
            yield child
            child = child.next

    def walk(self):
        """This part and all below it, in preorder."""
        yield self
        for child in self.children():
            yield from child.walk()

    def raw(self):
        """The entity as it came."""
        return self._read(0)

    def body(self):
        """The body as it came."""
        return self._read(1)

    def octets(self):
        """The body without its transfer encoding."""
        return self._read(2)

    def text(self):
        """The body's text, whatever its character set is."""
        return self._read(3).decode("utf-8", "replace")

    def email(self):
        """The entity as an object of the package email, a copy."""
        return email.message_from_bytes(self.raw(), policy=email.policy.SMTP)

    def replace(self, type, content):
        _number("part_replace", self.id, type, _blob(content))

    def replace_text(self, text):
        own = self.type
        self.replace((own if own.startswith("text/") else "text/plain") + "; charset=utf-8", text)

    def insert(self, index, type, filename, content):
        return Part(_number("part_insert", self.id, index, type, filename, _blob(content)))

    def remove(self):
        _number("part_remove", self.id)

    def wrap(self, type):
        return Part(_number("part_wrap", self.id, type))


class Recipient:
    """One forward-path of the envelope."""

    def __init__(self, id):
        self.id = id

    def _get(self, field):
        return _text("rcpt_get", self.id, field) or ""

    @property
    def address(self):
        return self._get(0)

    @address.setter
    def address(self, to):
        _number("rcpt_set", self.id, to)

    original = property(lambda self: self._get(1))
    resolved = property(lambda self: self._get(2))
    orcpt = property(lambda self: self._get(3))
    notify = property(lambda self: self._get(4))
    status = property(lambda self: self._get(5))
    last_reply = property(lambda self: self._get(6))

    def remove(self):
        _number("rcpt_remove", self.id)

    def reply(self, code, enhanced, text):
        """The reply for this recipient alone."""
        _number("rcpt_reply", self.id, code, enhanced, text)

    def route(self, host, port=0, flags=0):
        _number("route", self.id, host, port, flags)

    def deliver(self, mailbox, folder="", flags=""):
        _number("deliver", self.id, mailbox, folder, flags)

    def retry_at(self, time):
        _number("retry_at", self.id, int(time * 1000))

    def __str__(self):
        return self.address


class Message:
    """The message in hand, its envelope, and the session it came in."""

    def __init__(self, request):
        self.hook = request["hook"]
        self.session = request.get("context") or {}

    headers = property(lambda self: Headers(0))
    root = property(lambda self: Part(0))
    size = property(lambda self: _number("msg_size"))

    def parts(self):
        return list(self.root.walk())

    def attachments(self):
        return [part for part in self.parts() if part.is_attachment]

    def part(self, type, start=0):
        """The first part of that type ("text/*") from a part on, or None."""
        return _part(_found("part_find", type, start))

    def octets(self):
        """The message as it is now."""
        return _stream("msg_size", (), "msg_read")

    def email(self):
        """The message as an object of the package email, a copy. What is edited
        in it comes into the message by replace, which writes all of it anew; to
        leave untouched octets as they came, edit by headers and parts."""
        return email.message_from_bytes(self.octets(), policy=email.policy.SMTP)

    def replace(self, content):
        """Replaces the message by octets, or by an object of the package email."""
        _number("msg_replace", _blob(content))

    @property
    def sender(self):
        return _text("sender_get") or ""

    @sender.setter
    def sender(self, address):
        _number("sender_set", address)

    @property
    def recipients(self):
        return [Recipient(_number("rcpt_at", i)) for i in range(_number("rcpt_count"))]

    def add_recipient(self, address):
        return Recipient(_number("rcpt_add", address))

    def variant(self, recipients):
        """A message of their own for these recipients: later edits are of it.
        Gives its number."""
        ids = b"".join(r.id.to_bytes(4, "little", signed=True) for r in recipients)
        created = _number("variant_new", ids)
        self.select(created)
        return created

    def select(self, variant=0):
        """Later edits are of that variant; zero is the message of all others."""
        _number("variant_select", variant)

    def context(self, key):
        return _text("ctx_get", key)

    def note(self, key, scope=1):
        return _text("note_get", scope, key)

    def set_note(self, key, value, scope=1):
        _number("note_set", scope, key, value)

    def route(self, host, port=0, flags=0):
        _number("route", -1, host, port, flags)

    def deliver(self, mailbox, folder="", flags=""):
        _number("deliver", -1, mailbox, folder, flags)

    def retry_at(self, time):
        _number("retry_at", -1, int(time * 1000))

    def quarantine(self, reason):
        _number("quarantine", reason)

    def send(self, sender, recipients, content):
        """Sends another message once this one is accepted."""
        to = recipients if isinstance(recipients, str) else "\n".join(recipients)
        _number("send", sender, to, _blob(content))


# Services.

class kv:
    """Values that outlive messages, where the operator granted them. Times to
    live are in milliseconds; zero is for ever."""

    @staticmethod
    def get(key):
        return _octets("kv_get", key)

    @staticmethod
    def set(key, value, ttl=0):
        _number("kv_set", key, value, ttl)

    @staticmethod
    def delete(key):
        _number("kv_del", key)

    @staticmethod
    def add(key, delta, ttl=0):
        answer, _ = _call("kv_add", key, delta, ttl)
        if answer["result"] < 0:
            raise Error("kv_add", answer["result"])
        return answer["value"]

    @staticmethod
    def compare_and_set(key, old, value, ttl=0):
        """False if the value was another one. Empty `old`: there is none; empty
        `value`: delete it."""
        if isinstance(old, bytes) and isinstance(value, bytes):
            old = old.decode()  # one of them can be octets
        return _number("kv_cas", key, old, value, ttl) == 1


class metrics:
    """Counters and histograms."""

    @staticmethod
    def count(name, delta=1):
        _call("counter", name, delta)

    @staticmethod
    def observe(name, value):
        _call("observe", name, float(value))


_TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}


def dns(type, name):
    """The data of the records of a type, in presentation format."""
    return (_text("dns", _TYPES[type], name) or "").splitlines()


def has(name):
    """Whether the host has that function of the ABI, or that operation of call."""
    return _number("has", name) == 1


def call(operation, input=""):
    """What an operation gives that newer servers have."""
    return _octets("call", operation, input)


def random(count):
    """That many random octets."""
    answer, octets = _call("random", count)
    if answer["result"] < 0:
        raise Error("random", answer["result"])
    return octets


def now():
    """The time, in seconds since 1970."""
    return _call("now_ms")[0]["result"] / 1000


def deadline():
    """The milliseconds that this call has left."""
    return _number("deadline_ms")


def debug(text):
    _call("log", 0, str(text))


def info(text):
    _call("log", 1, str(text))


def warn(text):
    _call("log", 2, str(text))


def error(text):
    _call("log", 3, str(text))


# Hooks.

_config = {}
_hooks = {}


def config():
    """The stage's configuration."""
    return _config


def _decorator(hook):
    def decorate(function):
        _hooks[hook] = function
        return function
    return decorate


on_load = _decorator("on_load")
on_connect = _decorator("on_connect")
on_helo = _decorator("on_helo")
on_auth = _decorator("on_auth")
on_mail = _decorator("on_mail")
on_rcpt = _decorator("on_rcpt")
on_data = _decorator("on_data")
on_headers = _decorator("on_headers")
on_message = _decorator("on_message")
on_route = _decorator("on_route")
on_local = _decorator("on_local")
on_delivery = _decorator("on_delivery")
on_dsn = _decorator("on_dsn")
on_disconnect = _decorator("on_disconnect")


def _run(request):
    verdict = _hooks[request["hook"]](Message(request))
    if verdict is None:
        return {}
    if not isinstance(verdict, Verdict):
        raise TypeError("a hook returns a verdict, not %r" % (verdict,))
    return {"verdict": verdict}


def _load(request):
    _config.update(request.get("config") or {})
    if "on_load" in _hooks:
        _hooks["on_load"](_config)
    return {"hooks": [hook for hook in _hooks if hook != "on_load"], "message": False}


def _failure():
    error(traceback.format_exc().strip())
    return "".join(traceback.format_exception_only(*sys.exc_info()[:2])).strip()


def serve(load):
    """Answers frames for as long as there are any. load loads the plugin."""
    sys.stdout = sys.stderr  # print is for the log
    request, _ = _read()
    try:
        load()
        answer = _load(request)
    except Exception:
        answer = {"refuse": _failure()}
    while True:
        _write(answer)
        request, _ = _read()
        try:
            answer = _run(request)
        except Exception:
            answer = {"error": _failure()}
