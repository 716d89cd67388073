-- claim leases entries, those that are waiting and due still. A claim whose answer
-- was lost is answered again when the node claims the next time, and its leases go
-- on from then.
local ends, limit, again = int(at(ARGV[A + 1])), num(ARGV[A + 2]), ARGV[A + 3]
local out, size = {}, 0
local function add(id)
  local e = shown(id)
  size = size + #e[2]
  out[#out + 1] = e
end
local last = call('HGET', P .. ':k', node)
if last then last = cjson.decode(last) end
if last and (last[1] == again or last[1] == op) then
  for i = 2, #last, 2 do
    local t = call('HGET', E(last[i]), 't')
    if t == last[i + 1] then
      call('HSET', E(last[i]), 'u', ends)
      call('ZADD', P .. ':x', ends, last[i])
      add(last[i])
    end
  end
  if #out > 0 then
    commit()
    return reply('OK', unpack(out))
  end
end
if now < quiet(0) then return reply('OK') end
local note, lanes = {op}, {}
for i = A + 4, #ARGV do
  local id = ARGV[i]
  local e = load(id)
  if e and not e.h and not (e.t and e.u > now) and num(e.d) <= now and (size == 0 or size < limit) then
    local t = lease()
    call('ZREM', D(e.l), id) -- first, for Redis lets a script go on that began with this, be its memory full
    call('HSET', E(id), 't', t, 'u', ends)
    call('ZADD', P .. ':x', ends, id)
    lanes[e.l] = true
    note[#note + 1] = id
    note[#note + 1] = t
    add(id)
  elseif not e then
    call('ZREM', P .. ':i', id) -- its hash was taken away by hand
  end
end
for lane in pairs(lanes) do look(lane) end
if #out > 0 then
  call('HSET', P .. ':k', node, cjson.encode(note))
  commit()
end
return reply('OK', unpack(out))
