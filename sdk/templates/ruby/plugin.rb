# frozen_string_literal: true

# PLUGIN adds a header field to each message.

MTA.on_message do |m|
  # config is the `config:` of the stage in pipeline.yaml.
  m.headers.prepend("X-Greeting", MTA.config.fetch("greeting", "hello from PLUGIN"))
end
