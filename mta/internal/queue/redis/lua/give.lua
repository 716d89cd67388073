-- give leaves a node n places of those that it has at a lane.
local key, n = P .. ':p:' .. ARGV[A + 1], num(ARGV[A + 2])
local mine = call('HGET', key, node)
if not mine then return reply('OK') end
mine = cjson.decode(mine)
mine.have, mine.want = math.min(mine.have, n), math.min(mine.want, n)
if mine.have > 0 then
  call('HSET', key, node, cjson.encode(mine))
else
  call('HDEL', key, node)
end
return reply('OK')
