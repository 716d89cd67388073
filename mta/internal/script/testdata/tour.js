// A tour of the API: what each call gives goes into one text, which is a field at the end. The tours in
// the other languages make the same text.

export function onMessage(m) {
  const seen = [];
  const see = (...values) => seen.push(values.map((v) => v === undefined ? "-" : v === true ? "yes" : v === false ? "no" : String(v)).join(","));
  const fails = (f) => {
    try { f(); see("no error"); } catch (e) { see(e.code); }
  };
  const h = m.headers;
  see(h.length, h.get("subject"), h.get("X-None"), h.getAll("received").length, h.has("From"), h.indexOf("from", 3));
  see(h.name(1), h.value(1), h.unfolded(2), h.raw(2).length, h.block().length);
  h.insert(1, "X-One", "1");
  h.append("X-Two", "2");
  h.insertRaw(-1, "X-Three:\r\n 3");
  h.set("X-Two", "zwei");
  h.set("X-Four", "4");
  h.removeAt(h.indexOf("X-One"));
  see(h.delete("X-Four"), [...h].length, h.get("X-Three"));
  fails(() => h.setAt(99, "x"));

  const root = m.root;
  see(root.type, root.isMultipart, root.isAttachment, root.isSigned, root.isMalformed, root.path, [...m.parts()].length);
  const text = m.part("text/plain");
  see(text.id === root.first.id, text.next.type, text.next.next, text.parent.id, text.charset, text.encoding, text.path);
  see(text.text().trim(), text.octets().length, text.body().length, text.raw().length, text.headers.get("Content-Type"));
  const file = [...m.attachments()][0];
  see(file.filename, file.disposition, file.contentId, file.type, file.isAttachment, file.isModified);
  file.replaceText("für dich\n");
  see(file.isModified, file.text().trim());
  const added = root.insert(-1, "application/json", "ä.json", "{}");
  see(added.filename, added.parent.id, [...m.parts()].length);
  added.remove();
  see(m.size > 400, m.octets().length === m.size);

  see(m.sender, m.recipients.length, m.recipients[0].address, m.recipients[0].original);
  m.sender = "postmaster@crepes.fr";
  const eve = m.addRecipient("eve@hamburger.edu");
  eve.address = "eva@hamburger.edu";
  see(m.sender, m.recipients.map((r) => r.address).join("+"));
  m.addRecipient("gone@hamburger.edu").remove();
  fails(() => m.addRecipient("no address"));

  see(m.context("/client/ip"), m.session.client.ip, m.context("/none"));
  m.setNote("k", "v");
  see(m.note("k"), m.note("other"));
  see(mta.config.word, mta.config.list.join("+"), mta.config.nested.x, mta.deadline >= 0, mta.now() > 0, mta.random(20).length);
  mta.kv.set("a", "b");
  see(mta.kv.text("a"), mta.kv.get("none"), mta.kv.add("n", 2), mta.kv.add("n", 3), mta.kv.compareAndSet("a", "x", "y"), mta.kv.compareAndSet("a", "b", "y"));
  mta.kv.delete("a");
  see(mta.kv.text("a"), mta.dns("TXT", "example.org").join("+"), mta.dns("TXT", "none.example").length);
  mta.metrics.count("counted", 2);
  mta.metrics.observe("observed", 0.5);
  m.route("mx.example.org", 25);
  m.deliver("bob", "Archive", "\\Seen");
  m.send("", ["carol@example.org"], "From: a@example.org\r\nSubject: s\r\n\r\nhello\r\n");
  m.quarantine("looks odd");
  const variant = m.variant([eve]);
  h.append("X-Variant", "eva");
  m.select();
  see(variant, h.has("X-Variant"));
  see(mta.has("hdr_set"), mta.has("none"));
  fails(() => mta.call("example.none"));
  mta.log.info("tour", "ends");
  h.append("X-Tour", seen.join("; "));
  return m.accept();
}
