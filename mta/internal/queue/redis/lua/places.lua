-- places answers how many places a node has at a lane from now on. Where all want
-- more than there are, each gets what it wants up to an even part; who has more
-- than that keeps it until it asks again. Of those that want the same, one that
-- has nothing comes before one that has.
local lane, want, most, ends = ARGV[A + 1], num(ARGV[A + 2]), num(ARGV[A + 3]), at(ARGV[A + 4])
local key = P .. ':p:' .. lane
local all, nodes, others, last = call('HGETALL', key), {}, 0, ends
for i = 1, #all, 2 do
  local n = cjson.decode(all[i + 1])
  n.ends = num(n.ends)
  if n.ends <= now then
    call('HDEL', key, all[i])
  elseif all[i] ~= node then
    n.name = all[i]
    nodes[#nodes + 1] = n
    others = others + n.have
    last = math.max(last, n.ends)
  end
end
local mine = call('HGET', key, node)
mine = mine and cjson.decode(mine) or {have = 0}
mine.want, mine.ends, mine.name = want, ends, node
nodes[#nodes + 1] = mine
table.sort(nodes, function(a, b)
  if a.want ~= b.want then return a.want < b.want end
  if a.have ~= b.have then return a.have > b.have end
  return a.name < b.name
end)
local left, part = most, 0
for i, n in ipairs(nodes) do
  local some = math.min(n.want, math.floor(left / (#nodes - i + 1)))
  left = left - some
  if n == mine then part = some end
end
mine.have = math.max(math.min(part, most - others), 0)
if want > 0 then
  call('HSET', key, node, cjson.encode({have = mine.have, want = want, ends = int(ends)}))
  call('PEXPIRE', key, int(math.max((last - now) / 1000, 0) + 60000))
else
  call('HDEL', key, node)
end
return reply('OK', mine.have)
