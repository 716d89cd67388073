// What a plugin of mta is written with in AssemblyScript. A plugin exports its
// hooks, and they return a verdict:
//
//   import { message, TOP, Verdict } from "mta";
//
//   export function on_message(): i32 {
//     message.insertField(TOP, "X-Hello", "from AssemblyScript");
//     return Verdict.CONTINUE;
//   }
//
// `mta plugin build` compiles a folder with it; by hand it is
//
//   asc plugin.ts -O3 --path FOLDER_OF_MTA --exportStart _initialize
//     --use abort=~lib/mta/index/abort -o hello.wasm
//
// Functions that change something return a negative number (Errno) if they
// could not. Those that give something return null then, and lastError() has
// the number. A string is no octets: text is UTF-8 outside, what is not is a
// Uint8Array.
//
// What a hook changes counts if it returns a verdict, and is undone if it
// returns something else (fail), traps or takes too long. By default no
// variable keeps its value from one message to the next.

import * as numbers from "./numbers";
import * as raw from "./raw";
import { Text, taken, more, ROOM, room } from "./text";

export * from "./numbers";
export * from "./content";
export * from "./envelope";
export * from "./json";
export * from "./services";
export { lastError } from "./text";

// Above everything, our Received: too; and below everything.
export const TOP: i32 = numbers.INDEX_TOP;
export const BOTTOM: i32 = numbers.INDEX_BOTTOM;

// log writes a line to the server's log.
export function log(level: i32, text: string): void {
  const t = new Text(text);
  raw.log(level, t.at, t.length);
}

export function logEnabled(level: i32): bool {
  return raw.log_enabled(level) > 0;
}

// abort is what a failed assertion calls; it ends the hook.
export function abort(text: string | null, file: string | null, line: u32, column: u32): void {
  const what = text === null ? "aborted" : text;
  const where = file === null ? "" : file;
  log(numbers.Level.ERROR, where + ":" + line.toString() + ":" + column.toString() + ": " + what);
  unreachable();
}

// abiVersion is the version of the host's functions: major << 16 | minor.
export function abiVersion(): i32 {
  return raw.abi_version();
}

// has tells whether the host has a function of that name, for this plugin.
export function has(name: string): bool {
  const n = new Text(name);
  return raw.has(n.at, n.length) > 0;
}

// call calls an operation of the host that is no function of this package.
export function call(op: string, input: Uint8Array): Uint8Array | null {
  const o = new Text(op);
  let n = raw.call(o.at, o.length, input.dataStart, input.length, room(), ROOM);
  if (n > ROOM) n = raw.call(o.at, o.length, input.dataStart, input.length, more(n), n);
  return taken(n);
}

// reject refuses for good: code is 500 to 599, enhanced (RFC 3463) may be empty.
export function reject(code: i32, enhanced: string, text: string): i32 {
  const n = reply(code, enhanced, text);
  return n < 0 ? n : numbers.Verdict.REJECT;
}

// defer refuses for now: code is 400 to 499.
export function defer(code: i32, enhanced: string, text: string): i32 {
  const n = reply(code, enhanced, text);
  return n < 0 ? n : numbers.Verdict.DEFER;
}

// disconnect refuses and closes the session: 421 is for now, 521 for good.
export function disconnect(code: i32, enhanced: string, text: string): i32 {
  const n = reply(code, enhanced, text);
  return n < 0 ? n : numbers.Verdict.DISCONNECT;
}

// quarantine accepts the message, and holds it for the operator.
export function quarantine(reason: string): i32 {
  const r = new Text(reason);
  const n = raw.quarantine(r.at, r.length);
  return n < 0 ? n : numbers.Verdict.QUARANTINE;
}

// reply sets the words that go with a verdict.
export function reply(code: i32, enhanced: string, text: string): i32 {
  const e = new Text(enhanced), t = new Text(text);
  return raw.reply(code, e.at, e.length, t.at, t.length);
}

// refuse is what on_load returns to keep the server from starting: the operator
// reads the text.
export function refuse(text: string): i32 {
  reply(550, "", text);
  return 1;
}

// fail is what a hook returns that cannot do its work: what it changed is
// undone, and the stage's on_error decides.
export function fail(what: string): i32 {
  log(numbers.Level.ERROR, what);
  return -1;
}
