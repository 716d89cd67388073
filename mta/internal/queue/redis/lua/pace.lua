-- pace says of lanes before when they are not to be looked at; nothing says that
-- they may be.
for i = A + 1, #ARGV, 2 do
  local lane = ARGV[i]
  if ARGV[i + 1] == '' then
    call('HDEL', P .. ':b', lane)
  else
    call('HSET', P .. ':b', lane, int(at(ARGV[i + 1])))
  end
  look(lane)
end
return reply('OK')
