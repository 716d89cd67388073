const std = @import("std");
const mta = @import("mta");
const Allocator = std.mem.Allocator;

comptime {
    mta.onLoad(load);
    mta.onMessage(message);
    mta.onRcpt(rcpt);
    mta.onMail(mail);
    mta.onHelo(helo);
    mta.onConnect(other);
    mta.onAuth(other);
    mta.onData(other);
    mta.onHeaders(other);
    mta.onRoute(other);
    mta.onLocal(other);
    mta.onDelivery(other);
    mta.onDsn(other);
    mta.onDisconnect(other);
}

fn load(_: Allocator) !void {}

const Lines = struct {
    a: Allocator,
    all: std.ArrayList(u8) = .empty,

    fn text(l: *Lines, name: []const u8, value: anyerror![]const u8) !void {
        const v = value catch "error";
        try l.all.appendSlice(l.a, try std.mem.concat(l.a, u8, &.{ name, " ", v, "\n" }));
    }

    fn maybe(l: *Lines, name: []const u8, value: anyerror!?[]u8) !void {
        const v = value catch null;
        try l.text(name, v orelse "error");
    }

    fn number(l: *Lines, name: []const u8, n: anyerror!i64) !void {
        const v = n catch return l.text(name, "error");
        try l.text(name, try std.fmt.allocPrint(l.a, "{d}", .{v}));
    }

    fn yes(l: *Lines, name: []const u8, b: bool) !void {
        try l.number(name, @intFromBool(b));
    }

    fn done(l: *Lines, name: []const u8, e: anyerror!void) !void {
        e catch return l.text(name, "error");
        try l.number(name, 0);
    }
};

const Config = struct {
    greeting: []const u8 = "",
    replace: bool = false,
    list: []const std.json.Value = &.{},
    n: i64 = 0,
    nothing: ?i64 = null,
};

fn message(a: Allocator) !mta.Verdict {
    const config = try mta.config(Config, a);
    if (config.replace) {
        try mta.replaceMessage("Subject: new\r\n\r\nnew\r\n");
        return .@"continue";
    }
    var out: Lines = .{ .a = a };
    try core(&out, config);
    try envelope(&out);
    try header(&out);
    try tree(&out);
    try actions(&out);
    try services(&out);
    try mta.setNote(mta.scope_transaction, "tour", out.all.items);
    return .@"continue";
}

fn core(out: *Lines, config: Config) !void {
    const a = out.a;
    try out.number("version", mta.abiVersion() >> 16);
    try out.number("has", @as(i64, @intFromBool(mta.has("hdr_find"))) * 10 + @intFromBool(mta.has("nope")));
    try out.text("call", mta.call(a, "org.example.none", "x"));
    try out.text("config", config.greeting);
    try out.number("items", @intCast(config.list.len));
    try out.text("last", config.list[config.list.len - 1].string);
    try out.number("n", -config.n);
    try out.yes("null", config.nothing == null);
    mta.log(.info, "on tour");
    try out.yes("log", mta.logEnabled(.@"error"));
    try out.maybe("context", mta.context(a, "/client/ehlo"));
    try out.maybe("missing", mta.context(a, "/nope"));
    const json = try std.json.parseFromSliceLeaky(std.json.Value, a, try mta.contextText(a), .{});
    try out.text("json", json.object.get("stage").?.string);
    try mta.setNote(mta.scope_transaction, "k", "v");
    try out.maybe("note", mta.note(a, mta.scope_transaction, "k"));
    try out.yes("clock", try mta.deadlineMs() > 0 and mta.nowMs() > 0);
    var octets: [8]u8 = undefined;
    try mta.random(&octets);
    try out.yes("random", true);
}

fn envelope(out: *Lines) !void {
    const a = out.a;
    try mta.setSender("carol@crepes.fr");
    try out.text("sender", mta.sender(a));
    try out.number("recipients", try mta.recipientCount());
    const added = try mta.addRecipient("dave@hamburger.edu");
    try added.set("erin@hamburger.edu");
    try out.text("added", added.address(a));
    try out.done("remove", added.remove());
    const all = try mta.recipients(a);
    try out.text("first", all[0].address(a));
    try out.done("refuse", all[1].refuse(550, "5.7.1", "No"));
}

