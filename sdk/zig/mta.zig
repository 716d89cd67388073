//! What a plugin of mta is written with in Zig. A plugin exports its hooks:
//!
//!     const std = @import("std");
//!     const mta = @import("mta");
//!
//!     comptime {
//!         mta.onMessage(hello);
//!     }
//!
//!     fn hello(_: std.mem.Allocator) !mta.Verdict {
//!         try mta.message.insertField(mta.top, "X-Hello", "from Zig");
//!         return .@"continue";
//!     }
//!
//! `mta plugin build` compiles a folder with it; by hand it is
//!
//!     zig build-exe -target wasm32-freestanding -O ReleaseSmall -fno-entry -rdynamic --stack 65536
//!         --dep mta -Mroot=plugin.zig -Mmta=mta.zig
//!
//! A hook is given an allocator whose memory is free again when it returns. What
//! it changes counts if it returns a verdict, and is undone if it returns an
//! error, traps or takes too long. By default no variable keeps its value from
//! one message to the next.

const std = @import("std");
const Allocator = std.mem.Allocator;

// ---- Hooks -------------------------------------------------------------

/// Exports `fn (Allocator) !void`, which runs once, when the server loads the
/// plugin. What it allocates stays. An error keeps the server from starting;
/// `refuse` gives it words.
pub fn onLoad(comptime f: anytype) void {
    const hook = struct {
        fn call() callconv(.c) i32 {
            memory.loading = true;
            f(memory.allocator()) catch |err| {
                if (err != error.Refused) setReply(550, "", @errorName(err)) catch {}; // without it the operator reads the server's own words
                return 1;
            };
            memory.loaded();
            return 0;
        }
    };
    @export(&hook.call, .{ .name = "on_load" });
}

/// Exports `fn (Allocator) !Verdict` as a hook of any name.
pub fn exportHook(comptime name: []const u8, comptime f: anytype) void {
    const hook = struct {
        fn call() callconv(.c) i32 {
            defer memory.release();
            const verdict = f(memory.allocator()) catch |err| {
                log(.@"error", @errorName(err));
                return -1;
            };
            return @intFromEnum(@as(Verdict, verdict));
        }
    };
    @export(&hook.call, .{ .name = name });
}

pub fn onConnect(comptime f: anytype) void {
    exportHook("on_connect", f);
}
pub fn onHelo(comptime f: anytype) void {
    exportHook("on_helo", f);
}
pub fn onAuth(comptime f: anytype) void {
    exportHook("on_auth", f);
}
pub fn onMail(comptime f: anytype) void {
    exportHook("on_mail", f);
}
pub fn onRcpt(comptime f: anytype) void {
    exportHook("on_rcpt", f);
}
pub fn onData(comptime f: anytype) void {
    exportHook("on_data", f);
}
pub fn onHeaders(comptime f: anytype) void {
    exportHook("on_headers", f);
}
pub fn onMessage(comptime f: anytype) void {
    exportHook("on_message", f);
}
pub fn onRoute(comptime f: anytype) void {
    exportHook("on_route", f);
}
pub fn onLocal(comptime f: anytype) void {
    exportHook("on_local", f);
}
pub fn onDelivery(comptime f: anytype) void {
    exportHook("on_delivery", f);
}
pub fn onDsn(comptime f: anytype) void {
    exportHook("on_dsn", f);
}
pub fn onDisconnect(comptime f: anytype) void {
    exportHook("on_disconnect", f);
}

