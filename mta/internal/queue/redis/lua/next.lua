-- next answers when there is something to claim. It changes nothing: what has
-- lapsed is due when it was.
local first = call('ZRANGE', P .. ':l', 0, 0, 'WITHSCORES')
local due = first[2] and num(first[2])
for _, id in ipairs(call('ZRANGEBYSCORE', P .. ':x', '-inf', int(now), 'LIMIT', 0, 20)) do
  local e = call('HMGET', E(id), 'd', 'h')
  if e[1] and not e[2] and (not due or num(e[1]) < due) then due = num(e[1]) end
end
if not due then return reply('OK') end
return reply('OK', int(math.max(due, quiet(num(ARGV[A + 1])))))
