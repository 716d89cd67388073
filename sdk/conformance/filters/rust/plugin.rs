//! The conformance filter in Rust; sdk/conformance/README.md is its
//! specification.

use mta::json::Value;
use mta::{Result, Verdict, BOTTOM, ROOT, TOP};

/// What the configuration says; nothing leaves out a step.
struct Config {
    stamp: Option<(String, String)>,
    tag: Option<String>,
    attachment: Option<String>,
    refuse: Option<String>,
}

static CONFIG: mta::Global<Config> = mta::Global::new();

mta::on_load!(load);
mta::on_message!(message);

fn load() -> Result<()> {
    let json = mta::config().text()?;
    let config = Value::new(&json);
    let text = |v: Value, key| v.get(key).and_then(|v| v.text());
    CONFIG.set(Config {
        stamp: config.get("stamp").and_then(|s| Some((text(s, "name")?, text(s, "value")?))),
        tag: text(config, "tag"),
        attachment: text(config, "attachment"),
        refuse: text(config, "refuse"),
    })
}

fn message() -> Result<Verdict> {
    let config = CONFIG.get().ok_or(mta::Error::NOT_FOUND)?;
    if let Some((name, value)) = &config.stamp {
        ROOT.insert_field(TOP, name, value)?;
    }
    if let Some(text) = &config.tag {
        tag(text)?;
    }
    if let Some(text) = &config.attachment {
        replace_attachments(text)?;
    }
    if let Some(address) = &config.refuse {
        refuse(address)?;
    }
    Ok(Verdict::CONTINUE)
}

fn tag(tag: &str) -> Result<()> {
    let field = match ROOT.find_field("Subject")? {
        Some(field) => field,
        None => return ROOT.insert_field(BOTTOM, "Subject", tag),
    };
    let subject = field.value().bytes()?; // what is no UTF-8 stays as it is
    if subject.starts_with(tag.as_bytes()) {
        return Ok(());
    }
    field.set([tag.as_bytes(), b" ", &subject].concat())
}

fn replace_attachments(text: &str) -> Result<()> {
    let mut found = Vec::new();
    for part in mta::parts() {
        let part = part?;
        if part.is_attachment()? && part.media_type().text()?.starts_with("text/") {
            found.push(part);
        }
    }
    found.iter().try_for_each(|part| part.replace("text/plain; charset=utf-8", text))
}

fn refuse(address: &str) -> Result<()> {
    for rcpt in mta::recipients() {
        if rcpt.address().text()?.eq_ignore_ascii_case(address) {
            rcpt.refuse(550, "5.7.1", "Refused by conformance")?;
        }
    }
    Ok(())
}
