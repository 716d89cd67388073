// Each recipient of a list's message gets a copy with a line of their own at
// its end.
import { Errno, FLAG_ATTACHMENT, FLAG_INSIDE_SIGNED, Part, Verdict, config, fail, lastError, message, recipients, refuse, selectVariant, variant } from "mta";

let line = "";
const lists: string[] = [];

export function on_load(): i32 {
  const text = config().text("text");
  if (text === null) return refuse("text: is missing; write a line, with {address} where the recipient's address goes");
  line = text;
  const names = config().get("lists");
  if (names === null) return 0;
  const items = names.items();
  for (let i = 0; i < items.length; i++) {
    const name = items[i].value.string();
    if (name !== null) lists.push(name.toLowerCase());
  }
  return 0;
}

export function on_message(): i32 {
  if (!isForList()) return Verdict.CONTINUE;
  const all = recipients();
  for (let i = 0; i < all.length; i++) {
    const address = all[i].address();
    if (address === null) return fail("a recipient has no address");
    selectVariant(0); // each copy is one of the message as it came
    const copy = variant([all[i]]);
    if (copy < 0 || selectVariant(copy) < 0) return fail("a recipient cannot have a copy of their own");
    if (addFooter(line.replaceAll("{address}", address)) < 0) return fail("a footer cannot be added");
  }
  return Verdict.CONTINUE;
}

// isForList tells whether To or Cc name one of the lists.
function isForList(): bool {
  if (lists.length == 0) return true;
  const names = ["To", "Cc"];
  for (let i = 0; i < names.length; i++) {
    const field = message.findField(names[i]);
    if (field === null) continue;
    const value = field.value();
    for (let l = 0; value !== null && l < lists.length; l++) {
      if (value.toLowerCase().includes(lists[l])) return true;
    }
  }
  return false;
}

// addFooter puts a line under the first plain text and the first HTML that are
// read as the message, and does nothing to what a signature covers.
function addFooter(text: string): i32 {
  let plain = false;
  let html = false;
  for (let part: Part | null = message; part !== null; part = part.after()) {
    const flags = part.flags();
    if (flags < 0) return flags;
    if (flags & (FLAG_ATTACHMENT | FLAG_INSIDE_SIGNED)) continue;
    const type = part.type();
    if (type === null) return lastError();
    if (type == "text/plain" && !plain) {
      plain = true;
      if (append(part, type, "\r\n-- \r\n" + text + "\r\n", "") < 0) return lastError();
    } else if (type == "text/html" && !html) {
      html = true;
      if (append(part, type, "<hr><p>" + escape(text) + "</p>\r\n", "</body") < 0) return lastError();
    }
  }
  return 0;
}

// append puts an end under a part's text, before what is to stay last. A part
// whose text cannot be read stays as it is.
function append(part: Part, type: string, end: string, last: string): i32 {
  const text = part.text();
  if (text === null) return lastError() == Errno.UNSUPPORTED ? 0 : lastError();
  let at = last == "" ? -1 : text.toLowerCase().lastIndexOf(last);
  if (at < 0) at = text.length;
  return part.replaceText(type + "; charset=utf-8", text.substring(0, at) + end + text.substring(at));
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
