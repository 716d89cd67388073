-- restore puts back an entry, unless it is known to be gone, or there in a state
-- that is as new.
local e = entry(A + 2)
call('ZADD', P .. ':r', 'XX', int(wall + num(ARGV[A + 1])), node)
if call('EXISTS', P .. ':g:' .. e.id) == 1 then return reply('OK', '0') end
local old = load(e.id)
if old and (old.p == op or num(old.v) >= num(e.v) or num(old.t) > num(e.v)) then return reply('OK', '0') end
if not whole(e) then return reply('CHUNKS') end
if old then forget(e.id, old); call('DEL', P .. ':g:' .. e.id) end
token, leased = math.max(token, num(e.v)), true
keep(e)
commit()
return reply('OK', '1')
