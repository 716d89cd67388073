// What a plugin in JavaScript has: the object `mta`, and the message that its
// hooks get. Octets are Uint8Array, text is string. Methods throw MtaError.

type Octets = Uint8Array | ArrayBuffer;
type Content = string | Octets;

/** What a hook returns; nothing lets the message go on. */
type Verdict = number | undefined | void | Promise<number | undefined | void>;

declare class MtaError extends Error {
  /** The number of the ABI: -1 not found, -4 not granted… */
  code: number;
}

/** The header fields of a part. Names are the same in upper and lower case. */
declare class Headers implements Iterable<[string, string]> {
  readonly length: number;
  /** The place of the first field of that name from a place on, or -1. */
  indexOf(name: string, from?: number): number;
  /** The first field's value, decoded (RFC 2047). */
  get(name: string): string | undefined;
  getAll(name: string): string[];
  has(name: string): boolean;
  name(index: number): string;
  value(index: number): string;
  unfolded(index: number): string;
  /** The octets after the colon, as they came. */
  raw(index: number): Uint8Array;
  /** All fields, as they came. */
  block(): Uint8Array;
  /** Index 0 is above everything, -1 below. */
  insert(index: number, name: string, value: string): void;
  prepend(name: string, value: string): void;
  append(name: string, value: string): void;
  /** A field with its folding. */
  insertRaw(index: number, field: Content): void;
  setAt(index: number, value: string): void;
  removeAt(index: number): void;
  /** Sets the first field of that name, or appends one. */
  set(name: string, value: string): void;
  /** Removes all fields of that name; gives how many there were. */
  delete(name: string): number;
  [Symbol.iterator](): Iterator<[string, string]>;
}

/** A part of the MIME tree; the root is the message itself. */
declare class Part {
  readonly id: number;
  readonly headers: Headers;
  readonly type: string;
  readonly charset: string;
  readonly filename: string;
  readonly encoding: string;
  readonly disposition: string;
  readonly contentId: string;
  readonly path: string;
  readonly isMultipart: boolean;
  readonly isAttachment: boolean;
  readonly isSigned: boolean;
  readonly isMalformed: boolean;
  readonly isModified: boolean;
  readonly first: Part | undefined;
  readonly next: Part | undefined;
  readonly parent: Part | undefined;
  children(): Iterable<Part>;
  /** This part and all below it, in preorder. */
  all(): Iterable<Part>;
  /** The entity as it came. */
  raw(): Uint8Array;
  /** The body as it came. */
  body(): Uint8Array;
  /** The body without its transfer encoding. */
  octets(): Uint8Array;
  /** The body's text, whatever its character set is. */
  text(): string;
  replace(type: string, content: Content): void;
  replaceText(content: string): void;
  insert(index: number, type: string, filename: string, content: Content): Part;
  remove(): void;
  wrap(type: string): Part;
}

/** One forward-path of the envelope. */
declare class Recipient {
  readonly id: number;
  address: string;
  readonly original: string;
  readonly resolved: string;
  readonly orcpt: string;
  readonly notify: string;
  readonly status: string;
  readonly lastReply: string;
  remove(): void;
  /** The reply for this recipient alone. */
  reply(code: number, enhanced: string, line: string): void;
  route(host: string, port?: number, flags?: number): void;
  deliver(mailbox: string, folder?: string, flags?: string): void;
  retryAt(time: Date | number): void;
}

/** The message in hand, its envelope, and the session it came in. */
interface Message {
  readonly headers: Headers;
  readonly root: Part;
  parts(): Iterable<Part>;
  attachments(): Iterable<Part>;
  /** The first part of that type ("text/*") from a part on. */
  part(type: string, from?: number): Part | undefined;
  readonly size: number;
  octets(): Uint8Array;
  replace(content: Content): void;

  sender: string;
  readonly recipients: Recipient[];
  addRecipient(address: string): Recipient;
  /** A message of their own for these recipients: later edits are of it. Gives its number. */
  variant(recipients: Recipient[]): number;
  /** Later edits are of that variant; zero is the message of all others. */
  select(variant?: number): void;

  /** "/client/ip", "/auth/login"…: what is known of the session. */
  context(key: string): string | undefined;
  readonly session: any;
  /** Scope 0 is the session, 1 the transaction, 2 the queued message. */
  note(key: string, scope?: number): string | undefined;
  setNote(key: string, value: string, scope?: number): void;

  route(host: string, port?: number, flags?: number): void;
  deliver(mailbox: string, folder?: string, flags?: string): void;
  retryAt(time: Date | number): void;
  quarantine(reason: string): void;
  /** Sends another message once this one is accepted. */
  send(from: string, to: string | string[], content: Content): void;

  accept(): Verdict;
  reject(code: number, enhanced: string, line: string): Verdict;
  defer(code: number, enhanced: string, line: string): Verdict;
  discard(): Verdict;
  /** Holds the message for the operator. */
  hold(reason: string): Verdict;
  disconnect(code: number, enhanced: string, line: string): Verdict;
  notAgain(): Verdict;
}

declare const mta: {
  readonly MtaError: typeof MtaError;
  /** The stage's configuration. */
  readonly config: any;
  readonly log: Record<"debug" | "info" | "warn" | "error", (...values: unknown[]) => void>;
  /** Whether the host has that function of the ABI, or that operation of call. */
  has(name: string): boolean;
  /** What an operation gives that newer servers have. */
  call(operation: string, input?: Content): Uint8Array | undefined;
  /** The milliseconds that this call has left. */
  readonly deadline: number;
  now(): Date;
  random(count: number): Uint8Array;
  readonly utf8: { encode(text: string): Uint8Array; decode(octets: Uint8Array): string };
  /** Values that outlive messages; times to live are in milliseconds, zero is for ever. */
  readonly kv: {
    get(key: string): Uint8Array | undefined;
    text(key: string): string | undefined;
    set(key: string, value: Content, ttl?: number): void;
    delete(key: string): void;
    add(key: string, delta: number, ttl?: number): number;
    /** False if the value was another one. Empty `old`: there is none; empty `value`: delete it. */
    compareAndSet(key: string, old: Content, value: Content, ttl?: number): boolean;
  };
  dns(type: "A" | "AAAA" | "CNAME" | "MX" | "PTR" | "TXT" | number, name: string): string[];
  readonly metrics: { count(name: string, delta?: number): void; observe(name: string, value: number): void };
};
