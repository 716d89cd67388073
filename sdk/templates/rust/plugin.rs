//! PLUGIN adds a header field to each message.

use mta::json::Value;
use mta::{Result, Verdict, ROOT, TOP};

static GREETING: mta::Global<String> = mta::Global::new();

mta::on_load!(load);
mta::on_message!(message);

/// Reads the `config:` of the stage in pipeline.yaml.
fn load() -> Result<()> {
    let config = mta::config().text()?;
    let greeting = Value::new(&config).get("greeting").and_then(|v| v.text());
    GREETING.set(greeting.unwrap_or_else(|| "hello from PLUGIN".to_string()))
}

fn message() -> Result<Verdict> {
    let greeting = GREETING.get().map_or("", |g| g);
    ROOT.insert_field(TOP, "X-Greeting", greeting)?;
    Ok(Verdict::CONTINUE)
}
