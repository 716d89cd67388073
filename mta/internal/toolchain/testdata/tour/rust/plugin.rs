use mta::{json::Value, raw, Hop, Level, Result, Scope, Variant, Verdict, BOTTOM, EVERYONE, ROOT, TOP};

mta::on_load!(load);
mta::on_message!(message);
mta::on_rcpt!(rcpt);
mta::on_mail!(mail);
mta::on_helo!(helo);
mta::on_connect!(other);
mta::on_auth!(other);
mta::on_data!(other);
mta::on_headers!(other);
mta::on_route!(other);
mta::on_local!(other);
mta::on_delivery!(other);
mta::on_dsn!(other);
mta::on_disconnect!(other);

fn load() {}

struct Lines(String);

impl Lines {
    fn text(&mut self, name: &str, value: Result<impl ToString>) {
        let value = value.map_or_else(|_| "error".to_string(), |v| v.to_string());
        self.0 += &format!("{} {}\n", name, value);
    }

    fn done(&mut self, name: &str, value: Result<()>) {
        self.text(name, value.map(|_| 0));
    }

    fn number(&mut self, name: &str, n: impl Into<i64>) {
        self.text(name, Ok(n.into()));
    }
}

fn message() -> Result<Verdict> {
    let text = mta::config().text()?;
    let config = Value::new(&text);
    if config.get("replace").and_then(|v| v.boolean()) == Some(true) {
        mta::replace_message("Subject: new\r\n\r\nnew\r\n")?;
        return Ok(Verdict::CONTINUE);
    }
    let mut out = Lines(String::new());
    core(&mut out, config)?;
    envelope(&mut out)?;
    header(&mut out)?;
    tree(&mut out)?;
    actions(&mut out)?;
    services(&mut out)?;
    mta::set_note(Scope::Transaction, "tour", &out.0)?;
    Ok(Verdict::CONTINUE)
}

fn core(out: &mut Lines, config: Value) -> Result<()> {
    out.number("version", mta::abi_version() >> 16);
    out.number("has", mta::has("hdr_find") as i64 * 10 + mta::has("nope") as i64);
    out.text("call", mta::call("org.example.none", b"x").text());
    out.text("config", Ok(config.get("greeting").and_then(|v| v.text()).unwrap_or_default()));
    let items: Vec<_> = config.get("list").map(|l| l.items().collect()).unwrap_or_default();
    out.number("items", items.len() as i64);
    out.text("last", Ok(items.last().and_then(|(_, v)| v.text()).unwrap_or_default()));
    out.number("n", -config.get("n").and_then(|v| v.integer()).unwrap_or(0));
    out.number("null", config.get("nothing").is_none());
    mta::log(Level::INFO, "on tour");
    out.number("log", mta::log_enabled(Level::ERROR));
    let mut buf = [0; 64];
    out.text("context", Ok(std::str::from_utf8(mta::context("/client/ehlo").into_slice(&mut buf)?).unwrap()));
    out.text("missing", mta::context("/nope").text());
    let context = mta::context_json().text()?;
    out.text("json", Ok(Value::new(&context).get("stage").and_then(|v| v.text()).unwrap_or_default()));
    mta::set_note(Scope::Transaction, "k", "v")?;
    out.text("note", mta::note(Scope::Transaction, "k").text());
    out.number("clock", mta::deadline_ms()? > 0 && mta::now_ms() > 0);
    out.number("random", mta::random(&mut buf).is_ok());
    Ok(())
}

fn envelope(out: &mut Lines) -> Result<()> {
    mta::set_sender("carol@crepes.fr")?;
    out.text("sender", mta::sender().text());
    out.number("recipients", mta::recipient_count()?);
    let added = mta::add_recipient("dave@hamburger.edu")?;
    added.set("erin@hamburger.edu")?;
    out.text("added", added.address().text());
    out.done("remove", added.remove());
    let all: Vec<_> = mta::recipients().collect();
    out.text("first", all[0].address().text());
    out.done("refuse", all[1].refuse(550, "5.7.1", "No"));
    Ok(())
}