/// The memory of hooks: the module has it from the start, since memory that
/// grows while a message is handled cannot be reset for the next. What does not
/// fit grows all the same.
const memory = struct {
    var octets: [256 << 10]u8 = undefined;
    var fixed = std.heap.FixedBufferAllocator.init(&octets);
    var more = std.heap.ArenaAllocator.init(std.heap.wasm_allocator);
    var kept: usize = 0; // octets of on_load in fixed
    var loading = false;
    var kept_more = false; // on_load needed more, which then stays with all that comes after

    fn allocator() Allocator {
        return .{ .ptr = undefined, .vtable = &.{ .alloc = alloc, .resize = resize, .remap = remap, .free = free } };
    }

    fn loaded() void {
        kept = fixed.end_index;
        loading = false;
    }

    fn release() void {
        fixed.end_index = kept;
        if (!kept_more) _ = more.reset(.free_all);
    }

    fn alloc(_: *anyopaque, len: usize, alignment: std.mem.Alignment, ra: usize) ?[*]u8 {
        return fixed.allocator().rawAlloc(len, alignment, ra) orelse {
            kept_more = kept_more or loading;
            return more.allocator().rawAlloc(len, alignment, ra);
        };
    }

    fn of(buf: []u8) Allocator {
        return if (fixed.ownsSlice(buf)) fixed.allocator() else more.allocator();
    }

    fn resize(_: *anyopaque, buf: []u8, alignment: std.mem.Alignment, len: usize, ra: usize) bool {
        return of(buf).rawResize(buf, alignment, len, ra);
    }

    fn remap(_: *anyopaque, buf: []u8, alignment: std.mem.Alignment, len: usize, ra: usize) ?[*]u8 {
        return of(buf).rawRemap(buf, alignment, len, ra);
    }

    fn free(_: *anyopaque, buf: []u8, alignment: std.mem.Alignment, ra: usize) void {
        of(buf).rawFree(buf, alignment, ra);
    }
};

// ---- Results -----------------------------------------------------------

fn check(n: i32) Error!i32 {
    return if (n < 0) failure(n) else n;
}

fn done(n: i32) Error!void {
    if (n < 0) return failure(n);
}

fn optional(n: i32) Error!?i32 {
    return check(n) catch |err| if (err == Error.NotFound) null else err;
}

/// Calls `source.call(buffer, capacity)`, again if the buffer was too small.
fn read(a: Allocator, source: anytype) (Error || Allocator.Error)![]u8 {
    var buf = try a.alloc(u8, 256);
    while (true) {
        const n: usize = @intCast(try check(source.call(buf.ptr, buf.len)));
        if (n <= buf.len) return buf[0..n];
        a.free(buf);
        buf = try a.alloc(u8, n);
    }
}

/// Calls `source.call(offset, buffer, capacity)` until all is read.
fn readAll(a: Allocator, size: i64, source: anytype) (Error || Allocator.Error)![]u8 {
    if (size < 0) return failure(size);
    const buf = try a.alloc(u8, @intCast(size));
    var got: usize = 0;
    while (got < buf.len) {
        const n = try check(source.call(@intCast(got), buf.ptr + got, buf.len - got));
        if (n == 0) break;
        got += @intCast(n);
    }
    return buf[0..got];
}

// ---- Core --------------------------------------------------------------

pub fn log(level: Level, text: []const u8) void {
    raw.log(@intFromEnum(level), text.ptr, text.len);
}

pub fn logEnabled(level: Level) bool {
    return raw.log_enabled(@intFromEnum(level)) > 0;
}

/// The version of the host's functions: major << 16 | minor.
pub fn abiVersion() i32 {
    return raw.abi_version();
}

/// Tells whether the host has a function of that name, for this plugin.
pub fn has(function: []const u8) bool {
    return raw.has(function.ptr, function.len) > 0;
}

/// Calls an operation of the host that is no function of this file.
pub fn call(a: Allocator, op: []const u8, in: []const u8) ![]u8 {
    return read(a, struct {
        op: []const u8,
        in: []const u8,
        fn call(s: @This(), p: [*]u8, n: usize) i32 {
            return raw.call(s.op.ptr, s.op.len, s.in.ptr, s.in.len, p, n);
        }
    }{ .op = op, .in = in });
}

/// The stage's `config:`, as std.json reads it into a type. What the file does
/// not say has the default of its field.
pub fn config(comptime T: type, a: Allocator) !T {
    return std.json.parseFromSliceLeaky(T, a, try configText(a), .{});
}

/// The stage's `config:` as JSON.
pub fn configText(a: Allocator) ![]u8 {
    return read(a, struct {
        fn call(_: @This(), p: [*]u8, n: usize) i32 {
            return raw.config(p, n);
        }
    }{});
}

/// One value of the session or the message, "/client/ip"; null if there is none.
pub fn context(a: Allocator, key: []const u8) !?[]u8 {
    const text = read(a, struct {
        key: []const u8,
        fn call(s: @This(), p: [*]u8, n: usize) i32 {
            return raw.ctx_get(s.key.ptr, s.key.len, p, n);
        }
    }{ .key = key });
    return text catch |err| if (err == Error.NotFound) null else err;
}

