-- ARGV[3] ttl in ms, 0 for ever; [4] and [5] the limits; [6] and [7] "1" and what
-- has to be there, or "0" for nothing; [8] and [9] likewise what is to be there
local was = again()
if was then return was end
local value = live()
local wanted = ARGV[6] == '1' and ARGV[7] or nil
if value ~= wanted then return {'CONFLICT'} end
if ARGV[8] == '0' then
  drop(field)
  keep()
elseif not put(ARGV[9], ending(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])) then
  return limit()
end
return done('')
