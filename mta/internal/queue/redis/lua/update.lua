-- update replaces the record of an entry and ends its lease.
local id, t = ARGV[A + 1], ARGV[A + 2]
local e = load(id)
if not e then return reply('LEASE') end
if e.o == op then return reply('OK') end
if e.t ~= t then return reply('LEASE') end
renew(id, e, ARGV[A + 3], ARGV[A + 4], ARGV[A + 5] == '1', ARGV[A + 6], t)
commit()
return reply('OK')
