-- replace gives an entry another record and another content, or removes it, and
-- keeps n new ones.
local id, t, gone, n, first = ARGV[A + 1], ARGV[A + 2], ARGV[A + 3] == '1', num(ARGV[A + 4]), A + 5
local done = call('GET', P .. ':o:' .. op)
if done then return reply('OK', unpack(cjson.decode(done))) end
local old = load(id)
if not old or old.t ~= t then return reply('LEASE') end
local others = first + WIDTH
local status = admit(others, n)
if status then return reply(status) end
local e = entry(first)
if not gone and not whole(e) then return reply('CHUNKS') end
local tokens = keepAll(others, n)
if gone then
  forget(id, old)
else
  discard(id, old.k, old.c, old.n)
  leave(id, old.l, old.h)
  call('HDEL', E(id), 'h', 'l', 'n')
  call('HSET', E(id), 'r', e.r, 'd', int(at(e.d)), 'v', t, 'o', op, 'z', e.z, 'k', e.k, 'c', e.c, 'n', e.n)
  if e.h then call('HSET', E(id), 'h', '1') end
  if e.l ~= '' then call('HSET', E(id), 'l', e.l) end
  chunks(id, e.k, e.c, e.n, function(key) call('PERSIST', key) end)
  if e.l ~= old.l then count(old.l, '-1'); count(e.l, '1') end
  stand(id, e.l, at(e.d), e.h, int(old.u))
end
return finish(tokens)