/// The whole context as JSON.
pub fn contextText(a: Allocator) ![]u8 {
    return read(a, struct {
        fn call(_: @This(), p: [*]u8, n: usize) i32 {
            return raw.ctx_json(p, n);
        }
    }{});
}

/// What an earlier stage left under a key; null if nothing. The scope is scope_...
pub fn note(a: Allocator, scope: i32, key: []const u8) !?[]u8 {
    const text = read(a, struct {
        scope: i32,
        key: []const u8,
        fn call(s: @This(), p: [*]u8, n: usize) i32 {
            return raw.note_get(s.scope, s.key.ptr, s.key.len, p, n);
        }
    }{ .scope = scope, .key = key });
    return text catch |err| if (err == Error.NotFound) null else err;
}

pub fn setNote(scope: i32, key: []const u8, value: []const u8) !void {
    return done(raw.note_set(scope, key.ptr, key.len, value.ptr, value.len));
}

/// The milliseconds that this hook has left.
pub fn deadlineMs() !i32 {
    return check(raw.deadline_ms());
}

/// The milliseconds since 1970.
pub fn nowMs() i64 {
    return raw.now_ms();
}

pub fn random(buf: []u8) !void {
    return done(raw.random(buf.ptr, buf.len));
}

// ---- Verdicts with words -----------------------------------------------

fn setReply(code: i32, enhanced: []const u8, text: []const u8) Error!void {
    return done(raw.reply(code, enhanced.ptr, enhanced.len, text.ptr, text.len));
}

/// Refuses for good: code is 500 to 599, and enhanced (RFC 3463) may be empty.
pub fn reject(code: i32, enhanced: []const u8, text: []const u8) !Verdict {
    try setReply(code, enhanced, text);
    return .reject;
}

/// Refuses for now: code is 400 to 499. (defer is a word of Zig's.)
pub fn deferFor(code: i32, enhanced: []const u8, text: []const u8) !Verdict {
    try setReply(code, enhanced, text);
    return .@"defer";
}

/// Refuses and closes the session: 421 is for now, 521 for good.
pub fn disconnect(code: i32, enhanced: []const u8, text: []const u8) !Verdict {
    try setReply(code, enhanced, text);
    return .disconnect;
}

/// Accepts the message, and holds it for the operator.
pub fn quarantine(reason: []const u8) !Verdict {
    try done(raw.quarantine(reason.ptr, reason.len));
    return .quarantine;
}

/// Keeps the server from starting, from within onLoad: the operator reads the
/// text.
pub fn refuse(text: []const u8) error{Refused} {
    setReply(550, "", text) catch {}; // without it the operator reads the server's own words
    return error.Refused;
}

// ---- Envelope ----------------------------------------------------------

/// The reverse-path; the null one is empty.
pub fn sender(a: Allocator) ![]u8 {
    return read(a, struct {
        fn call(_: @This(), p: [*]u8, n: usize) i32 {
            return raw.sender_get(p, n);
        }
    }{});
}

pub fn setSender(address: []const u8) !void {
    return done(raw.sender_set(address.ptr, address.len));
}

/// One forward-path of the envelope. It stays the same when others go.
pub const Recipient = struct {
    id: i32,

    /// The address as it is now.
    pub fn address(r: Recipient, a: Allocator) ![]u8 {
        return r.get(a, rcpt_address);
    }

    /// A field of it: rcpt_...
    pub fn get(r: Recipient, a: Allocator, field: i32) ![]u8 {
        return read(a, struct {
            id: i32,
            field: i32,
            fn call(s: @This(), p: [*]u8, n: usize) i32 {
                return raw.rcpt_get(s.id, s.field, p, n);
            }
        }{ .id = r.id, .field = field });
    }

    pub fn set(r: Recipient, to: []const u8) !void {
        return done(raw.rcpt_set(r.id, to.ptr, to.len));
    }

    pub fn remove(r: Recipient) !void {
        return done(raw.rcpt_remove(r.id));
    }

    /// Refuses this recipient alone, with a code of 400 to 599.
    pub fn refuse(r: Recipient, code: i32, enhanced: []const u8, text: []const u8) !void {
        return done(raw.rcpt_reply(r.id, code, enhanced.ptr, enhanced.len, text.ptr, text.len));
    }

    /// Says which host it is sent to; port 0 is 25, flags are route_...
    pub fn route(r: Recipient, host: []const u8, port: i32, flags: i32) !void {
        return done(raw.route(r.id, host.ptr, host.len, port, flags));
    }

    /// Keeps its message in a mailbox here.
    pub fn deliver(r: Recipient, mailbox: []const u8, folder: []const u8, flags: []const u8) !void {
        return done(raw.deliver(r.id, mailbox.ptr, mailbox.len, folder.ptr, folder.len, flags.ptr, flags.len));
    }

    /// Says when it is tried again, in milliseconds since 1970.
    pub fn retryAt(r: Recipient, ms: i64) !void {
        return done(raw.retry_at(r.id, ms));
    }
};