fn header(out: *Lines) !void {
    const a = out.a;
    const m = mta.message;
    try out.number("fields", try m.fieldCount());
    const subject = (try m.findField("subject", 0)).?;
    try out.text("name", subject.name(a));
    try out.text("decoded", subject.value(a));
    try out.text("unfolded", subject.valueAs(a, mta.hdr_unfolded));
    try out.number("block", @intCast((try m.header(a)).len));
    try m.insertField(mta.top, "X-Top", "top");
    try m.insertRawField(mta.bottom, "X-Raw: raw");
    try (try m.findField("X-Set", 0)).?.set("set");
    try (try m.findField("X-Gone", 0)).?.remove();
    try out.number("removed", try m.removeFields("X-Old"));
    try out.text("none", if (try m.findField("X-Old", 0)) |_| "there" else "error");
}

fn tree(out: *Lines) !void {
    const a = out.a;
    const one = (try mta.message.first()).?;
    const two = (try one.next()).?;
    try out.number("parent", (try two.parent()).?.id);
    try out.yes("found", (try mta.message.find("text/*")).?.id == one.id);
    try out.text("type", two.mediaType(a));
    try out.text("filename", two.filename(a));
    try out.number("flags", try two.flags());
    try out.number("size", two.size(mta.read_decoded));
    try out.text("text", two.content(a, mta.read_text));
    try out.done("replace", one.replace("text/plain; charset=utf-8", "Bonjour\r\n"));
    try out.yes("insert", (try mta.message.insert(mta.bottom, "text/plain", "b.txt", "B")).id > 0);
    try out.yes("wrap", (try one.wrap("multipart/alternative")).id > 0);
    try out.done("gone", two.remove());
    try out.yes("message", std.mem.startsWith(u8, try mta.messageOctets(a), "X-Top"));
}

fn actions(out: *Lines) !void {
    const first = (try mta.recipients(out.a))[0];
    try out.done("route", first.route("mx.example.org", 25, mta.route_require_tls));
    try out.done("deliver", mta.everyone.deliver("bob", "Archive", "\\Seen"));
    try out.done("retry", first.retryAt(1));
    try out.number("quarantine", @intFromEnum(try mta.quarantine("on tour")));
    const variant = try mta.Variant.new(&.{first});
    try variant.select();
    try out.yes("variant", true);
    try mta.message.insertField(mta.top, "X-Variant", "1");
    try out.done("main", (mta.Variant{ .id = 0 }).select());
    try out.done("send", mta.send("carol@crepes.fr", "frank@example.org", "Subject: hi\r\n\r\nhi\r\n"));
}

fn services(out: *Lines) !void {
    const a = out.a;
    try out.maybe("kv none", mta.kv.get(a, "k"));
    mta.kv.set("k", "v", 60000) catch {};
    try out.maybe("kv set", mta.kv.get(a, "k"));
    try out.number("kv add", mta.kv.add("n", 2, 0));
    try out.yes("kv swap", try mta.kv.compareAndSwap("k", "v", "w", 0));
    try out.maybe("kv now", mta.kv.get(a, "k"));
    try out.done("kv remove", mta.kv.remove("k"));
    try out.text("dns", mta.dns(a, 16, "example.org"));
    mta.count("tours", 1);
    mta.observe("length", 0.5);
}

fn rcpt(_: Allocator) !mta.Verdict {
    return mta.reject(550, "5.1.1", "No tour");
}

fn mail(_: Allocator) !mta.Verdict {
    return mta.deferFor(450, "4.2.0", "Later");
}

fn helo(_: Allocator) !mta.Verdict {
    return mta.disconnect(421, "4.3.2", "Closed");
}

fn other(_: Allocator) !mta.Verdict {
    return .@"continue";
}
