//! PLUGIN adds a header field to each message.

const std = @import("std");
const mta = @import("mta");
const Allocator = std.mem.Allocator;

comptime {
    mta.onLoad(load);
    mta.onMessage(message);
}

/// The `config:` of the stage in pipeline.yaml. What it leaves out has these
/// values.
const Config = struct {
    greeting: []const u8 = "hello from PLUGIN",
};

var config: Config = .{};

fn load(a: Allocator) !void {
    config = try mta.config(Config, a);
}

fn message(_: Allocator) !mta.Verdict {
    try mta.message.insertField(mta.top, "X-Greeting", config.greeting);
    return .@"continue";
}
