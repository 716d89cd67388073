-- content answers where the content of an entry is, or what it is.
local f = call('HMGET', E(ARGV[A + 1]), 'k', 'z', 'n', 'c')
if not f[1] then return reply('NOTFOUND') end
return reply('OK', f[1], f[2], f[3] or '0', f[4])
