-- put keeps one new entry whose content is not in chunks. Whoever hands in mail
-- waits for it, so it does without lib.lua, at half the cost.
local id, due, lane = ARGV[A + 1], at(ARGV[A + 3]), ARGV[A + 5]
local held, ends, e = ARGV[A + 4] == '1', ARGV[A + 6], E(id)
local status = occupied(id)
if status == 'DONE' then return reply('OK', call('HGET', e, 't') or '0') end
if status then return reply(status) end
local t = '0'
call('HSET', e, 'r', ARGV[A + 2], 'd', due, 'p', op, 'l', lane, 'z', ARGV[A + 7], 'k', ARGV[A + 8], 'c', ARGV[A + 9])
call('ZADD', P .. ':i', '0', id)
call('ZINCRBY', P .. ':n', '1', lane)
if held then
  call('HSET', e, 'h', '1')
  call('ZADD', P .. ':h', ends == '' and '0' or at(ends), id)
end
if ends ~= '' then
  t, ends = lease(), at(ends)
  call('HSET', e, 't', t, 'u', ends, 'v', t)
  call('ZADD', P .. ':x', ends, id)
elseif not held then
  schedule(id, lane, due)
end
commit()
return reply('OK', t)