/// All recipients, for route, deliver and retryAt.
pub const everyone: Recipient = .{ .id = all_recipients };

pub fn recipientCount() !i32 {
    return check(raw.rcpt_count());
}

/// The recipients there are now.
pub fn recipients(a: Allocator) ![]Recipient {
    const all = try a.alloc(Recipient, @intCast(try recipientCount()));
    for (all, 0..) |*r, i| r.* = .{ .id = try check(raw.rcpt_at(@intCast(i))) };
    return all;
}

pub fn addRecipient(address: []const u8) !Recipient {
    return .{ .id = try check(raw.rcpt_add(address.ptr, address.len)) };
}

/// A copy of the message for some recipients.
pub const Variant = struct {
    id: i32,

    /// Makes a copy for those recipients.
    pub fn new(rcpts: []const Recipient) !Variant {
        const octets = std.mem.sliceAsBytes(rcpts); // a Recipient is an i32, as the host reads them
        return .{ .id = try check(raw.variant_new(octets.ptr, octets.len)) };
    }

    /// Later changes are of this copy.
    pub fn select(v: Variant) !void {
        return done(raw.variant_select(v.id));
    }
};

// ---- Content -----------------------------------------------------------

/// Above everything, our Received: too.
pub const top = index_top;
/// Below everything.
pub const bottom = index_bottom;

/// A header field, until one above it is inserted or removed.
pub const Field = struct {
    part: i32,
    index: i32,

    pub fn name(f: Field, a: Allocator) ![]u8 {
        return read(a, struct {
            f: Field,
            fn call(s: @This(), p: [*]u8, n: usize) i32 {
                return raw.hdr_name(s.f.part, s.f.index, p, n);
            }
        }{ .f = f });
    }

    /// Its value without line breaks, and with encoded words as UTF-8.
    pub fn value(f: Field, a: Allocator) ![]u8 {
        return f.valueAs(a, hdr_decoded);
    }

    /// Its value in another form: hdr_...
    pub fn valueAs(f: Field, a: Allocator, mode: i32) ![]u8 {
        return read(a, struct {
            f: Field,
            mode: i32,
            fn call(s: @This(), p: [*]u8, n: usize) i32 {
                return raw.hdr_value(s.f.part, s.f.index, s.mode, p, n);
            }
        }{ .f = f, .mode = mode });
    }

    /// Gives it another value; the host folds and encodes it.
    pub fn set(f: Field, to: []const u8) !void {
        return done(raw.hdr_set(f.part, f.index, to.ptr, to.len));
    }

    pub fn remove(f: Field) !void {
        return done(raw.hdr_remove(f.part, f.index));
    }
};

/// The part that is the message itself.
pub const message: Part = .{ .id = root };

