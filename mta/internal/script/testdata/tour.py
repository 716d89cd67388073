"""A tour of the API: what each call gives goes into one text, which is a field at the end. The tours in
the other languages make the same text."""

import mta


@mta.on_message
def tour(m):
    seen = []

    def see(*values):
        words = {None: "-", True: "yes", False: "no"}
        seen.append(",".join(words[v] if v is None or isinstance(v, bool) else str(v) for v in values))

    def fails(f):
        try:
            f()
            see("no error")
        except mta.Error as e:
            see(e.code)

    h = m.headers
    at = h.index("from", 3)
    see(len(h), h.get("subject"), h.get("X-None"), len(h.get_all("received")), "From" in h, -1 if at is None else at)
    see(h.name(1), h.value(1), h.unfolded(2), len(h.raw(2)), len(h.block()))
    h.insert(1, "X-One", "1")
    h.append("X-Two", "2")
    h.insert_raw(-1, "X-Three:\r\n 3")
    h["X-Two"] = "zwei"
    h["X-Four"] = "4"
    h.remove_at(h.index("X-One"))
    del h["X-Four"]
    see(1, len(list(h)), h["X-Three"])
    fails(lambda: h.set_at(99, "x"))

    root = m.root
    see(root.type, root.is_multipart, root.is_attachment, root.is_signed, root.is_malformed, root.path, len(m.parts()))
    text = m.part("text/plain")
    see(text.id == root.first.id, text.next.type, text.next.next, text.parent.id, text.charset, text.encoding, text.path)
    see(text.text().strip(), len(text.octets()), len(text.body()), len(text.raw()), text.headers.get("Content-Type"))
    file = m.attachments()[0]
    see(file.filename, file.disposition, file.content_id, file.type, file.is_attachment, file.is_modified)
    file.replace_text("für dich\n")
    see(file.is_modified, file.text().strip())
    added = root.insert(-1, "application/json", "ä.json", b"{}")
    see(added.filename, added.parent.id, len(m.parts()))
    added.remove()
    see(m.size > 400, len(m.octets()) == m.size)

    see(m.sender, len(m.recipients), m.recipients[0].address, m.recipients[0].original)
    m.sender = "postmaster@crepes.fr"
    eve = m.add_recipient("eve@hamburger.edu")
    eve.address = "eva@hamburger.edu"
    see(m.sender, "+".join(r.address for r in m.recipients))
    m.add_recipient("gone@hamburger.edu").remove()
    fails(lambda: m.add_recipient("no address"))

    see(m.context("/client/ip"), m.session["client"]["ip"], m.context("/none"))
    m.set_note("k", "v")
    see(m.note("k"), m.note("other"))
    config = mta.config()
    see(config["word"], "+".join(map(str, config["list"])), config["nested"]["x"], mta.deadline() >= 0, mta.now() > 0, len(mta.random(20)))
    mta.kv.set("a", "b")
    see(mta.kv.get("a").decode(), mta.kv.get("none"), mta.kv.add("n", 2), mta.kv.add("n", 3),
        mta.kv.compare_and_set("a", "x", "y"), mta.kv.compare_and_set("a", "b", b"y"))
    mta.kv.delete("a")
    see(mta.kv.get("a"), "+".join(mta.dns("TXT", "example.org")), len(mta.dns("TXT", "none.example")))
    mta.metrics.count("counted", 2)
    mta.metrics.observe("observed", 0.5)
    m.route("mx.example.org", 25)
    m.deliver("bob", "Archive", "\\Seen")
    m.send("", ["carol@example.org"], "From: a@example.org\r\nSubject: s\r\n\r\nhello\r\n")
    m.quarantine("looks odd")
    variant = m.variant([eve])
    h.append("X-Variant", "eva")
    m.select()
    see(variant, "X-Variant" in h)
    see(mta.has("hdr_set"), mta.has("none"))
    fails(lambda: mta.call("example.none"))
    mta.info("tour ends")
    h.append("X-Tour", "; ".join(seen))
    return mta.ACCEPT
