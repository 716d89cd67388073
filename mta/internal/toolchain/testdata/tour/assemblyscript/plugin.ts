import * as mta from "mta";
import { message } from "mta";

let lines = "";

function text(name: string, value: string | null): void {
  lines += name + " " + (value === null ? "error" : value!) + "\n";
}

function number(name: string, n: i64): void {
  text(name, n < 0 ? null : n.toString());
}

function octets(s: string): Uint8Array {
  return Uint8Array.wrap(String.UTF8.encode(s));
}

function core(config: mta.Value): void {
  number("version", mta.abiVersion() >> 16);
  number("has", <i64>mta.has("hdr_find") * 10 + <i64>mta.has("nope"));
  const called = mta.call("org.example.none", octets("x"));
  text("call", called === null ? null : "there");
  text("config", config.text("greeting"));
  const items = config.get("list")!.items();
  number("items", items.length);
  text("last", items[items.length - 1].value.string());
  number("n", -config.integer("n", 0));
  number("null", config.get("nothing") === null);
  mta.log(mta.Level.INFO, "on tour");
  number("log", mta.logEnabled(mta.Level.ERROR));
  text("context", mta.context("/client/ehlo"));
  text("missing", mta.context("/nope"));
  text("json", mta.contextAll().text("stage"));
  mta.setNote(mta.SCOPE_TRANSACTION, "k", "v");
  text("note", mta.note(mta.SCOPE_TRANSACTION, "k"));
  number("clock", mta.deadline() > 0 && mta.now() > 0);
  number("random", mta.random(new Uint8Array(8)) >= 0);
}

function envelope(): void {
  mta.setSender("carol@crepes.fr");
  text("sender", mta.sender());
  number("recipients", mta.recipients().length);
  const added = mta.addRecipient("dave@hamburger.edu")!;
  added.set("erin@hamburger.edu");
  text("added", added.address());
  number("remove", added.remove());
  text("first", mta.recipients()[0].address());
  number("refuse", mta.recipients()[1].refuse(550, "5.7.1", "No"));
}

function header(): void {
  number("fields", message.fieldCount());
  const subject = message.findField("subject")!;
  text("name", subject.name());
  text("decoded", subject.value());
  text("unfolded", String.UTF8.decode(subject.octets(mta.HDR_UNFOLDED)!.buffer));
  number("block", message.header()!.length);
  message.insertField(mta.TOP, "X-Top", "top");
  message.insertRawField(mta.BOTTOM, octets("X-Raw: raw"));
  message.findField("X-Set")!.set("set");
  message.findField("X-Gone")!.remove();
  number("removed", message.removeFields("X-Old"));
  text("none", message.findField("X-Old") === null ? null : "there");
}

function tree(): void {
  const one = message.first()!, two = one.next()!;
  number("parent", two.parent()!.id);
  number("found", message.find("text/*")!.id == one.id);
  text("type", two.type());
  text("filename", two.filename());
  number("flags", two.flags());
  number("size", two.size(mta.READ_DECODED));
  text("text", two.text());
  number("replace", one.replaceText("text/plain; charset=utf-8", "Bonjour\r\n"));
  number("insert", message.insert(mta.BOTTOM, "text/plain", "b.txt", octets("B"))!.id > 0);
  number("wrap", one.wrap("multipart/alternative")!.id > 0);
  number("gone", two.remove());
  number("message", String.UTF8.decode(mta.messageOctets()!.buffer).startsWith("X-Top"));
}

function actions(): void {
  const first = mta.recipients()[0];
  number("route", first.route("mx.example.org", 25, mta.ROUTE_REQUIRE_TLS));
  number("deliver", mta.everyone.deliver("bob", "Archive", "\\Seen"));
  number("retry", first.retryAt(1));
  number("quarantine", mta.quarantine("on tour"));
  const v = mta.variant([first]);
  number("variant", v > 0 && mta.selectVariant(v) >= 0);
  message.insertField(mta.TOP, "X-Variant", "1");
  number("main", mta.selectVariant(0));
  number("send", mta.send("carol@crepes.fr", ["frank@example.org"], octets("Subject: hi\r\n\r\nhi\r\n")));
}

function services(): void {
  const none = mta.kv.get("k");
  text("kv none", none === null ? null : "there");
  mta.kv.setText("k", "v", 60000);
  text("kv set", mta.kv.getText("k"));
  const n = mta.kv.add("n", 2);
  number("kv add", mta.lastError() < 0 ? -1 : n);
  number("kv swap", mta.kv.compareAndSwap("k", octets("v"), octets("w")));
  text("kv now", mta.kv.getText("k"));
  number("kv remove", mta.kv.remove("k"));
  text("dns", mta.dns(16, "example.org"));
  mta.count("tours");
  mta.observe("length", 0.5);
}

export function on_load(): i32 {
  return 0;
}

export function on_message(): i32 {
  const config = mta.config();
  if (config.boolean("replace")) {
    return mta.replaceMessage(octets("Subject: new\r\n\r\nnew\r\n")) < 0 ? mta.fail("replace") : mta.Verdict.CONTINUE;
  }
  core(config);
  envelope();
  header();
  tree();
  actions();
  services();
  mta.setNote(mta.SCOPE_TRANSACTION, "tour", lines);
  return mta.Verdict.CONTINUE;
}

export function on_rcpt(): i32 {
  return mta.reject(550, "5.1.1", "No tour");
}

export function on_mail(): i32 {
  return mta.defer(450, "4.2.0", "Later");
}

export function on_helo(): i32 {
  return mta.disconnect(421, "4.3.2", "Closed");
}

function other(): i32 {
  return mta.Verdict.CONTINUE;
}

export {
  other as on_connect,
  other as on_auth,
  other as on_data,
  other as on_headers,
  other as on_route,
  other as on_local,
  other as on_delivery,
  other as on_dsn,
  other as on_disconnect,
};