/// A part of the MIME tree.
pub const Part = struct {
    id: i32,

    pub fn first(p: Part) !?Part {
        return part(raw.part_first(p.id));
    }

    pub fn next(p: Part) !?Part {
        return part(raw.part_next(p.id));
    }

    pub fn parent(p: Part) !?Part {
        return part(raw.part_parent(p.id));
    }

    /// What comes next in preorder: its first child, or else the next of itself
    /// or of those above it.
    ///
    ///     var at: ?mta.Part = mta.message;
    ///     while (at) |part| : (at = try part.after()) { ... }
    pub fn after(p: Part) !?Part {
        if (try p.first()) |child| return child;
        var at = p;
        while (at.id != root) {
            if (try at.next()) |sibling| return sibling;
            at = try at.parent() orelse return null;
        }
        return null;
    }

    /// The first part of a type ("text/*") in preorder, at or after this one.
    pub fn find(p: Part, media_type: []const u8) !?Part {
        return part(raw.part_find(media_type.ptr, media_type.len, p.id));
    }

    /// Its media type, in lower case.
    pub fn mediaType(p: Part, a: Allocator) ![]u8 {
        return p.info(a, part_type);
    }

    pub fn filename(p: Part, a: Allocator) ![]u8 {
        return p.info(a, part_filename);
    }

    /// Something else about it: part_...
    pub fn info(p: Part, a: Allocator, what: i32) ![]u8 {
        return read(a, struct {
            id: i32,
            what: i32,
            fn call(s: @This(), to: [*]u8, n: usize) i32 {
                return raw.part_info(s.id, s.what, to, n);
            }
        }{ .id = p.id, .what = what });
    }

    /// Its flags: flag_...
    pub fn flags(p: Part) !i32 {
        return check(raw.part_flags(p.id));
    }

    pub fn isAttachment(p: Part) !bool {
        return try p.flags() & flag_attachment != 0;
    }

    /// How many octets it has: read_...
    pub fn size(p: Part, mode: i32) !i64 {
        const n = raw.part_size(p.id, mode);
        return if (n < 0) failure(n) else n;
    }

    /// Copies octets from an offset on, and gives how many; 0 is the end.
    pub fn readAt(p: Part, mode: i32, offset: i64, buf: []u8) !usize {
        return @intCast(try check(raw.part_read(p.id, mode, offset, buf.ptr, buf.len)));
    }

    /// All of it: read_decoded are its octets, read_text is UTF-8.
    pub fn content(p: Part, a: Allocator, mode: i32) ![]u8 {
        return readAll(a, raw.part_size(p.id, mode), struct {
            id: i32,
            mode: i32,
            fn call(s: @This(), at: i64, to: [*]u8, n: usize) i32 {
                return raw.part_read(s.id, s.mode, at, to, n);
            }
        }{ .id = p.id, .mode = mode });
    }

    /// Gives it other content; the host picks the transfer encoding.
    pub fn replace(p: Part, media_type: []const u8, octets: []const u8) !void {
        return done(raw.part_replace(p.id, media_type.ptr, media_type.len, try blob(octets)));
    }

    /// Makes a part below this one, at top, bottom or between.
    pub fn insert(p: Part, index: i32, media_type: []const u8, name: []const u8, octets: []const u8) !Part {
        const b = try blob(octets);
        return .{ .id = try check(raw.part_insert(p.id, index, media_type.ptr, media_type.len, name.ptr, name.len, b)) };
    }

    pub fn remove(p: Part) !void {
        return done(raw.part_remove(p.id));
    }

    /// Puts it into a new part of that type, which it gives.
    pub fn wrap(p: Part, media_type: []const u8) !Part {
        return .{ .id = try check(raw.part_wrap(p.id, media_type.ptr, media_type.len)) };
    }

    pub fn fieldCount(p: Part) !i32 {
        return check(raw.hdr_count(p.id));
    }

    /// The first header field of a name at or after a place.
    pub fn findField(p: Part, name: []const u8, from: i32) !?Field {
        const index = try optional(raw.hdr_find(p.id, name.ptr, name.len, from)) orelse return null;
        return .{ .part = p.id, .index = index };
    }

    /// All header fields as they stand.
    pub fn header(p: Part, a: Allocator) ![]u8 {
        return read(a, struct {
            id: i32,
            fn call(s: @This(), to: [*]u8, n: usize) i32 {
                return raw.hdr_block(s.id, to, n);
            }
        }{ .id = p.id });
    }

    /// Adds a field at top, bottom or between; the host folds and encodes it.
    pub fn insertField(p: Part, index: i32, name: []const u8, value: []const u8) !void {
        return done(raw.hdr_insert(p.id, index, name.ptr, name.len, value.ptr, value.len));
    }

    /// Adds a field that is folded already.
    pub fn insertRawField(p: Part, index: i32, field: []const u8) !void {
        return done(raw.hdr_insert_raw(p.id, index, field.ptr, field.len));
    }

    /// Takes out all fields of a name, and gives how many there were.
    pub fn removeFields(p: Part, name: []const u8) !i32 {
        return check(raw.hdr_remove_all(p.id, name.ptr, name.len));
    }
};

fn part(n: i32) Error!?Part {
    return if (try optional(n)) |id| .{ .id = id } else null;
}

/// Octets in the host, for what takes a blob.
pub fn blob(octets: []const u8) !i32 {
    const b = try check(raw.blob_new());
    try done(raw.blob_write(b, octets.ptr, octets.len));
    return b;
}

