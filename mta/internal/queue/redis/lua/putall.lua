-- putall keeps n new entries: all of them or none.
local n, first = num(ARGV[A + 1]), A + 2
local status = admit(first, n)
if status and status ~= 'DONE' then return reply(status) end
local tokens = {}
for k = 0, n - 1 do
  local e = entry(first + k * WIDTH)
  if status == 'DONE' then
    tokens[k + 1] = call('HGET', E(e.id), 't') or '0'
  else
    tokens[k + 1] = keep(e)
  end
end
if not status then commit() end
return reply('OK', unpack(tokens))
