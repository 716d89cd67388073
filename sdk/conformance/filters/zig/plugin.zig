//! The conformance filter in Zig; sdk/conformance/README.md is its
//! specification.

const std = @import("std");
const mta = @import("mta");
const Allocator = std.mem.Allocator;

comptime {
    mta.onLoad(load);
    mta.onMessage(message);
}

/// What the configuration says; null leaves out a step.
const Config = struct {
    stamp: ?struct { name: []const u8, value: []const u8 } = null,
    tag: ?[]const u8 = null,
    attachment: ?[]const u8 = null,
    refuse: ?[]const u8 = null,
};

var config: Config = .{};

fn load(a: Allocator) !void {
    config = try mta.config(Config, a);
}

fn message(a: Allocator) !mta.Verdict {
    if (config.stamp) |stamp| try mta.message.insertField(mta.top, stamp.name, stamp.value);
    if (config.tag) |text| try tag(a, text);
    if (config.attachment) |text| try replaceAttachments(a, text);
    if (config.refuse) |address| try refuse(a, address);
    return .@"continue";
}

fn tag(a: Allocator, text: []const u8) !void {
    const field = try mta.message.findField("Subject", 0) orelse {
        return mta.message.insertField(mta.bottom, "Subject", text);
    };
    const subject = try field.value(a);
    if (std.mem.startsWith(u8, subject, text)) return;
    try field.set(try std.mem.concat(a, u8, &.{ text, " ", subject }));
}

fn replaceAttachments(a: Allocator, text: []const u8) !void {
    var found: std.ArrayList(mta.Part) = .empty;
    var at: ?mta.Part = mta.message;
    while (at) |part| : (at = try part.after()) {
        if (try part.isAttachment() and std.mem.startsWith(u8, try part.mediaType(a), "text/")) try found.append(a, part);
    }
    for (found.items) |part| try part.replace("text/plain; charset=utf-8", text);
}

fn refuse(a: Allocator, address: []const u8) !void {
    for (try mta.recipients(a)) |rcpt| {
        if (std.ascii.eqlIgnoreCase(try rcpt.address(a), address)) try rcpt.refuse(550, "5.7.1", "Refused by conformance");
    }
}
