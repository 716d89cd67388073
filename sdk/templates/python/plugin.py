"""PLUGIN adds a header field to each message."""

import mta


@mta.on_message
def greet(m):
    # config() is the `config:` of the stage in pipeline.yaml.
    m.headers.prepend("X-Greeting", mta.config().get("greeting", "hello from PLUGIN"))
