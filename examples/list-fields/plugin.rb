# frozen_string_literal: true

# Mail to a list gets the fields by which readers know it (RFC 2369, RFC 2919,
# RFC 8058), and answers go back to the list.

FIELDS = %w[List-Id List-Post List-Unsubscribe List-Unsubscribe-Post List-Archive Precedence].freeze

def list_for(message)
  lists = MTA.config["lists"] || {}
  message.recipients.each do |recipient|
    found = lists.find { |address, _| address.casecmp(recipient.address)&.zero? }
    return found if found
  end
  nil
end

def fields_of(address, list)
  {
    "List-Id" => "#{list["name"] || address[/\A[^@]*/]} <#{address.sub("@", ".")}>",
    "List-Post" => "<mailto:#{address}>",
    "List-Unsubscribe" => list["unsubscribe"] && "<#{list["unsubscribe"]}>",
    "List-Unsubscribe-Post" => list["unsubscribe"]&.start_with?("https:") && "List-Unsubscribe=One-Click",
    "List-Archive" => list["archive"] && "<#{list["archive"]}>",
    "Precedence" => "list"
  }
end

MTA.on_message do |m|
  address, list = list_for(m)
  next unless address

  FIELDS.each { |name| m.headers.delete(name) } # those of another list, or of a liar
  fields_of(address, list).each { |name, value| m.headers.append(name, value) if value }
  m.headers["Reply-To"] = address if list["reply_to_list"]
end
