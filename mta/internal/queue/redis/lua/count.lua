-- count answers how many entries there are, are active and are held, which is the
-- first, and the lanes that have most.
local all = call('ZCARD', P .. ':i')
local active = call('ZCOUNT', P .. ':x', '(' .. int(now), '+inf')
local held = call('ZCOUNT', P .. ':h', '-inf', int(now))
local first = call('ZRANGE', P .. ':i', 0, 0)
local lanes = call('ZREVRANGE', P .. ':n', 0, num(ARGV[A + 1]) - 1, 'WITHSCORES')
return reply('OK', all, active, held, first[1] or '', unpack(lanes))
