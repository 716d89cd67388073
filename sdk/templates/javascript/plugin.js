// PLUGIN adds a header field to each message.

let greeting;

// onLoad gets the `config:` of the stage in pipeline.yaml.
export function onLoad(config) {
  greeting = config.greeting ?? "hello from PLUGIN";
}

export function onMessage(m) {
  m.headers.prepend("X-Greeting", greeting);
}
