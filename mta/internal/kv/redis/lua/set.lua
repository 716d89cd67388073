-- ARGV[3] ttl in ms, 0 for ever; [4] and [5] the limits; [6] the value
if put(ARGV[6], ending(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])) then return {'OK', ''} end
return limit()
