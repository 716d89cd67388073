// The mta API for plugins in JavaScript. It is evaluated before the plugin,
// and gives it the global object `mta`; a hook gets the message in hand as its
// parameter. README.md says what there is.
//
// native(number, frame) calls the function of the ABI that has that number in
// `functions`, with its parameters in the frame; numbers below zero are
// functions of the adapter. `hooks` are the names of all hooks as JavaScript
// has them, and `built` of those that the module exports.
(function (global, native, functions, hooks, built) {
  "use strict";
  const ADDRESS = -1, STRING = -2, UTF8 = -3, RELEASE = -4, ANSWER = -5, COPY = -6;
  const NOT_FOUND = -1;
  const errors = ["ok", "not found", "bad argument", "wrong stage", "not granted", "limit reached",
    "timed out", "input/output error", "not supported", "inside a signature", "would be a mail loop"];

  /** What the host answers when it cannot do what was asked. */
  class MtaError extends Error {
    constructor(operation, code) {
      super(operation + ": " + (errors[-code] ?? "error " + code));
      this.name = "MtaError";
      this.code = code;
    }
  }

  // A frame is the result (eight octets), and eight octets for each parameter.
  const frame = new ArrayBuffer(8 * 16);
  const view = new DataView(frame);
  let out, outAt; // where the host writes
  function reserve(octets) {
    out = new Uint8Array(octets);
    outAt = native(ADDRESS, out.buffer);
  }
  reserve(4096);

  function octetsOf(value) {
    if (value instanceof Uint8Array) return value;
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    throw new TypeError("a string or a Uint8Array is wanted, not " + typeof value);
  }

  // How one parameter goes into the frame at `at`; gives where the next goes.
  const put = {
    i(at, value) { view.setInt32(at, value, true); return at + 8; },
    l(at, value) { view.setBigInt64(at, BigInt(value), true); return at + 8; },
    d(at, value) { view.setFloat64(at, value, true); return at + 8; },
    s(at, value, held) {
      let address, length;
      if (typeof value === "string") {
        native(UTF8, value, frame); // address and length at the start of the frame
        address = view.getInt32(0, true);
        length = view.getInt32(4, true);
        held.push(address);
      } else {
        value = octetsOf(value);
        address = value.length === 0 ? 0 : native(ADDRESS, value.buffer) + value.byteOffset;
        length = value.length;
      }
      view.setInt32(at, address, true);
      view.setInt32(at + 8, length, true);
      return at + 16;
    },
  };

  // call calls a function of the ABI. Its buffer to write into is `out`, and
  // its result a number.
  function call(name, ...args) {
    const f = functions[name];
    if (f === undefined) {
      throw new MtaError(name + " (this plugin was built without it: see \"mta: grants\" in the manual)", -8);
    }
    const held = [];
    let at = 8, next = 0;
    for (const kind of f.params) {
      if (kind === "o") {
        view.setInt32(at, outAt, true);
        view.setInt32(at + 8, out.length, true);
        at += 16;
      } else if (kind === "p") {
        view.setInt32(at, outAt, true);
        at += 8;
      } else {
        at = put[kind](at, args[next++], held);
      }
    }
    native(f.number, frame);
    for (const address of held) native(RELEASE, address);
    return f.result === "l" ? Number(view.getBigInt64(0, true)) : view.getInt32(0, true);
  }

  /** number is a result that is no error. */
  function number(name, ...args) {
    const n = call(name, ...args);
    if (n < 0) throw new MtaError(name, n);
    return n;
  }

  /** found is a result, or undefined where there is none. */
  function found(name, ...args) {
    const n = call(name, ...args);
    if (n === NOT_FOUND) return undefined;
    if (n < 0) throw new MtaError(name, n);
    return n;
  }

  // filled calls a function that writes all of a value; gives how much of
  // `out` it is, or undefined.
  function filled(name, ...args) {
    let n = found(name, ...args);
    if (n > out.length) {
      reserve(n);
      n = found(name, ...args);
    }
    return n;
  }

  const utf8 = (length) => native(STRING, outAt, length);

  function text(name, ...args) {
    const n = filled(name, ...args);
    return n === undefined ? undefined : utf8(n);
  }

  function octets(name, ...args) {
    const n = filled(name, ...args);
    return n === undefined ? undefined : out.slice(0, n);
  }

  // stream reads all that a function gives piece by piece.
  function stream(size, name, ...args) {
    if (size < 0) throw new MtaError(name, size);
    const all = new Uint8Array(size);
    if (out.length < 65536) reserve(65536);
    for (let at = 0; at < size;) {
      const n = number(name, ...args, at);
      if (n === 0) return all.slice(0, at);
      all.set(n === out.length ? out : out.subarray(0, n), at);
      at += n;
    }
    return all;
  }

  function blob(content) {
    const handle = number("blob_new");
    if (content.length > 0) number("blob_write", handle, content);
    return handle;
  }

  const UNFOLDED = 1, DECODED = 2;

  /** The header fields of a part. Names are the same in upper and lower case. */
  class Headers {
    #part;
    constructor(part) { this.#part = part; }

    get length() { return number("hdr_count", this.#part); }
    /** The place of the first field of that name from a place on; -1 if there is none. */
    indexOf(name, from = 0) { return found("hdr_find", this.#part, name, from) ?? -1; }
    /** The first field's value, decoded (RFC 2047); undefined if there is none. */
    get(name) {
      const at = this.indexOf(name);
      return at < 0 ? undefined : this.value(at);
    }
    getAll(name) {
      const values = [];
      for (let at = this.indexOf(name); at >= 0; at = this.indexOf(name, at + 1)) values.push(this.value(at));
      return values;
    }
    has(name) { return this.indexOf(name) >= 0; }
    name(index) { return text("hdr_name", this.#part, index); }
    value(index) { return text("hdr_value", this.#part, index, DECODED); }
    unfolded(index) { return text("hdr_value", this.#part, index, UNFOLDED); }
    /** The octets after the colon, as they came. */
    raw(index) { return octets("hdr_value", this.#part, index, 0); }
    /** All fields, as they came. */
    block() { return octets("hdr_block", this.#part); }
    insert(index, name, value) { number("hdr_insert", this.#part, index, name, value); }
    prepend(name, value) { this.insert(0, name, value); }
    append(name, value) { this.insert(-1, name, value); }
    insertRaw(index, field) { number("hdr_insert_raw", this.#part, index, field); }
    setAt(index, value) { number("hdr_set", this.#part, index, value); }
    removeAt(index) { number("hdr_remove", this.#part, index); }
    /** Sets the first field of that name; there is one at the bottom after it. */
    set(name, value) {
      const at = this.indexOf(name);
      if (at < 0) this.append(name, value);
      else this.setAt(at, value);
    }
    /** Removes all fields of that name; gives how many there were. */
    delete(name) { return number("hdr_remove_all", this.#part, name); }
    *[Symbol.iterator]() {
      for (let i = 0; i < this.length; i++) yield [this.name(i), this.value(i)];
    }
  }

  const part = (id) => id === undefined ? undefined : new Part(id);
  const TYPE = 0, CHARSET = 1, FILENAME = 2, ENCODING = 3, DISPOSITION = 4, CONTENT_ID = 5, PATH = 6;
  const MULTIPART = 1, ATTACHMENT = 2, SIGNED = 4, MALFORMED = 8, MODIFIED = 16;

  /** A part of the MIME tree; the root is the message itself. */
  class Part {
    constructor(id) { this.id = id; }
    #info(what) { return text("part_info", this.id, what) ?? ""; }
    #flag(bit) { return (number("part_flags", this.id) & bit) !== 0; }
    #read(mode) { return stream(call("part_size", this.id, mode), "part_read", this.id, mode); }

    get headers() { return new Headers(this.id); }
    get type() { return this.#info(TYPE); }
    get charset() { return this.#info(CHARSET); }
    get filename() { return this.#info(FILENAME); }
    get encoding() { return this.#info(ENCODING); }
    get disposition() { return this.#info(DISPOSITION); }
    get contentId() { return this.#info(CONTENT_ID); }
    get path() { return this.#info(PATH); }
    get isMultipart() { return this.#flag(MULTIPART); }
    get isAttachment() { return this.#flag(ATTACHMENT); }
    get isSigned() { return this.#flag(SIGNED); }
    get isMalformed() { return this.#flag(MALFORMED); }
    get isModified() { return this.#flag(MODIFIED); }

    get first() { return part(found("part_first", this.id)); }
    get next() { return part(found("part_next", this.id)); }
    get parent() { return part(found("part_parent", this.id)); }
    *children() {
      for (let p = this.first; p !== undefined; p = p.next) yield p;
    }
    /** This part and all below it, in preorder. */
    *all() {
      yield this;
      for (const child of this.children()) yield* child.all();
    }

    /** The entity as it came, the body as it came, the body without its transfer encoding. */
    raw() { return this.#read(0); }
    body() { return this.#read(1); }
    octets() { return this.#read(2); }
    /** The body's text, whatever its character set is. */
    text() {
      const all = this.#read(3);
      return all.length === 0 ? "" : native(STRING, native(ADDRESS, all.buffer), all.length);
    }

    replace(type, content) { number("part_replace", this.id, type, blob(content)); }
    replaceText(content) { this.replace(this.type.startsWith("text/") ? this.type + "; charset=utf-8" : "text/plain; charset=utf-8", content); }
    insert(index, type, filename, content) { return part(number("part_insert", this.id, index, type, filename, blob(content))); }
    remove() { number("part_remove", this.id); }
    wrap(type) { return part(number("part_wrap", this.id, type)); }
  }

  /** One forward-path of the envelope. */
  class Recipient {
    constructor(id) { this.id = id; }
    #get(field) { return text("rcpt_get", this.id, field) ?? ""; }
    get address() { return this.#get(0); }
    set address(to) { number("rcpt_set", this.id, to); }
    get original() { return this.#get(1); }
    get resolved() { return this.#get(2); }
    get orcpt() { return this.#get(3); }
    get notify() { return this.#get(4); }
    get status() { return this.#get(5); }
    get lastReply() { return this.#get(6); }
    remove() { number("rcpt_remove", this.id); }
    /** The reply for this recipient alone. */
    reply(code, enhanced, line) { number("rcpt_reply", this.id, code, enhanced, line); }
    route(host, port = 0, flags = 0) { number("route", this.id, host, port, flags); }
    deliver(mailbox, folder = "", flags = "") { number("deliver", this.id, mailbox, folder, flags); }
    retryAt(time) { number("retry_at", this.id, +time); }
    toString() { return this.address; }
  }

  const ids = (recipients) => {
    const list = new Uint8Array(4 * recipients.length);
    const at = new DataView(list.buffer);
    recipients.forEach((r, i) => at.setInt32(4 * i, r.id, true));
    return list;
  };

  /** The message in hand, its envelope, and the session it came in. */
  const message = {
    get headers() { return new Headers(0); },
    get root() { return new Part(0); },
    *parts() { yield* this.root.all(); },
    *attachments() {
      for (const p of [...this.parts()]) if (p.isAttachment) yield p;
    },
    part(type, from = 0) { return part(found("part_find", type, from)); },
    get size() { return number("msg_size"); },
    octets() { return stream(call("msg_size"), "msg_read"); },
    replace(content) { number("msg_replace", blob(content)); },

    get sender() { return text("sender_get") ?? ""; },
    set sender(address) { number("sender_set", address); },
    get recipients() {
      return Array.from({ length: number("rcpt_count") }, (_, i) => new Recipient(number("rcpt_at", i)));
    },
    addRecipient(address) { return new Recipient(number("rcpt_add", address)); },
    /** A message of their own for these recipients: later edits are of it. Gives its number. */
    variant(recipients) {
      const created = number("variant_new", ids(recipients));
      this.select(created);
      return created;
    },
    /** Later edits are of that variant; zero is the message of all others. */
    select(variant = 0) { number("variant_select", variant); },

    context(key) { return text("ctx_get", key); },
    get session() { return JSON.parse(text("ctx_json")); },
    note(key, scope = 1) { return text("note_get", scope, key); },
    setNote(key, value, scope = 1) { number("note_set", scope, key, value); },

    route(host, port = 0, flags = 0) { number("route", -1, host, port, flags); },
    deliver(mailbox, folder = "", flags = "") { number("deliver", -1, mailbox, folder, flags); },
    retryAt(time) { number("retry_at", -1, +time); },
    quarantine(reason) { number("quarantine", reason); },
    send(from, to, content) { number("send", from, [].concat(to).join("\n"), blob(content)); },

    accept: () => 1,
    reject(code, enhanced, line) { number("reply", code, enhanced, line); return 2; },
    defer(code, enhanced, line) { number("reply", code, enhanced, line); return 3; },
    discard: () => 4,
    hold(reason) { number("quarantine", reason); return 5; },
    disconnect(code, enhanced, line) { number("reply", code, enhanced, line); return 6; },
    notAgain: () => 7,
  };

  const log = (level) => (...values) => call("log", level, values.map(String).join(" "));
  let config;

  global.mta = Object.freeze({
    MtaError, Headers, Part, Recipient,
    get config() { return config ??= JSON.parse(text("config") || "{}"); },
    log: Object.freeze({ debug: log(0), info: log(1), warn: log(2), error: log(3) }),
    /** Whether the host has that function or operation, and what an operation gives. */
    has: (name) => call("has", name) === 1,
    call: (operation, input = "") => octets("call", operation, input),
    get deadline() { return number("deadline_ms"); },
    now: () => new Date(call("now_ms")),
    random(count) {
      if (out.length < count) reserve(count);
      const whole = out;
      reserve(count);
      const code = call("random");
      const drawn = out;
      out = whole;
      outAt = native(ADDRESS, whole.buffer);
      if (code < 0) throw new MtaError("random", code);
      return drawn;
    },
    utf8: {
      encode(string) {
        native(UTF8, string, frame);
        const address = view.getInt32(0, true), length = view.getInt32(4, true);
        const copy = native(COPY, address, length);
        native(RELEASE, address);
        return copy;
      },
      decode(content) {
        return content.length === 0 ? "" : native(STRING, native(ADDRESS, content.buffer) + content.byteOffset, content.length);
      },
    },
    kv: Object.freeze({
      get(key) { return octets("kv_get", key); },
      text(key) { return text("kv_get", key); },
      set(key, value, ttl = 0) { number("kv_set", key, value, ttl); },
      delete(key) { number("kv_del", key); },
      add(key, delta, ttl = 0) {
        number("kv_add", key, delta, ttl);
        return Number(new DataView(out.buffer).getBigInt64(0, true));
      },
      /** False if the value was another one. Empty `old`: there is none; empty `value`: delete it. */
      compareAndSet(key, old, value, ttl = 0) { return number("kv_cas", key, old, value, ttl) === 1; },
    }),
    dns(type, name) {
      const types = { A: 1, CNAME: 5, PTR: 12, MX: 15, TXT: 16, AAAA: 28 };
      const lines = text("dns", types[type] ?? type, name);
      return lines ? lines.split("\n").filter((line) => line !== "") : [];
    },
    metrics: Object.freeze({
      count(name, delta = 1) { call("counter", name, delta); },
      observe(name, value) { call("observe", name, value); },
    }),
  });
  global.console = Object.freeze({
    debug: log(0), log: log(1), info: log(1), warn: log(2), error: log(3),
  });

  // The rest is for the adapter.
  let plugin; // what the plugin exports
  let problem = new Error("the plugin never ended loading: it awaits what does not come");

  let loading = false; // onLoad is asked

  // The operator reads why the plugin does not start in the words of a reply.
  function refuse(error) {
    const words = error instanceof Error && error.name === "Error" ? error.message : String(error);
    call("reply", 550, "", words.replace(/\p{Cc}+/gu, " ").slice(0, 200));
  }

  function failed(error) {
    if (loading) refuse(error);
    const trace = error instanceof Error && error.stack ? "\n" + error.stack : "";
    call("log", 3, (String(error) + trace).trimEnd());
    return -1;
  }

  function answer(value) {
    value ??= 0;
    native(ANSWER, Number.isInteger(value) ? value : failed(new TypeError("a hook returns a verdict, not " + String(value))));
  }

  const isHook = (name) => name !== "onLoad" && hooks.includes(name) && typeof plugin[name] === "function";

  return {
    failed,
    load(promise) {
      promise.then((exported) => {
        plugin = exported;
        const unlike = hooks.filter((name) => isHook(name) !== built.includes(name));
        problem = unlike.length === 0 ? undefined : new Error(
          "the module was built with other hooks than the plugin exports: " + unlike.join(", ") +
          "; write `export function onMessage` or `export { onMessage }` on one line");
      }, (error) => {
        problem = error;
      });
    },
    run(number) {
      loading = number === 0;
      try {
        if (problem !== undefined) throw problem;
        const hook = plugin[hooks[number]];
        if (hook === undefined) return answer(0); // onLoad, which a plugin need not have
        const given = hook(number === 0 ? global.mta.config : message);
        if (given instanceof Promise) given.then(answer, (error) => answer(failed(error)));
        else answer(given);
      } catch (error) {
        answer(failed(error));
      }
    },
  };
})
