-- settle tells whether an entry is there or was, put by that operation; if not, it
-- sees to it that it never is. Where nobody knows the operation any more, any is it.
local id, put = ARGV[A + 1], ARGV[A + 2]
if call('EXISTS', E(id)) == 1 then return reply('OK', '1') end
local g = call('GET', P .. ':g:' .. id)
if g and (g == put or put == '' and g ~= 'refused') then return reply('OK', '1') end
call('SET', P .. ':g:' .. id, 'refused', 'PX', ARGV[A + 3])
commit()
return reply('OK', '0')
