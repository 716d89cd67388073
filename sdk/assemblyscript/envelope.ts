import * as numbers from "./numbers";
import * as raw from "./raw";
import { Text, text, more, ROOM, room, failed } from "./text";

// sender is the reverse-path; the null one is empty.
export function sender(): string | null {
  let n = raw.sender_get(room(), ROOM);
  if (n > ROOM) n = raw.sender_get(more(n), n);
  return text(n);
}

export function setSender(address: string): i32 {
  const a = new Text(address);
  return raw.sender_set(a.at, a.length);
}

// A Recipient is one forward-path of the envelope. It stays the same when others
// go.
export class Recipient {
  constructor(public id: i32) {}

  // address is as it is now.
  address(): string | null {
    return this.get(numbers.RCPT_ADDRESS);
  }

  // get is a field of it: RCPT_...
  get(field: i32): string | null {
    let n = raw.rcpt_get(this.id, field, room(), ROOM);
    if (n > ROOM) n = raw.rcpt_get(this.id, field, more(n), n);
    return text(n);
  }

  set(address: string): i32 {
    const a = new Text(address);
    return raw.rcpt_set(this.id, a.at, a.length);
  }

  remove(): i32 {
    return raw.rcpt_remove(this.id);
  }

  // reply refuses this recipient alone, with a code of 400 to 599.
  refuse(code: i32, enhanced: string, words: string): i32 {
    const e = new Text(enhanced), w = new Text(words);
    return raw.rcpt_reply(this.id, code, e.at, e.length, w.at, w.length);
  }

  // route says which host it is sent to; port 0 is 25, flags are ROUTE_...
  route(host: string, port: i32 = 0, flags: i32 = 0): i32 {
    const h = new Text(host);
    return raw.route(this.id, h.at, h.length, port, flags);
  }

  // deliver keeps its message in a mailbox here.
  deliver(mailbox: string, folder: string = "", flags: string = ""): i32 {
    const m = new Text(mailbox), d = new Text(folder), f = new Text(flags);
    return raw.deliver(this.id, m.at, m.length, d.at, d.length, f.at, f.length);
  }

  // retryAt says when it is tried again, in milliseconds since 1970.
  retryAt(ms: i64): i32 {
    return raw.retry_at(this.id, ms);
  }
}

// everyone is all recipients, for route, deliver and retryAt.
export const everyone: Recipient = new Recipient(numbers.ALL_RECIPIENTS);

// recipients are all there are now.
export function recipients(): Recipient[] {
  const all: Recipient[] = [];
  const count = raw.rcpt_count();
  failed(count);
  for (let i = 0; i < count; i++) {
    const id = raw.rcpt_at(i);
    if (id >= 0) all.push(new Recipient(id));
    else failed(id);
  }
  return all;
}

// addRecipient gives the new one, or null.
export function addRecipient(address: string): Recipient | null {
  const a = new Text(address);
  const id = raw.rcpt_add(a.at, a.length);
  failed(id);
  return id < 0 ? null : new Recipient(id);
}

// variant makes a copy of the message for those recipients. Later changes are of
// the copy after selectVariant.
export function variant(rcpts: Recipient[]): i32 {
  const ids = new StaticArray<i32>(rcpts.length);
  for (let i = 0; i < rcpts.length; i++) ids[i] = rcpts[i].id;
  return raw.variant_new(changetype<usize>(ids), rcpts.length * 4);
}

export function selectVariant(v: i32): i32 {
  return raw.variant_select(v);
}
