-- peek answers what could be claimed: of each lane that may be looked at the
-- earliest entries. most is how many entries to name in all, each how many of one
-- lane; then comes how long a shard stays quiet after it changed, and lanes to leave
-- out.
local most, each, calm = num(ARGV[A + 1]), num(ARGV[A + 2]), num(ARGV[A + 3])
if now < quiet(calm) then return reply('OK') end
sweep()
local skip, skipped = {}, 0
for i = A + 4, #ARGV do skip[ARGV[i]] = true; skipped = skipped + 1 end
local out, lanes = {}, call('ZRANGEBYSCORE', P .. ':l', '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, most + skipped)
for i = 1, #lanes, 2 do
  local lane = lanes[i]
  if not skip[lane] then
    if most <= 0 then
      out[#out + 1] = {lane, lanes[i + 1]} -- not looked at: how far the rest is known
      break
    end
    call('HDEL', P .. ':b', lane)
    local n = math.min(each, most)
    local due = call('ZRANGEBYSCORE', D(lane), '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, n)
    most = most - #due / 2
    if #due == 0 then
      look(lane)
    else
      out[#out + 1] = {lane, lanes[i + 1], #due / 2 == n and '1' or '', unpack(due)}
    end
  end
end
return reply('OK', unpack(out))
