// How text and octets get from the host and to it.

// ROOM is how many octets the first call for something has room for.
export const ROOM: i32 = 4096;

const start: usize = memory.data(4096);
let at: usize = start;
let large: StaticArray<u8> | null = null; // keeps what at points to
let error: i32 = 0;

// lastError is the number of the last function that gave null; 0 after one that
// did not.
export function lastError(): i32 {
  return error;
}

// room is the buffer of a first call; more is that of a second one.
export function room(): usize {
  at = start;
  large = null;
  return at;
}

export function more(n: i32): usize {
  const b = new StaticArray<u8>(n);
  large = b;
  at = changetype<usize>(b);
  return at;
}

// text is what a call wrote, as a string; n is its result.
export function text(n: i32): string | null {
  error = min(n, 0);
  return n < 0 ? null : String.UTF8.decodeUnsafe(at, n);
}

// taken is what a call wrote, as octets.
export function taken(n: i32): Uint8Array | null {
  error = min(n, 0);
  if (n < 0) return null;
  const out = new Uint8Array(n);
  memory.copy(out.dataStart, at, n);
  return out;
}

// failed sets the number that lastError gives.
export function failed(n: i32): void {
  error = min(n, 0);
}

// A Text is a string as the host reads it.
export class Text {
  private octets: ArrayBuffer;

  constructor(s: string) {
    this.octets = String.UTF8.encode(s);
  }

  get at(): usize {
    return changetype<usize>(this.octets);
  }

  get length(): i32 {
    return this.octets.byteLength;
  }
}
