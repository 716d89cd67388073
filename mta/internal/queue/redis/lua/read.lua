-- read answers entries as they are; those that are not there are left out.
local out = {}
for i = A + 1, #ARGV do out[#out + 1] = shown(ARGV[i]) end
return reply('OK', unpack(out))
