//! Files mail for bob+lists@hamburger.edu into Bob's folder Lists.

use mta::json::Value;
use mta::{Result, Verdict};

struct Config {
    domains: Vec<String>,         // where addresses have folders; none: everywhere
    separators: String,           // each character of it begins a folder's name
    folders: Vec<(String, String)>, // names that are not the folder's own
    others: bool,                 // details that folders does not name are folders too
}

static CONFIG: mta::Global<Config> = mta::Global::new();

mta::on_load!(load);
mta::on_message!(message);

fn load() -> Result<()> {
    let json = mta::config().text()?;
    let config = Value::new(&json);
    let texts = |key| config.get(key).into_iter().flat_map(Value::items);
    CONFIG.set(Config {
        domains: texts("domains").filter_map(|(_, v)| v.text()).collect(),
        separators: config.get("separators").and_then(|v| v.text()).unwrap_or_else(|| "+".to_string()),
        folders: texts("folders").filter_map(|(k, v)| Some((k?.text()?, v.text()?))).collect(),
        others: config.get("others").and_then(|v| v.boolean()).unwrap_or(false),
    })
}

fn message() -> Result<Verdict> {
    let config = CONFIG.get().ok_or(mta::Error::NOT_FOUND)?;
    for rcpt in mta::recipients() {
        if let Some(folder) = config.folder(&rcpt.address().text()?) {
            if rcpt.deliver("", &folder, "").is_err() {
                mta::log(mta::Level::WARN, &format!("no folder can be called {folder:?}"));
            }
        }
    }
    Ok(Verdict::CONTINUE)
}

impl Config {
    /// The folder that an address asks for.
    fn folder(&self, address: &str) -> Option<String> {
        let (local, domain) = address.rsplit_once('@')?;
        let (_, detail) = local.split_once(|c| self.separators.contains(c))?;
        if !self.domains.is_empty() && !self.domains.iter().any(|d| d.eq_ignore_ascii_case(domain)) {
            return None;
        }
        match self.folders.iter().find(|(name, _)| name.eq_ignore_ascii_case(detail)) {
            Some((_, folder)) => Some(folder.clone()),
            None if self.others && !detail.is_empty() => Some(detail.to_string()),
            None => None,
        }
    }
}
