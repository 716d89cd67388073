-- conclude updates or removes an entry, and keeps n new ones.
local id, t, gone, n, others = ARGV[A + 1], ARGV[A + 2], ARGV[A + 7] == '1', num(ARGV[A + 8]), A + 9
local done = call('GET', P .. ':o:' .. op)
if done then return reply('OK', unpack(cjson.decode(done))) end
local e = load(id)
if not e or e.t ~= t then return reply('LEASE') end
local status = admit(others, n)
if status then return reply(status) end
-- What makes room comes first: Redis lets a script go on that began with that, be
-- its memory full.
if gone then
  forget(id, e)
else
  renew(id, e, ARGV[A + 3], ARGV[A + 4], ARGV[A + 5] == '1', ARGV[A + 6], t)
end
return finish(keepAll(others, n))
