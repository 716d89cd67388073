-- pace says of lanes until when they are not to be looked at; nothing says that
-- they may be.
for i = A + 1, #ARGV, 2 do
  local lane = ARGV[i]
  call('ZREM', P .. ':b', lane)
  if ARGV[i + 1] ~= '' then
    call('ZADD', P .. ':b', int(at(ARGV[i + 1])), lane)
  end
  look(lane)
end
return reply('OK')
