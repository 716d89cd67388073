-- spend takes up to so many tokens out of a bucket that messages fill in a time, up
-- to a burst. It answers how many, and when there is one more.
local key, want, messages, per, burst = P .. ':t:' .. ARGV[A + 1], num(ARGV[A + 2]), num(ARGV[A + 3]), num(ARGV[A + 4]), num(ARGV[A + 5])
local had = call('HMGET', key, 'tokens', 'at')
local tokens = burst
if had[1] then tokens = math.min(burst, num(had[1]) + math.max(now - num(had[2]), 0) * messages / per) end
local got = math.min(want, math.floor(tokens))
tokens = tokens - got
call('HSET', key, 'tokens', string.format('%.9f', tokens), 'at', int(now))
call('PEXPIRE', key, int(per / 1000 + 60000))
return reply('OK', got, int(now + math.max(1 - tokens, 0) * per / messages + 1))
