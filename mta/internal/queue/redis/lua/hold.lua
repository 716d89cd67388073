-- hold sets aside an entry whose record cannot be read.
local id, t = ARGV[A + 1], ARGV[A + 2]
local e = load(id)
if not e or e.t ~= t then return reply('LEASE') end
leave(id, e.l, e.h)
call('HDEL', E(id), 't', 'u')
call('HSET', E(id), 'h', '1')
stand(id, e.l, num(e.d), true, nil)
commit()
return reply('OK')
