import * as numbers from "./numbers";
import * as raw from "./raw";
import { Text, text, taken, more, ROOM, room, failed } from "./text";

// A Field is a header field, until one above it is inserted or removed.
export class Field {
  constructor(public part: i32, public index: i32) {}

  name(): string | null {
    let n = raw.hdr_name(this.part, this.index, room(), ROOM);
    if (n > ROOM) n = raw.hdr_name(this.part, this.index, more(n), n);
    return text(n);
  }

  // value is without line breaks, and with encoded words as text.
  value(): string | null {
    return text(this.read(numbers.HDR_DECODED));
  }

  // octets are the value as they stand, in a form of HDR_...
  octets(mode: i32): Uint8Array | null {
    return taken(this.read(mode));
  }

  private read(mode: i32): i32 {
    let n = raw.hdr_value(this.part, this.index, mode, room(), ROOM);
    if (n > ROOM) n = raw.hdr_value(this.part, this.index, mode, more(n), n);
    return n;
  }

  // set gives it another value; the host folds and encodes it.
  set(value: string): i32 {
    const v = new Text(value);
    return raw.hdr_set(this.part, this.index, v.at, v.length);
  }

  setOctets(value: Uint8Array): i32 {
    return raw.hdr_set(this.part, this.index, value.dataStart, value.length);
  }

  remove(): i32 {
    return raw.hdr_remove(this.part, this.index);
  }
}

// A Part is one of the MIME tree.
export class Part {
  constructor(public id: i32) {}

  first(): Part | null {
    return part(raw.part_first(this.id));
  }

  next(): Part | null {
    return part(raw.part_next(this.id));
  }

  parent(): Part | null {
    return part(raw.part_parent(this.id));
  }

  // after is what comes next in preorder: its first child, or else the next of
  // itself or of those above it.
  //
  //   for (let p: Part | null = message; p !== null; p = p.after()) { ... }
  after(): Part | null {
    let n = raw.part_first(this.id);
    let at = this.id;
    while (n == numbers.Errno.NOT_FOUND && at != numbers.ROOT) {
      n = raw.part_next(at);
      if (n != numbers.Errno.NOT_FOUND) break;
      at = raw.part_parent(at);
      if (at < 0) return part(at);
    }
    return part(n);
  }

  // find is the first part of a type ("text/*") in preorder, at or after this.
  find(type: string): Part | null {
    const t = new Text(type);
    return part(raw.part_find(t.at, t.length, this.id));
  }

  // type is its media type, in lower case.
  type(): string | null {
    return this.info(numbers.PART_TYPE);
  }

  filename(): string | null {
    return this.info(numbers.PART_FILENAME);
  }

  // info is something else about it: PART_...
  info(what: i32): string | null {
    let n = raw.part_info(this.id, what, room(), ROOM);
    if (n > ROOM) n = raw.part_info(this.id, what, more(n), n);
    return text(n);
  }

  // flags are FLAG_..., or a negative number.
  flags(): i32 {
    return raw.part_flags(this.id);
  }

  // size is how many octets it has: READ_...
  size(mode: i32): i64 {
    return raw.part_size(this.id, mode);
  }

  // octets are all of it: READ_DECODED is without the transfer encoding.
  octets(mode: i32): Uint8Array | null {
    const size = raw.part_size(this.id, mode);
    if (size < 0) {
      failed(<i32>size);
      return null;
    }
    const out = new Uint8Array(<i32>size);
    let got = 0;
    while (got < out.length) {
      const n = raw.part_read(this.id, mode, got, out.dataStart + got, out.length - got);
      if (n < 0) {
        failed(n);
        return null;
      }
      if (n == 0) break;
      got += n;
    }
    failed(0);
    return got < out.length ? out.subarray(0, got) : out;
  }

  // text is its content as text, whatever its charset.
  text(): string | null {
    const b = this.octets(numbers.READ_TEXT);
    return b === null ? null : String.UTF8.decodeUnsafe(b.dataStart, b.length);
  }

  // replace gives it other content; the host picks the transfer encoding.
  replace(type: string, octets: Uint8Array): i32 {
    const b = blob(octets.dataStart, octets.length), t = new Text(type);
    return b < 0 ? b : raw.part_replace(this.id, t.at, t.length, b);
  }

  replaceText(type: string, content: string): i32 {
    const c = new Text(content), t = new Text(type);
    const b = blob(c.at, c.length);
    return b < 0 ? b : raw.part_replace(this.id, t.at, t.length, b);
  }

  // insert makes a part below this one, at TOP, BOTTOM or between.
  insert(index: i32, type: string, filename: string, octets: Uint8Array): Part | null {
    const b = blob(octets.dataStart, octets.length), t = new Text(type), f = new Text(filename);
    return part(b < 0 ? b : raw.part_insert(this.id, index, t.at, t.length, f.at, f.length, b));
  }

  remove(): i32 {
    return raw.part_remove(this.id);
  }

  // wrap puts it into a new part of that type, which it gives.
  wrap(type: string): Part | null {
    const t = new Text(type);
    return part(raw.part_wrap(this.id, t.at, t.length));
  }

  fieldCount(): i32 {
    return raw.hdr_count(this.id);
  }

  field(index: i32): Field {
    return new Field(this.id, index);
  }

  // findField is the first field of a name at or after a place.
  findField(name: string, start: i32 = 0): Field | null {
    const t = new Text(name);
    const i = raw.hdr_find(this.id, t.at, t.length, start);
    failed(i);
    return i < 0 ? null : new Field(this.id, i);
  }

  // header is all header fields as they stand.
  header(): Uint8Array | null {
    let n = raw.hdr_block(this.id, room(), ROOM);
    if (n > ROOM) n = raw.hdr_block(this.id, more(n), n);
    return taken(n);
  }

  // insertField adds a field at TOP, BOTTOM or between; the host folds and
  // encodes it.
  insertField(index: i32, name: string, value: string): i32 {
    const t = new Text(name), v = new Text(value);
    return raw.hdr_insert(this.id, index, t.at, t.length, v.at, v.length);
  }

  // insertRawField adds a field that is folded already.
  insertRawField(index: i32, field: Uint8Array): i32 {
    return raw.hdr_insert_raw(this.id, index, field.dataStart, field.length);
  }

  // removeFields gives how many of that name there were.
  removeFields(name: string): i32 {
    const t = new Text(name);
    return raw.hdr_remove_all(this.id, t.at, t.length);
  }
}

function part(id: i32): Part | null {
  failed(id);
  return id < 0 ? null : new Part(id);
}

// message is the part that is the message itself.
export const message: Part = new Part(numbers.ROOT);

// blob gives octets to the host, for what takes a blob.
export function blob(at: usize, length: i32): i32 {
  const b = raw.blob_new();
  const n = b < 0 ? b : raw.blob_write(b, at, length);
  return n < 0 ? n : b;
}

// messageOctets is the whole message.
export function messageOctets(): Uint8Array | null {
  const out = new Uint8Array(<i32>max(raw.msg_size(), 0));
  let got = 0;
  while (got < out.length) {
    const n = raw.msg_read(got, out.dataStart + got, out.length - got);
    failed(n);
    if (n < 0) return null;
    if (n == 0) break;
    got += n;
  }
  return got < out.length ? out.subarray(0, got) : out;
}

// replaceMessage puts another message in its place.
export function replaceMessage(octets: Uint8Array): i32 {
  const b = blob(octets.dataStart, octets.length);
  return b < 0 ? b : raw.msg_replace(b);
}