fn header(out: &mut Lines) -> Result<()> {
    out.number("fields", ROOT.field_count()?);
    let subject = ROOT.find_field("subject")?.unwrap();
    out.text("name", subject.name().text());
    out.text("decoded", subject.value().text());
    out.text("unfolded", subject.value_as(raw::HDR_UNFOLDED).text());
    out.text("block", ROOT.header().size());
    ROOT.insert_field(TOP, "X-Top", "top")?;
    ROOT.insert_raw_field(BOTTOM, "X-Raw: raw")?;
    ROOT.find_field("X-Set")?.unwrap().set("set")?;
    ROOT.find_field("X-Gone")?.unwrap().remove()?;
    out.number("removed", ROOT.remove_fields("X-Old")?);
    out.text("none", ROOT.find_field("X-Old")?.map(|f| f.index()).ok_or(mta::Error::NOT_FOUND));
    Ok(())
}

fn tree(out: &mut Lines) -> Result<()> {
    let one = ROOT.first()?.unwrap();
    let two = one.next()?.unwrap();
    out.number("parent", two.parent()?.unwrap().id());
    out.number("found", ROOT.find("text/*")? == Some(one));
    out.text("type", two.media_type().text());
    out.text("filename", two.filename().text());
    out.text("flags", two.flags());
    out.text("size", two.size(raw::READ_DECODED));
    out.text("text", two.text());
    out.done("replace", one.replace("text/plain; charset=utf-8", "Bonjour\r\n"));
    out.number("insert", ROOT.insert(BOTTOM, "text/plain", "b.txt", "B").is_ok());
    out.number("wrap", one.wrap("multipart/alternative").is_ok());
    out.done("gone", two.remove());
    out.number("message", mta::message()?.starts_with(b"X-Top"));
    Ok(())
}

fn actions(out: &mut Lines) -> Result<()> {
    let first = mta::recipients().next().unwrap();
    out.done("route", first.route("mx.example.org", Hop { port: 25, require_tls: true, no_mx: false }));
    out.done("deliver", EVERYONE.deliver("bob", "Archive", "\\Seen"));
    out.done("retry", first.retry_at(1));
    out.text("quarantine", mta::quarantine("on tour").map(|v| if v == Verdict::QUARANTINE { 5 } else { 0 }));
    out.number("variant", Variant::new(&[first]).and_then(|v| v.select()).is_ok());
    ROOT.insert_field(TOP, "X-Variant", "1")?;
    out.done("main", Variant::MAIN.select());
    out.done("send", mta::send("carol@crepes.fr", "frank@example.org", "Subject: hi\r\n\r\nhi\r\n"));
    Ok(())
}

fn services(out: &mut Lines) -> Result<()> {
    use mta::kv;
    out.text("kv none", kv::get(b"k").text());
    let _ = kv::set(b"k", b"v", 60000);
    out.text("kv set", kv::get(b"k").text());
    out.text("kv add", kv::add(b"n", 2, 0));
    out.text("kv swap", kv::compare_and_swap(b"k", b"v", b"w", 0).map(|swapped| swapped as i32));
    out.text("kv now", kv::get(b"k").text());
    out.done("kv remove", kv::remove(b"k"));
    out.text("dns", mta::dns(16, "example.org").text());
    mta::count("tours", 1);
    mta::observe("length", 0.5);
    Ok(())
}

fn rcpt() -> Result<Verdict> {
    mta::reject(550, "5.1.1", "No tour")
}

fn mail() -> Result<Verdict> {
    mta::defer(450, "4.2.0", "Later")
}

fn helo() -> Result<Verdict> {
    mta::disconnect(421, "4.3.2", "Closed")
}

fn other() {}
