-- update replaces the record of an entry and ends its lease.
local id, t, r, due, held, lane = ARGV[A + 1], ARGV[A + 2], ARGV[A + 3], ARGV[A + 4], ARGV[A + 5] == '1', ARGV[A + 6]
local e = load(id)
if not e then return reply('LEASE') end
if e.o == op then return reply('OK') end
if e.t ~= t then return reply('LEASE') end
leave(id, e.l, e.h)
call('HSET', E(id), 'r', r, 'd', int(at(due)), 'v', t, 'o', op)
call('HDEL', E(id), 't', 'u')
if held ~= e.h then
  if held then call('HSET', E(id), 'h', '1') else call('HDEL', E(id), 'h') end
end
if lane ~= e.l then
  count(e.l, '-1')
  count(lane, '1')
  call('HSET', E(id), 'l', lane)
end
stand(id, lane, at(due), held, nil)
commit()
return reply('OK')