/// The whole message as octets.
pub fn messageOctets(a: Allocator) ![]u8 {
    return readAll(a, raw.msg_size(), struct {
        fn call(_: @This(), at: i64, to: [*]u8, n: usize) i32 {
            return raw.msg_read(at, to, n);
        }
    }{});
}

/// Puts another message in its place.
pub fn replaceMessage(with: []const u8) !void {
    return done(raw.msg_replace(try blob(with)));
}

/// Originates a message; to are addresses, one a line.
pub fn send(from: []const u8, to: []const u8, with: []const u8) !void {
    return done(raw.send(from.ptr, from.len, to.ptr, to.len, try blob(with)));
}

// ---- Services ----------------------------------------------------------

/// Keys and values that outlive a message. A time to live is in milliseconds; 0
/// is for ever.
pub const kv = struct {
    /// The value of a key; null if there is none.
    pub fn get(a: Allocator, key: []const u8) !?[]u8 {
        const value = read(a, struct {
            key: []const u8,
            fn call(s: @This(), p: [*]u8, n: usize) i32 {
                return raw.kv_get(s.key.ptr, s.key.len, p, n);
            }
        }{ .key = key });
        return value catch |err| if (err == Error.NotFound) null else err;
    }

    pub fn set(key: []const u8, value: []const u8, ttl_ms: i64) !void {
        return done(raw.kv_set(key.ptr, key.len, value.ptr, value.len, ttl_ms));
    }

    pub fn remove(key: []const u8) !void {
        return done(raw.kv_del(key.ptr, key.len));
    }

    /// Adds to a counter, and gives its new value.
    pub fn add(key: []const u8, delta: i64, ttl_ms: i64) !i64 {
        var now: i64 = 0;
        try done(raw.kv_add(key.ptr, key.len, delta, ttl_ms, &now));
        return now;
    }

    /// Sets a value if it still is old, and tells whether it was. An empty old is
    /// a key that is not there, an empty new deletes.
    pub fn compareAndSwap(key: []const u8, old: []const u8, new: []const u8, ttl_ms: i64) !bool {
        return try check(raw.kv_cas(key.ptr, key.len, old.ptr, old.len, new.ptr, new.len, ttl_ms)) > 0;
    }
};

/// The records of a type (1 A, 15 MX, 16 TXT), one a line.
pub fn dns(a: Allocator, record: i32, name: []const u8) ![]u8 {
    return read(a, struct {
        record: i32,
        name: []const u8,
        fn call(s: @This(), p: [*]u8, n: usize) i32 {
            return raw.dns(s.record, s.name.ptr, s.name.len, p, n);
        }
    }{ .record = record, .name = name });
}

/// Adds to a counter of the server's metrics.
pub fn count(name: []const u8, delta: i64) void {
    raw.counter(name.ptr, name.len, delta);
}

/// Adds a value to a histogram of the server's metrics.
pub fn observe(name: []const u8, value: f64) void {
    raw.observe(name.ptr, name.len, value);
}

// ---- What the host has -------------------------------------------------

// generated from sdk/abi by `go generate ./sdk`; do not edit
pub const major: i32 = 1;
pub const minor: i32 = 0;
/// what abi_version answers
pub const version: i32 = 65536;

/// What a function of the host can answer instead of a result.
pub const Error = error{
    NotFound,
    BadArg,
    /// this hook cannot do that
    WrongStage,
    /// the operator did not grant it to this plugin
    NotGranted,
    /// a bound of the host is reached
    Limit,
    Timeout,
    Io,
    Unsupported,
    /// the edit would break a signature that policy protects
    Signed,
    /// what is automatic is not answered automatically
    Loop,
    /// A number that this SDK does not know.
    Unknown,
};

fn failure(n: i64) Error {
    return switch (n) {
        -1 => Error.NotFound,
        -2 => Error.BadArg,
        -3 => Error.WrongStage,
        -4 => Error.NotGranted,
        -5 => Error.Limit,
        -6 => Error.Timeout,
        -7 => Error.Io,
        -8 => Error.Unsupported,
        -9 => Error.Signed,
        -10 => Error.Loop,
        else => Error.Unknown,
    };
}

