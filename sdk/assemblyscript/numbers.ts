// The numbers of the host.

// generated from sdk/abi by `go generate ./sdk`; do not edit
// The version of the ABI. A minor version only adds functions.
export const MAJOR: i32 = 1;
export const MINOR: i32 = 0;
export const VERSION: i32 = 65536; // what abi_version answers

export namespace Errno {
  export const OK: i32 = 0;
  export const NOT_FOUND: i32 = -1;
  export const BAD_ARG: i32 = -2;
  export const WRONG_STAGE: i32 = -3; // this hook cannot do that
  export const NOT_GRANTED: i32 = -4; // the operator did not grant it to this plugin
  export const LIMIT: i32 = -5; // a bound of the host is reached
  export const TIMEOUT: i32 = -6;
  export const IO: i32 = -7;
  export const UNSUPPORTED: i32 = -8;
  export const SIGNED: i32 = -9; // the edit would break a signature that policy protects
  export const LOOP: i32 = -10; // what is automatic is not answered automatically
}

export namespace Verdict {
  export const CONTINUE: i32 = 0; // ask the next stage
  export const ACCEPT: i32 = 1; // skip the stages that are left
  export const REJECT: i32 = 2; // 5xx now
  export const DEFER: i32 = 3; // 4xx now
  export const DISCARD: i32 = 4; // say 250 and drop it
  export const QUARANTINE: i32 = 5; // say 250 and hold it for the operator
  export const DISCONNECT: i32 = 6; // 421 and close
  export const NOT_AGAIN: i32 = 7; // continue, and do not ask this stage again for this message
}

export namespace Level {
  export const DEBUG: i32 = 0;
  export const INFO: i32 = 1;
  export const WARN: i32 = 2;
  export const ERROR: i32 = 3;
}

// Modes of hdr_value.
export const HDR_RAW: i32 = 0; // all octets after the colon
export const HDR_UNFOLDED: i32 = 1; // without line breaks and the blanks around the value (RFC 5322 §2.2.3)
export const HDR_DECODED: i32 = 2; // unfolded, encoded words as UTF-8 (RFC 2047)

// What hdr_insert's and part_insert's index can say beside a place.
export const INDEX_TOP: i32 = 0; // above everything, our Received: too
export const INDEX_BOTTOM: i32 = -1; // below everything

// Root is the part that is the message itself.
export const ROOT: i32 = 0;

// What part_info tells of a part.
export const PART_TYPE: i32 = 0; // "text/plain", lower case
export const PART_CHARSET: i32 = 1;
export const PART_FILENAME: i32 = 2; // as UTF-8
export const PART_ENCODING: i32 = 3; // the content transfer encoding, lower case
export const PART_DISPOSITION: i32 = 4; // "attachment", lower case
export const PART_CONTENT_ID: i32 = 5; // without the angle brackets
export const PART_PATH: i32 = 6; // "1.2"; empty for the message

// Flags of part_flags.
export const FLAG_MULTIPART: i32 = 1;
export const FLAG_ATTACHMENT: i32 = 2;
export const FLAG_INSIDE_SIGNED: i32 = 4;
export const FLAG_MALFORMED: i32 = 8;
export const FLAG_MODIFIED: i32 = 16;

// Modes of part_read and part_size.
export const READ_RAW: i32 = 0; // header section and body, as they came
export const READ_BODY: i32 = 1; // the body as it came
export const READ_DECODED: i32 = 2; // the body without its content transfer encoding
export const READ_TEXT: i32 = 3; // the decoded body as UTF-8

// Fields of rcpt_get.
export const RCPT_ADDRESS: i32 = 0; // as it is now
export const RCPT_ORIGINAL: i32 = 1; // as RCPT gave it
export const RCPT_RESOLVED: i32 = 2; // the account whose mailbox it comes down to; known behind the queue
export const RCPT_ORCPT: i32 = 3; // "rfc822;bob@example.org"
export const RCPT_NOTIFY: i32 = 4; // "SUCCESS,FAILURE,DELAY" or "NEVER"
export const RCPT_STATUS: i32 = 5; // the outcome of the last attempt, "deferred"; known behind the queue
export const RCPT_REPLY: i32 = 6; // what the last attempt heard, "450 4.2.0 Busy"; known behind the queue

// AllRecipients is what route and deliver take for all recipients.
export const ALL_RECIPIENTS: i32 = -1;

// Flags of route.
export const ROUTE_REQUIRE_TLS: i32 = 1;
export const ROUTE_NO_MX: i32 = 2;

// Scopes of notes.
export const SCOPE_CONNECTION: i32 = 0;
export const SCOPE_TRANSACTION: i32 = 1;
export const SCOPE_QUEUED: i32 = 2;

// end of what is generated
