-- take leases one entry, be it due or not, waiting or held.
local id, ends = ARGV[A + 1], int(at(ARGV[A + 2]))
local e = load(id)
if not e then return reply('NOTFOUND') end
if not (e.o == op and e.t) then
  if e.t and e.u > now then return reply('ACTIVE') end
  leave(id, e.l, e.h)
  call('HSET', E(id), 't', lease(), 'u', ends, 'o', op)
  stand(id, e.l, num(e.d), e.h, ends)
  commit()
end
return reply('OK', shown(id))
