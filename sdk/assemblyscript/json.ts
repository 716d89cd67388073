// JSON that the host made: the configuration, or the context. A Value is a piece
// of its text, and nothing is decoded until it is asked for.

// An Item is a value of an array or an object, with the key of the latter.
export class Item {
  constructor(public key: string | null, public value: Value) {}
}

export class Value {
  constructor(public raw: string) {}

  // get is the value of a key of an object; null if there is none or it is null.
  get(key: string): Value | null {
    const all = this.items();
    for (let i = 0; i < all.length; i++) {
      const k = all[i].key;
      if (k !== null && k == key) return all[i].value.raw == "null" ? null : all[i].value;
    }
    return null;
  }

  // text is the string that a key has; null if it has none.
  text(key: string): string | null {
    const v = this.get(key);
    return v === null ? null : v.string();
  }

  // integer is the number that a key has, or other.
  integer(key: string, other: i64): i64 {
    const v = this.get(key);
    return v === null ? other : I64.parseInt(v.raw);
  }

  // boolean tells whether a key is true.
  boolean(key: string): bool {
    const v = this.get(key);
    return v !== null && v.raw == "true";
  }

  // string is the string that it is; null if it is none.
  string(): string | null {
    const s = this.raw;
    if (s.length < 2 || s.charCodeAt(0) != QUOTE) return null;
    if (!s.includes("\\")) return s.substring(1, s.length - 1);
    let out = "";
    for (let i = 1; i < s.length - 1; i++) {
      if (s.charCodeAt(i) != BACKSLASH) {
        out += s.charAt(i);
        continue;
      }
      const c = s.charAt(++i);
      if (c == "u") {
        out += String.fromCharCode(<i32>I64.parseInt(s.substr(i + 1, 4), 16)); // two for one above U+FFFF, as in a string
        i += 4;
      } else {
        const place = "bfnrt".indexOf(c);
        out += place < 0 ? c : "\b\f\n\r\t".charAt(place);
      }
    }
    return out;
  }

  // items are the values of an array or an object, in order.
  items(): Item[] {
    const out: Item[] = [], s = this.raw;
    let i = blank(s, 0);
    if (i >= s.length || (s.charCodeAt(i) != BRACE && s.charCodeAt(i) != BRACKET)) return out;
    i = blank(s, i + 1);
    while (i < s.length && !closes(s.charCodeAt(i))) {
      let end = ends(s, i), key: string | null = null;
      let colon = blank(s, end);
      if (colon < s.length && s.charCodeAt(colon) == COLON) {
        key = new Value(s.substring(i, end)).string();
        i = blank(s, colon + 1);
        end = ends(s, i);
      }
      out.push(new Item(key, new Value(s.substring(i, end))));
      i = blank(s, end);
      if (i < s.length && s.charCodeAt(i) == COMMA) i = blank(s, i + 1);
    }
    return out;
  }
}

const QUOTE: i32 = 0x22, BACKSLASH: i32 = 0x5c, BRACE: i32 = 0x7b, BRACKET: i32 = 0x5b, COLON: i32 = 0x3a, COMMA: i32 = 0x2c;

function blank(s: string, i: i32): i32 {
  while (i < s.length && isBlank(s.charCodeAt(i))) i++;
  return i;
}

function isBlank(c: i32): bool {
  return c == 0x20 || c == 0x09 || c == 0x0a || c == 0x0d;
}

function closes(c: i32): bool {
  return c == 0x7d || c == 0x5d;
}

// ends is where the value that begins at i ends.
function ends(s: string, i: i32): i32 {
  let depth = 0, quoted = false;
  for (; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (quoted) {
      if (c == BACKSLASH) i++;
      else if (c == QUOTE) {
        quoted = false;
        if (depth == 0) return i + 1;
      }
    } else if (c == QUOTE) quoted = true;
    else if (c == BRACE || c == BRACKET) depth++;
    else if (closes(c)) {
      if (depth == 0) return i;
      if (--depth == 0) return i + 1;
    } else if (depth == 0 && (c == COMMA || c == COLON || isBlank(c))) return i;
  }
  return s.length;
}
