-- remove ends an entry and its content.
local id, t = ARGV[A + 1], ARGV[A + 2]
local e = load(id)
if not e then return reply('OK') end
if e.t ~= t then return reply('LEASE') end
forget(id, e)
commit()
return reply('OK')