/// Verdict of the host.
pub const Verdict = enum(i32) {
    /// ask the next stage
    @"continue" = 0,
    /// skip the stages that are left
    accept = 1,
    /// 5xx now
    reject = 2,
    /// 4xx now
    @"defer" = 3,
    /// say 250 and drop it
    discard = 4,
    /// say 250 and hold it for the operator
    quarantine = 5,
    /// 421 and close
    disconnect = 6,
    /// continue, and do not ask this stage again for this message
    not_again = 7,
    _,
};

/// Level of the host.
pub const Level = enum(i32) {
    debug = 0,
    info = 1,
    warn = 2,
    @"error" = 3,
    _,
};

/// all octets after the colon
pub const hdr_raw: i32 = 0;
/// without line breaks and the blanks around the value (RFC 5322 §2.2.3)
pub const hdr_unfolded: i32 = 1;
/// unfolded, encoded words as UTF-8 (RFC 2047)
pub const hdr_decoded: i32 = 2;

/// above everything, our Received: too
pub const index_top: i32 = 0;
/// below everything
pub const index_bottom: i32 = -1;

pub const root: i32 = 0;

/// "text/plain", lower case
pub const part_type: i32 = 0;
pub const part_charset: i32 = 1;
/// as UTF-8
pub const part_filename: i32 = 2;
/// the content transfer encoding, lower case
pub const part_encoding: i32 = 3;
/// "attachment", lower case
pub const part_disposition: i32 = 4;
/// without the angle brackets
pub const part_content_id: i32 = 5;
/// "1.2"; empty for the message
pub const part_path: i32 = 6;

pub const flag_multipart: i32 = 1;
pub const flag_attachment: i32 = 2;
pub const flag_inside_signed: i32 = 4;
pub const flag_malformed: i32 = 8;
pub const flag_modified: i32 = 16;

/// header section and body, as they came
pub const read_raw: i32 = 0;
/// the body as it came
pub const read_body: i32 = 1;
/// the body without its content transfer encoding
pub const read_decoded: i32 = 2;
/// the decoded body as UTF-8
pub const read_text: i32 = 3;

/// as it is now
pub const rcpt_address: i32 = 0;
/// as RCPT gave it
pub const rcpt_original: i32 = 1;
/// the account whose mailbox it comes down to; known behind the queue
pub const rcpt_resolved: i32 = 2;
/// "rfc822;bob@example.org"
pub const rcpt_orcpt: i32 = 3;
/// "SUCCESS,FAILURE,DELAY" or "NEVER"
pub const rcpt_notify: i32 = 4;
/// the outcome of the last attempt, "deferred"; known behind the queue
pub const rcpt_status: i32 = 5;
/// what the last attempt heard, "450 4.2.0 Busy"; known behind the queue
pub const rcpt_reply: i32 = 6;

pub const all_recipients: i32 = -1;

pub const route_require_tls: i32 = 1;
pub const route_no_mx: i32 = 2;

pub const scope_connection: i32 = 0;
pub const scope_transaction: i32 = 1;
pub const scope_queued: i32 = 2;

