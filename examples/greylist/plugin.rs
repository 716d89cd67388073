//! Asks senders that nobody knows yet to come again: real servers do, most spam
//! does not.

use mta::json::Value;
use mta::{kv, Result, Verdict};
use std::net::IpAddr;

struct Config {
    wait_ms: i64,   // before a triplet is taken
    retry_ms: i64,  // until one that never came again is forgotten
    known_ms: i64,  // until one that did is forgotten
    text: String,
}

static CONFIG: mta::Global<Config> = mta::Global::new();

mta::on_load!(load);
mta::on_rcpt!(rcpt);

const MINUTE: i64 = 60_000;

fn load() -> Result<()> {
    let json = mta::config().text()?;
    let config = Value::new(&json);
    let minutes = |key, otherwise| config.get(key).and_then(|v| v.integer()).unwrap_or(otherwise) * MINUTE;
    CONFIG.set(Config {
        wait_ms: minutes("wait_minutes", 5),
        retry_ms: minutes("retry_minutes", 2 * 24 * 60),
        known_ms: minutes("known_minutes", 36 * 24 * 60),
        text: config.get("text").and_then(|v| v.text()).unwrap_or_else(|| "Greylisted, please try again in a few minutes".into()),
    })
}

/// One recipient is asked about at a time: the last one.
fn rcpt() -> Result<Verdict> {
    let config = CONFIG.get().ok_or(mta::Error::NOT_FOUND)?;
    if mta::context("/auth/login").optional()?.is_some() {
        return Ok(Verdict::CONTINUE); // our own users do not wait
    }
    let key = triplet()?;
    let now = mta::now_ms();
    match kv::get(&key).optional()?.and_then(|since| since.parse::<i64>().ok()) {
        None => kv::set(&key, now.to_string().as_bytes(), config.retry_ms)?,
        Some(since) if now - since >= config.wait_ms => {
            kv::set(&key, since.to_string().as_bytes(), config.known_ms)?;
            return Ok(Verdict::CONTINUE);
        }
        Some(_) => {}
    }
    mta::count("greylisted", 1);
    mta::defer(451, "4.7.1", &config.text)
}

/// Who sends from where to whom. Large senders try again from a neighbour of
/// the first address, so that the network counts: /24, or /64 of IPv6.
fn triplet() -> Result<Vec<u8>> {
    let client = mta::context("/client/ip").text()?;
    let network = match client.parse() {
        Ok(IpAddr::V4(ip)) => ip.octets()[..3].to_vec(),
        Ok(IpAddr::V6(ip)) => ip.octets()[..8].to_vec(),
        Err(_) => client.into_bytes(),
    };
    let rcpt = mta::recipients().last().ok_or(mta::Error::NOT_FOUND)?.address().text()?;
    let mut key = b"triplet ".to_vec();
    key.extend(network.iter().flat_map(|octet| format!("{octet:02x}").into_bytes()));
    key.extend(format!(" {} {}", mta::sender().text()?, rcpt).to_ascii_lowercase().into_bytes());
    key.truncate(250); // a longer one is no worse a key
    Ok(key)
}
