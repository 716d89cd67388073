//! Puts a tag before the subject of mail to a list's address, once: answers
//! have it somewhere already.

const std = @import("std");
const mta = @import("mta");
const Allocator = std.mem.Allocator;

comptime {
    mta.onLoad(load);
    mta.onMessage(message);
}

const Config = struct {
    tags: []const Tag = &.{},

    const Tag = struct { to: []const u8, tag: []const u8 };
};

var config: Config = .{};

fn load(a: Allocator) !void {
    config = try mta.config(Config, a);
}

fn message(a: Allocator) !mta.Verdict {
    const tag = try tagFor(a) orelse return .@"continue";
    const field = try mta.message.findField("Subject", 0) orelse {
        try mta.message.insertField(mta.bottom, "Subject", tag);
        return .@"continue";
    };
    const subject = try field.value(a);
    if (std.mem.indexOf(u8, subject, tag) == null) {
        try field.set(try std.mem.concat(a, u8, &.{ tag, " ", subject }));
    }
    return .@"continue";
}

/// The tag of the first list that is among the recipients.
fn tagFor(a: Allocator) !?[]const u8 {
    for (try mta.recipients(a)) |rcpt| {
        const address = try rcpt.address(a);
        for (config.tags) |list| {
            if (std.ascii.eqlIgnoreCase(address, list.to)) return list.tag;
        }
    }
    return null;
}
