-- present tells of each ID whether its entry is there.
local out = {}
for i = A + 1, #ARGV do out[#out + 1] = call('EXISTS', E(ARGV[i])) end
return reply('OK', unpack(out))
