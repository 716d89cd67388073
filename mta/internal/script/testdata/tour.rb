# frozen_string_literal: true

# A tour of the API: what each call gives goes into one text, which is a field at the end. The tours in
# the other languages make the same text.

MTA.on_message do |m|
  seen = []
  words = { nil => "-", true => "yes", false => "no" }
  see = ->(*values) { seen << values.map { |v| words.fetch(v) { v.to_s } }.join(",") }
  fails = lambda do |&block|
    block.call
    see.call("no error")
  rescue MTA::Error => e
    see.call(e.code)
  end
  h = m.headers
  see.call(h.size, h["subject"], h["X-None"], h.all("received").length, h.key?("From"), h.index("from", 3) || -1)
  see.call(h.name(1), h.value(1), h.unfolded(2), h.raw(2).bytesize, h.block.bytesize)
  h.insert(1, "X-One", "1")
  h.append("X-Two", "2")
  h.insert_raw(-1, "X-Three:\r\n 3")
  h["X-Two"] = "zwei"
  h["X-Four"] = "4"
  h.remove_at(h.index("X-One"))
  see.call(h.delete("X-Four"), h.to_a.length, h["X-Three"])
  fails.call { h.set_at(99, "x") }

  root = m.root
  see.call(root.type, root.multipart?, root.attachment?, root.signed?, root.malformed?, root.path, m.parts.length)
  text = m.part("text/plain")
  see.call(text.id == root.first_child.id, text.next.type, text.next.next, text.parent.id, text.charset, text.encoding, text.path)
  see.call(text.text.strip, text.octets.bytesize, text.body.bytesize, text.raw.bytesize, text.headers["Content-Type"])
  file = m.attachments.first
  see.call(file.filename, file.disposition, file.content_id, file.type, file.attachment?, file.modified?)
  file.replace_text("für dich\n")
  see.call(file.modified?, file.text.strip)
  added = root.insert(-1, "application/json", "ä.json", "{}")
  see.call(added.filename, added.parent.id, m.parts.length)
  added.remove
  see.call(m.size > 400, m.octets.bytesize == m.size)

  see.call(m.sender, m.recipients.length, m.recipients[0].address, m.recipients[0].original)
  m.sender = "postmaster@crepes.fr"
  eve = m.add_recipient("eve@hamburger.edu")
  eve.address = "eva@hamburger.edu"
  see.call(m.sender, m.recipients.map(&:address).join("+"))
  m.add_recipient("gone@hamburger.edu").remove
  fails.call { m.add_recipient("no address") }

  see.call(m.context("/client/ip"), m.session["client"]["ip"], m.context("/none"))
  m.set_note("k", "v")
  see.call(m.note("k"), m.note("other"))
  see.call(MTA.config["word"], MTA.config["list"].join("+"), MTA.config["nested"]["x"], MTA.deadline >= 0, MTA.now.to_i.positive?, MTA.random(20).bytesize)
  MTA.kv.set("a", "b")
  see.call(MTA.kv.get("a"), MTA.kv.get("none"), MTA.kv.add("n", 2), MTA.kv.add("n", 3), MTA.kv.compare_and_set("a", "x", "y"), MTA.kv.compare_and_set("a", "b", "y"))
  MTA.kv.delete("a")
  see.call(MTA.kv.get("a"), MTA.dns("TXT", "example.org").join("+"), MTA.dns("TXT", "none.example").length)
  MTA.metrics.count("counted", 2)
  MTA.metrics.observe("observed", 0.5)
  m.route("mx.example.org", 25)
  m.deliver("bob", "Archive", "\\Seen")
  m.send_message("", ["carol@example.org"], "From: a@example.org\r\nSubject: s\r\n\r\nhello\r\n")
  m.quarantine("looks odd")
  variant = m.variant([eve])
  h.append("X-Variant", "eva")
  m.select
  see.call(variant, h.key?("X-Variant"))
  see.call(MTA.has?("hdr_set"), MTA.has?("none"))
  fails.call { MTA.call("example.none") }
  MTA.info("tour ends")
  h.append("X-Tour", seen.join("; "))
  m.accept
end
