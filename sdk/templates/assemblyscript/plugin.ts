// PLUGIN adds a header field to each message.
import { TOP, Verdict, config, fail, message } from "mta";

let greeting = "hello from PLUGIN";

// on_load reads the `config:` of the stage in pipeline.yaml.
export function on_load(): i32 {
  const text = config().text("greeting");
  if (text !== null) greeting = text;
  return 0;
}

export function on_message(): i32 {
  if (message.insertField(TOP, "X-Greeting", greeting) < 0) return fail("X-Greeting is not inserted");
  return Verdict.CONTINUE;
}
