-- node registers a node for a time, by the server's clock, and answers all that
-- are. It stands alone: the registry is no shard.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
if ARGV[2] == '0' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
return redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[3]) - 1)
