-- peek answers what could be claimed: the lanes that may be looked at, by their
-- earliest, and of each the first entries. lanes is how many lanes to name, each
-- how many entries of one, most of how many there is more than the first named;
-- then comes how long a shard stays quiet after it changed, whether only one lane
-- is asked about, and that one, or else those to leave out.
local lanes, each, most, calm = num(ARGV[A + 1]), num(ARGV[A + 2]), num(ARGV[A + 3]), num(ARGV[A + 4])
if now < quiet(calm) then return reply('OK') end
sweep()
local found
if ARGV[A + 5] == '1' then
  local score = call('ZSCORE', P .. ':l', ARGV[A + 6])
  found = score and num(score) <= now and {ARGV[A + 6], score} or {}
else
  found = call('ZRANGEBYSCORE', P .. ':l', '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, lanes + #ARGV - A - 4)
end
local skip = {}
for i = A + 6, #ARGV do skip[ARGV[i]] = ARGV[A + 5] ~= '1' end
local out = {}
for i = 1, #found, 2 do
  local lane = found[i]
  if not skip[lane] then
    if #out >= lanes then
      out[#out + 1] = {lane, found[i + 1]} -- what is left out is not before this
      break
    end
    local n = math.max(math.min(each, most), 1)
    local due = call('ZRANGEBYSCORE', D(lane), '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, n + 1)
    local more = #due / 2 > n
    if more then due[#due] = nil; due[#due] = nil end
    most = most - #due / 2
    out[#out + 1] = {lane, more and '1' or '', unpack(due)}
  end
end
return reply('OK', unpack(out))
