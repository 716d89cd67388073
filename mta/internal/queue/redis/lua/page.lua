-- page answers entries after an ID, in the order of IDs: n of them at most, and
-- not more octets than a limit.
local after, n, limit = ARGV[A + 1], num(ARGV[A + 2]), num(ARGV[A + 3])
local ids = call('ZRANGEBYLEX', P .. ':i', after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, n)
local out, size, more = {}, 0, #ids == n and '1' or ''
local last = after
for _, id in ipairs(ids) do
  if size >= limit then
    more = '1'
    break
  end
  local e = shown(id)
  last = id
  if e then
    size = size + #e[2]
    out[#out + 1] = e
  end
end
return reply('OK', more, last, unpack(out))
