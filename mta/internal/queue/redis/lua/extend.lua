-- extend moves the end of a lease, or gives the entry back.
local id, t, ends = ARGV[A + 1], ARGV[A + 2], ARGV[A + 3]
local e = load(id)
if not e then return reply('LEASE') end
if e.o == op and not e.t then return reply('OK') end
if e.t ~= t then return reply('LEASE') end
leave(id, e.l, e.h)
if ends == '' then
  call('HDEL', E(id), 't', 'u')
  call('HSET', E(id), 'o', op)
  stand(id, e.l, num(e.d), e.h, nil)
else
  call('HSET', E(id), 'u', int(at(ends)))
  stand(id, e.l, num(e.d), e.h, int(at(ends)))
end
commit()
return reply('OK')
