// The conformance filter in AssemblyScript; sdk/conformance/README.md is its
// specification.
import {
  BOTTOM, Errno, FLAG_ATTACHMENT, HDR_DECODED, Part, TOP, Verdict, config, fail, lastError, message, recipients,
} from "mta";

// What the configuration says; null leaves out a step.
let name: string | null = null;
let value: string | null = null;
let tag: string | null = null;
let attachment: string | null = null;
let refuse: string | null = null;

export function on_load(): i32 {
  const json = config();
  const stamp = json.get("stamp");
  if (stamp !== null) {
    name = stamp.text("name");
    value = stamp.text("value");
  }
  tag = json.text("tag");
  attachment = json.text("attachment");
  refuse = json.text("refuse");
  return 0;
}

export function on_message(): i32 {
  if (name !== null && message.insertField(TOP, name!, value!) < 0) return fail("stamp");
  if (tag !== null && addTag(tag!) < 0) return fail("tag");
  if (attachment !== null && replaceAttachments(attachment!) < 0) return fail("attachment");
  if (refuse !== null && refuseRecipient(refuse!) < 0) return fail("refuse");
  return Verdict.CONTINUE;
}

function addTag(text: string): i32 {
  const field = message.findField("Subject");
  if (field === null) {
    return lastError() == Errno.NOT_FOUND ? message.insertField(BOTTOM, "Subject", text) : lastError();
  }
  const subject = field.octets(HDR_DECODED); // what is no UTF-8 stays as it is
  if (subject === null) return lastError();
  const prefix = Uint8Array.wrap(String.UTF8.encode(text));
  return hasPrefix(subject, prefix) ? 0 : field.setOctets(joined(prefix, subject));
}

// joined is both with a blank between them.
function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + 1 + b.length);
  out.set(a);
  out[a.length] = 0x20;
  out.set(b, a.length + 1);
  return out;
}

function hasPrefix(octets: Uint8Array, prefix: Uint8Array): bool {
  return octets.length >= prefix.length && memory.compare(octets.dataStart, prefix.dataStart, prefix.length) == 0;
}

function replaceAttachments(text: string): i32 {
  const found: Part[] = [];
  let part: Part | null = message;
  for (; part !== null; part = part.after()) {
    const flags = part.flags();
    if (flags < 0) return flags;
    if (!(flags & FLAG_ATTACHMENT)) continue;
    const type = part.type();
    if (type === null) return lastError();
    if (type.startsWith("text/")) found.push(part);
  }
  if (lastError() != Errno.NOT_FOUND) return lastError();
  for (let i = 0; i < found.length; i++) {
    const n = found[i].replaceText("text/plain; charset=utf-8", text);
    if (n < 0) return n;
  }
  return 0;
}

function refuseRecipient(address: string): i32 {
  const all = recipients();
  for (let i = 0; i < all.length; i++) {
    const a = all[i].address();
    if (a === null) return lastError();
    if (!equalFold(a, address)) continue;
    const n = all[i].refuse(550, "5.7.1", "Refused by conformance");
    if (n < 0) return n;
  }
  return 0;
}

// equalFold takes upper and lower case of ASCII for the same.
function equalFold(a: string, b: string): bool {
  if (a.length != b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (lower(a.charCodeAt(i)) != lower(b.charCodeAt(i))) return false;
  }
  return true;
}

function lower(c: i32): i32 {
  return c >= 0x41 && c <= 0x5a ? c + 0x20 : c;
}
