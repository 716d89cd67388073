# frozen_string_literal: true

# The conformance filter (sdk/conformance/README.md).

MTA.on_message do |m|
  config = MTA.config
  stamp, tag, attachment, refuse = config.values_at("stamp", "tag", "attachment", "refuse")
  m.headers.insert(0, stamp["name"], stamp["value"]) if stamp
  if tag
    at = m.headers.index("Subject")
    if at.nil?
      m.headers.insert(-1, "Subject", tag)
    elsif !m.headers.value(at).start_with?(tag)
      m.headers.set_at(at, "#{tag} #{m.headers.value(at)}")
    end
  end
  if attachment
    texts = m.attachments.select { |part| part.type.start_with?("text/") }
    texts.each { |part| part.replace("text/plain; charset=utf-8", attachment) }
  end
  if refuse
    m.recipients.each do |recipient|
      recipient.reply(550, "5.7.1", "Refused by conformance") if recipient.address.casecmp(refuse)&.zero?
    end
  end
end
