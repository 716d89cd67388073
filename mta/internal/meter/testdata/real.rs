// A Rust library for TestReal: collections, strings, floats, sorting.
use std::collections::{BTreeMap, HashMap};

#[no_mangle]
pub extern "C" fn run(n: u32) -> u64 {
    let text = "From: alice@crepes.fr To: bob@hamburger.edu Do you like ketchup? How about pickles?".repeat(n as usize);
    let mut words: BTreeMap<String, u64> = BTreeMap::new();
    for w in text.split_whitespace() {
        *words.entry(w.to_lowercase()).or_insert(0) += 1;
    }
    let mut v: Vec<f64> = (0..n * 50).map(|i| ((i * 7919) % 1009) as f64 / 3.0).collect();
    v.sort_by(|a, b| b.partial_cmp(a).unwrap());
    let mut index: HashMap<u64, Vec<usize>> = HashMap::new();
    for (i, x) in v.iter().enumerate() {
        index.entry(x.sqrt() as u64).or_insert_with(Vec::new).push(i);
    }
    let mut h: u64 = 14695981039346656037;
    let mut keys: Vec<_> = index.keys().copied().collect();
    keys.sort_unstable();
    for b in format!("{:?}{:?}{:?}", words, &v[..5], keys).bytes() {
        h = (h ^ b as u64).wrapping_mul(1099511628211);
    }
    h
}
