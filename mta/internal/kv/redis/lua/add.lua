-- ARGV[3] ttl in ms, 0 for ever; [4] and [5] the limits; [6] what to add
--
-- Numbers of Lua have 53 bits and counters 64: they are calculated with in two
-- halves of the same sign, n = hi * 1e9 + lo.

local function split(s)
  local sign, digits = string.match(s, '^(%-?)0*(%d+)$')
  if not digits or #digits > 19 then return nil end
  local k = sign == '-' and -1 or 1
  return k * tonumber('0' .. string.sub(digits, 1, -10)), k * tonumber(string.sub(digits, -9))
end

local function join(hi, lo)
  local sign = (hi < 0 or lo < 0) and '-' or ''
  hi, lo = math.abs(hi), math.abs(lo)
  if hi == 0 then return sign .. int(lo) end
  return sign .. int(hi) .. string.format('%09.0f', lo)
end

local function sum(hi, lo)
  if lo >= 1e9 then hi, lo = hi + 1, lo - 1e9 end
  if lo <= -1e9 then hi, lo = hi - 1, lo + 1e9 end
  if hi > 0 and lo < 0 then hi, lo = hi - 1, lo + 1e9 end
  if hi < 0 and lo > 0 then hi, lo = hi + 1, lo - 1e9 end
  return hi, lo
end

local function fits64(hi, lo)
  if hi > 0 or lo > 0 then return hi < 9223372036 or hi == 9223372036 and lo <= 854775807 end
  return hi > -9223372036 or hi == -9223372036 and lo >= -854775808
end

local was = again()
if was then return was end
local value, ends = live()
if not value then value, ends = '0', ending(ARGV[3]) end
local hi, lo = split(value)
if not hi or not fits64(hi, lo) then return {'CONFLICT'} end
local moreHi, moreLo = split(ARGV[6])
hi, lo = sum(hi + moreHi, lo + moreLo)
if not fits64(hi, lo) then return {'RANGE'} end
local text = join(hi, lo)
if not put(text, ends, tonumber(ARGV[4]), tonumber(ARGV[5])) then return limit() end
return done(text)
