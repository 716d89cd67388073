-- What all scripts share. A space is divided into parts by a hash of the key; a
-- part is two keys of Redis with one hash tag:
--
--   KEYS[1]  hash: "k" and a key -> when it ends in ms (0: never), ":", the value
--                  "o" -> the octets of all of them, as they are counted
--   KEYS[2]  sorted set: "k" and a key by when it ends; those that end
--   KEYS[3]  what one operation answered, for as long as it may be asked again
--
-- ARGV[1] is the time in ms, empty for the server's; ARGV[2] is the key.

local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local field = 'k' .. ARGV[2]
local recordCost = 64

local function int(n) return string.format('%.0f', n) end

-- parse takes a record apart: when it ends, and the value.
local function parse(raw)
  local colon = string.find(raw, ':', 1, true)
  return tonumber(string.sub(raw, 1, colon - 1)), string.sub(raw, colon + 1)
end

-- live is the value of the key now, or nil, and when it ends.
local function live()
  local raw = redis.call('HGET', KEYS[1], field)
  if not raw then return nil, 0 end
  local ends, value = parse(raw)
  if ends ~= 0 and now >= ends then return nil, 0 end
  return value, ends
end

-- cost is what a record takes of the octets, field its key with the "k".
local function cost(f, raw)
  if not raw then return 0 end
  local _, value = parse(raw)
  return #f - 1 + #value + recordCost
end

local function count(octets)
  redis.call('HINCRBY', KEYS[1], 'o', int(octets))
end

local function drop(f)
  local raw = redis.call('HGET', KEYS[1], f)
  if raw then
    redis.call('HDEL', KEYS[1], f)
    count(-cost(f, raw))
  end
  redis.call('ZREM', KEYS[2], f)
end

-- purge takes out what has ended, up to so many keys, and returns how many.
local function purge(most)
  local gone = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', int(now), 'LIMIT', 0, most)
  for _, f in ipairs(gone) do drop(f) end
  return #gone
end

local function keys()
  return math.max(redis.call('HLEN', KEYS[1]) - 1, 0)
end

local function octets()
  return tonumber(redis.call('HGET', KEYS[1], 'o') or '0')
end

-- keep has Redis end the part when the last of its values does, if all end.
local century = 36525 * 86400000
local function keep()
  if keys() == 0 then
    redis.call('DEL', KEYS[1], KEYS[2])
    return
  end
  local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  local forever = redis.call('ZCARD', KEYS[2]) < keys()
  for i = 1, 2 do
    if forever or not last[2] or last[2] - now > century then
      redis.call('PERSIST', KEYS[i])
    else
      redis.call('PEXPIRE', KEYS[i], int(math.max(last[2] - now, 0) + 60000))
    end
  end
end

-- put sets the key, within the limits; false says that it does not fit.
local function put(value, ends, maxKeys, maxOctets)
  local raw = int(ends) .. ':' .. value
  local old, more
  local function fits()
    old = redis.call('HGET', KEYS[1], field)
    more = cost(field, raw) - cost(field, old)
    return (old or keys() < maxKeys) and octets() + more <= maxOctets
  end
  purge(20)
  if not fits() then
    for _ = 1, 100 do
      if purge(1000) < 1000 then break end
    end
    if not fits() then return false end
  end
  redis.call('HSET', KEYS[1], field, raw)
  count(more)
  if ends > 0 then
    redis.call('ZADD', KEYS[2], int(ends), field)
  else
    redis.call('ZREM', KEYS[2], field)
  end
  keep()
  return true
end

local function ending(ttl)
  ttl = tonumber(ttl)
  if ttl == 0 then return 0 end
  return math.max(now + ttl, 1)
end

local function limit()
  return {'LIMIT', int(keys()), int(octets())}
end

-- again is the answer of this operation, if it was made before.
local function again()
  local was = redis.call('GET', KEYS[3])
  return was and {'OK', was}
end

local operationLife = 60000
local function done(answer)
  redis.call('SET', KEYS[3], answer, 'PX', operationLife)
  return {'OK', answer}
end
