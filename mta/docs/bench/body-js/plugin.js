// What Haraka's plugin of the comparison does: adds a field, and replaces a
// word in the text. It is for measuring.
export function onMessage(m) {
  m.headers.append("X-Bench-Ext", "1");
  for (const part of m.parts()) {
    if (part.type !== "text/plain") continue;
    const text = part.text();
    if (text.includes("BENCH-TOKEN-AAAA")) part.replaceText(text.replaceAll("BENCH-TOKEN-AAAA", "BENCH-TOKEN-BBBB"));
  }
}
