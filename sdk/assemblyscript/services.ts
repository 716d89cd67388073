import * as raw from "./raw";
import { blob } from "./content";
import { Value } from "./json";
import { Text, text, taken, more, ROOM, room, failed } from "./text";

// config is the stage's `config:`.
export function config(): Value {
  let n = raw.config(room(), ROOM);
  if (n > ROOM) n = raw.config(more(n), n);
  const t = text(n);
  return new Value(t === null ? "" : t);
}

// context is one value of the session or the message, "/client/ip"; null if
// there is none.
export function context(key: string): string | null {
  const k = new Text(key);
  let n = raw.ctx_get(k.at, k.length, room(), ROOM);
  if (n > ROOM) n = raw.ctx_get(k.at, k.length, more(n), n);
  return text(n);
}

// contextAll is the whole context.
export function contextAll(): Value {
  let n = raw.ctx_json(room(), ROOM);
  if (n > ROOM) n = raw.ctx_json(more(n), n);
  const t = text(n);
  return new Value(t === null ? "" : t);
}

// note is what an earlier stage left; the scope is SCOPE_...
export function note(scope: i32, key: string): string | null {
  const k = new Text(key);
  let n = raw.note_get(scope, k.at, k.length, room(), ROOM);
  if (n > ROOM) n = raw.note_get(scope, k.at, k.length, more(n), n);
  return text(n);
}

export function setNote(scope: i32, key: string, value: string): i32 {
  const k = new Text(key), v = new Text(value);
  return raw.note_set(scope, k.at, k.length, v.at, v.length);
}

// deadline is the milliseconds that this hook has left.
export function deadline(): i32 {
  return raw.deadline_ms();
}

// now is the milliseconds since 1970.
export function now(): i64 {
  return raw.now_ms();
}

export function random(octets: Uint8Array): i32 {
  return raw.random(octets.dataStart, octets.length);
}

// send originates a message; recipients are addresses.
export function send(from: string, recipients: string[], octets: Uint8Array): i32 {
  const f = new Text(from), r = new Text(recipients.join("\n"));
  const b = blob(octets.dataStart, octets.length);
  return b < 0 ? b : raw.send(f.at, f.length, r.at, r.length, b);
}

// kv has keys and values that outlive a message. A time to live is in
// milliseconds; 0 is for ever.
export namespace kv {
  export function get(key: string): Uint8Array | null {
    const k = new Text(key);
    let n = raw.kv_get(k.at, k.length, room(), ROOM);
    if (n > ROOM) n = raw.kv_get(k.at, k.length, more(n), n);
    return taken(n);
  }

  export function getText(key: string): string | null {
    const k = new Text(key);
    let n = raw.kv_get(k.at, k.length, room(), ROOM);
    if (n > ROOM) n = raw.kv_get(k.at, k.length, more(n), n);
    return text(n);
  }

  export function set(key: string, value: Uint8Array, ttl: i64 = 0): i32 {
    const k = new Text(key);
    return raw.kv_set(k.at, k.length, value.dataStart, value.length, ttl);
  }

  export function setText(key: string, value: string, ttl: i64 = 0): i32 {
    const k = new Text(key), v = new Text(value);
    return raw.kv_set(k.at, k.length, v.at, v.length, ttl);
  }

  export function remove(key: string): i32 {
    const k = new Text(key);
    return raw.kv_del(k.at, k.length);
  }

  // add adds to a counter, and gives its new value; lastError tells whether it
  // could.
  export function add(key: string, delta: i64, ttl: i64 = 0): i64 {
    const k = new Text(key), out = new StaticArray<i64>(1);
    failed(raw.kv_add(k.at, k.length, delta, ttl, changetype<usize>(out)));
    return out[0];
  }

  // compareAndSwap sets a value if it still is old, and gives 1, or 0 if it is
  // not. An empty old is a key that is not there, an empty value deletes.
  export function compareAndSwap(key: string, old: Uint8Array, value: Uint8Array, ttl: i64 = 0): i32 {
    const k = new Text(key);
    return raw.kv_cas(k.at, k.length, old.dataStart, old.length, value.dataStart, value.length, ttl);
  }
}

// dns is the records of a type (1 A, 15 MX, 16 TXT), one a line.
export function dns(type: i32, name: string): string | null {
  const t = new Text(name);
  let n = raw.dns(type, t.at, t.length, room(), ROOM);
  if (n > ROOM) n = raw.dns(type, t.at, t.length, more(n), n);
  return text(n);
}

// count adds to a counter of the server's metrics.
export function count(name: string, delta: i64 = 1): void {
  const t = new Text(name);
  raw.counter(t.at, t.length, delta);
}

// observe adds a value to a histogram of the server's metrics.
export function observe(name: string, value: f64): void {
  const t = new Text(name);
  raw.observe(t.at, t.length, value);
}
