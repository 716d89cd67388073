// Links in HTML lead through a page that can still say no when they are
// clicked, days after the message came.

const { gate, spare = [] } = mta.config;
if (!gate) throw new Error("gate: is missing; write the address of the page, such as https://gate.hamburger.edu/?to=");

const LINK = /(<a\b[^>]*?\shref\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)/gi;
const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'" };

const decode = (text) => text.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => ENTITIES[entity]);
const encode = (text) => text.replace(/[&"<>]/g, (c) => ({ "&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;" })[c]);

// The host of a web address; undefined for others: mailto:, cid:, #place.
function hostOf(url) {
  return /^\s*https?:\/\/(?:[^\/?#@]*@)?([^\/?#:]+)/i.exec(url)?.[1].toLowerCase();
}

const isSpared = (host) => spare.some((domain) => host === domain || host.endsWith("." + domain));

function rewritten(html) {
  return html.replace(LINK, (all, before, value) => {
    const url = decode(value.replace(/^(["'])(.*)\1$/s, "$2")).trim();
    const host = hostOf(url);
    if (host === undefined || isSpared(host) || url.startsWith(gate)) return all;
    return `${before}"${encode(gate + encodeURIComponent(url))}"`;
  });
}

export function onMessage(m) {
  for (const part of m.parts()) {
    if (part.type !== "text/html" || part.isAttachment || part.isSigned) continue;
    const html = part.text();
    const changed = rewritten(html);
    if (changed !== html) part.replaceText(changed);
  }
}
