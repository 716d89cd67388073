## Refuses bulk mail that names no way to unsubscribe. The message comes from
## stdin, and goes to stdout as it came.
import std/[os, strutils]

proc field(header: seq[string], name: string): string =
  ## The value of the first field of that name, unfolded; empty if there is none.
  for i, line in header:
    if line.toLowerAscii.startsWith(name.toLowerAscii & ":"):
      result = line[name.len + 1 .. ^1]
      for next in header[i + 1 .. ^1]:
        if not next.startsWith(" ") and not next.startsWith("\t"): break
        result.add(next)
      return result.strip

# WASI's libc takes a main without environment, which Nim does not make.
proc NimMain() {.importc.}
proc main(): cint {.exportc.} = NimMain()

let message = stdin.readAll
var header: seq[string]
for line in message.splitLines:
  if line == "": break
  header.add(line)

let bulk = header.field("Precedence").toLowerAscii in ["bulk", "list"] or header.field("List-Id") != ""
if bulk and header.field("List-Unsubscribe") == "":
  stderr.writeLine("5.7.1 " & getEnv("SENDER", "you") & ": bulk mail needs List-Unsubscribe")
  quit(77)
stdout.write(message)
