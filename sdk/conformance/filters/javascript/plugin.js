// The conformance filter (sdk/conformance/README.md).

const lower = (text) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

export function onMessage(m) {
  const { stamp, tag, attachment, refuse } = mta.config;
  if (stamp != null) m.headers.insert(0, stamp.name, stamp.value);
  if (tag != null) {
    const at = m.headers.indexOf("Subject");
    if (at < 0) m.headers.insert(-1, "Subject", tag);
    else if (!m.headers.value(at).startsWith(tag)) m.headers.setAt(at, tag + " " + m.headers.value(at));
  }
  if (attachment != null) {
    const texts = [...m.attachments()].filter((part) => part.type.startsWith("text/"));
    for (const part of texts) part.replace("text/plain; charset=utf-8", attachment);
  }
  if (refuse != null) {
    for (const recipient of m.recipients) {
      if (lower(recipient.address) === lower(refuse)) recipient.reply(550, "5.7.1", "Refused by conformance");
    }
  }
}