/// The host's functions as they are: negative results are errors.
pub const raw = struct {
    pub extern "mta1" fn abi_version() i32;
    pub extern "mta1" fn has(name: [*]const u8, name_len: usize) i32;
    pub extern "mta1" fn call(op: [*]const u8, op_len: usize, in: [*]const u8, in_len: usize, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn config(buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn log(level: i32, text: [*]const u8, text_len: usize) void;
    pub extern "mta1" fn log_enabled(level: i32) i32;
    pub extern "mta1" fn ctx_get(key: [*]const u8, key_len: usize, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn ctx_json(buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn note_get(scope: i32, key: [*]const u8, key_len: usize, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn note_set(scope: i32, key: [*]const u8, key_len: usize, value: [*]const u8, value_len: usize) i32;
    pub extern "mta1" fn deadline_ms() i32;
    pub extern "mta1" fn now_ms() i64;
    pub extern "mta1" fn random(buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn sender_get(buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn sender_set(address: [*]const u8, address_len: usize) i32;
    pub extern "mta1" fn rcpt_count() i32;
    pub extern "mta1" fn rcpt_at(index: i32) i32;
    pub extern "mta1" fn rcpt_add(address: [*]const u8, address_len: usize) i32;
    pub extern "mta1" fn rcpt_set(id: i32, address: [*]const u8, address_len: usize) i32;
    pub extern "mta1" fn rcpt_remove(id: i32) i32;
    pub extern "mta1" fn rcpt_get(id: i32, field: i32, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn rcpt_reply(id: i32, code: i32, enhanced: [*]const u8, enhanced_len: usize, text: [*]const u8, text_len: usize) i32;
    pub extern "mta1" fn reply(code: i32, enhanced: [*]const u8, enhanced_len: usize, text: [*]const u8, text_len: usize) i32;
    pub extern "mta1" fn hdr_count(part: i32) i32;
    pub extern "mta1" fn hdr_find(part: i32, name: [*]const u8, name_len: usize, from: i32) i32;
    pub extern "mta1" fn hdr_name(part: i32, index: i32, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn hdr_value(part: i32, index: i32, mode: i32, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn hdr_block(part: i32, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn hdr_insert(part: i32, index: i32, name: [*]const u8, name_len: usize, value: [*]const u8, value_len: usize) i32;
    pub extern "mta1" fn hdr_insert_raw(part: i32, index: i32, field: [*]const u8, field_len: usize) i32;
    pub extern "mta1" fn hdr_set(part: i32, index: i32, value: [*]const u8, value_len: usize) i32;
    pub extern "mta1" fn hdr_remove(part: i32, index: i32) i32;
    pub extern "mta1" fn hdr_remove_all(part: i32, name: [*]const u8, name_len: usize) i32;
    pub extern "mta1" fn part_first(id: i32) i32;
    pub extern "mta1" fn part_next(id: i32) i32;
    pub extern "mta1" fn part_parent(id: i32) i32;
    pub extern "mta1" fn part_find(type_: [*]const u8, type_len: usize, from: i32) i32;
    pub extern "mta1" fn part_info(id: i32, what: i32, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn part_flags(id: i32) i32;
    pub extern "mta1" fn part_size(id: i32, mode: i32) i64;
    pub extern "mta1" fn part_read(id: i32, mode: i32, offset: i64, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn blob_new() i32;
    pub extern "mta1" fn blob_write(blob: i32, octets: [*]const u8, octets_len: usize) i32;
    pub extern "mta1" fn part_replace(id: i32, type_: [*]const u8, type_len: usize, blob: i32) i32;
    pub extern "mta1" fn part_insert(parent: i32, index: i32, type_: [*]const u8, type_len: usize, filename: [*]const u8, filename_len: usize, blob: i32) i32;
    pub extern "mta1" fn part_remove(id: i32) i32;
    pub extern "mta1" fn part_wrap(id: i32, type_: [*]const u8, type_len: usize) i32;
    pub extern "mta1" fn msg_size() i64;
    pub extern "mta1" fn msg_read(offset: i64, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn msg_replace(blob: i32) i32;
    pub extern "mta1" fn route(rcpt: i32, host: [*]const u8, host_len: usize, port: i32, flags: i32) i32;
    pub extern "mta1" fn deliver(rcpt: i32, mailbox: [*]const u8, mailbox_len: usize, folder: [*]const u8, folder_len: usize, flags: [*]const u8, flags_len: usize) i32;
    pub extern "mta1" fn retry_at(rcpt: i32, ms: i64) i32;
    pub extern "mta1" fn quarantine(reason: [*]const u8, reason_len: usize) i32;
    pub extern "mta1" fn variant_new(ids: [*]const u8, ids_len: usize) i32;
    pub extern "mta1" fn variant_select(variant: i32) i32;
    pub extern "mta1" fn send(sender: [*]const u8, sender_len: usize, recipients: [*]const u8, recipients_len: usize, blob: i32) i32;
    pub extern "mta1" fn kv_get(key: [*]const u8, key_len: usize, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn kv_set(key: [*]const u8, key_len: usize, value: [*]const u8, value_len: usize, ttl_ms: i64) i32;
    pub extern "mta1" fn kv_del(key: [*]const u8, key_len: usize) i32;
    pub extern "mta1" fn kv_add(key: [*]const u8, key_len: usize, delta: i64, ttl_ms: i64, out: *i64) i32;
    pub extern "mta1" fn kv_cas(key: [*]const u8, key_len: usize, old: [*]const u8, old_len: usize, new: [*]const u8, new_len: usize, ttl_ms: i64) i32;
    pub extern "mta1" fn dns(type_: i32, name: [*]const u8, name_len: usize, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn counter(name: [*]const u8, name_len: usize, delta: i64) void;
    pub extern "mta1" fn observe(name: [*]const u8, name_len: usize, value: f64) void;
};
// end of what is generated
